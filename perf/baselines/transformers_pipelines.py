"""Baseline `transformers`: the pipelines of the encoders' model cards, one text at a time."""

from pathlib import Path
from typing import Any

from export_scripts.hub_models import ENCODERS, HubModel
from launcher.repository.contract import limits
from perf.baselines.library_baseline import LibraryBaseline, Screen


def pipeline_options(encoder: HubModel) -> dict[str, Any]:
    """Options of a `transformers` pipeline that returns the scores of all labels, like Tribunal."""
    return {
        "truncation": True,
        "max_length": limits().max_tokens,
        "top_k": None,
        "function_to_apply": "sigmoid" if encoder.multi_label else "softmax",
    }


def load_pipelines(checkpoints: Path) -> Screen:
    """Load a PyTorch pipeline for each encoder; returns a function that screens texts with all."""
    from transformers import pipeline

    pipelines = [
        pipeline(
            "text-classification",
            model=str(checkpoints / name),
            device="cpu",
            **pipeline_options(encoder),
        )
        for name, encoder in ENCODERS.items()
    ]
    return lambda texts: [classify(text) for text in texts for classify in pipelines]


BASELINES = (
    LibraryBaseline(
        name="transformers",
        description="transformers pipelines in-process",
        open_screen=lambda encoders: load_pipelines(encoders.checkpoints),
    ),
)
