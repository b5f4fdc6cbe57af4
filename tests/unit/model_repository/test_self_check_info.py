"""The outcome of the self-check in the model `manifest`."""

from model_repository.manifest.logic.self_check_info import score_differences, with_outcomes

OUTCOME = {"texts": 16, "score_difference": 2e-7, "tolerance": 1e-4}
MANIFEST = {
    "models": {
        "rejection": {"source": "demo", "self_check": {"texts": [{"input_ids": [1]}]}},
        "judge": {"source": "demo"},
    }
}


def test_the_outcome_takes_the_place_of_the_references() -> None:
    answered = with_outcomes(MANIFEST, {"rejection": OUTCOME})
    assert answered["models"]["rejection"] == {"source": "demo", "self_check": OUTCOME}
    assert answered["models"]["judge"] == {"source": "demo"}


def test_without_an_outcome_there_is_no_entry() -> None:
    assert with_outcomes(MANIFEST, {})["models"]["rejection"] == {"source": "demo"}


def test_the_metric_has_a_value_for_each_checked_model() -> None:
    assert score_differences({"rejection": OUTCOME}) == {"rejection": 2e-7}
