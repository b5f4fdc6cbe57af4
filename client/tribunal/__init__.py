"""Client of Tribunal, LLM-safety moderation served by NVIDIA Triton."""

from tribunal.async_client import AsyncClient
from tribunal.client import Client
from tribunal.connection import Connection
from tribunal.errors import (
    AccessDenied,
    DeadlineExceeded,
    InvalidInput,
    Overloaded,
    ServerError,
    ServerUnavailable,
    TribunalError,
)
from tribunal.server_info import SelfCheck, ServerInfo, Weights
from tribunal.transport.trace_context import trace_context
from tribunal.verdict import Categories, Refusal, Span, Toxicity, Verdict

__all__ = [
    "AccessDenied",
    "AsyncClient",
    "Categories",
    "Client",
    "Connection",
    "DeadlineExceeded",
    "InvalidInput",
    "Overloaded",
    "Refusal",
    "SelfCheck",
    "ServerError",
    "ServerInfo",
    "ServerUnavailable",
    "Span",
    "Toxicity",
    "TribunalError",
    "Verdict",
    "Weights",
    "trace_context",
]
