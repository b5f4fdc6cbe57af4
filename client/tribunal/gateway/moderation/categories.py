"""The categories that the encoder `aegis` scores, by name."""

from typing import Literal, get_args

# A test compares them with `model_repository/verdict/labels.txt`. The names are those of the taxonomy of
# NVIDIA's Aegis AI Content Safety dataset, which the model was trained on.
Category = Literal[
    "Controlled/Regulated Substances",
    "Criminal Planning/Confessions",
    "Deception/Fraud",
    "Guns and Illegal Weapons",
    "Harassment",
    "Hate/Identity Hate",
    "Needs Caution",
    "PII/Privacy",
    "Profanity",
    "Sexual",
    "Sexual (minor)",
    "Suicide and Self Harm",
    "Threat",
    "Violence",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
