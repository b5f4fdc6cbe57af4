"""What the launcher's self-check of the encoders found, for callers and as a metric."""

from collections.abc import Mapping
from typing import Any

NAME = "tribunal_self_check_score_difference"
HELP = "Largest difference of a score from the export's references, in the last self-check of each encoder."

KEY = "self_check"


def with_outcomes(manifest: Mapping[str, Any], outcomes: Mapping[str, Any]) -> dict[str, Any]:
    """The export's manifest with the outcome of each model's self-check instead of its references.

    outcomes: by model, as the launcher writes them. A model without an outcome has no such entry.
    """
    models = {
        name: {
            **{key: value for key, value in model.items() if key != KEY},
            **({KEY: outcomes[name]} if name in outcomes else {}),
        }
        for name, model in manifest["models"].items()
    }
    return {**manifest, "models": models}


def score_differences(outcomes: Mapping[str, Any]) -> dict[str, float]:
    """Value of the metric for each checked model."""
    return {name: float(outcome["score_difference"]) for name, outcome in outcomes.items()}
