"""Figures of the model cards, to compare with measured ones."""

from dataclasses import dataclass

from tribunal.evaluation.target import Target


@dataclass(frozen=True)
class Published:
    """Figures of one row of a model card; None if the card has none."""

    name: str
    precision: float
    recall: float
    f1: float
    accuracy: float | None = None
    true_positives: int | None = None
    true_negatives: int | None = None
    false_positives: int | None = None
    false_negatives: int | None = None


@dataclass(frozen=True)
class ModelCard:
    """Figures of a model card, with the number of examples, the way of counting, and compared models."""

    model: str
    url: str
    examples: str
    counting: str
    figures: tuple[Published, ...]
    comparison: tuple[Published, ...] = ()


CARDS = {
    Target.rejection: ModelCard(
        model="rejection",
        url="https://huggingface.co/ProtectAI/distilroberta-base-rejection-v1",
        examples="its evaluation set",
        counting="figures of the label REJECTION",
        figures=(Published("REJECTION", 0.9279, 0.9810, 0.9537, accuracy=0.9887),),
    ),
    Target.aegis: ModelCard(
        model="aegis",
        url="https://huggingface.co/AC/MiniLM-L12-H384-uncased_Nvidia-Aegis-AI-Safety",
        examples="359 test examples",
        counting=(
            "every pair of a text and a category counts once, threshold 0.5; the card swaps the names of "
            "TP and TN, as its own precision and recall show, which is corrected here"
        ),
        figures=(
            Published(
                "micro",
                0.6683,
                0.4427,
                0.5326,
                accuracy=0.9515,
                true_positives=139,
                true_negatives=4643,
                false_positives=69,
                false_negatives=175,
            ),
        ),
    ),
    Target.toxicity: ModelCard(
        model="judge",
        url="https://huggingface.co/grounded-ai/phi3-toxicity-judge-merge",
        examples="350 examples, 175 of each label",
        counting="the card numbers its classes; only its prose says which is which",
        figures=(
            Published("class 0, toxic by the card's prose", 0.85, 0.90, 0.87, accuracy=0.87),
            Published("class 1, non-toxic by the card's prose", 0.89, 0.85, 0.87, accuracy=0.87),
        ),
        comparison=(
            Published("GPT-4", 0.91, 0.91, 0.91),
            Published("GPT-4 Turbo", 0.89, 0.77, 0.83),
            Published("Gemini Pro", 0.81, 0.84, 0.83),
            Published("GPT-3.5 Turbo", 0.93, 0.83, 0.87),
        ),
    ),
}
