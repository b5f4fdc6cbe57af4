"""The plots of a report, as SVG."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tribunal.evaluation.evaluation import Evaluation
from tribunal.evaluation.measures import Curves, Figures

BLUE, ORANGE, GREEN, GREY = "#2563a8", "#d9741a", "#2e8b57", "#8a8f98"
SIZE_INCHES = (4.6, 3.6)
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#c9cdd3",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.labelsize": 9,
    "font.size": 9,
    "grid.color": "#eceef1",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "tribunal",
}


def draw_plots(evaluation: Evaluation) -> dict[str, str]:
    """SVG documents by title."""
    with mpl.rc_context(STYLE):
        measures = evaluation.measures
        name = "micro" if "micro" in measures.curves else next(iter(measures.curves))
        curves = measures.curves[name]
        figures = measures.micro if name == "micro" else measures.labels[0]
        what = "all categories together" if name == "micro" else name
        plots = {
            f"Precision and recall, {what}": _precision_recall(curves, figures, evaluation),
            f"ROC, {what}": _roc(curves, figures),
            f"Thresholds, {what}": _sweep(curves),
            f"Calibration, {what}": _calibration(curves, figures),
        }
        if name == "micro":
            plots["Categories at the server's thresholds"] = _categories(measures.labels)
        else:
            plots["Confusion matrix"] = _confusion(figures, measures.labels[1].name)
        return {title: _svg(figure) for title, figure in plots.items()}


def _axes(size: tuple[float, float] = SIZE_INCHES) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _unit_square(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), xlabel=x_label, ylabel=y_label)


def _precision_recall(curves: Curves, figures: Figures, evaluation: Evaluation) -> Figure:
    figure, axes = _axes()
    if curves.precision_recall:
        recall, precision = zip(*curves.precision_recall, strict=True)
        axes.plot(recall, precision, color=BLUE, label=f"average precision {figures.average_precision:.3f}")
    if figures.precision is not None and figures.recall is not None:
        axes.plot(figures.recall, figures.precision, "o", color=BLUE, label="this server's decisions")
    published = evaluation.card.figures[0]
    axes.plot(published.recall, published.precision, "D", color=ORANGE, label="model card, on its own data")
    for other, marker in zip(evaluation.card.comparison, "sv^P", strict=False):
        axes.plot(
            other.recall, other.precision, marker, color=GREY, markersize=5, label=f"card: {other.name}"
        )
    _unit_square(axes, "recall", "precision")
    axes.legend(loc="lower left")
    return figure


def _roc(curves: Curves, figures: Figures) -> Figure:
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="chance")
    if curves.roc:
        axes.plot(*zip(*curves.roc, strict=True), color=BLUE, label=f"area {figures.roc_auc:.3f}")
    _unit_square(axes, "false positive rate", "recall")
    axes.legend(loc="lower right")
    return figure


def _sweep(curves: Curves) -> Figure:
    figure, axes = _axes()
    thresholds = [point.threshold for point in curves.sweep]
    for name, color in (("precision", BLUE), ("recall", ORANGE), ("f1", GREEN)):
        values = [getattr(point, name) for point in curves.sweep]
        axes.plot(
            thresholds,
            [float("nan") if value is None else value for value in values],
            color=color,
            marker=".",
            label="F1" if name == "f1" else name,
        )
    _unit_square(axes, "threshold", "")
    axes.legend(loc="lower center", ncols=3)
    return figure


def _calibration(curves: Curves, figures: Figures) -> Figure:
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="calibrated")
    axes.plot(
        *zip(*curves.calibration, strict=True), color=BLUE, marker="o", label=f"Brier {figures.brier:.4f}"
    )
    _unit_square(axes, "mean score of the bin", "share that is true")
    axes.legend(loc="upper left")
    return figure


def _confusion(figures: Figures, negative_name: str) -> Figure:
    figure, axes = _axes()
    counts = [
        [figures.true_positives, figures.false_negatives],
        [figures.false_positives, figures.true_negatives],
    ]
    axes.imshow(counts, cmap="Blues", vmin=0)
    largest = max(map(max, counts))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        count = counts[row][column]
        axes.text(
            column,
            row,
            str(count),
            ha="center",
            va="center",
            fontsize=15,
            color="white" if count > largest / 2 else "black",
        )
    names = [figures.name, negative_name]
    axes.set(
        xticks=[0, 1], yticks=[0, 1], xticklabels=names, yticklabels=names, xlabel="decided", ylabel="true"
    )
    axes.grid(visible=False)
    return figure


def _categories(labels: tuple[Figures, ...]) -> Figure:
    figure, axes = _axes((9.4, 0.36 * len(labels) + 0.9))
    rows = range(len(labels))
    height = 0.38
    for name, color, shift in (("precision", BLUE, -height / 2), ("recall", ORANGE, height / 2)):
        axes.barh(
            [row + shift for row in rows],
            [getattr(label, name) or 0 for label in labels],
            height,
            color=color,
            label=name,
        )
    axes.set(
        yticks=list(rows),
        yticklabels=[f"{label.name} ({label.support})" for label in labels],
        xlim=(0, 1),
        xlabel="at the server's thresholds; in brackets, how many of the texts have the category",
    )
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _svg(figure: Figure) -> str:
    written = StringIO()
    metadata: Mapping[str, None] = {"Date": None, "Creator": None}
    figure.savefig(written, format="svg", metadata=metadata)
    return written.getvalue()
