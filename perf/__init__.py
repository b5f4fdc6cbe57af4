"""Benchmarks of Tribunal.

Each benchmark measures several things in turns within one run, keeps every sample, and reports ratios: a
ratio holds on other machines, an absolute figure does not.
"""
