"""What can be evaluated: the members of the ensemble, by the question each answers."""

from enum import Enum


class Target(str, Enum):
    """A member whose answers are compared with labels."""

    rejection = "rejection"
    aegis = "aegis"
    toxicity = "toxicity"
