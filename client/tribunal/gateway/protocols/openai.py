"""OpenAI's moderation: `POST /v1/moderations`, and the policies as models under `/v1/models`."""

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tribunal.contract import JudgeMode
from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import GatewayError, invalid
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.moderation.policies import Policies
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.json_body import JsonRoute
from tribunal.gateway.protocols.openai_categories import openai_detected, openai_input_types, openai_scores
from tribunal.gateway.protocols.verdicts import SPANS_DESCRIPTION
from tribunal.gateway.settings import MAX_TEXTS
from tribunal.verdict import Refusal, Span, Toxicity

router = APIRouter(tags=["openai"], route_class=JsonRoute)
# Prefixes of OpenAI's own models; they mean the caller's policy.
OPENAI_MODELS = ("omni-moderation-", "text-moderation-")
# OpenAI's names of the gateway's error codes.
CODES = {
    "unauthorized": "invalid_api_key",
    "policy_not_found": "model_not_found",
    "rate_limited": "rate_limit_exceeded",
    "overloaded": "rate_limit_exceeded",
}


class TextPart(BaseModel):
    """A part of one input."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["text"]
    text: str


def require_input(value: Any) -> Any:
    """Check the form of `input`; raises GatewayError 400 with the place of the first fault."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TEXTS:
        raise invalid(f"input must be a string, or a list of 1 to {MAX_TEXTS} strings or parts", "input")
    if all(isinstance(item, str) for item in value):
        return value
    are_parts = isinstance(value[0], dict)
    for index, part in enumerate(value):
        place = f"input[{index}]"
        if isinstance(part, int | list) and not isinstance(part, bool):
            raise invalid(f"{place} holds token ids, which are not read: give strings", place)
        if not isinstance(part, dict | str):
            kind = "null" if part is None else type(part).__name__
            raise invalid(f"{place} is {kind}: give strings, or parts of type text", place)
        if are_parts != isinstance(part, dict):
            kind = "string among parts" if are_parts else "part among strings"
            raise invalid(f"{place} is a {kind}: give only strings or only parts", place)
        if not isinstance(part, dict):
            continue
        if part.get("type") == "image_url":
            message = f"{place} is an image, and this server moderates only text"
            raise GatewayError(400, "unsupported_image", message, place)
        if part.get("type") != "text":
            raise invalid(f"{place}.type must be text", f"{place}.type")
        if set(part) != {"type", "text"} or not isinstance(part["text"], str):
            raise invalid(f"{place} must have type and text, which is a string", f"{place}.text")
    return value


class ModerationRequest(BaseModel):
    """A request. `judge`, `explain` and `spans` are Tribunal's own; the SDK sends them by `extra_body`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: Annotated[
        str
        | Annotated[list[str], Field(min_length=1, max_length=MAX_TEXTS)]
        | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_TEXTS)],
        BeforeValidator(require_input),
    ] = Field(
        description="One text; a list of texts, each with its own result; or the parts of one text, which "
        "are joined by line feeds and get one result.",
        examples=["How to make a bomb?"],
    )
    model: str | None = Field(
        None, description="A policy; by default, and for a model of OpenAI's, the key's."
    )
    judge: JudgeMode | None = Field(None, description="When the judge is asked; the policy's by default.")
    explain: bool | None = Field(None, description="Whether the judge gives its reason.")
    spans: bool | None = Field(None, description=SPANS_DESCRIPTION)


class ModerationResult(BaseModel):
    """The result of one input, by OpenAI's categories and by ours. `reasons` says why it is flagged.

    `spans` is present if requested. Parts of one input are joined by line feeds, which spans count.
    """

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]
    reasons: list[str]
    refusal: Refusal
    toxicity: Toxicity
    windows: int
    truncated: bool
    spans: list[Span] | None = None


class ModerationAnswer(BaseModel):
    """A result for each input, in order. `model` is the policy."""

    id: str
    model: str
    results: list[ModerationResult]


class Model(BaseModel):
    """A policy, in the form of a model. `created` is not recorded."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "tribunal"


class ModelList(BaseModel):
    """All policies."""

    object: Literal["list"] = "list"
    data: list[Model]


# `spans` is left out where it is not set.
@router.post("/v1/moderations", response_model_exclude_unset=True)
async def moderations(
    request: ModerationRequest, moderator: ModeratorOf, caller: CallerOf, policies: PoliciesOf
) -> ModerationAnswer:
    """The moderation of a text, or of each of several."""
    name = policy_name(request.model, caller, policies)
    options = Options(policies.find(name), request.judge, request.explain, request.spans)
    decisions = await moderator.moderate_by_place(texts_of(request.input), options, caller)
    return ModerationAnswer(
        id=f"modr-{uuid.uuid4().hex}", model=name, results=[result(decision) for decision in decisions]
    )


@router.get("/v1/models")
async def models(policies: PoliciesOf) -> ModelList:
    """The policies that `model` may name."""
    return ModelList(data=[Model(id=name) for name in policies.by_name])


@router.get("/v1/models/{model}")
async def model(model: str, caller: CallerOf, policies: PoliciesOf) -> Model:
    """One policy."""
    name = policy_name(model, caller, policies)
    policies.find(name)
    return Model(id=name)


def policy_name(model: str | None, caller: Caller, policies: Policies) -> str:
    """The name of the policy that `model` means; it need not exist."""
    if model is None or (model not in policies.by_name and model.startswith(OPENAI_MODELS)):
        return caller.policy
    return model


def texts_of(value: str | list[str] | list[TextPart]) -> dict[str, str]:
    """The texts of an input by their places; parts are joined into one text."""
    if isinstance(value, str):
        return {"input": value}
    parts = [item.text for item in value if isinstance(item, TextPart)]
    if parts:
        return {"input": "\n".join(parts)}
    return {f"input[{index}]": item for index, item in enumerate(value) if isinstance(item, str)}


def result(decision: Decision) -> ModerationResult:
    """The result of a decision."""
    verdict = decision.verdict
    scores = verdict.categories.scores
    spans = {} if decision.spans is None else {"spans": list(decision.spans)}
    return ModerationResult(
        flagged=decision.flagged,
        categories={
            **openai_detected(decision.categories),
            **{name: name in decision.categories for name in scores},
        },
        category_scores={**openai_scores(scores), **scores},
        category_applied_input_types={**openai_input_types(), **{name: ["text"] for name in scores}},
        reasons=list(decision.reasons),
        refusal=verdict.refusal,
        toxicity=verdict.toxicity,
        windows=verdict.windows,
        truncated=verdict.truncated,
        **spans,
    )


def error_document(error: GatewayError) -> dict[str, Any]:
    """OpenAI's form of an error."""
    if error.status == 429:
        kind = "requests"
    else:
        kind = "server_error" if error.status >= 500 else "invalid_request_error"
    code = CODES.get(error.code, error.code)
    return {"error": {"message": error.message, "type": kind, "param": error.field, "code": code}}


DIALECT = Dialect("openai", ("/v1/moderations", "/v1/models"), router, error_document)
