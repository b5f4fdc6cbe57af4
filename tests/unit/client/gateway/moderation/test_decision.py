"""Decisions of a policy about texts."""

from dataclasses import replace
from typing import Any

import pytest
from tribunal.gateway.moderation.decision import decide
from tribunal.gateway.moderation.policies import Policy, ServerPolicy
from tribunal.verdict import Categories, Refusal, Toxicity, Verdict

from tests.unit.client.gateway.verdicts import span

CLEAN = Verdict(
    flagged=False,
    refusal=Refusal(detected=True, score=0.6),
    categories=Categories(flagged=(), scores={"Violence": 0.4, "Threat": 0.1}),
    toxicity=Toxicity("answered", "non-toxic", 0.2, "Harmless."),
    windows=1,
    truncated=False,
)
FAILED = Toxicity("unavailable", None, None, None)
SKIPPED = Toxicity("skipped", None, None, None)


@pytest.mark.parametrize(
    ("policy", "changes", "reasons"),
    [
        ({}, {}, ()),
        ({"category_threshold": 0.4}, {}, ("Violence",)),
        ({"category_threshold": 0.4, "category_thresholds": {"Violence": 0.5}}, {}, ()),
        ({"category_thresholds": {"Threat": 0.1}}, {}, ("Threat",)),
        ({}, {"categories": Categories(("Violence",), CLEAN.categories.scores)}, ("Violence",)),
        (
            {"category_threshold": 0.9},
            {"categories": Categories(("Violence",), CLEAN.categories.scores), "flagged": True},
            (),
        ),
        ({"toxicity_threshold": 0.2}, {}, ("toxicity",)),
        ({"refusal": "flag"}, {}, ("refusal",)),
        ({"refusal": "flag", "refusal_threshold": 0.7}, {}, ()),
        ({}, {"toxicity": FAILED}, ("judge_failure",)),
        ({}, {"toxicity": replace(FAILED, status="unparsed")}, ("judge_failure",)),
        ({"judge_failure": "pass"}, {"toxicity": FAILED}, ()),
        ({}, {"toxicity": SKIPPED}, ()),
        ({}, {"toxicity": SKIPPED, "truncated": True}, ("truncation",)),
        ({"truncation": "pass"}, {"toxicity": SKIPPED, "truncated": True}, ()),
        ({}, {"truncated": True}, ()),
    ],
)
def test_a_policy_decides(policy: dict[str, Any], changes: dict[str, Any], reasons: tuple[str, ...]) -> None:
    decision = decide(Policy(**policy), replace(CLEAN, **changes))
    assert decision.reasons == reasons
    assert decision.flagged is bool(reasons)


@pytest.mark.parametrize("flagged", [False, True])
@pytest.mark.parametrize("toxicity", [FAILED, Toxicity("answered", "toxic", 0.6, None)])
def test_the_server_policy_follows_the_server(flagged: bool, toxicity: Toxicity) -> None:
    decision = decide(ServerPolicy(), replace(CLEAN, flagged=flagged, toxicity=toxicity))
    assert decision.flagged is flagged
    assert bool(decision.reasons) is flagged


VIOLENT, APOLOGY = span(0, 10, Violence=0.75), span(11, 20, refusal=0.625)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, [(0, False, ("Violence",)), (11, True, ())]),
        ({"category_threshold": 0.8}, [(11, True, ())]),
        ({"refusal_threshold": 0.7}, [(0, False, ("Violence",))]),
        (
            {"category_thresholds": {"Violence": 0.8, "Threat": 0.0}},
            [(0, False, ("Threat",)), (11, True, ("Threat",))],
        ),
        ({"category_threshold": 0.8, "refusal_threshold": 0.7}, []),
    ],
)
def test_a_policy_decides_over_each_span(policy: dict[str, Any], expected: list[Any]) -> None:
    decision = decide(Policy(**policy), replace(CLEAN, spans=(VIOLENT, APOLOGY)))
    assert decision.spans is not None
    assert [(s.start, s.refusal.detected, s.categories.flagged) for s in decision.spans] == expected
    assert [s["start"] for s in decision.as_document()["spans"]] == [start for start, *_ in expected]


@pytest.mark.parametrize("spans", [None, (), (VIOLENT, APOLOGY)])
def test_the_server_policy_keeps_the_spans(spans: Any) -> None:
    assert decide(ServerPolicy(), replace(CLEAN, spans=spans)).spans == spans


@pytest.mark.parametrize("policy", [Policy(), ServerPolicy()])
def test_a_verdict_without_spans_has_none_under_a_policy(policy: Policy) -> None:
    decision = decide(policy, CLEAN)
    assert decision.spans is None
    assert "spans" not in decision.as_document()


def test_a_document_has_what_the_policy_decides() -> None:
    document = decide(Policy(category_threshold=0.4), CLEAN).as_document()
    assert document["flagged"]
    assert list(document["categories"]["flagged"]) == ["Violence"]
