"""The models that can be evaluated, and the usual columns of their labels."""

from enum import StrEnum


class Target(StrEnum):
    """A model whose answers are compared with labels."""

    rejection = "rejection"
    aegis = "aegis"
    toxicity = "toxicity"


# The column of the texts, and of the labels, is the first of these that the data have.
TEXT_FIELDS = ("text", "content", "sentence", "comment", "prompt", "response")
LABEL_FIELDS = {
    Target.rejection: ("label", "rejection", "is_rejection", "refusal"),
    Target.aegis: ("labels", "label", "categories", "category"),
    Target.toxicity: ("label", "toxic", "is_toxic", "toxicity"),
}
