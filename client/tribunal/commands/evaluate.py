"""The command `tribunal evaluate`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tribunal.client import Client
from tribunal.commands.connection_options import connecting
from tribunal.commands.options import Delimiter, Encoding, Timeout, Url, naming_extra
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from tribunal.evaluation.tables import print_evaluation
from tribunal.evaluation.target import TEXT_FIELDS, Target

if TYPE_CHECKING:
    from tribunal.evaluation.evaluation import Evaluation

DEFAULT_RECALL = 0.95
# Two requests of 8 texts keep the encoders and the judge busy without long waits.
DEFAULT_CONCURRENCY = 2


@connecting
def evaluate(
    target: Annotated[Target, typer.Argument(help="Model to compare with the labels.")],
    data: Annotated[
        str,
        typer.Argument(
            help="A .jsonl, .json, .csv, .tsv or .parquet file (also .gz, .bz2, .xz, .zst), a folder, or the "
            "id of a dataset on the Hugging Face hub."
        ),
    ],
    text_field: Annotated[
        str | None,
        typer.Option(show_default=f"the first of {', '.join(TEXT_FIELDS)}", help="Column of the texts."),
    ] = None,
    label_field: Annotated[
        str | None,
        typer.Option(
            show_default="label, labels, and the like; for aegis also a 0/1 column of each category's name",
            help="Column of the labels.",
        ),
    ] = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    split: Annotated[
        str | None, typer.Option(show_default="the only split", help="Split of a folder or a hub dataset.")
    ] = None,
    subset: Annotated[
        str | None, typer.Option(show_default="none", help="Subset (configuration) of a hub dataset.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(show_default="the newest", help="Commit, tag or branch of a hub dataset.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, show_default="all", help="Maximum number of texts to read.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default="none", help="Write report.html and report.json to this folder."
        ),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(min=0, help="Number of the worst mistakes to put in the report with their texts."),
    ] = 0,
    recommend: Annotated[
        bool,
        typer.Option(
            "--recommend", show_default="off", help="Propose thresholds, and for toxicity the band of auto."
        ),
    ] = False,
    recall: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, show_default=str(DEFAULT_RECALL), help="Recall that thresholds must reach."
        ),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, show_default="none", help="Precision that they must reach, instead of a recall."
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="Requests of 8 texts in flight.")
    ] = DEFAULT_CONCURRENCY,
    as_json: Annotated[
        bool, typer.Option("--json", show_default="off", help="Print all figures as one JSON document.")
    ] = False,
    url: Url = DEFAULT_URL,
    timeout_s: Timeout = DEFAULT_TIMEOUT_S,
    *,
    connection: Connection,
) -> None:
    """Measure a running server on labelled texts, and compare it with the model card.

    Labels: for rejection and toxicity 0 or 1, true or false, or the names (REJECTION, NORMAL; toxic,
    non-toxic); for aegis a list of category names, or a 0/1 column for each category. A text without an
    answer from the judge counts as toxic; the report counts such texts. Exit status 1: the server refused
    a text.

    \b
    Examples:
      tribunal evaluate rejection labelled.jsonl
      tribunal evaluate aegis labelled.csv --label-field categories --report build/aegis
      tribunal evaluate toxicity labelled.parquet --recommend --recall 0.95
      tribunal evaluate rejection OWNER/DATASET --split test --text-field output
    """
    _require_matching_options(recommend, recall, precision, examples, report)
    with naming_extra("evaluate"):
        from tribunal.evaluation.recommend import Goal
        from tribunal.evaluation.report import to_json, write_report
        from tribunal.evaluation.run import Request, evaluate_server
        from tribunal.evaluation.sources import Source
    goal = None
    if recommend:
        wanted_recall = DEFAULT_RECALL if recall is None else recall
        goal = Goal(recall=wanted_recall) if precision is None else Goal(precision=precision)
    request = Request(
        target=target,
        source=Source(
            data,
            text_field,
            label_field,
            subset,
            split,
            revision,
            limit,
            encoding=encoding,
            delimiter=delimiter,
        ),
        goal=goal,
        examples=examples,
        concurrency=concurrency,
    )
    with Client(url, timeout_s=timeout_s, connection=connection) as client, _progress_bar() as on_progress:
        evaluation = evaluate_server(client, url, request, on_progress)
    if report is not None:
        write_report(evaluation, report)
    if as_json:
        typer.echo(to_json(evaluation))
    else:
        print_evaluation(evaluation)
    _report_refused(evaluation)


def _require_matching_options(
    recommend: bool, recall: float | None, precision: float | None, examples: int, report: Path | None
) -> None:
    """Raise BadParameter for contradictory options, or an option that needs another."""
    if recall is not None and precision is not None:
        raise typer.BadParameter("give --recall or --precision, not both")
    if (recall is not None or precision is not None) and not recommend:
        raise typer.BadParameter("--recall and --precision need --recommend")
    if examples and report is None:
        raise typer.BadParameter("--examples needs --report")


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar if standard error is a terminal; yields the function that advances it."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("asking", total=None)
        yield lambda answered, total: progress.update(task, advance=answered, total=total)


def _report_refused(evaluation: "Evaluation") -> None:
    """Exit with 1 if the server refused any text, and name the first."""
    if not evaluation.refused:
        return
    first = evaluation.refused[0]
    texts = evaluation.measures.texts + len(evaluation.refused)
    typer.echo(
        f"tribunal: the server refused {len(evaluation.refused)} of {texts} texts; row {first.row}: "
        f"{first.error}",
        err=True,
    )
    raise typer.Exit(1)
