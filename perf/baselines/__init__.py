"""Baselines: other ways to screen the workload, for comparison by `python -m perf compare`.

To add a baseline, add one module to this folder that defines `BASELINES`, a sequence of objects with the
attributes of `perf.baselines.registry.Baseline`. Use `LibraryBaseline` for a function that screens a text.
"""
