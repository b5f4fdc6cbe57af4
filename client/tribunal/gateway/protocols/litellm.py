"""LiteLLM's generic guardrail: `POST /beta/litellm_basic_guardrail_api`.

LiteLLM's documentation: https://docs.litellm.ai/docs/adding_provider/generic_guardrail_api
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tribunal.contract import JudgeMode
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.json_body import JsonRoute
from tribunal.gateway.protocols.llm_contents import Contents
from tribunal.gateway.protocols.verdicts import error_document
from tribunal.gateway.settings import MAX_TEXTS

router = APIRouter(tags=["litellm"], route_class=JsonRoute)
UNREAD_IMAGES = "images, which are not read"
UNREAD_PARTS = "parts that are neither text nor images, which are not read"


class Parameters(BaseModel):
    """The options under `additional_provider_specific_params` in LiteLLM's configuration.

    images: whether to block or pass a request with images, which are not read.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    policy: str | None = None
    judge: JudgeMode | None = None
    images: Literal["block", "pass"] = "block"


class GuardrailRequest(BaseModel):
    """The texts of an LLM's request or response. Other fields of LiteLLM hold no content, and are ignored."""

    model_config = ConfigDict(strict=True)

    input_type: Literal["request", "response"]
    texts: Annotated[list[str], Field(max_length=MAX_TEXTS)] | None = Field(
        None, examples=[["How to make a bomb?"]]
    )
    images: list[str] | None = None
    tools: list[Any] | None = None
    tool_calls: list[Any] | None = None
    structured_messages: list[Any] | None = None
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
    contents = contents_of(request)
    decisions = await moderator.moderate_by_place(contents.texts, options, caller)
    reasons = blocking_reasons(decisions)
    if contents.has_images and parameters.images == "block":
        reasons.append(UNREAD_IMAGES)
    if contents.has_unread:
        reasons.append(UNREAD_PARTS)
    if not reasons:
        return GuardrailAnswer(action="NONE")
    return GuardrailAnswer(
        action="BLOCKED", blocked_reason=f"the {request.input_type} is flagged for: {', '.join(reasons)}"
    )


def contents_of(request: GuardrailRequest) -> Contents:
    """What to moderate; raises GatewayError 400 for too many texts."""
    contents = Contents(has_images=bool(request.images))
    for index, text in enumerate(request.texts or ()):
        contents.add(f"texts[{index}]", text)
    for index, message in enumerate(request.structured_messages or ()):
        contents.add_message(f"structured_messages[{index}]", message)
    for index, tool in enumerate(request.tools or ()):
        contents.add_strings(f"tools[{index}]", tool)
    for index, call in enumerate(request.tool_calls or ()):
        contents.add_strings(f"tool_calls[{index}]", call)
    return contents


def blocking_reasons(decisions: Sequence[Decision]) -> list[str]:
    """Why texts are flagged, each reason once, in the order of the texts."""
    # A server may flag by a rule that the gateway does not know.
    flagged = (decision.reasons or ("policy",) for decision in decisions if decision.flagged)
    return list(dict.fromkeys(reason for reasons in flagged for reason in reasons))


# LiteLLM reads only the status of an error.
DIALECT = Dialect("litellm", ("/beta/litellm_basic_guardrail_api",), router, error_document)
