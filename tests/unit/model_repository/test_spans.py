"""Spans: the sentences that cross a threshold."""

import numpy as np
import numpy.typing as npt

from model_repository.verdict.logic.policy import Policy
from model_repository.verdict.logic.spans import rows_with_spans, spans_of

LABELS = ("Threat", "Violence")
POLICY = Policy(LABELS, 0.5, (0.5, 0.9), 0.5, flags_judge_failure=True, flags_truncation=True)
NONE = (-1, -1)


def floats(*values: object) -> npt.NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def places(*values: tuple[int, int]) -> npt.NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def test_spans_are_of_the_texts_that_ask() -> None:
    assert rows_with_spans(np.array([[NONE, NONE], [(0, 0), NONE], [(0, 3), (4, 6)]], dtype=np.int32)) == [
        1,
        2,
    ]


def test_only_sentences_that_cross_a_threshold_are_spans() -> None:
    spans = spans_of(
        places((0, 5), (6, 9), (10, 12), NONE),
        # The window of the whole text follows the three sentences.
        floats(0.1, 0.5, 0.2, 0.9),
        floats((0.1, 0.8), (0.0, 0.0), (0.75, 0.0), (1.0, 1.0)),
        POLICY,
    )
    assert spans == [
        {
            "start": 6,
            "end": 9,
            "refusal": {"detected": True, "score": 0.5},
            "categories": {"flagged": [], "scores": {"Threat": 0.0, "Violence": 0.0}},
        },
        {
            "start": 10,
            "end": 12,
            "refusal": {"detected": False, "score": 0.2},
            "categories": {"flagged": ["Threat"], "scores": {"Threat": 0.75, "Violence": 0.0}},
        },
    ]


def test_a_sentence_in_two_forms_has_the_highest_scores() -> None:
    spans = spans_of(
        places((0, 5), (0, 5), (6, 9)),
        floats(0.75, 0.25, 0.0),
        floats((0.0, 0.0), (0.5, 0.25), (0.0, 0.0)),
        POLICY,
    )
    ((span),) = spans
    assert span["refusal"]["score"] == 0.75
    assert span["categories"]["scores"] == {"Threat": 0.5, "Violence": 0.25}


def test_a_harmless_text_has_no_spans() -> None:
    assert spans_of(places((0, 5)), floats(0.0, 0.0), floats((0.0, 0.0), (0.0, 0.0)), POLICY) == []
