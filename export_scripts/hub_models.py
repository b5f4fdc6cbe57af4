"""The models that Tribunal serves from the hub: repository, revision, architecture and labels."""

from dataclasses import dataclass

from launcher.repository.contract import JUDGE_LABELS, category_labels


@dataclass(frozen=True)
class HubModel:
    """One model: two are encoders, one is the judge.

    labels: names in the order of the logits.
    multi_label: True for an independent sigmoid for each label; False for a softmax over them.
    hub_revision: default commit, tag or branch.
    """

    name: str
    hub_id: str
    hub_revision: str
    architecture: str
    labels: tuple[str, ...]
    multi_label: bool


ENCODERS = {
    model.name: model
    for model in (
        HubModel(
            name="rejection",
            hub_id="ProtectAI/distilroberta-base-rejection-v1",
            hub_revision="65584967c3f22ff7723e5370c65e0e76791e6055",
            architecture="RobertaForSequenceClassification",
            labels=("NORMAL", "REJECTION"),
            multi_label=False,
        ),
        HubModel(
            name="aegis",
            hub_id="AC/MiniLM-L12-H384-uncased_Nvidia-Aegis-AI-Safety",
            hub_revision="main",
            architecture="BertForSequenceClassification",
            labels=category_labels(),
            multi_label=True,
        ),
    )
}
# The judge's base model. Microsoft replaced its weights and its chat template, which began
# with <s>, in July 2024. The model's card names the last commit before that: "if users would like to check
# out the previous version, use the git commit id" (https://huggingface.co/microsoft/Phi-3-mini-4k-instruct,
# Release Notes).
BASE_MODEL = "microsoft/Phi-3-mini-4k-instruct"
BASE_REVISION = "ff07dc01615f8113924aed013115ab2abd32115b"
JUDGE = HubModel(
    name="judge",
    hub_id="grounded-ai/phi3-toxicity-judge-merge",
    hub_revision="main",
    architecture="Phi3ForCausalLM",
    labels=JUDGE_LABELS,
    multi_label=False,
)
HUB_MODELS = {**ENCODERS, JUDGE.name: JUDGE}
