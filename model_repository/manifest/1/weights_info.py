"""The source of the weights as labels of an info metric."""

from collections.abc import Mapping
from typing import Any

NAME = "tribunal_weights_info"
HELP = "Where the weights of each member come from; always 1."


def weights_labels(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Labels of one series for each member of the export's manifest; no revision is an empty label."""
    return [
        {
            "member": name,
            "source": member["source"],
            "revision": member["revision"] or "",
            "precision": member["precision"],
        }
        for name, member in manifest["members"].items()
    ]
