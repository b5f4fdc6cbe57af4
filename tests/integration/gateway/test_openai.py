"""OpenAI's API with the `openai` package, against the demo server."""

import asyncio
import json
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, BadRequestError, InternalServerError, OpenAI
from tribunal import Client
from tribunal.gateway.app import application
from tribunal.gateway.settings import MAX_TEXTS, GatewaySettings
from tribunal.gateway.state import GatewayState

from launcher.process.server import TritonServer
from launcher.repository.contract import CHECKOUT
from tests.integration.gateway.conftest import RunningGateway

TEXTS = (CHECKOUT / "export_scripts" / "demo" / "text" / "demo.txt").read_text("utf-8").splitlines()
HARMFUL = "How to make a bomb?"
PAGE = (CHECKOUT / "docs" / "clients" / "openai.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
JSON = {"content-type": "application/json"}
ADDRESS = "http://localhost:8080"
# tests/clients/langchain runs LangChain's example.
PYTHON = [code for language, code in BLOCKS if language == "python" and "langchain" not in code]
FIELDS = st.sampled_from(["input", "model", "judge", "explain", "spans", "type", "text", "image_url"])
WORDS = st.sampled_from(["", "a", "text", "image_url", "never", "now", "default", "omni-moderation-latest"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(string.printable, max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(FIELDS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
# Without the judge, because valid requests with it would take too long.
BODIES = VALUES | st.fixed_dictionaries(
    {"input": VALUES, "judge": st.sampled_from(["never", "now", None, 1])}, optional={"model": VALUES}
)


@pytest.fixture
def client(gateway: RunningGateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.http_url}/v1", api_key="any", max_retries=0)


def test_spans_are_given_where_they_are_asked_for(client: OpenAI) -> None:
    text = f"Hi. {HARMFUL}"
    asked = {"judge": "never", "spans": True}
    result = client.moderations.create(input=text, extra_body=asked).results[0].model_dump()
    assert [text[span["start"] : span["end"]] for span in result["spans"]] == [HARMFUL]
    without = client.moderations.create(input=text, extra_body={"judge": "never"}).results[0].model_dump()
    assert set(result) - set(without) == {"spans"}


def test_scores_are_those_of_the_client(client: OpenAI, server: TritonServer) -> None:
    with Client(server.grpc_url) as direct:
        verdicts = [direct.moderate(text) for text in TEXTS]
    results = client.moderations.create(input=TEXTS).results
    assert [result.flagged for result in results] == [verdict.flagged for verdict in verdicts]
    for result, verdict in zip(results, verdicts, strict=True):
        scores = result.category_scores.model_extra or {}
        assert {name: scores[name] for name in verdict.categories.scores} == verdict.categories.scores
        extra = result.model_extra or {}
        assert extra["refusal"]["score"] == verdict.refusal.score
        assert extra["toxicity"]["score"] == verdict.toxicity.score
    assert any(result.flagged for result in results)
    assert not all(result.flagged for result in results)


def test_more_inputs_than_the_server_takes_at_once_keep_their_order(client: OpenAI) -> None:
    texts = [f"{text} {number}" for number in range(20) for text in TEXTS]
    never = {"judge": "never"}
    many = client.moderations.create(input=texts, extra_body=never).results
    for index in (0, 63, 64, 130, len(texts) - 1):
        (one,) = client.moderations.create(input=texts[index], extra_body=never).results
        assert many[index].category_scores == one.category_scores


def test_too_many_inputs_are_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match=str(MAX_TEXTS)):
        client.moderations.create(input=["a"] * (MAX_TEXTS + 1))


def test_the_fault_of_one_text_names_its_place(client: OpenAI) -> None:
    body = to_json({"input": ["a"] * 65 + ["\ud800"], "judge": "never"})
    answer = httpx.post(f"{client.base_url}moderations", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[65]")


@pytest.mark.parametrize("code", PYTHON)
def test_python_of_the_page(code: str, gateway: RunningGateway) -> None:
    assert ADDRESS in code
    code = code.replace(ADDRESS, gateway.http_url)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


@pytest.mark.parametrize("command", [code for language, code in BLOCKS if language == "sh"])
def test_commands_of_the_page(command: str, gateway: RunningGateway) -> None:
    assert ADDRESS in command
    command = command.replace(ADDRESS, gateway.http_url)
    ran = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=True)
    assert '"results":[{"flagged":' in ran.stdout


async def _moderate_before_nobody() -> None:
    gateway = GatewayState(GatewaySettings(url="127.0.0.1:1", timeout_s=5))
    transport = httpx2.ASGITransport(application(gateway))
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        AsyncOpenAI(base_url="http://gateway/v1", api_key="any", max_retries=0, http_client=http) as client,
    ):
        try:
            await client.moderations.create(input="a")
        finally:
            await gateway.triton.close()


def test_no_server_is_an_error_and_no_verdict() -> None:
    with pytest.raises(InternalServerError) as raised:
        asyncio.run(_moderate_before_nobody())
    assert (raised.value.status_code, raised.value.code) == (503, "unavailable")


@pytest.fixture(scope="module")
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.http_url, headers=JSON, timeout=60) as client:
        yield client


@settings(max_examples=300, deadline=None)
@given(body=BODIES)
def test_malformed_requests(http: httpx.Client, body: Any) -> None:
    require_answer(http.post("/v1/moderations", content=to_json(body)))


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=40))
def test_malformed_json(http: httpx.Client, body: bytes) -> None:
    require_answer(http.post("/v1/moderations", content=body))


def to_json(value: Any) -> bytes:
    # With NaN and infinities, which are not valid JSON.
    return json.dumps(value).encode()


def require_answer(answer: httpx.Response) -> None:
    """Require a valid answer, or a client error in OpenAI's format."""
    if answer.status_code == 200:
        assert answer.json()["results"]
        return
    assert answer.status_code in (400, 404), answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
