"""The weights that a server has, and their sources as labels of an info metric."""

from collections.abc import Mapping
from typing import Any

NAME = "tribunal_weights_info"
HELP = "Where the weights of each model come from; always 1."

# Name of the LLM's weights in the export's manifest.
JUDGE = "judge"


def served_part(manifest: Mapping[str, Any], *, judge_served: bool) -> dict[str, Any]:
    """The export's manifest, without the judge's weights if no judge is served."""
    models = {name: model for name, model in manifest["models"].items() if judge_served or name != JUDGE}
    return {**manifest, "models": models}


def weights_labels(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Labels of one series per model of the export's manifest; empty if there is no revision."""
    return [
        {
            "model": name,
            "source": model["source"],
            "revision": model["revision"] or "",
            "precision": model["precision"],
        }
        for name, model in manifest["models"].items()
    ]
