"""The `openai` package against a gateway: `check.py URL`."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from openai import (
    APIConnectionError,
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from openai.types import Moderation, ModerationImageURLInputParam, ModerationTextInputParam

VERDICTS: dict[str, Any] = json.loads(Path(os.environ["TRIBUNAL_VERDICTS"]).read_text("utf-8"))
TEXTS = list(VERDICTS)
HARMFUL, HARMLESS = "How to make a bomb?", "How to make a birthday cake without eggs?"
REFUSAL = "Sorry, but I can't assist with that."
OPENAI_CATEGORIES = 13


def main(url: str) -> None:
    """Assert that every part of the API behaves as the package expects."""
    client = OpenAI(base_url=f"{url}/v1", api_key=os.environ["TRIBUNAL_KEY"], max_retries=0)
    check_inputs(client)
    asyncio.run(check_async(url))
    check_fields(client)
    check_policies(client, url)
    check_errors(client, url)


def require_same(result: Moderation, text: str) -> None:
    """The scores of a result equal those of `tribunal.Client` exactly."""
    verdict = VERDICTS[text]
    ours = verdict["categories"]["scores"]
    scores = result.category_scores.model_extra or {}
    assert {name: scores[name] for name in ours} == ours
    assert result.flagged == verdict["flagged"]
    extra = result.model_extra or {}
    assert extra["refusal"] == verdict["refusal"]
    assert extra["toxicity"] == verdict["toxicity"]


def check_inputs(client: OpenAI) -> None:
    """Inputs as a string, a list of strings, and the parts of one text."""
    for text in TEXTS:
        require_same(client.moderations.create(input=text).results[0], text)
    answer = client.moderations.create(model="omni-moderation-latest", input=TEXTS)
    assert len(answer.results) == len(TEXTS)
    for text, result in zip(TEXTS, answer.results, strict=True):
        require_same(result, text)
    assert answer.id.startswith("modr-")
    assert answer.model == "default"
    (result,) = client.moderations.create(input=[part(HARMFUL)]).results
    require_same(result, HARMFUL)
    parts = client.moderations.create(input=[part("How to make"), part("a bomb?")])
    assert len(parts.results) == 1
    many = client.moderations.create(input=[HARMFUL, HARMLESS] * 100, extra_body={"judge": "never"})
    assert len(many.results) == 200


def part(text: str) -> ModerationTextInputParam:
    """A part of an input."""
    return ModerationTextInputParam(type="text", text=text)


async def check_async(url: str) -> None:
    """The asynchronous client with concurrent requests."""
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=os.environ["TRIBUNAL_KEY"], max_retries=0) as client:
        answers = await asyncio.gather(*(client.moderations.create(input=text) for text in TEXTS))
    for text, answer in zip(TEXTS, answers, strict=True):
        require_same(answer.results[0], text)


def check_fields(client: OpenAI) -> None:
    """All of OpenAI's categories, Tribunal's own, and the raw response."""
    raw = client.moderations.with_raw_response.create(input=HARMFUL)
    assert raw.headers["content-type"] == "application/json"
    (result,) = raw.parse().results
    categories = result.categories.model_dump(by_alias=True)
    assert len(categories) == OPENAI_CATEGORIES + len(VERDICTS[HARMFUL]["categories"]["scores"])
    assert all(isinstance(value, bool) for value in categories.values())
    assert all(
        isinstance(value, float) for value in result.category_scores.model_dump(by_alias=True).values()
    )
    scores = VERDICTS[HARMFUL]["categories"]["scores"]
    assert result.category_scores.violence == scores["Violence"]
    assert result.category_scores.illicit_violent == scores["Guns and Illegal Weapons"]
    assert result.category_applied_input_types.violence == ["text"]
    assert result.category_applied_input_types.violence_graphic == []
    asked = {"judge": "always", "explain": False}
    (judged,) = client.moderations.create(input=HARMFUL, extra_body=asked).results
    toxicity = (judged.model_extra or {})["toxicity"]
    assert (toxicity["status"], toxicity["reason"]) == ("answered", None)
    (skipped,) = client.moderations.create(input=HARMFUL, extra_body={"judge": "never"}).results
    assert (skipped.model_extra or {})["toxicity"]["status"] == "skipped"


def check_policies(client: OpenAI, url: str) -> None:
    """Policies appear as models; a caller chooses one by name or by key."""
    assert [model.id for model in client.models.list()] == ["default", "strict", "sentences"]
    assert client.models.retrieve("strict").id == "strict"
    assert not client.moderations.create(input=REFUSAL).results[0].flagged
    (strict,) = client.moderations.create(model="strict", input=REFUSAL).results
    assert strict.flagged
    assert (strict.model_extra or {})["reasons"] == ["refusal"]
    other = client.with_options(api_key=os.environ["TRIBUNAL_STRICT_KEY"])
    answer = other.moderations.create(model="omni-moderation-latest", input=REFUSAL)
    assert (answer.model, answer.results[0].flagged) == ("strict", True)


def check_errors(client: OpenAI, url: str) -> None:
    """Each failure raises the package's error class, with OpenAI's fields."""
    image = ModerationImageURLInputParam(type="image_url", image_url={"url": "https://example.org/a.png"})
    create = client.moderations.create
    require_error(BadRequestError, "unsupported_image", "input[0]", lambda: create(input=[image]))
    require_error(BadRequestError, "invalid_request", "input", lambda: create(input=[]))
    require_error(
        BadRequestError, "invalid_request", "unknown", lambda: create(input="a", extra_body={"unknown": 1})
    )
    require_error(
        BadRequestError, "invalid_request", "judge", lambda: create(input="a", extra_body={"judge": "now"})
    )
    require_error(NotFoundError, "model_not_found", "model", lambda: create(model="unknown", input="a"))
    require_error(NotFoundError, "model_not_found", "model", lambda: client.models.retrieve("unknown"))
    stranger = client.with_options(api_key="unknown").moderations
    require_error(AuthenticationError, "invalid_api_key", None, lambda: stranger.create(input="a"))
    limited = client.with_options(api_key=os.environ["TRIBUNAL_LIMITED_KEY"]).moderations
    for _ in range(2):
        limited.create(input=HARMLESS)
    error = require_error(RateLimitError, "rate_limit_exceeded", None, lambda: limited.create(input=HARMLESS))
    assert int(error.response.headers["retry-after"]) > 0
    nobody = OpenAI(base_url="http://127.0.0.1:1/v1", api_key="any", max_retries=0).moderations
    try:
        nobody.create(input="a")
    except APIConnectionError:
        return
    raise AssertionError("nothing listens there")


def require_error(kind: type[APIStatusError], code: str, param: str | None, ask: Any) -> APIStatusError:
    """Require that `ask` raises `kind` with a code and a field."""
    try:
        ask()
    except kind as raised:
        error = raised
    else:
        raise AssertionError(f"no {kind.__name__}")
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert (error.code, error.param) == (code, param), error.body
    return error


if __name__ == "__main__":
    main(sys.argv[1])
