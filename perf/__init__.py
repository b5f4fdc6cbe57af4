"""Benchmarks of Tribunal.

Each benchmark alternates between its measurements within one run, keeps every sample, and reports ratios,
because ratios hold on other machines and absolute figures do not.
"""
