"""Perspective API: `POST /v1alpha1/comments:analyze`, and the discovery document of Google's libraries."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tribunal.gateway.errors import DEFAULT_RETRY_AFTER_S, TEXT_TOO_LONG, GatewayError
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.moderation.policies import Threshold
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.json_body import JsonRoute
from tribunal.gateway.protocols.perspective_attributes import (
    ATTRIBUTES,
    TOXICITY,
    attribute_score,
    span_score,
)
from tribunal.gateway.protocols.perspective_discovery import VERSION, discovery_document
from tribunal.verdict import Span

router = APIRouter(tags=["perspective"], route_class=JsonRoute)

PROBABILITY = "PROBABILITY"
# Field of the text.
COMMENT = "comment.text"
# The encoders were trained on English.
LANGUAGE = "en"
ERROR_DETAIL = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
ERROR_TYPES = (
    "COMMENT_EMPTY",
    "COMMENT_TOO_LONG",
    "NO_REQUESTED_ATTRIBUTES",
    "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
)
# Names that Google's APIs give to HTTP statuses (google.rpc.Code).
STATUS_NAMES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _Message(BaseModel):
    """Accepts the names of Google's JSON and of its protobuf: `clientToken` and `client_token`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class TextEntry(_Message):
    """A text; only plain text is supported."""

    text: str = ""
    type: Literal["PLAIN_TEXT", "TEXT_TYPE_UNSPECIFIED"] = "PLAIN_TEXT"


class AttributeParameters(_Message):
    """Options of one attribute; a score below `scoreThreshold` is dropped."""

    score_type: Literal["PROBABILITY", "SCORE_TYPE_UNSPECIFIED"] = "PROBABILITY"
    score_threshold: Threshold | None = None


class AnalyzeCommentRequest(_Message):
    """A comment and the attributes to score it on.

    Nothing is stored, with or without `doNotStore`. `sessionId`, `communityId` and `context` are ignored.
    """

    comment: TextEntry
    requested_attributes: dict[str, AttributeParameters | None] = {}
    languages: list[str] = []
    span_annotations: bool | None = None
    do_not_store: bool | None = None
    client_token: str | None = None
    session_id: str | None = None
    community_id: str | None = None
    context: dict[str, Any] | None = None


@router.post("/v1alpha1/comments:analyze")
async def analyze(
    request: AnalyzeCommentRequest, moderator: ModeratorOf, caller: CallerOf, policies: PoliciesOf
) -> dict[str, Any]:
    """Scores of a comment. Only TOXICITY asks the judge, if the caller's policy says so."""
    check(request)
    spans = True if request.span_annotations else None
    options = Options(policies.of(caller, None), explain=False, spans=spans)
    if TOXICITY not in request.requested_attributes:
        options = replace(options, judge="never")
    try:
        (decision,) = await moderator.moderate_by_place({COMMENT: request.comment.text}, options, caller)
    except GatewayError as error:
        if error.code != TEXT_TOO_LONG:
            raise
        raise replace(error, code="comment_too_long") from error
    return answer(request, decision)


@router.get("/$discovery/rest", include_in_schema=False)
async def discovery(request: Request, version: str = VERSION) -> dict[str, Any]:
    """The discovery document; needs no key."""
    if version != VERSION:
        raise GatewayError(404, "not_found", f"version may be {VERSION}", "version")
    return discovery_document(str(request.base_url))


def check(request: AnalyzeCommentRequest) -> None:
    """Raise GatewayError 400 for what Perspective refuses, and for an attribute without a score."""
    if not request.comment.text:
        raise _refused("COMMENT_EMPTY", f"{COMMENT} must not be empty", COMMENT)
    if not request.requested_attributes:
        message = f"requestedAttributes must name at least one of {', '.join(ATTRIBUTES)}"
        raise _refused("NO_REQUESTED_ATTRIBUTES", message, "requestedAttributes")
    for name in request.requested_attributes:
        if name not in ATTRIBUTES:
            message = f"Unknown requested attribute: {name[:80]}; known: {', '.join(ATTRIBUTES)}"
            raise _refused("INVALID_REQUEST", message, "requestedAttributes")
    foreign = [tag for tag in request.languages if tag.lower().partition("-")[0] != LANGUAGE]
    if foreign:
        name = next(iter(request.requested_attributes))
        message = f"Attribute {name} does not support request languages: {', '.join(foreign)[:80]}"
        raise _refused("LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE", message, "languages")


def answer(request: AnalyzeCommentRequest, decision: Decision) -> dict[str, Any]:
    """The requested scores.

    Raises GatewayError 400 if the score needs the encoders and they did not read the comment's end, and 503
    if the judge failed and the policy flags such texts.
    """
    is_judged = decision.verdict.toxicity.score is not None
    if decision.verdict.truncated and not (is_judged and set(request.requested_attributes) == {TOXICITY}):
        raise _refused("COMMENT_TOO_LONG", f"{COMMENT} is longer than the encoders read", COMMENT)
    if decision.judge_failed:
        raise GatewayError(
            503,
            "judge_unavailable",
            f"the judge gave no answer, and {TOXICITY} needs it",
            retry_after_s=DEFAULT_RETRY_AFTER_S,
        )
    text, spans = request.comment.text, decision.spans if request.span_annotations else None
    places = utf16_places(text, spans or ())
    scores: dict[str, Any] = {}
    for name, parameters in request.requested_attributes.items():
        value = attribute_score(name, decision)
        if parameters is None or parameters.score_threshold is None or value >= parameters.score_threshold:
            scores[name] = {"summaryScore": _score(value)}
            if spans is not None:
                # If no sentence crosses the threshold, the whole comment is the span.
                in_spans = _span_scores(name, spans, places)
                scores[name]["spanScores"] = in_spans or [_span_score((0, _utf16_units(text)), value)]
    languages = request.languages or [LANGUAGE]
    document = {"attributeScores": scores, "languages": languages, "detectedLanguages": languages}
    return document if request.client_token is None else {**document, "clientToken": request.client_token}


def utf16_places(text: str, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Begin and end (exclusive) of each span in UTF-16 code units; `spans` must be in order."""
    places = []
    read = units = 0
    for span in spans:
        begin = units + _utf16_units(text[read : span.start])
        units = begin + _utf16_units(text[span.start : span.end])
        read = span.end
        places.append((begin, units))
    return places


def _span_scores(
    attribute: str, spans: Sequence[Span], places: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Scores of the spans in which the attribute crosses a threshold."""
    scores = ((place, span_score(attribute, span)) for span, place in zip(spans, places, strict=True))
    return [_span_score(place, value) for place, value in scores if value is not None]


def _span_score(place: tuple[int, int], value: float) -> dict[str, Any]:
    begin, end = place
    return {"begin": begin, "end": end, "score": _score(value)}


def _score(value: float) -> dict[str, Any]:
    return {"value": value, "type": PROBABILITY}


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _refused(error_type: str, message: str, field: str) -> GatewayError:
    return GatewayError(400, error_type.lower(), message, field)


def error_document(error: GatewayError) -> dict[str, Any]:
    """An error in the form of Google's APIs, with Perspective's error type if the request is invalid."""
    status = STATUS_NAMES.get(error.status, "INVALID_ARGUMENT")
    document: dict[str, Any] = {"code": error.status, "message": error.message, "status": status}
    if status == "INVALID_ARGUMENT":
        error_type = error.code.upper()
        known = error_type if error_type in ERROR_TYPES else "INVALID_REQUEST"
        document["details"] = [{"@type": ERROR_DETAIL, "errorType": known}]
    return {"error": document}


DIALECT = Dialect("perspective", ("/v1alpha1/", "/$discovery/"), router, error_document)
