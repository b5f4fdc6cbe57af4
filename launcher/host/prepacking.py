"""Prepacks an encoder's weights for this processor into a file that all its instances map.

By default ONNX Runtime packs the weights of matrix products in each process, in addition to a copy of the
file: two instances then hold four times the weights, and start later.
https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html
"""

import json
import shutil
import tempfile
from pathlib import Path

import onnxruntime

from launcher import StartError
from launcher.host.files import PACKED_FOR, PACKED_MODEL, PACKED_WEIGHTS
from launcher.repository.manifest import sha256

SMALLEST_SHARED_BYTES = 1024
# On a CPU the fused operator is slower.
NORMS_APART = ("optimization.disable_specified_optimizers", "SkipLayerNormFusion")


def prepack_encoders(repository: Path) -> None:
    """Prepack every ONNX model of `repository`; raises StartError if ONNX Runtime cannot read one."""
    for model in sorted(repository.glob("*/1/model.onnx")):
        prepack(model)


def prepack(model: Path) -> None:
    """Write PACKED_MODEL and PACKED_WEIGHTS beside `model`, unless they match it and this machine.

    PACKED_FOR holds their checksums, so that changed files are packed again.
    """
    folder = model.parent
    packed_for = folder / PACKED_FOR
    if packed_for.exists() and packed_for.read_text("utf-8") == _record(model):
        return
    packed_for.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".packing-") as packing:
        options = onnxruntime.SessionOptions()
        # Hides the warning that the file works only on this machine.
        options.log_severity_level = 3
        options.optimized_model_filepath = str(Path(packing) / PACKED_MODEL)
        for name, value in {
            "optimized_model_external_initializers_file_name": PACKED_WEIGHTS,
            "optimized_model_external_initializers_min_size_in_bytes": str(SMALLEST_SHARED_BYTES),
            "save_external_prepacked_constant_initializers": "1",
        }.items():
            options.add_session_config_entry(f"session.{name}", value)
        options.add_session_config_entry(*NORMS_APART)
        try:
            onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise StartError(f"{model} cannot be read: {reason}; export it again") from error
        for name in (PACKED_WEIGHTS, PACKED_MODEL):
            shutil.move(Path(packing) / name, folder / name)
    packed_for.write_text(_record(model), "utf-8")


def _record(model: Path) -> str:
    """The fingerprint, and the checksum of each existing packed file."""
    packed = [model.parent / name for name in (PACKED_WEIGHTS, PACKED_MODEL)]
    checksums = {path.name: sha256(path) for path in packed if path.exists()}
    return json.dumps({**_fingerprint(model), "sha256": checksums})


def _fingerprint(model: Path) -> dict[str, str | int]:
    """Everything that the packed weights depend on: model file, ONNX Runtime, processor features."""
    state = model.stat()
    flags = next(
        line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("flags")
    )
    return {
        "size_bytes": state.st_size,
        "modified_ns": state.st_mtime_ns,
        "onnxruntime": onnxruntime.__version__,
        "processor": flags,
    }
