"""Descriptions of the policies for callers."""

from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.gateway.moderation.policies import Policy, ServerPolicy
from tribunal.gateway.protocols.description import policy_answer


def test_a_threshold_of_its_own_stands_before_that_of_all_categories() -> None:
    policy = Policy(category_threshold=0.3, category_thresholds={"Violence": 0.2}, refusal_threshold=0.9)
    answer = policy_answer("strict", policy)
    assert answer.decided_by == "policy"
    assert answer.thresholds.categories == {name: 0.2 if name == "Violence" else 0.3 for name in CATEGORIES}
    assert (answer.thresholds.refusal, answer.thresholds.toxicity) == (0.9, 0.5)


def test_a_category_without_a_threshold_is_left_to_the_server() -> None:
    thresholds = policy_answer("some", Policy(category_thresholds={"Threat": 0.0})).thresholds.categories
    assert thresholds == {name: 0.0 if name == "Threat" else None for name in CATEGORIES}


def test_of_the_servers_own_decision_no_threshold_is_claimed() -> None:
    answer = policy_answer("default", ServerPolicy())
    assert answer.decided_by == "server"
    assert {*answer.thresholds.categories.values(), answer.thresholds.refusal} == {None}
    assert (answer.thresholds.toxicity, answer.judge_failure, answer.truncation) == (None, None, None)
