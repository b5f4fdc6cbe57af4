"""If a text is flagged under the caller's policy, no dialect's own reading of its answer is "clean"."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.gateway.moderation.decision import Decision, decide
from tribunal.gateway.moderation.policies import Policy, ServerPolicy
from tribunal.gateway.protocols import fms, kserve, litellm, openai, perspective
from tribunal.verdict import Categories, Refusal, Span, Toxicity, Verdict

SCORES = st.floats(0, 1, width=32)
FLAG = st.sampled_from(["flag", "pass"])
POLICIES = st.one_of(
    st.just(ServerPolicy()),
    st.builds(
        Policy,
        category_threshold=SCORES,
        category_thresholds=st.dictionaries(st.sampled_from(CATEGORIES), SCORES, max_size=3),
        toxicity_threshold=SCORES,
        refusal_threshold=SCORES,
        refusal=FLAG,
        judge_failure=FLAG,
        truncation=FLAG,
    ),
)
FAILED = st.sampled_from(["skipped", "unavailable", "unparsed"]).map(
    lambda status: Toxicity(status, None, None, None)  # type: ignore[arg-type]
)
ANSWERED = SCORES.map(
    lambda score: Toxicity("answered", "toxic" if score >= 0.5 else "non-toxic", score, "Why.")
)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    """A verdict as servers give it: the highest score of a sentence counts for the text too."""
    names = [str(name) for name in CATEGORIES]
    threshold = draw(SCORES)

    def categories(scores: list[float]) -> Categories:
        by_name = dict(zip(names, scores, strict=True))
        return Categories(tuple(name for name, score in by_name.items() if score >= threshold), by_name)

    lists = draw(st.lists(st.lists(SCORES, min_size=len(names), max_size=len(names)), min_size=1, max_size=3))
    highest = [max(of_category) for of_category in zip(*lists, strict=True)]
    refusal = draw(SCORES)
    spans = tuple(
        Span(index, index + 1, Refusal(False, 0.0), categories(scores))
        for index, scores in enumerate(lists[1:])
    )
    toxicity = draw(st.one_of(FAILED, ANSWERED))
    found = categories(highest)
    flagged = bool(found.flagged) or toxicity.label == "toxic" or draw(st.booleans())
    return Verdict(
        flagged=flagged,
        refusal=Refusal(refusal >= 0.5, refusal),
        categories=found,
        toxicity=toxicity,
        windows=1,
        truncated=draw(st.booleans()),
        spans=spans if len(lists) > 1 else None,
    )


def scores_of(decision: Decision) -> list[float]:
    """The scores that flag the text."""
    verdict = decision.verdict
    scores = [verdict.categories.scores[name] for name in decision.categories]
    if decision.toxic:
        assert verdict.toxicity.score is not None
        scores.append(verdict.toxicity.score)
    return scores + ([verdict.refusal.score] if decision.refusal else [])


def toxicity_of(decision: Decision) -> dict[str, Any] | None:
    """Perspective's answer for TOXICITY; None if the comment gets an error."""
    asked = perspective.AnalyzeCommentRequest.model_validate(
        {"comment": {"text": "abcdefgh"}, "requestedAttributes": {"TOXICITY": {}}, "spanAnnotations": True}
    )
    try:
        found: dict[str, Any] = perspective.answer(asked, decision)["attributeScores"]["TOXICITY"]
    except GatewayError:
        return None
    return found


@given(verdicts(), POLICIES)
def test_a_flagged_text_is_clean_in_no_dialect(verdict: Verdict, policy: Policy) -> None:
    decision = decide(policy, verdict)
    toxicity = toxicity_of(decision)
    if toxicity is not None:
        summary = toxicity["summaryScore"]["value"]
        assert all(span["score"]["value"] <= summary for span in toxicity.get("spanScores", ()))
    if not decision.flagged:
        return
    assert openai.result(decision).flagged
    assert decision.as_document()["flagged"]
    assert kserve.output_tensors([decision])["flagged"].all()
    assert litellm.blocking_reasons([decision])
    assert fms.findings("tribunal", policy, decision)
    if toxicity is not None:
        assert summary >= max(scores_of(decision), default=1.0)
