"""What can be evaluated: the models of the ensemble, by the question each answers."""

from enum import Enum


class Target(str, Enum):
    """A model whose answers are compared with labels."""

    rejection = "rejection"
    aegis = "aegis"
    toxicity = "toxicity"
