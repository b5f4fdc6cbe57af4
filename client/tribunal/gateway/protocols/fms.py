"""The detectors API of FMS Guardrails and TrustyAI: `POST /api/v1/text/contents` and `/chat`."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from tribunal.contract import JudgeMode
from tribunal.gateway.errors import GatewayError, invalid
from tribunal.gateway.moderation.decision import Decision, is_refusal
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.moderation.policies import Policy, Threshold
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.json_body import JsonRoute
from tribunal.gateway.protocols.llm_contents import Contents
from tribunal.gateway.protocols.verdicts import SPANS_DESCRIPTION
from tribunal.gateway.settings import MAX_BATCH_TEXTS
from tribunal.verdict import Span

router = APIRouter(tags=["fms"], route_class=JsonRoute)

# Default judge mode of each detector; None: the policy's.
JUDGE_MODES: dict[str, JudgeMode | None] = {
    "tribunal": None,
    "rejection": "never",
    "aegis": "never",
    "judge": "always",
}
# Score of a detection without a probability: a policy's decision, a failed judge, an unread end.
CERTAIN = 1.0


class Finding(NamedTuple):
    """A detector's finding. span: its sentence; None: the whole text."""

    detector: str
    kind: str
    score: float
    span: Span | None = None


class Message(BaseModel):
    """A message; `content` is a string or a list of parts."""

    model_config = ConfigDict(extra="allow")

    role: str


class DetectorParams(BaseModel):
    """Options of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    policy: str | None = Field(default=None, description="A policy of this gateway; by default the key's.")
    judge: JudgeMode | None = Field(
        default=None, description="When the judge is asked; by default as the policy says."
    )
    spans: bool | None = Field(default=None, description=SPANS_DESCRIPTION)
    threshold: Threshold = Field(
        default=0.0, description="Drops detections with a lower score. The policy's thresholds still apply."
    )


class ContentsRequest(BaseModel):
    """The texts to analyse."""

    model_config = ConfigDict(extra="forbid", strict=True)

    contents: Annotated[list[str], Field(min_length=1, max_length=MAX_BATCH_TEXTS)]
    detector_params: DetectorParams | None = None


class ChatRequest(BaseModel):
    """A conversation; its last turn is analysed. Other fields of an LLM's API are ignored."""

    messages: Annotated[list[Message], Field(min_length=1)]
    detector_params: DetectorParams | None = None


class ChatDetection(BaseModel):
    """A detection in the last turn of a conversation."""

    detection: str
    detection_type: str
    score: float


class Detection(BaseModel):
    """A detection in one text.

    start, end: code points of its sentence, or of the whole text if no sentence crosses the threshold.
    text: the text from start to end. detection: the detector. detection_type: what it found.
    score: the probability, or 1 if it has none.
    """

    start: int
    end: int
    text: str
    detection: str
    detection_type: str
    score: float


@router.post("/api/v1/text/contents")
async def contents(
    request: ContentsRequest,
    moderator: ModeratorOf,
    caller: CallerOf,
    policies: PoliciesOf,
    detector_id: Annotated[str, Header()] = "tribunal",
) -> list[list[Detection]]:
    """A list of detections for each text, in order; empty if nothing is detected."""
    params = request.detector_params or DetectorParams()
    options = options_of(detector_id, params, policies.of(caller, params.policy))
    texts = {f"contents[{index}]": text for index, text in enumerate(request.contents)}
    decisions = await moderator.moderate_by_place(texts, options, caller)
    return [
        [
            detection(text, finding)
            for finding in findings(detector_id, options.policy, decision)
            if finding.score >= params.threshold
        ]
        for text, decision in zip(request.contents, decisions, strict=True)
    ]


@router.post("/api/v1/text/chat")
async def chat(
    request: ChatRequest,
    moderator: ModeratorOf,
    caller: CallerOf,
    policies: PoliciesOf,
    detector_id: Annotated[str, Header()] = "tribunal",
) -> list[ChatDetection]:
    """The detections in the last turn: in the last message, and those of the same role directly before it."""
    params = request.detector_params or DetectorParams()
    options = options_of(detector_id, params, policies.of(caller, params.policy))
    decisions = await moderator.moderate_by_place(last_turn(request.messages), options, caller)
    return [
        ChatDetection(detection=finding.detector, detection_type=finding.kind, score=finding.score)
        for decision in decisions
        for finding in findings(detector_id, options.policy, decision)
        if finding.score >= params.threshold
    ]


@router.post("/api/v1/text/context/doc")
@router.post("/api/v1/text/generation")
async def compared() -> None:
    """Not served: detectors of these paths compare an answer with a document or a prompt."""
    raise GatewayError(
        404,
        "not_served",
        "no detector here compares two texts: send each to /api/v1/text/contents, or a chat to .../chat",
    )


def options_of(detector_id: str, params: DetectorParams, policy: Policy) -> Options:
    """The options of a detector under a policy; raises GatewayError 404."""
    if detector_id not in JUDGE_MODES:
        known = ", ".join(JUDGE_MODES)
        message = f"there is no detector {detector_id[:80]!r}; known: {known}"
        raise GatewayError(404, "detector_not_found", message, "detector-id")
    # The judge reads only whole texts.
    spans = False if detector_id == "judge" else params.spans
    return Options(policy, params.judge or JUDGE_MODES[detector_id], explain=False, spans=spans)


def last_turn(messages: Sequence[Message]) -> dict[str, str]:
    """The texts of the last turn by their places; raises GatewayError 400 for what is not read."""
    first = len(messages)
    while first and messages[first - 1].role == messages[-1].role:
        first -= 1
    contents = Contents()
    for index in range(first, len(messages)):
        contents.add_message(f"messages[{index}]", messages[index].model_dump())
    if contents.has_images or contents.has_unread:
        raise invalid("the last turn has parts other than text, which are not read", "messages")
    if not contents.texts:
        raise invalid("the last turn has no text", "messages")
    return contents.texts


def findings(detector_id: str, policy: Policy, decision: Decision) -> list[Finding]:
    """The findings of one detector; `tribunal` has none if the policy does not flag the text.

    `rejection` also reports refusals that the policy does not flag.
    """
    verdict = decision.verdict
    categories = [finding for name in decision.categories for finding in in_category(name, decision)]
    judged = []
    if decision.toxic and verdict.toxicity.score is not None:
        judged.append(Finding("judge", "toxicity", verdict.toxicity.score))
    if decision.judge_failed:
        judged.append(Finding("judge", "judge_failure", CERTAIN))
    refusal = refusals(decision)
    unread = [Finding(detector_id, "truncation", CERTAIN)] if decision.unread else []
    match detector_id:
        case "aegis":
            return categories + unread
        case "judge":
            return judged
        case "rejection":
            return (refusal if is_refusal(policy, verdict.refusal) else []) + unread
        case _:
            flagged = [Finding(detector_id, "flagged", CERTAIN)] if decision.flagged else []
            return flagged + categories + judged + (refusal if decision.refusal else []) + unread


def in_category(name: str, decision: Decision) -> list[Finding]:
    """A finding for each sentence in which the category is detected; if there is none, for the whole text."""
    spans = [span for span in decision.spans or () if name in span.categories.flagged]
    in_spans = [Finding("aegis", name, span.categories.scores[name], span) for span in spans]
    return in_spans or [Finding("aegis", name, decision.verdict.categories.scores[name])]


def refusals(decision: Decision) -> list[Finding]:
    """A finding for each sentence that is a refusal; if there is none, for the whole text."""
    spans = [span for span in decision.spans or () if span.refusal.detected]
    in_spans = [Finding("rejection", "refusal", span.refusal.score, span) for span in spans]
    return in_spans or [Finding("rejection", "refusal", decision.verdict.refusal.score)]


def detection(text: str, finding: Finding) -> Detection:
    """A finding in `text`, with its place."""
    start, end = (0, len(text)) if finding.span is None else (finding.span.start, finding.span.end)
    return Detection(
        start=start,
        end=end,
        text=text[start:end],
        detection=finding.detector,
        detection_type=finding.kind,
        score=finding.score,
    )


def error_document(error: GatewayError) -> dict[str, Any]:
    """The form of an error; the orchestrator of FMS Guardrails expects a number as code."""
    return {"code": error.status, "message": error.message}


DIALECT = Dialect("fms", ("/api/v1/text/",), router, error_document)
