"""Recommended thresholds and bands, applied by the server's own policy to the same scores."""

import dataclasses
import math
from itertools import combinations_with_replacement

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tribunal.evaluation.recommend import SMALL_SUPPORT, Goal, narrowest_band, propose, recommend
from tribunal.evaluation.scored import Scored
from tribunal.evaluation.target import Target
from tritonclient.grpc import model_config_pb2

from launcher.repository.contract import MODEL_REPOSITORY, category_labels
from model_repository.verdict.logic.answer import SKIPPED, Judgement
from model_repository.verdict.logic.asking import Band as ServerBand
from model_repository.verdict.logic.policy import Policy

LABELS = category_labels()
SEEDED = np.random.default_rng(0)


def tracked_parameters(model: str) -> dict[str, str]:
    return parse((MODEL_REPOSITORY / model / "config.pbtxt").read_text("utf-8"))


def parse(config: str) -> dict[str, str]:
    parsed = text_format.Parse(config, model_config_pb2.ModelConfig())
    return {name: value.string_value for name, value in parsed.parameters.items()}


def scored(names: tuple[str, ...], texts: int = 200) -> Scored:
    """Texts whose scores correlate with their labels, with 6 digits as in a verdict."""
    labels = SEEDED.random((texts, len(names))) < 0.3
    scores = np.round(SEEDED.beta(1 + 3 * labels, 4 - 3 * labels), 6)
    highest = np.round(SEEDED.beta(1 + 2 * labels.any(axis=1), 4), 6)
    return Scored(
        rows=np.arange(texts),
        names=names,
        labels=labels,
        scores=scores,
        decided=scores >= 0.5,
        answered=np.ones(texts, dtype=np.bool_),
        highest_category=highest,
        category_flagged=highest >= 0.5,
    )


@pytest.mark.parametrize("goal", [Goal(recall=0.9), Goal(precision=0.8)])
def test_category_thresholds_reach_the_goal_by_the_servers_policy(goal: Goal) -> None:
    data = scored(LABELS)
    recommendation = recommend(data, Target.aegis, goal)
    policy = Policy.from_parameters({**tracked_parameters("verdict"), **parse(recommendation.config)}, LABELS)
    flagged = np.array(
        [
            [
                name in policy.decide(0, row, SKIPPED, 1, truncated=False)["categories"]["flagged"]
                for name in LABELS
            ]
            for row in data.scores.tolist()
        ]
    )
    for column, proposal in enumerate(recommendation.proposals):
        right = int((flagged[:, column] & data.labels[:, column]).sum())
        assert proposal.recall == pytest.approx(right / data.labels[:, column].sum())
        assert proposal.precision == pytest.approx(right / flagged[:, column].sum())
        assert (proposal.recall or 0) >= (goal.recall or 0)
        assert (proposal.precision or 0) >= (goal.precision or 0)
    assert recommendation.band is None


def test_the_rejection_threshold_reaches_the_recall_by_the_servers_policy() -> None:
    data = scored(("REJECTION",))
    recommendation = recommend(data, Target.rejection, Goal(recall=0.95))
    policy = Policy.from_parameters({**tracked_parameters("verdict"), **parse(recommendation.config)}, LABELS)
    detected = np.array(
        [
            policy.decide(score, [0.0] * 14, SKIPPED, 1, truncated=False)["refusal"]["detected"]
            for score in data.scores[:, 0].tolist()
        ]
    )
    assert 0.95 <= detected[data.labels[:, 0]].mean() < 0.97


@pytest.mark.parametrize("goal", [Goal(recall=0.8), Goal(precision=0.7)])
def test_the_band_keeps_the_recall_by_the_servers_policy(goal: Goal) -> None:
    data = scored(("toxic",))
    recommendation = recommend(data, Target.toxicity, goal)
    parameters = {**tracked_parameters("verdict"), **parse(recommendation.config)}
    policy = Policy.from_parameters(parameters, LABELS)
    server_band = ServerBand(float(parameters["auto_low"]), float(parameters["auto_high"]))
    category_scores = data.highest_category[:, None].astype(np.float32)
    asked = server_band.asks(category_scores, np.zeros_like(category_scores, dtype=np.bool_))

    def flags(row: int, *, asks: bool) -> bool:
        answer = Judgement("answered", None, float(data.scores[row, 0]))
        scores = [float(data.highest_category[row]), *[0.0] * 13]
        return bool(policy.decide(0, scores, answer if asks else SKIPPED, 1, truncated=False)["flagged"])

    toxic = np.flatnonzero(data.labels[:, 0])
    recall = np.mean([flags(row, asks=bool(asked[row])) for row in toxic])
    always = np.mean([flags(row, asks=True) for row in toxic])
    assert recommendation.band is not None
    assert recall == pytest.approx(recommendation.band.recall)
    assert recall >= (goal.recall or always)
    assert asked.mean() == pytest.approx(recommendation.band.asked)
    assert asked.mean() < 1


TEXTS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 9), st.booleans(), st.booleans()), min_size=1, max_size=14
)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0, None]))
def test_no_band_with_that_recall_asks_less(
    texts: list[tuple[bool, int, bool, bool]], recall: float | None
) -> None:
    labels, tenths, category, judge = (np.array(column) for column in zip(*texts, strict=True))
    if not labels.any():
        return
    highest = tenths / 9
    band = narrowest_band(
        labels, highest_category=highest, category_flagged=category, judge_flags=judge, recall=recall
    )

    def outcome(low: float, high: float) -> tuple[int, int]:
        asked = (highest >= low) & (highest < high)
        return int((labels & (category | (asked & judge))).sum()), int(asked.sum())

    hits, asked = outcome(band.low, band.high)
    assert (hits / labels.sum(), asked / len(labels)) == (band.recall, band.asked)
    best = outcome(0, 2)[0]
    wanted = best if recall is None else min(best, math.ceil(recall * labels.sum() - 1e-9))
    edges = [*sorted(set(highest.tolist())), 2.0]
    outcomes = [outcome(low, high) for low, high in combinations_with_replacement(edges, 2)]
    assert hits >= wanted
    assert asked == min(asked for hits, asked in outcomes if hits >= wanted)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=30),
    st.sampled_from([0.1, 0.5, 0.9, 0.95, 1.0]),
)
def test_a_threshold_is_the_highest_or_lowest_that_reaches_its_goal(
    texts: list[tuple[bool, int]], wanted: float
) -> None:
    labels = np.array([label for label, _ in texts])
    scores = np.array([score / 20 for _, score in texts])
    outcomes = []
    for threshold in sorted(set(scores.tolist())):
        flagged = scores >= threshold
        right = int((labels & flagged).sum())
        outcomes.append((right / max(labels.sum(), 1), right / flagged.sum(), int(flagged.sum())))
    by_recall = propose("x", labels, scores, Goal(recall=wanted))
    by_precision = propose("x", labels, scores, Goal(precision=wanted))
    if not labels.any():
        assert by_recall.threshold is by_precision.threshold is None
        return
    assert by_recall.threshold is not None
    fewest = min(count for recall, _, count in outcomes if recall >= wanted)
    assert int((scores >= by_recall.threshold).sum()) == fewest
    reached = [count for _, precision, count in outcomes if precision >= wanted]
    if by_precision.threshold is None:
        assert not reached
    else:
        assert int((scores >= by_precision.threshold).sum()) == max(reached)


def test_a_category_that_no_text_has_keeps_its_threshold() -> None:
    data = scored(("Threat", "Violence"))
    data.labels[:, 1] = False
    recommendation = recommend(data, Target.aegis, Goal(recall=0.9))
    assert "# Violence: no text has it, keep its threshold" in recommendation.config
    assert "Violence" not in parse(recommendation.config)["category_thresholds"]


@pytest.mark.parametrize("goal", [Goal(recall=0.9), Goal(precision=0.8)])
def test_a_proposal_says_what_it_flags_and_from_how_many_texts(goal: Goal) -> None:
    data = scored(("Threat", "Violence"))
    data.labels[:, 1] &= np.arange(200) < 30
    for column, proposal in enumerate(recommend(data, Target.aegis, goal).proposals):
        assert proposal.support == data.labels[:, column].sum()
        if proposal.threshold is not None:
            flagged = data.scores[:, column] >= proposal.threshold
            assert proposal.flagged == pytest.approx(flagged.mean())


def test_thresholds_from_few_texts_are_warned_of() -> None:
    data = scored(("Threat", "Violence", "Hate"))
    data.labels[:] = False
    data.labels[:SMALL_SUPPORT, 0] = True
    data.labels[: SMALL_SUPPORT - 1, 1] = True
    few = recommend(data, Target.aegis, Goal(recall=0.9))
    # No text has the label Hate, so its threshold stays.
    assert few.uncertain == ("Violence",)
    assert few.warning == (
        "fewer than 30 texts have the label Violence: on other texts these thresholds may do much worse"
    )
    enough = recommend(scored(("REJECTION",)), Target.rejection, Goal(recall=0.9))
    assert (enough.uncertain, enough.warning) == ((), None)


def test_a_precision_that_no_threshold_has_keeps_the_present_one() -> None:
    data = scored(("toxic",))
    worst = dataclasses.replace(data, scores=1 - data.labels.astype(np.float64))
    recommendation = recommend(worst, Target.toxicity, Goal(precision=0.9))
    assert "# toxic: no threshold has that precision, keep its threshold" in recommendation.config
    assert (parse(recommendation.config), recommendation.band) == ({}, None)


def test_a_recall_that_the_judge_cannot_reach_is_reported() -> None:
    never = narrowest_band(
        np.ones(4, dtype=np.bool_),
        highest_category=np.array([0.1, 0.2, 0.3, 0.4]),
        category_flagged=np.zeros(4, dtype=np.bool_),
        judge_flags=np.array([True, False, True, False]),
        recall=0.9,
    )
    assert (never.recall, never.wanted_recall) == (0.5, 0.9)


def test_categories_that_find_everything_need_no_judge() -> None:
    labels = np.array([True, False])
    band = narrowest_band(
        labels,
        highest_category=np.array([0.9, 0.1]),
        category_flagged=labels,
        judge_flags=labels,
        recall=1.0,
    )
    assert (band.asked, band.recall, band.low) == (0, 1, band.high)
