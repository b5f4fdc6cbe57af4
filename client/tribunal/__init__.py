"""Client of Tribunal, LLM-safety moderation served by NVIDIA Triton."""

from tribunal.client import Client, ServerInfo, Weights
from tribunal.errors import DeadlineExceeded, InvalidInput, ServerError, ServerUnavailable, TribunalError
from tribunal.verdict import Categories, Refusal, Toxicity, Verdict

__all__ = [
    "Categories",
    "Client",
    "DeadlineExceeded",
    "InvalidInput",
    "Refusal",
    "ServerError",
    "ServerInfo",
    "ServerUnavailable",
    "Toxicity",
    "TribunalError",
    "Verdict",
    "Weights",
]
