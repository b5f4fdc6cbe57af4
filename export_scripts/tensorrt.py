"""`python -m export_scripts.tensorrt`: build the encoders' TensorRT engines with `trtexec`.

An engine fits one GPU and one TensorRT, so it is built where it is served, inside the image that
serves it; that image needs no package of ours:

    docker run --rm --gpus all -v "$PWD":/tribunal -w /tribunal IMAGE python3 -m export_scripts.tensorrt

`--model-config-name=tensorrt` then makes Triton take `configs/tensorrt.pbtxt`. Export with
`--unfused` first: TensorRT reads the standard operators of ONNX, not those of ONNX Runtime.
"""

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from export_scripts.hub_models import ENCODERS
from launcher.repository.contract import MODEL_REPOSITORY
from launcher.repository.manifest import read_manifest

# Where NVIDIA's images keep it, beside PATH.
TRTEXEC_IN_IMAGE = "/usr/src/tensorrt/bin/trtexec"
INPUTS = ("input_ids", "attention_mask")


@dataclass(frozen=True)
class Profile:
    """The least, the best served and the largest shape [batch, windows, tokens] of an engine's inputs."""

    least: tuple[int, int, int]
    best: tuple[int, int, int]
    largest: tuple[int, int, int]


# An engine holds memory for its largest shape, so batches of short texts and long texts are apart:
# 64 texts of one window, and 8 texts of 32. Triton takes the profile that fits a request.
PROFILES = (
    Profile((1, 1, 1), (16, 1, 64), (64, 1, 512)),
    Profile((1, 2, 1), (1, 4, 512), (8, 32, 512)),
)


def trtexec_command(trtexec: str, model: Path, engine: Path, timing_cache: Path) -> list[str]:
    """Arguments that build `engine` in fp16 from the ONNX file `model`, with all of PROFILES.

    https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/command-line-programs.html
    """
    shapes = []
    for index, profile in enumerate(PROFILES):
        shapes.append(f"--profile={index}")
        for option, shape in (
            ("minShapes", profile.least),
            ("optShapes", profile.best),
            ("maxShapes", profile.largest),
        ):
            axes = "x".join(map(str, shape))
            shapes.append(f"--{option}=" + ",".join(f"{name}:{axes}" for name in INPUTS))
    return [
        trtexec,
        f"--onnx={model}",
        f"--saveEngine={engine}",
        f"--timingCacheFile={timing_cache}",
        "--fp16",
        "--skipInference",
        *shapes,
    ]


def find_trtexec() -> str:
    """Path of `trtexec`; raises FileNotFoundError that says where it is to be found."""
    found = shutil.which("trtexec") or shutil.which(TRTEXEC_IN_IMAGE)
    if found is None:
        raise FileNotFoundError(
            "no trtexec on PATH or in /usr/src/tensorrt/bin: run this inside the NGC image of Triton "
            "that will serve the engines (python -m export_scripts.tensorrt --help)"
        )
    return found


def require_unfused(repository: Path) -> None:
    """Raise ValueError where an encoder of `repository` is missing, or cannot be read by TensorRT."""
    models = read_manifest(repository)["models"]
    for name in ENCODERS:
        model = models.get(name)
        if model is None or model["fused"] or model["precision"] != "fp32":
            raise ValueError(
                f"{repository} has no unfused fp32 {name}, which TensorRT needs: run "
                "`python -m export_scripts --source hub --unfused` first"
            )


def main() -> int:
    """Build the engine of each encoder; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m export_scripts.tensorrt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repository", type=Path, default=MODEL_REPOSITORY, metavar="DIR")
    parser.add_argument("--timing-cache", type=Path, default=Path("build/tensorrt.cache"), metavar="FILE")
    parser.add_argument("--print", action="store_true", help="print the commands and run none")
    options = parser.parse_args()
    try:
        require_unfused(options.repository)
        trtexec = "trtexec" if options.print else find_trtexec()
    except (OSError, ValueError) as error:
        print(f"Cannot build: {error}", file=sys.stderr)  # noqa: T201
        return 1
    for name in ENCODERS:
        folder = options.repository / name / "1"
        # Built aside, so that a build that fails leaves the engine before it.
        built = folder / "model.plan.new"
        command = trtexec_command(trtexec, folder / "model.onnx", built, options.timing_cache)
        print(" ".join(command), flush=True)  # noqa: T201
        if not options.print:
            options.timing_cache.parent.mkdir(parents=True, exist_ok=True)
            status = subprocess.run(command, check=False).returncode
            if status:
                print(f"trtexec failed with status {status} on {name}", file=sys.stderr)  # noqa: T201
                return 1
            built.replace(folder / "model.plan")
    return 0


if __name__ == "__main__":
    sys.exit(main())
