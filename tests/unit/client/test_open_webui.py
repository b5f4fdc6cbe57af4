"""The example filter for Open WebUI: an answer that cannot be checked is withheld, whatever fails."""

import asyncio
from types import ModuleType
from typing import Any

import pytest

from launcher.repository.contract import CHECKOUT
from tests.unit.client.http_server import HttpServer, Reply, http_server

FILTER = CHECKOUT / "client" / "examples" / "open_webui_filter.py"
WITHHELD = "This answer could not be checked by the moderation, and was removed."
NOT_SENT = "Your message could not be checked by the moderation, and was not sent."
ANSWER = "The bread is fresh."


def open_webui_filter(**valves: Any) -> Any:
    module = ModuleType("function_tribunal")
    exec(FILTER.read_text("utf-8"), module.__dict__)  # noqa: S102
    loaded = module.__dict__["Filter"]()
    loaded.valves = loaded.Valves(timeout_s=2, **valves)
    return loaded


def chat(role: str, content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hello."}, {"role": role, "content": content}]}


def withheld(webui: Any, content: Any) -> str:
    """What `outlet` leaves of an answer; `inlet` must refuse the same content."""
    with pytest.raises(RuntimeError, match=NOT_SENT):
        asyncio.run(webui.inlet(chat("user", content)))
    answered: dict[str, Any] = asyncio.run(webui.outlet(chat("assistant", content)))
    return str(answered["messages"][-1]["content"])


@pytest.mark.parametrize(
    "content", [7, {"text": ANSWER}, [ANSWER], [None], [{"type": "text", "text": None}], [{"text": 7}]]
)
def test_an_answer_of_another_form_is_withheld(content: Any) -> None:
    with http_server() as server:
        assert withheld(open_webui_filter(url=server.url), content) == WITHHELD


@pytest.mark.parametrize(
    "valves", [{"url": "127.0.0.1:99999"}, {"url": "127.0.0.1:1"}, {"url": ""}, {"key": "a\nb"}, {"key": "ä"}]
)
def test_an_answer_is_withheld_if_the_valves_are_wrong_or_no_server_answers(valves: dict[str, Any]) -> None:
    assert withheld(open_webui_filter(**{"url": "http://127.0.0.1:1", **valves}), ANSWER) == WITHHELD


def test_an_answer_is_withheld_if_something_unforeseen_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tribunal.AsyncClient.moderate_batch", lambda *_, **__: 1 / 0)
    assert withheld(open_webui_filter(url="127.0.0.1:1"), ANSWER) == WITHHELD


def test_an_answer_that_passes_stays() -> None:
    def ask(server: HttpServer) -> dict[str, Any]:
        answered: dict[str, Any] = asyncio.run(
            open_webui_filter(url=server.url).outlet(chat("assistant", ANSWER))
        )
        return answered

    with http_server() as server:
        assert ask(server) == chat("assistant", ANSWER)
        server.replies.append(Reply(500))
        assert ask(server)["messages"][-1]["content"] == WITHHELD
