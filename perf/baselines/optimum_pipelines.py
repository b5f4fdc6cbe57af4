"""Baseline `optimum`: the ONNX pipelines of the rejection model's card, one text at a time."""

from pathlib import Path

from export_scripts.hub_models import ENCODERS
from perf.baselines.library_baseline import LibraryBaseline, Screen
from perf.baselines.transformers_pipelines import pipeline_options


def load_pipelines(checkpoints: Path) -> Screen:
    """Export each encoder to ONNX and load its pipeline; returns a function that screens texts with all."""
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    pipelines = [
        pipeline(
            "text-classification",
            model=ORTModelForSequenceClassification.from_pretrained(checkpoints / name, export=True),
            tokenizer=AutoTokenizer.from_pretrained(checkpoints / name),
            **pipeline_options(encoder),
        )
        for name, encoder in ENCODERS.items()
    ]
    return lambda texts: [classify(text) for text in texts for classify in pipelines]


BASELINES = (
    LibraryBaseline(
        name="optimum",
        description="optimum's ONNX pipelines in-process",
        open_screen=lambda encoders: load_pipelines(encoders.checkpoints),
    ),
)
