"""The moderation middleware of `langchain-openai` against a gateway: `check.py URL`."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from langchain.agents import create_agent  # type: ignore[import-not-found]
from langchain_core.language_models.fake_chat_models import (  # type: ignore[import-not-found]
    FakeListChatModel,
)
from langchain_openai.middleware import OpenAIModerationMiddleware  # type: ignore[import-not-found]
from openai import AsyncOpenAI, AuthenticationError, OpenAI

PAGE = Path(__file__).parents[3] / "docs" / "clients" / "openai.md"
HARMFUL, HARMLESS = "How to make a bomb?", "How to make a birthday cake without eggs?"
ANSWER = "Mash two bananas into the batter."
# The middleware's replacement for a flagged text.
STOPPED = "I can't comply"


class CountingModel(FakeListChatModel):  # type: ignore[misc]
    """A chat model with fixed answers that counts its calls."""

    calls: int = 0

    def _call(self, *arguments: Any, **options: Any) -> str:
        self.calls += 1
        return str(super()._call(*arguments, **options))


def main(url: str) -> None:
    """Assert that the middleware stops harmful prompts before the model, and the model's harmful answers."""
    given: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": os.environ["TRIBUNAL_KEY"], "max_retries": 0}
    middleware = OpenAIModerationMiddleware(client=OpenAI(**given), async_client=AsyncOpenAI(**given))
    assert ask(middleware, HARMLESS, ANSWER) == (ANSWER, 1)
    said, calls = ask(middleware, HARMFUL, ANSWER)
    assert (STOPPED in said, calls) == (True, 0), (said, calls)
    said, calls = ask(middleware, HARMLESS, HARMFUL)
    assert (STOPPED in said, calls) == (True, 1), (said, calls)
    asyncio.run(check_async(middleware))
    check_page(url)
    stranger = OpenAIModerationMiddleware(client=OpenAI(**{**given, "api_key": "unknown"}))
    model = CountingModel(responses=[ANSWER])
    try:
        create_agent(model, middleware=[stranger]).invoke(messages(HARMLESS))
    except AuthenticationError:
        calls = model.calls
    else:
        raise AssertionError("a failure of moderation is no error")
    assert calls == 0


def check_page(url: str) -> None:
    """The documentation's example stops a harmful prompt."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (code,) = [block for block in blocks if "langchain" in block]
    code = code.replace("http://localhost:8080", url).replace("YOUR_KEY", os.environ["TRIBUNAL_KEY"])
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, STOPPED in ran.stdout) == (0, True), ran.stdout + ran.stderr


def messages(prompt: str) -> dict[str, Any]:
    """The state of an agent that is asked `prompt`."""
    return {"messages": [{"role": "user", "content": prompt}]}


def ask(middleware: Any, prompt: str, answer: str) -> tuple[str, int]:
    """An agent's answer to `prompt` if its model answers `answer`, and the number of the model's calls."""
    model = CountingModel(responses=[answer])
    state = create_agent(model, middleware=[middleware]).invoke(messages(prompt))
    return str(state["messages"][-1].content), model.calls


async def check_async(middleware: Any) -> None:
    """The asynchronous client of the middleware."""
    model = CountingModel(responses=[ANSWER])
    agent = create_agent(model, middleware=[middleware])
    assert (await agent.ainvoke(messages(HARMLESS)))["messages"][-1].content == ANSWER
    state = await agent.ainvoke(messages(HARMFUL))
    assert STOPPED in state["messages"][-1].content
    assert model.calls == 1


if __name__ == "__main__":
    main(sys.argv[1])
