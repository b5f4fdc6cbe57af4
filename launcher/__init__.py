"""Runs a real tritonserver: finds it, adapts the configs to this host, supervises it, stops it."""

import os

# ONNX Runtime's packages send usage data to Microsoft unless this is set before the first import:
# https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class StartError(RuntimeError):
    """The server could not be started; the message ends with what to do."""


class CrashError(StartError):
    """A signal ended tritonserver during its start; the next start may succeed."""
