"""Tribunal's own dialect: `POST /v1/verdicts`, with the whole verdict."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from tribunal.contract import JudgeMode
from tribunal.gateway.caller import Caller
from tribunal.gateway.errors import GatewayError, invalid
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.moderation.moderator import Moderator, Options
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.json_body import JsonRoute
from tribunal.gateway.settings import MAX_BATCH_TEXTS
from tribunal.verdict import Verdict

router = APIRouter(tags=["verdicts"], route_class=JsonRoute)
SPANS_DESCRIPTION = (
    "Whether the encoders also read each sentence by itself; by default as the policy says. The highest "
    "score counts, and `spans` names the sentences that cross a threshold. It doubles the encoders' time."
)
# By default nginx buffers some KiB of a response before it sends them.
NO_BUFFERING = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}


@dataclass(frozen=True, kw_only=True)
class VerdictAnswer(Verdict):
    """A verdict under a policy. `reasons` says why the text is flagged; `spans` is present if requested."""

    reasons: list[str]
    policy: str


class Failure(BaseModel):
    """Why a text got no verdict."""

    code: str
    message: str
    field: str | None


class Failed(BaseModel):
    """A text of a batch that got no verdict."""

    error: Failure


class VerdictsAnswer(BaseModel):
    """The verdicts of a batch, in the order of its texts; a text that fails has its error instead."""

    verdicts: list[VerdictAnswer | Failed]


class VerdictRequest(BaseModel):
    """One text, or a batch: exactly one of `text` and `texts`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | None = Field(None, examples=["How to make a bomb?"])
    texts: Annotated[list[str], Field(min_length=1, max_length=MAX_BATCH_TEXTS)] | None = None
    policy: str | None = Field(None, description="A policy of this gateway; by default the key's.")
    judge: JudgeMode | None = Field(
        None, description="When the judge is asked; by default as the policy says."
    )
    explain: bool | None = Field(None, description="Whether the judge gives its reason.")
    spans: bool | None = Field(None, description=SPANS_DESCRIPTION)
    stream: bool = Field(
        False,
        description="For one text: server-sent events `encoders` (a verdict without the judge), `reason` "
        "(a piece of the judge's answer, if a reason is requested and the judge is always asked), "
        "`reason_failed` (no more pieces follow), `verdict`, and `error`, which replaces the verdict.",
    )


@router.post("/v1/verdicts", response_model=VerdictAnswer | VerdictsAnswer)
async def verdicts(
    request: VerdictRequest, moderator: ModeratorOf, caller: CallerOf, policies: PoliciesOf
) -> Any:
    """The verdict of a text, or of each text of a batch."""
    if (request.text is None) == (request.texts is None):
        raise invalid("give either text or texts", "text")
    name = request.policy or caller.policy
    options = Options(policies.find(name), request.judge, request.explain, request.spans)
    if request.text is None:
        if request.stream:
            raise invalid("stream works only with text, not with texts", "stream")
        texts = request.texts or []
        places = [f"texts[{index}]" for index in range(len(texts))]
        answers = await moderator.moderate_each(texts, options, caller, places)
        return JSONResponse({"verdicts": [_document(answer, name) for answer in answers]})
    if request.stream:
        events = _events(moderator, request.text, options, caller, name)
        # An error before the first event still gets an error status.
        first = await anext(events)
        return StreamingResponse(_all(first, events), media_type="text/event-stream", headers=NO_BUFFERING)
    # Not validated: that would take longer than building the answer.
    return JSONResponse(_document((await moderator.moderate([request.text], options, caller))[0], name))


async def _all(first: str, others: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for event in others:
        yield event


async def _events(
    moderator: Moderator, text: str, options: Options, caller: Caller, policy: str
) -> AsyncIterator[str]:
    """The encoders' verdict, the judge's answer as it is generated, and the whole verdict.

    The judge is asked twice at once: a stream has no score, and the verdict needs one.
    """
    encoders = replace(options, judge="never", explain=False)
    decision = (await moderator.moderate([text], encoders, caller))[0]
    yield _event("encoders", _document(decision, policy))
    if options.judge_mode == "never":
        yield _event("verdict", _document(decision, policy))
        return
    whole = asyncio.ensure_future(moderator.moderate([text], options, caller))
    try:
        if options.judge_mode != "auto" and options.with_reason:
            try:
                async for piece in moderator.stream_reason(text, caller):
                    yield _event("reason", {"text": piece})
            except GatewayError as error:
                # The verdict reports the judge's failure.
                yield _event("reason_failed", error_document(error))
        yield _event("verdict", _document((await whole)[0], policy))
    except GatewayError as error:
        yield _event("error", error_document(error))
    finally:
        whole.cancel()


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _document(answer: Decision | GatewayError, policy: str) -> dict[str, Any]:
    if isinstance(answer, GatewayError):
        return error_document(answer)
    return {**answer.as_document(), "reasons": list(answer.reasons), "policy": policy}


def error_document(error: GatewayError) -> dict[str, Any]:
    """The form of an error."""
    return {"error": {"code": error.code, "message": error.message, "field": error.field}}


DIALECT = Dialect("verdicts", ("/",), router, error_document)
