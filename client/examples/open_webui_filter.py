"""
title: Tribunal
description: Blocks prompts that Tribunal flags, and takes flagged answers back.
version: 0.1.0
"""

# A filter for Open WebUI: paste this file at Admin Panel > Functions, and set `url` among its valves.
# Install the package `tribunal` in Open WebUI's environment.

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field
from tribunal import AsyncClient, Connection, Verdict

PROMPT_BLOCKED = "Your message was blocked by the moderation."
PROMPT_UNCHECKED = "Your message could not be checked by the moderation, and was not sent."
ANSWER_BLOCKED = "This answer was removed by the moderation."
ANSWER_UNCHECKED = "This answer could not be checked by the moderation, and was removed."


class Filter:
    """Moderates a user's last message before the LLM reads it, and the LLM's answer when it is complete.

    A streamed answer is visible until it is complete. Earlier messages of a chat are not checked again.
    """

    class Valves(BaseModel):
        """Settings that an administrator changes in Open WebUI."""

        url: str = Field(default="localhost:8001", description="The server's or the gateway's address.")
        key: str = Field(default="", description="A key of the gateway.")
        timeout_s: float = Field(default=30.0, description="Deadline of each check, in seconds.")
        priority: int = Field(default=0, description="Filters with a lower number run first.")

    def __init__(self) -> None:
        self.valves = self.Valves()

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the messages unchanged, or raise the exception that Open WebUI shows."""
        try:
            verdicts = await self._moderate(list(_texts(_last_message(body, "user"))))
        except Exception as error:
            raise RuntimeError(PROMPT_UNCHECKED) from error
        if any(verdict.flagged for verdict in verdicts):
            raise RuntimeError(PROMPT_BLOCKED)
        return body

    async def outlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """Replace an answer that is flagged or could not be checked by a notice.

        Open WebUI keeps the answer if this raises an exception. So whatever fails, the answer is replaced.
        """
        message = _last_message(body, "assistant")
        try:
            verdicts = await self._moderate(list(_texts(message)))
        except Exception:  # noqa: BLE001 - an answer without a verdict must not stay
            message["content"] = ANSWER_UNCHECKED
            return body
        if any(verdict.flagged for verdict in verdicts):
            message["content"] = ANSWER_BLOCKED
        return body

    async def _moderate(self, texts: list[str]) -> list[Verdict]:
        connection = Connection(
            headers={"authorization": f"Bearer {self.valves.key}"} if self.valves.key else {}
        )
        url, timeout_s = self.valves.url, self.valves.timeout_s
        # The valves may change between two calls.
        async with AsyncClient(url, timeout_s=timeout_s, connection=connection) as client:
            return await client.moderate_batch(texts, explain=False)


def _last_message(body: dict[str, Any], role: str) -> dict[str, Any]:
    messages = [message for message in body.get("messages") or () if isinstance(message, dict)]
    return next((message for message in reversed(messages) if message.get("role") == role), {})


def _texts(message: dict[str, Any]) -> Iterator[str]:
    """Texts of a message, whose content is one text or a list of parts."""
    content = message.get("content") or ""
    parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    yield from (part for part in parts if part.strip())
