"""What can be evaluated: the models of the ensemble, by the question each answers, and its usual columns."""

from enum import StrEnum


class Target(StrEnum):
    """A model whose answers are compared with labels."""

    rejection = "rejection"
    aegis = "aegis"
    toxicity = "toxicity"


# The first of these that the data have is the column of the texts, and of the labels.
TEXT_FIELDS = ("text", "content", "sentence", "comment", "prompt", "response")
LABEL_FIELDS = {
    Target.rejection: ("label", "rejection", "is_rejection", "refusal"),
    Target.aegis: ("labels", "label", "categories", "category"),
    Target.toxicity: ("label", "toxic", "is_toxic", "toxicity"),
}
