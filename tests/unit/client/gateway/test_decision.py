"""What flags a text under a policy."""

from dataclasses import replace
from typing import Any

import pytest
from tribunal.gateway.decision import decide
from tribunal.gateway.policies import Policy, ServerPolicy
from tribunal.verdict import Categories, Refusal, Toxicity, Verdict

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
