"""An evaluation as tables on standard output."""

from typing import TYPE_CHECKING

import typer
from rich import box
from rich.table import Table

from tribunal.console import one_line, output_width, print_table, symbol

if TYPE_CHECKING:
    from tribunal.evaluation.evaluation import Evaluation
    from tribunal.evaluation.measures import Measures
    from tribunal.evaluation.recommend import Recommendation

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


def print_evaluation(evaluation: "Evaluation") -> None:
    """Print the figures, and the recommendation if there is one."""
    _print_figures(evaluation, evaluation.measures)
    if evaluation.answered_alone and len(evaluation.statuses) > 1:
        counts = ", ".join(f"{count} {status}" for status, count in evaluation.statuses.items())
        typer.echo(
            f"\nThe judge's answers: {counts}. Above, no answer counts as toxic; without such texts:\n"
        )
        _print_figures(evaluation, evaluation.answered_alone)
    if evaluation.weights_are_demo:
        typer.echo("\nThe server runs demonstration weights; the card describes other weights.")
    if evaluation.recommendation:
        _print_recommendation(evaluation.recommendation)


def _print_figures(evaluation: "Evaluation", measures: "Measures") -> None:
    """The figures as one table, or as two if the terminal is too narrow."""
    if output_width() >= WIDTH_OF_ONE_TABLE:
        print_table(_figures_table(evaluation, measures, {**FIGURES, **COUNTS_AND_RANKING}))
        return
    print_table(_figures_table(evaluation, measures, FIGURES))
    typer.echo()
    print_table(_figures_table(evaluation, measures, COUNTS_AND_RANKING))


def _print_recommendation(recommendation: "Recommendation") -> None:
    """The figures of each threshold, a warning if there are few texts, and the config's lines."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("label", overflow="fold")
    for heading in ("threshold", "precision", "recall", "flagged", "support"):
        table.add_column(heading, justify="right", no_wrap=True)
    for proposal in recommendation.proposals:
        threshold = "keep" if proposal.threshold is None else f"{proposal.threshold:.4f}"
        flagged = symbol("–", "-") if proposal.flagged is None else f"{proposal.flagged:.1%}"
        figures = _cells(proposal, {"precision": "precision", "recall": "recall"})
        table.add_row(one_line(proposal.name), threshold, *figures, flagged, str(proposal.support))
    typer.echo(f"\nThresholds for a {recommendation.goal}:\n")
    print_table(table)
    typer.echo("flagged: share of all texts. support: how many of them have the label.")
    if recommendation.uncertain:
        typer.echo(f"\nwarning: {recommendation.warning}")
    typer.echo(f"\n{recommendation.config}")


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
    """Figures to 4 digits and whole counts; a dash if a figure is undefined, or not on the card."""
    cells = []
    for name in columns.values():
        value = getattr(row, name, "")
        cells.append(
            symbol("–", "-") if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        )
    return cells
