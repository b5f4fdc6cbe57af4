"""The members that Tribunal is made of: where they come from and what their checkpoint must be."""

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
MODEL_REPOSITORY = CHECKOUT / "model_repository"
MAX_TOKENS = 512


@dataclass(frozen=True)
class Member:
    """An encoder of the ensemble.

    labels: names in the order of the logits.
    multi_label: an independent sigmoid for each label; else a softmax over them.
    hub_revision: the commit, tag or branch that is exported unless another is asked for.
    """

    name: str
    hub_id: str
    hub_revision: str
    architecture: str
    labels: tuple[str, ...]
    multi_label: bool


def category_labels() -> tuple[str, ...]:
    """The 14 categories, in the order of the aegis logits."""
    return tuple((MODEL_REPOSITORY / "verdict" / "labels.txt").read_text("utf-8").splitlines())


ENCODERS = {
    member.name: member
    for member in (
        Member(
            name="rejection",
            hub_id="ProtectAI/distilroberta-base-rejection-v1",
            hub_revision="65584967c3f22ff7723e5370c65e0e76791e6055",
            architecture="RobertaForSequenceClassification",
            labels=("NORMAL", "REJECTION"),
            multi_label=False,
        ),
        Member(
            name="aegis",
            hub_id="AC/MiniLM-L12-H384-uncased_Nvidia-Aegis-AI-Safety",
            hub_revision="main",
            architecture="BertForSequenceClassification",
            labels=category_labels(),
            multi_label=True,
        ),
    )
}
JUDGE = Member(
    name="judge",
    hub_id="grounded-ai/phi3-toxicity-judge-merge",
    hub_revision="main",
    architecture="Phi3ForCausalLM",
    labels=("toxic", "non-toxic"),
    multi_label=False,
)
MEMBERS = {**ENCODERS, JUDGE.name: JUDGE}
