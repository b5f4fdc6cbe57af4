"""`python -m export_scripts`: fill a model repository with the models of one source."""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import onnx
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from transformers.utils import logging as transformers_logging

from export_scripts.adapter import base_of, merge_adapter
from export_scripts.arguments import engine_options, parse_arguments
from export_scripts.checkpoint import load_checkpoint
from export_scripts.encoders import OPSET, Graph, Precision, build_encoder, graph_of
from export_scripts.errors import ExportError, ParityError
from export_scripts.export import Export
from export_scripts.hub_models import HUB_MODELS, JUDGE, HubModel
from export_scripts.judge import Reporting, export_judge
from export_scripts.parity import Parity, TextComparison, compare_texts
from export_scripts.parity_texts import parity_texts
from export_scripts.repository import staging
from export_scripts.self_check import self_check_entry
from export_scripts.sources import Source, named_source, resolve_source
from launcher.repository.manifest import read_manifest, write_manifest

# Every third text still covers each script and length, and large models take only seconds.
PARITY_STRIDE = 3
ENCODER_PACKAGES = ("torch", "transformers", "tokenizers", "optimum-onnx", "onnx", "onnxruntime")
console = Console(stderr=True, highlight=False)


def main() -> int:
    """Export the models that the command line names; returns the exit status."""
    options = parse_arguments()
    warnings.filterwarnings("ignore", module=r"torch|optimum|onnx|transformers|peft")
    transformers_logging.set_verbosity_error()
    try:
        with (
            staging(options.repository) as staged,
            # Beside the repository, because a merged judge has several GB and /tmp may be small.
            tempfile.TemporaryDirectory(dir=options.repository.parent, prefix=".merged-judge-") as merged,
        ):
            sources = find_sources(options, Path(merged))
            manifest = read_manifest(options.repository)
            for name, source in sources.items():
                export = export_model(name, source, options, staged)
                with console.status(f"{name}: checksums"):
                    manifest["models"][name] = export.record(staged)
            write_manifest(staged, manifest)
    except (ExportError, OSError) as error:
        console.print(f"[red]Export stopped:[/red] {escape(str(error))}", soft_wrap=True)
        console.print(f"{options.repository} is unchanged.", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print(f"Interrupted; {options.repository} is unchanged.", soft_wrap=True)
        return 130
    console.print(f"[green]Filled[/green] {options.repository}", soft_wrap=True)
    return 0


def find_sources(options: argparse.Namespace, merged: Path) -> dict[str, Source]:
    """The source of each model; merges an adapter into the folder `merged`. Raises SourceError."""
    revisions = dict(options.revision)
    sources = {
        name: resolve_source(options.source, HUB_MODELS[name], revisions.get(name))
        for name in options.models
        if name != JUDGE.name or not options.judge_adapter
    }
    if options.judge_adapter:
        adapter = named_source(options.judge_adapter, JUDGE)
        base = base_of(adapter, options.judge_base, say)
        with console.status("judge: merging the adapter"):
            sources[JUDGE.name] = merge_adapter(base, adapter, merged)
    return sources


def say(sentence: str) -> None:
    """Print a sentence for the user, unchanged by rich's markup."""
    console.print(sentence, soft_wrap=True, markup=False)


def export_model(name: str, source: Source, options: argparse.Namespace, staged: Path) -> Export:
    """Write the files of the model `name` below `staged`; raises ExportError."""
    if name != JUDGE.name:
        return export_encoder(
            HUB_MODELS[name], source, options.precision, staged, for_tensorrt=options.unfused
        )
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(f"judge: writing {source.name}", total=None)
        reporting = Reporting(
            say,
            on_start=lambda size_bytes: progress.update(task, total=size_bytes),
            on_bytes=lambda written_bytes: progress.advance(task, written_bytes),
        )
        served_from = options.served_from or options.repository
        return export_judge(
            source, staged, served_from, engine_options(options), options.judge_tokenizer, reporting
        )


def export_encoder(
    model: HubModel, source: Source, precision: Precision, staged: Path, *, for_tensorrt: bool
) -> Export:
    """Write one encoder's model and tokenizer below `staged`; raises ExportError.

    for_tensorrt: use only standard operators and no loop; else try ONNX Runtime's fused operators first. A
    packed graph that misses the limits of parity gives way to one that computes padding.
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

        def build_and_check(graph: Graph, *, fused: bool) -> tuple[onnx.ModelProto, list[TextComparison]]:
            progress.update(task, description=f"{model.name}: exporting {precision}", completed=0)
            encoder = build_encoder(checkpoint.model, precision, graph, fused=fused)
            progress.update(task, description=f"{model.name}: checking against PyTorch")
            compared = compare_texts(encoder, checkpoint, model, texts, lambda: progress.advance(task))
            Parity.of(compared).require(model, precision)
            return encoder, compared

        fused = not for_tensorrt
        graph = graph_of(precision, for_tensorrt=for_tensorrt)
        try:
            encoder, compared = build_and_check(graph, fused=fused)
        except ParityError as error:
            if not fused:
                raise
            console.print(f"{error}; trying again without fusion", soft_wrap=True)
            fused = False
            graph = "padded" if graph == "packed" else graph
            encoder, compared = build_and_check(graph, fused=False)
        parity = Parity.of(compared)
        progress.update(
            task, description=f"{model.name}: {precision}, {parity.equal_decisions:.2%} equal decisions"
        )
    files = (Path(model.name) / "1" / "model.onnx", Path("tokenizer") / "1" / f"{model.name}.json")
    for file in files:
        (staged / file).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(encoder, staged / files[0])
    checkpoint.serving_tokenizer().save(str(staged / files[1]))
    details = {
        "labels": list(model.labels),
        "fused": fused,
        "graph": graph,
        "opset": OPSET,
        "parity": parity.as_dict(),
        "self_check": self_check_entry(model, precision, compared),
    }
    return Export(source, precision, files, ENCODER_PACKAGES, details)


if __name__ == "__main__":
    sys.exit(main())
