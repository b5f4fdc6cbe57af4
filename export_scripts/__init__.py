"""Fills a Triton model repository: resolve the checkpoints, export, optimise, check, record."""

# First of all, because it turns off the telemetry of ONNX Runtime.
import launcher  # noqa: F401
