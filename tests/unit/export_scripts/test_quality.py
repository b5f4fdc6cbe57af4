"""Held-out quality of the demo weights."""

from export_scripts.checkpoint import Checkpoint
from export_scripts.demo.heldout import measure_judge, measure_quality
from export_scripts.demo.text import read_judgements, read_text
from export_scripts.hub_models import JUDGE, HubModel
from export_scripts.sources import DEMO_WEIGHTS

MIN_F1 = {"rejection": 0.92, "aegis": 0.75}


def test_the_demo_weights_generalise(checkpoint: Checkpoint, encoder: HubModel) -> None:
    quality = measure_quality(checkpoint, encoder)
    assert quality.texts >= 150
    assert quality.f1 >= MIN_F1[encoder.name]
    card = (DEMO_WEIGHTS / encoder.name / "README.md").read_text("utf-8")
    assert f"| {quality.precision:.3f} | {quality.recall:.3f} | {quality.f1:.3f} |" in card


def test_the_demo_judge_generalises() -> None:
    quality = measure_judge(DEMO_WEIGHTS / JUDGE.name)
    assert quality.texts >= 150
    assert quality.accuracy >= 0.85
    assert "I could strangle him" not in quality.wrong
    card = (DEMO_WEIGHTS / JUDGE.name / "README.md").read_text("utf-8")
    assert f"| {quality.texts} | {quality.accuracy:.3f} |" in card


def test_no_held_out_sentence_was_judged_in_training() -> None:
    train, heldout = (
        {row["text"].casefold().strip(" .!?") for row in read_judgements(split)}
        for split in ("train", "heldout")
    )
    assert not train & heldout


def test_no_held_out_sentence_was_trained_on(encoder: HubModel) -> None:
    train, heldout = (
        {text.casefold().strip() for text in read_text(encoder, split)[0]} for split in ("train", "heldout")
    )
    assert not train & heldout
