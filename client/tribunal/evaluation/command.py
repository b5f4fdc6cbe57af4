"""The command `tribunal evaluate`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tribunal.client import Client
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from tribunal.connection_options import connecting
from tribunal.errors import InvalidInput
from tribunal.evaluation.target import Target
from tribunal.options import Timeout, Url, one_line, output_width, print_table

if TYPE_CHECKING:
    from tribunal.evaluation.evaluation import Evaluation
    from tribunal.evaluation.measures import Measures

DEFAULT_RECALL = 0.95
# Texts of eight in a request keep the encoders and the judge busy, and no text waits long.
DEFAULT_CONCURRENCY = 2
PROBE = "hello"
FIGURES = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "F1": "f1"}
COUNTS_AND_RANKING = {
    "TP": "true_positives",
    "TN": "true_negatives",
    "FP": "false_positives",
    "FN": "false_negatives",
    "ROC-AUC": "roc_auc",
    "avg. prec.": "average_precision",
    "Brier": "brier",
}
WIDTH_OF_ONE_TABLE = 140


@connecting
def evaluate(
    target: Annotated[Target, typer.Argument(help="Whose answers are compared with the labels.")],
    data: Annotated[
        str,
        typer.Argument(
            help="A .jsonl, .json, .csv, .tsv or .parquet file (also .gz, .bz2, .xz, .zst), a folder, or the id of a "
            "dataset on the Hugging Face hub."
        ),
    ],
    text_field: Annotated[
        str | None, typer.Option(help="Column of the texts; default: text, content, sentence, comment, ...")
    ] = None,
    label_field: Annotated[
        str | None,
        typer.Option(
            help="Column of the labels; default: label, labels, and the like; for aegis also a 0/1 column "
            "of each category's name."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of a folder or a hub dataset.")] = None,
    subset: Annotated[str | None, typer.Option(help="Subset (configuration) of a hub dataset.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub dataset.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read only so many texts.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.html and report.json there.")
    ] = None,
    examples: Annotated[
        int,
        typer.Option(min=0, help="Put so many of the worst mistakes, with their texts, in the report."),
    ] = 0,
    recommend: Annotated[
        bool, typer.Option("--recommend", help="Propose thresholds, and for toxicity the band of auto.")
    ] = False,
    recall: Annotated[
        float | None,
        typer.Option(min=0, max=1, help=f"Recall to recommend for. [default: {DEFAULT_RECALL}]"),
    ] = None,
    precision: Annotated[
        float | None, typer.Option(min=0, max=1, help="Precision to recommend for, in place of the recall.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="Requests of 8 texts in flight.")
    ] = DEFAULT_CONCURRENCY,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one JSON document.")] = False,
    url: Url = DEFAULT_URL,
    timeout_s: Timeout = DEFAULT_TIMEOUT_S,
    *,
    connection: Connection,
) -> None:
    """Measure a running server on labelled texts, beside the figures of the model card.

    Labels: for rejection and toxicity 0 or 1, true or false, or the names (REJECTION, NORMAL; toxic,
    non-toxic); for aegis a list of category names, or a 0/1 column of each. Where the judge gives no
    answer, the text counts as toxic, and is also counted apart. Exit status 1 where the server
    refused any text.

    \b
    Examples:
      tribunal evaluate rejection labelled.jsonl
      tribunal evaluate aegis labelled.csv --label-field categories --report build/aegis
      tribunal evaluate toxicity labelled.parquet --recommend --recall 0.95
      tribunal evaluate rejection OWNER/DATASET --split test --text-field output
    """
    if recall is not None and precision is not None:
        raise typer.BadParameter("give --recall or --precision, not both")
    if (recall is not None or precision is not None) and not recommend:
        raise typer.BadParameter("--recall and --precision go with --recommend")
    if examples and report is None:
        raise typer.BadParameter("--examples goes with --report")
    try:
        from tribunal.evaluation.answers import ask
        from tribunal.evaluation.evaluation import evaluate_answers
        from tribunal.evaluation.labelled_data import read_labelled
        from tribunal.evaluation.recommend import Goal
        from tribunal.evaluation.report import to_json, write_report
        from tribunal.evaluation.scored import score
        from tribunal.evaluation.sources import Source
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise InvalidInput(f"evaluate needs {package}: pip install 'tribunal[cli,evaluate]'") from error

    goal = None
    if recommend:
        goal = Goal(precision=precision) if precision is not None else Goal(recall=recall or DEFAULT_RECALL)
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        server = client.info()
        # The categories are the server's own, in its order.
        categories = tuple(client.moderate(PROBE, judge="never").categories.scores)
        source = Source(data, text_field, label_field, subset, split, revision, limit)
        labelled = read_labelled(source, target, categories)
        with _progress() as progress:
            task = progress.add_task("asking", total=len(labelled.texts))
            verdicts, refused = ask(
                client,
                labelled.texts,
                target,
                concurrency=concurrency,
                on_answers=lambda texts: progress.advance(task, texts),
            )
    if len(refused) == len(verdicts):
        raise InvalidInput(f"the server refused every text; row 1: {refused[0].error}")
    statuses = Counter(
        verdict.toxicity.status for verdict in verdicts if verdict and target is Target.toxicity
    )
    found = evaluate_answers(
        score(labelled, verdicts, target),
        labelled.texts,
        target,
        data=data,
        server=server,
        url=url,
        statuses=dict(statuses),
        refused=refused,
        goal=goal,
        examples=examples,
    )
    if report is not None:
        write_report(found, report)
    if as_json:
        typer.echo(to_json(found))
    else:
        _print_evaluation(found)
    if refused:
        typer.echo(
            f"tribunal: the server refused {len(refused)} of {len(verdicts)} texts; row {refused[0].row}: "
            f"{refused[0].error}",
            err=True,
        )
        raise typer.Exit(1)


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _print_evaluation(evaluation: "Evaluation") -> None:
    _print_figures(evaluation, evaluation.measures)
    if evaluation.answered_alone and len(evaluation.statuses) > 1:
        counts = ", ".join(f"{count} {status}" for status, count in evaluation.statuses.items())
        typer.echo(f"\nThe judge's answers: {counts}. No answer counts above as toxic; without these:\n")
        _print_figures(evaluation, evaluation.answered_alone)
    if evaluation.weights_are_demo:
        typer.echo("\nThe server runs weights for demonstration; the card describes other weights.")
    if evaluation.recommendation:
        typer.echo(f"\n{evaluation.recommendation.config}")


def _print_figures(evaluation: "Evaluation", measures: "Measures") -> None:
    """The figures as one table, or as two where the terminal is too narrow for it."""
    if output_width() >= WIDTH_OF_ONE_TABLE:
        print_table(_figures_table(evaluation, measures, {**FIGURES, **COUNTS_AND_RANKING}))
        return
    print_table(_figures_table(evaluation, measures, FIGURES))
    typer.echo()
    print_table(_figures_table(evaluation, measures, COUNTS_AND_RANKING))


def _figures_table(evaluation: "Evaluation", measures: "Measures", columns: dict[str, str]) -> Table:
    """The figures of each label, their averages, and below them those of the model card.

    columns: headings and the figures that stand under them.
    """
    table = Table(show_edge=False, pad_edge=False)
    table.add_column(f"{evaluation.target.value}, {measures.texts} texts")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    micro = [measures.micro] if "micro" in measures.curves else []
    for label in [*measures.labels, *micro]:
        table.add_row(one_line(label.name), *_cells(label, columns))
    table.add_row("macro", *_cells(measures.macro, columns), end_section=True)
    for row in (*evaluation.card.figures, *evaluation.card.comparison):
        table.add_row(f"card: {row.name}", *_cells(row, columns))
    return table


def _cells(row: object, columns: dict[str, str]) -> list[str]:
    """Figures to 4 digits and whole counts; a dash for what is undefined, or not on the card."""
    cells = []
    for name in columns.values():
        value = getattr(row, name, "")
        cells.append("–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value))
    return cells
