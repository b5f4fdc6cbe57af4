"""Writes an evaluation as a page, and as JSON."""

import base64
import json
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tribunal.evaluation.evaluation import Evaluation
from tribunal.evaluation.plots import draw_plots

PAGE = "report.html"
DOCUMENT = "report.json"


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write `report.html`, one file with embedded plots, and `report.json` to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DOCUMENT).write_text(to_json(evaluation) + "\n", "utf-8")
    (folder / PAGE).write_text(to_page(evaluation), "utf-8")


def to_json(evaluation: Evaluation) -> str:
    """The whole evaluation as one JSON document; undefined figures are null."""
    return json.dumps(evaluation.as_document(), allow_nan=False)


def to_page(evaluation: Evaluation) -> str:
    """The evaluation as an HTML page, with all external text escaped."""
    environment = Environment(
        loader=PackageLoader("tribunal.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda figure: "–" if figure is None else f"{figure:.4f}"
    environment.filters["share"] = lambda share: "–" if share is None else f"{share:.1%}"
    plots = {title: base64.b64encode(svg.encode()).decode() for title, svg in draw_plots(evaluation).items()}
    return environment.get_template("report.html.jinja").render(evaluation=evaluation, plots=plots)
