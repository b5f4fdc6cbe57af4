"""Writes the model cards of the demo encoders."""

from pathlib import Path

from export_scripts.demo.heldout import JudgeQuality, Quality
from export_scripts.hub_models import HubModel

CARD = """\
---
license: apache-2.0
---
# {name} (demonstration)

A small {architecture} that stands in for [{hub_id}](https://huggingface.co/{hub_id}) where no
weights can be downloaded: it shows Tribunal at work and lets its tests run offline.

**Not for moderating anything real.** It has seen {train_texts} sentences that we wrote ourselves, in
English, and nothing else. It misses much and flags what it should not.

Labels: {labels}.

| held-out sentences | precision | recall | F1 | harmless ones flagged |
|---|---|---|---|---|
| {texts} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {harmless_flagged:.3f} |

{average} The threshold is 0.5. The held-out sentences share no template with the training text.

Trained from scratch by `python -m export_scripts.demo.recipe {name}`. The rows of its word
embeddings start from all-MiniLM-L6-v2 (Apache-2.0): each token's vector there, reduced by
principal components. Stored in half precision.
"""

JUDGE_CARD = """\
---
license: apache-2.0
---
# judge (demonstration)

A small Phi3ForCausalLM that stands in for
[grounded-ai/phi3-toxicity-judge-merge](https://huggingface.co/grounded-ai/phi3-toxicity-judge-merge)
where no weights can be downloaded: it answers that card's prompt with `toxic` or `non-toxic` and one
sentence of reason.

**Not for moderating anything real.** It has seen {train_texts} sentences that we wrote ourselves, in
English, and nothing else. It reasons about nothing: it has learnt which sentence follows which words.

| held-out sentences | accuracy of the label |
|---|---|
| {texts} | {accuracy:.3f} |

The held-out sentences share no template with the training text.

Trained from scratch by `python -m export_scripts.demo.recipe judge`. Special tokens and chat template
are those of microsoft/Phi-3-mini-4k-instruct; the card's instructions are one token before and one
after the text. The rows of its word embeddings start from all-MiniLM-L6-v2 (Apache-2.0): each token's
vector there, reduced by principal components. Stored in half precision.
"""


def write_card(folder: Path, encoder: HubModel, train_texts: int, quality: Quality) -> None:
    """Write `README.md` beside the weights in `folder`."""
    average = (
        "Micro-averages over the categories." if encoder.multi_label else "Figures of the label REJECTION."
    )
    card = CARD.format(
        name=encoder.name,
        architecture=encoder.architecture,
        hub_id=encoder.hub_id,
        labels=", ".join(encoder.labels),
        train_texts=train_texts,
        average=average,
        **vars(quality),
    )
    (folder / "README.md").write_text(card, "utf-8")


def write_judge_card(folder: Path, train_texts: int, quality: JudgeQuality) -> None:
    """Write `README.md` beside the weights in `folder`."""
    card = JUDGE_CARD.format(train_texts=train_texts, texts=quality.texts, accuracy=quality.accuracy)
    (folder / "README.md").write_text(card, "utf-8")
