"""Benchmarks of Tribunal.

Each benchmark alternates between its measurements within one run, keeps every sample, and reports ratios,
because ratios hold on other machines and absolute figures do not.
"""

import os

# ONNX Runtime's packages send usage data to Microsoft unless this is set before the first import:
# https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
