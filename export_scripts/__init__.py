"""Fills a Triton model repository: resolve the checkpoints, export, optimise, check, record."""

import os

# ONNX Runtime's packages send usage data to Microsoft unless this is set before the first import:
# https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
