"""`python -m export_scripts.tensorrt`: build the encoders' TensorRT engines with `trtexec`.

Prefer ONNX Runtime with `--precision fp16`. Neither this command nor an engine was ever run, an engine serves
one request at a time, because its config joins no requests, and it computes the padding of a request.

TensorRT reads only the standard operators of ONNX, cannot use the loop, and takes each tensor's type from
the graph, so export with `--unfused --precision fp16` first. An engine works only on one kind of GPU and
with one TensorRT version: build it inside the image that serves it, with the repository as a writable mount:

    docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD/models:/models" \\
        --entrypoint /opt/nvidia/nvidia_entrypoint.sh tribunal:gpu \\
        python3 -m export_scripts.tensorrt --repository /models

The launcher's `--config tensorrt` then serves `configs/tensorrt.pbtxt`.

All texts of a request share the shape [texts, windows, tokens]. The limit on padded windows
(`max_padded_windows`, 256) has two reasons:
- TensorRT, at least up to 10.9, accepts tensors of less than 2^31 elements
  (https://github.com/NVIDIA/TensorRT/issues/4408). Attention scores [windows, heads, tokens, tokens] have
  12 x 512 x 512 for a window, so there can be no more than 682 windows.
- Each profile allocates memory for its largest shape. How much was not measured.
"""

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from launcher import StartError
from launcher.repository.config import read_config
from launcher.repository.contract import MODEL_REPOSITORY
from launcher.repository.manifest import read_manifest

# Where NVIDIA's images keep it, beside PATH.
TRTEXEC_IN_IMAGE = "/usr/src/tensorrt/bin/trtexec"
INPUTS = ("input_ids", "attention_mask")
CONFIG = Path("configs") / "tensorrt.pbtxt"
# `tokenizer` reads a text as it is and in normalized form; as its `logic/windows.py` has it.
FORMS = 2
# What the manifest must say of a model that TensorRT can read.
READABLE = {"precision": "fp16", "fused": False, "graph": "padded"}

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Profile:
    """The least, the best served and the largest shape [texts, windows, tokens] of an engine's inputs."""

    least: Shape
    best: Shape
    largest: Shape


def profiles(repository: Path) -> list[Profile]:
    """One profile for texts of one window, and one for each range of windows up to a power of two.

    The ranges do not overlap, so that one profile at most holds a shape. Together they hold every request
    that `tokenizer` lets pass: a text has at most `max_windows` windows and `max_sentences` sentences in each
    form, and texts times windows, these counted as the next power of two, are at most `max_padded_windows`.
    """
    config = read_config(repository / "tokenizer" / CONFIG)
    max_windows, max_sentences, padded_windows, tokens = (
        int(config.parameters[name].string_value)
        for name in ("max_windows", "max_sentences", "max_padded_windows", "max_tokens")
    )
    texts = config.max_batch_size
    boxes = [Profile((1, 1, 1), (min(16, texts), 1, min(64, tokens)), (texts, 1, tokens))]
    fewest = 2
    # The power of two that as many texts as there may be in a request can have.
    most = max(1 << ((padded_windows // texts).bit_length() - 1), 2)
    while fewest <= FORMS * (max_windows + max_sentences):
        largest = (min(texts, padded_windows // most), most, tokens)
        boxes.append(Profile((1, fewest, 1), (1, most, tokens), largest))
        fewest, most = most + 1, 2 * most
    return boxes


def engine_models(repository: Path) -> list[str]:
    """Names of the models that `configs/tensorrt.pbtxt` serves as engines."""
    return sorted(
        path.parents[1].name
        for path in repository.glob(f"*/{CONFIG}")
        if read_config(path).backend == "tensorrt"
    )


def trtexec_command(trtexec: str, model: Path, engine: Path, engine_profiles: list[Profile]) -> list[str]:
    """Arguments that build `engine` from the ONNX file `model`, with the types that the graph states.

    https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/command-line-programs.html
    TensorRT 11 knows no other way and warns of `--stronglyTyped`; 10.13 needs it.
    """
    shapes = []
    for index, profile in enumerate(engine_profiles):
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
        "--stronglyTyped",
        "--skipInference",
        *shapes,
    ]


def find_trtexec() -> str:
    """Path of `trtexec`; raises FileNotFoundError that says where to look for it."""
    trtexec = shutil.which("trtexec") or shutil.which(TRTEXEC_IN_IMAGE)
    if trtexec is None:
        raise FileNotFoundError(
            "no trtexec on PATH or in /usr/src/tensorrt/bin: run this inside the image of Triton "
            "that will serve the engines (python -m export_scripts.tensorrt --help)"
        )
    return trtexec


def require_readable(repository: Path) -> None:
    """Raise ValueError if an encoder of `repository` is missing, or cannot be read by TensorRT."""
    models = read_manifest(repository)["models"]
    for name in engine_models(repository):
        model = models.get(name, {})
        if any(model.get(key) != value for key, value in READABLE.items()):
            raise ValueError(
                f"{repository} has no {name} in fp16 with a padded graph and no fusion, as TensorRT needs: "
                "run `python -m export_scripts --source hub --unfused --precision fp16` first"
            )


def main() -> int:
    """Build the engine of each encoder; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m export_scripts.tensorrt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repository", type=Path, default=MODEL_REPOSITORY, metavar="DIR")
    parser.add_argument("--print", action="store_true", help="print the commands and run none")
    options = parser.parse_args()
    try:
        require_readable(options.repository)
        engine_profiles = profiles(options.repository)
        trtexec = "trtexec" if options.print else find_trtexec()
    except (OSError, ValueError, StartError) as error:
        print(f"Cannot build: {error}", file=sys.stderr)  # noqa: T201
        return 1
    for name in engine_models(options.repository):
        folder = options.repository / name / "1"
        # Built aside, so that a build that fails leaves the engine before it.
        built = folder / "model.plan.new"
        command = trtexec_command(trtexec, folder / "model.onnx", built, engine_profiles)
        print(" ".join(command), flush=True)  # noqa: T201
        if not options.print:
            status = subprocess.run(command, check=False).returncode
            if status:
                print(f"trtexec failed with status {status} on {name}", file=sys.stderr)  # noqa: T201
                return 1
            built.replace(folder / "model.plan")
    return 0


if __name__ == "__main__":
    sys.exit(main())
