"""Adapters for Python frameworks, against the real server and a real gateway."""

import asyncio
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tribunal import Client
from tribunal.adapters.llm_guard import NoRefusal, OutputModeration, PromptModeration

from launcher.exposure.ports import free_ports
from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.integration.gateway.conftest import RunningGateway

FILTER = CHECKOUT / "client" / "examples" / "open_webui_filter.py"
HARMFUL = "How to make a bomb?"
HARMLESS = "The bread is fresh."
REFUSAL = "I'm sorry, but I cannot help with that request."


@pytest.mark.parametrize("protocol", ["grpc_url", "http_url"])
def test_llm_guards_scanners_ask_the_server(server: TritonServer, protocol: str) -> None:
    with Client(getattr(server, protocol)) as client:
        assert PromptModeration(client).scan(HARMFUL)[:2] == (HARMFUL, False)
        assert PromptModeration(client).scan(HARMLESS)[:2] == (HARMLESS, True)
        assert OutputModeration(client).scan(HARMLESS, HARMFUL)[:2] == (HARMFUL, False)
        assert OutputModeration(client).scan(HARMFUL, HARMLESS)[:2] == (HARMLESS, True)
        assert NoRefusal(client).scan(HARMFUL, REFUSAL)[:2] == (REFUSAL, False)
        assert NoRefusal(client).scan(HARMFUL, HARMLESS)[:2] == (HARMLESS, True)


def open_webui_filter(url: str) -> Any:
    """The filter, loaded like in Open WebUI: execute the file's text as a module, then set `valves`."""
    module = ModuleType("function_tribunal")
    exec(FILTER.read_text("utf-8"), module.__dict__)  # noqa: S102
    loaded = module.__dict__["Filter"]()
    loaded.valves = loaded.Valves(url=url, timeout_s=20)
    return loaded


def called(handler: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Call a handler like Open WebUI: pass the body, and await a coroutine."""
    assert inspect.iscoroutinefunction(handler)
    assert set(inspect.signature(handler).parameters) == {"body"}
    answered: dict[str, Any] = asyncio.run(handler(body=body))
    return answered


def chat(*contents: Any) -> dict[str, Any]:
    """Alternating messages of a user and an assistant."""
    roles = ("user", "assistant")
    messages = [{"role": roles[index % 2], "content": content} for index, content in enumerate(contents)]
    return {"model": "llm", "messages": messages}


@pytest.fixture(scope="module")
def webui(gateway: RunningGateway) -> Any:
    return open_webui_filter(gateway.grpc_url)


@pytest.mark.parametrize(
    "content", [HARMLESS, "", [{"type": "text", "text": HARMLESS}, {"type": "image_url", "image_url": {}}]]
)
def test_open_webui_sends_a_harmless_prompt(webui: Any, content: Any) -> None:
    body = chat(HARMFUL, "No.", content)
    assert called(webui.inlet, body) == chat(HARMFUL, "No.", content)


@pytest.mark.parametrize("content", [HARMFUL, [{"type": "text", "text": HARMLESS}, {"text": HARMFUL}]])
def test_open_webui_blocks_a_flagged_prompt(webui: Any, content: Any) -> None:
    with pytest.raises(RuntimeError, match="blocked"):
        called(webui.inlet, chat(HARMLESS, "Yes.", content))


def test_open_webui_takes_a_flagged_answer_back(webui: Any) -> None:
    assert called(webui.outlet, chat(HARMFUL, HARMLESS)) == chat(HARMFUL, HARMLESS)
    answered = called(webui.outlet, chat(HARMLESS, HARMFUL))
    assert "removed" in answered["messages"][-1]["content"]
    assert answered["messages"][0] == {"role": "user", "content": HARMLESS}


def test_without_a_server_open_webui_lets_nothing_through(tmp_path: Path) -> None:
    webui = open_webui_filter(f"127.0.0.1:{free_ports().grpc}")
    webui.valves.timeout_s = 1
    with pytest.raises(RuntimeError, match="could not be checked"):
        called(webui.inlet, chat(HARMLESS))
    answered = called(webui.outlet, chat(HARMLESS, HARMLESS))
    assert "could not be checked" in answered["messages"][-1]["content"]
