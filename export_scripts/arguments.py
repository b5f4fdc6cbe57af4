"""Options of `python -m export_scripts`."""

import argparse
from pathlib import Path
from typing import get_args

from export_scripts.encoders import Precision
from export_scripts.hub_models import BASE_MODEL, BASE_REVISION, HUB_MODELS, JUDGE
from export_scripts.judge_engine import DtypeChoice, EngineOptions, Quantization, Target
from launcher.repository.contract import MODEL_REPOSITORY


def argument_parser() -> argparse.ArgumentParser:
    """The parser, which checks each option by itself."""
    parser = argparse.ArgumentParser(
        prog="python -m export_scripts",
        description="Export the models, check the encoders against PyTorch, and fill a model repository.",
        epilog="example: python -m export_scripts --source hub --revision aegis=main",
    )
    parser.add_argument(
        "--source",
        required=True,
        metavar="demo|hub|DIR",
        help="demo: the small demonstration weights of the project; hub: the real models; "
        "DIR: a folder with one checkpoint folder for each model",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        choices=HUB_MODELS,
        default=list(HUB_MODELS),
        help=f"models to export (default: {' '.join(HUB_MODELS)})",
    )
    parser.add_argument(
        "--revision",
        action="append",
        type=model_revision,
        default=[],
        metavar="MODEL=REV",
        help="commit, tag or branch of a hub model; may be repeated (default: "
        + ", ".join(f"{name}={model.hub_revision[:8]}" for name, model in HUB_MODELS.items())
        + ")",
    )
    parser.add_argument(
        "--repository",
        type=Path,
        default=MODEL_REPOSITORY,
        metavar="DIR",
        help="the model repository to fill (default: %(default)s)",
    )
    parser.add_argument(
        "--served-from",
        type=Path,
        metavar="DIR",
        help="path of the repository on the server, such as /models in a container (default: the same path)",
    )
    encoders = parser.add_argument_group("the encoders")
    encoders.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="fp32",
        help="precision of the weights; fp16 is for GPUs (default: %(default)s)",
    )
    encoders.add_argument(
        "--unfused",
        action="store_true",
        help="use only standard operators of ONNX, for TensorRT engines (default: fuse them)",
    )
    _add_judge_options(parser)
    return parser


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; None takes that of the process. Exits with status 2 if it is wrong."""
    parser = argument_parser()
    options = parser.parse_args(arguments)
    if options.judge_base and not options.judge_adapter:
        parser.error("--judge-base needs --judge-adapter")
    if options.judge_adapter and JUDGE.name not in options.models:
        parser.error("--judge-adapter needs the judge among --models")
    for_gpu = {
        "--judge-quantization": options.judge_quantization,
        "--judge-gpu-memory-utilization": options.judge_gpu_memory_utilization,
    }
    for option, value in for_gpu.items():
        if value is not None and options.judge_target != "gpu":
            parser.error(f"{option} needs --judge-target gpu")
    return options


def _add_judge_options(parser: argparse.ArgumentParser) -> None:
    judge = parser.add_argument_group("the judge")
    judge.add_argument(
        "--judge-target",
        choices=get_args(Target),
        default="cpu",
        help="device for vLLM (default: %(default)s)",
    )
    judge.add_argument(
        "--judge-dtype",
        choices=get_args(DtypeChoice),
        default="auto",
        help="type of the judge's weights. auto: float16 for a GPU; for a CPU bfloat16 if this host's "
        "processor has instructions for it, otherwise float32; for the demo judge on a CPU float32 "
        "(default: %(default)s)",
    )
    judge.add_argument(
        "--judge-quantization",
        choices=get_args(Quantization),
        help="let vLLM quantise the weights when it loads them, on GPUs that have it: fp8 on Ada, Hopper and "
        "later (default: not quantised)",
    )
    judge.add_argument(
        "--judge-gpu-memory-utilization",
        type=share,
        metavar="SHARE",
        help="share of a GPU's memory that vLLM may use, above 0 and up to 1 (default: the judge's need on "
        "the smallest GPU that fits all models)",
    )
    judge.add_argument(
        "--tensor-parallel-size",
        type=positive,
        default=1,
        metavar="N",
        help="number of GPUs that share the judge (default: %(default)s)",
    )
    judge.add_argument(
        "--judge-tokenizer",
        metavar="MODEL",
        help="a folder, or OWNER/MODEL[@REV] on the hub (default: the checkpoint's own, or if it has none "
        f"{BASE_MODEL}@{BASE_REVISION[:8]})",
    )
    judge.add_argument(
        "--judge-adapter",
        metavar="MODEL",
        help="merge this LoRA adapter into its base model, instead of the source's judge: a folder, or "
        "OWNER/MODEL[@REV] on the hub (default: none)",
    )
    judge.add_argument(
        "--judge-base",
        metavar="MODEL",
        help="base model of the adapter, named likewise (default: that of its adapter_config.json)",
    )


def engine_options(options: argparse.Namespace) -> EngineOptions:
    """How the command line says that vLLM is to run the judge."""
    return EngineOptions(
        target=options.judge_target,
        dtype=options.judge_dtype,
        quantization=options.judge_quantization,
        tensor_parallel_size=options.tensor_parallel_size,
        gpu_memory_utilization=options.judge_gpu_memory_utilization,
    )


def model_revision(text: str) -> tuple[str, str]:
    """Split `MODEL=REV`; raises argparse.ArgumentTypeError where it is not of that form."""
    model, _, revision = text.partition("=")
    if model not in HUB_MODELS or not revision:
        raise argparse.ArgumentTypeError(f"{text!r} is not MODEL=REV with MODEL one of {list(HUB_MODELS)}")
    return model, revision


def share(text: str) -> float:
    """Parse a number above 0 and up to 1; raises ValueError otherwise."""
    if not 0 < float(text) <= 1:
        raise ValueError(text)
    return float(text)


def positive(text: str) -> int:
    """Parse a whole number from 1 on; raises ValueError otherwise."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)
