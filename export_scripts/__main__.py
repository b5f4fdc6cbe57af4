"""`python -m export_scripts`: fill a model repository with the models of one source."""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path
from typing import get_args

import onnx
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from transformers.utils import logging as transformers_logging

from export_scripts.adapter import merge_adapter
from export_scripts.checkpoint import load_checkpoint
from export_scripts.encoders import OPSET, Precision, build_encoder
from export_scripts.errors import ExportError, ParityError
from export_scripts.export import Export
from export_scripts.hub_models import HUB_MODELS, JUDGE, HubModel
from export_scripts.judge import Target, export_judge
from export_scripts.parity import Parity, measure_parity
from export_scripts.parity_texts import parity_texts
from export_scripts.repository import staging
from export_scripts.sources import Source, named_source, resolve_source
from launcher.repository.contract import MODEL_REPOSITORY
from launcher.repository.manifest import read_manifest, write_manifest

# Every third text still has each script and length, and keeps the large models to seconds.
PARITY_STRIDE = 3
ENCODER_PACKAGES = ("torch", "transformers", "tokenizers", "optimum-onnx", "onnx", "onnxruntime")
console = Console(stderr=True, highlight=False)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
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
    parser.add_argument("--models", nargs="+", choices=HUB_MODELS, default=list(HUB_MODELS))
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32")
    parser.add_argument(
        "--unfused",
        action="store_true",
        help="keep to the standard operators of ONNX, for TensorRT engines",
    )
    parser.add_argument(
        "--judge-target", choices=get_args(Target), default="cpu", help="where vLLM runs the judge"
    )
    parser.add_argument(
        "--tensor-parallel-size", type=int, default=1, metavar="N", help="GPUs that share the judge"
    )
    adapted = parser.add_argument_group("a judge of its own adapter, instead of the merged one of the source")
    adapted.add_argument("--judge-base", metavar="MODEL", help="folder, or OWNER/MODEL[@REV] on the hub")
    adapted.add_argument("--judge-adapter", metavar="MODEL", help="LoRA adapter of it, named likewise")
    parser.add_argument("--repository", type=Path, default=MODEL_REPOSITORY, metavar="DIR")
    parser.add_argument(
        "--served-from",
        type=Path,
        metavar="DIR",
        help="where the server will see the repository, as /models in a container (default: where it is)",
    )
    parser.add_argument(
        "--revision",
        action="append",
        type=member_revision,
        default=[],
        metavar="MODEL=REV",
        help="commit, tag or branch of a hub model; may be repeated",
    )
    options = parser.parse_args(arguments)
    if bool(options.judge_base) != bool(options.judge_adapter):
        parser.error("--judge-base and --judge-adapter go together")
    return options


def member_revision(text: str) -> tuple[str, str]:
    """Split `MODEL=REV`; raises argparse.ArgumentTypeError where it is not of that form."""
    model, _, revision = text.partition("=")
    if model not in HUB_MODELS or not revision:
        raise argparse.ArgumentTypeError(f"{text!r} is not MODEL=REV with MODEL one of {list(HUB_MODELS)}")
    return model, revision


def main() -> int:
    """Export what the command line asks for; returns the exit status."""
    options = parse_arguments()
    warnings.filterwarnings("ignore", module=r"torch|optimum|onnx|transformers")
    transformers_logging.set_verbosity_error()
    revisions = dict(options.revision)
    try:
        with staging(options.repository) as staged, tempfile.TemporaryDirectory() as merged:
            sources = {
                name: resolve_source(options.source, HUB_MODELS[name], revisions.get(name))
                for name in options.models
                if name != JUDGE.name or not options.judge_adapter
            }
            if options.judge_adapter:
                base, adapter = (
                    named_source(text, JUDGE) for text in (options.judge_base, options.judge_adapter)
                )
                with console.status("judge: merging the adapter"):
                    sources[JUDGE.name] = merge_adapter(base, adapter, Path(merged))
            manifest = read_manifest(options.repository)
            for name, source in sources.items():
                export = export_model(name, source, options, staged)
                manifest["models"][name] = export.record(staged)
            write_manifest(staged, manifest)
    except ExportError as error:
        console.print(f"[red]Export stopped:[/red] {error}", soft_wrap=True)
        console.print(f"{options.repository} is as it was.", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print(f"Interrupted; {options.repository} is as it was.", soft_wrap=True)
        return 130
    console.print(f"[green]Filled[/green] {options.repository}", soft_wrap=True)
    return 0


def export_model(name: str, source: Source, options: argparse.Namespace, staged: Path) -> Export:
    """Write the files of the model `name` below `staged`; raises ExportError."""
    if name != JUDGE.name:
        return export_encoder(HUB_MODELS[name], source, options.precision, staged, fused=not options.unfused)
    with console.status(f"judge: copying {source.name}"):
        return export_judge(
            source,
            staged,
            options.served_from or options.repository,
            options.judge_target,
            options.tensor_parallel_size,
        )


def export_encoder(
    model: HubModel, source: Source, precision: Precision, staged: Path, *, fused: bool
) -> Export:
    """Write one encoder's model and tokenizer below `staged`; raises ExportError.

    fused: try ONNX Runtime's own operators first.
    """
    texts = parity_texts()[::PARITY_STRIDE]
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task(f"{model.name}: loading {source.name}", total=len(texts))
        checkpoint = load_checkpoint(source.folder, model)

        def build_and_check(*, fused: bool) -> tuple[onnx.ModelProto, Parity]:
            progress.update(task, description=f"{model.name}: exporting {precision}", completed=0)
            encoder = build_encoder(checkpoint.model, precision, fused=fused)
            progress.update(task, description=f"{model.name}: checking against PyTorch")
            parity = measure_parity(encoder, checkpoint, model, texts, lambda: progress.advance(task))
            parity.require(model, precision)
            return encoder, parity

        try:
            encoder, parity = build_and_check(fused=fused)
        except ParityError as error:
            if not fused:
                raise
            console.print(f"{error}; trying again without fusion", soft_wrap=True)
            fused = False
            encoder, parity = build_and_check(fused=False)
        progress.update(
            task, description=f"{model.name}: {precision}, {parity.equal_decisions:.2%} equal decisions"
        )
    files = (Path(model.name) / "1" / "model.onnx", Path("tokenizer") / "1" / f"{model.name}.json")
    for file in files:
        (staged / file).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(encoder, staged / files[0])
    checkpoint.serving_tokenizer().save(str(staged / files[1]))
    details = {"labels": list(model.labels), "fused": fused, "opset": OPSET, "parity": parity.as_dict()}
    return Export(source, precision, files, ENCODER_PACKAGES, details)


if __name__ == "__main__":
    sys.exit(main())
