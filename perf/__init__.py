"""Benchmarks of Tribunal.

Each benchmark alternates between its measurements within one run, keeps every sample, and reports ratios,
because ratios hold on other machines and absolute figures do not.
"""

# First of all, because it turns off the telemetry of ONNX Runtime.
import launcher  # noqa: F401
