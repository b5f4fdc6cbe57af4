"""Baselines: other ways to screen the workload, which `python -m perf compare` measures beside Tribunal.

To add a baseline, add one module to this folder that defines `BASELINES`, a sequence of objects with the
attributes of `perf.baselines.registry.Baseline`. `LibraryBaseline` suits a function that screens a text.
"""
