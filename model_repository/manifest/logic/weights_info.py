"""The source of the weights as labels of an info metric."""

from collections.abc import Mapping
from typing import Any

NAME = "tribunal_weights_info"
HELP = "Where the weights of each model come from; always 1."


def weights_labels(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Labels of one series for each model of the export's manifest; no revision is an empty label."""
    return [
        {
            "model": name,
            "source": model["source"],
            "revision": model["revision"] or "",
            "precision": model["precision"],
        }
        for name, model in manifest["models"].items()
    ]
