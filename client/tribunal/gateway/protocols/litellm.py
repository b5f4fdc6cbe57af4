"""LiteLLM's generic guardrail: `POST /beta/litellm_basic_guardrail_api`.

LiteLLM's documentation: https://docs.litellm.ai/docs/adding_provider/generic_guardrail_api
"""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tribunal.contract import JudgeMode
from tribunal.gateway.errors import invalid
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.verdicts import error_document
from tribunal.gateway.settings import MAX_TEXTS

router = APIRouter(tags=["litellm"])
# A conversation has a text for each of its messages.
UNREAD_IMAGES = "images, which are not read"


class Parameters(BaseModel):
    """The options under `additional_provider_specific_params` in LiteLLM's configuration.

    images: whether to block or pass a request with images, which are not read.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    policy: str | None = None
    judge: JudgeMode | None = None
    images: Literal["block", "pass"] = "block"


class Function(BaseModel):
    """The function of a tool call; `arguments` is JSON from the LLM."""

    arguments: str | None = None


class ToolCall(BaseModel):
    """A tool call of the LLM's answer."""

    function: Function | None = None


class GuardrailRequest(BaseModel):
    """The texts of an LLM's request or response. Other fields of LiteLLM are ignored."""

    model_config = ConfigDict(strict=True)

    input_type: Literal["request", "response"]
    texts: Annotated[list[str], Field(max_length=MAX_TEXTS)] | None = Field(
        None, examples=[["How to make a bomb?"]]
    )
    images: list[str] | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_TEXTS)] | None = None
    additional_provider_specific_params: Parameters | None = None


class GuardrailAnswer(BaseModel):
    """Whether LiteLLM may continue; `blocked_reason` names categories and contains nothing of the text."""

    action: Literal["NONE", "BLOCKED"]
    blocked_reason: str | None = None


@router.post("/beta/litellm_basic_guardrail_api")
async def guardrail(
    request: GuardrailRequest, moderator: ModeratorOf, caller: CallerOf, policies: PoliciesOf
) -> GuardrailAnswer:
    """Moderate each text by itself; a flagged text blocks the request or response."""
    parameters = request.additional_provider_specific_params or Parameters()
    options = Options(policies.of(caller, parameters.policy), parameters.judge, explain=False)
    decisions = await moderator.moderate_by_place(texts_of(request), options, caller)
    reasons = blocking_reasons(decisions)
    if request.images and parameters.images == "block":
        reasons.append(UNREAD_IMAGES)
    if not reasons:
        return GuardrailAnswer(action="NONE")
    return GuardrailAnswer(
        action="BLOCKED", blocked_reason=f"the {request.input_type} is flagged for: {', '.join(reasons)}"
    )


def texts_of(request: GuardrailRequest) -> dict[str, str]:
    """The texts to moderate, by their place in the request; raises GatewayError 400 for too many."""
    texts = {f"texts[{index}]": text for index, text in enumerate(request.texts or ())}
    for number, call in enumerate(request.tool_calls or ()):
        for index, text in enumerate(strings_of(call)):
            texts[f"tool_calls[{number}].function.arguments[{index}]"] = text
            if len(texts) > MAX_TEXTS:
                raise invalid(
                    f"a request may have {MAX_TEXTS} texts, including the strings of tool calls", "texts"
                )
    return texts


def strings_of(call: ToolCall) -> Iterator[str]:
    """The strings in the arguments of a tool call, without the JSON around them, which changes scores."""
    arguments = (call.function and call.function.arguments) or ""
    try:
        values = [json.loads(arguments)]
    except (ValueError, RecursionError):
        if arguments:
            yield arguments
        return
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            values.extend(reversed(value))
        elif isinstance(value, dict):
            values.extend(reversed(value.values()))


def blocking_reasons(decisions: Sequence[Decision]) -> list[str]:
    """Why texts are flagged, each reason once, in the order of the texts."""
    # A server may flag by a rule that the gateway does not know.
    flagged = (decision.reasons or ("policy",) for decision in decisions if decision.flagged)
    return list(dict.fromkeys(reason for reasons in flagged for reason in reasons))


# LiteLLM reads only the status of an error.
DIALECT = Dialect("litellm", ("/beta/litellm_basic_guardrail_api",), router, error_document)
