"""The rounds of the judge's benchmark: its texts and figures."""

import itertools

import pytest

from launcher.repository.contract import CHECKOUT
from perf.judge.throughput import (
    CALLERS,
    JudgeFigures,
    JudgeSample,
    decoding,
    figures,
    judge_table,
    new_texts,
)
from perf.paths import RESULTS_FOLDER
from perf.samples import read_samples

REPOSITORY = CHECKOUT / "model_repository"


def sample(callers: int, *, explain: bool, moderation_s: float, bare_s: float) -> JudgeSample:
    return JudgeSample(callers, explain, 8, moderation_s, bare_s, 160, 0, 96)


SAMPLES = [
    sample(16, explain=True, moderation_s=8.0, bare_s=4.0),
    *(sample(4, explain=False, moderation_s=seconds, bare_s=1.0) for seconds in (1.0, 2.0, 8.0)),
    sample(1, explain=False, moderation_s=4.0, bare_s=4.0),
]


def test_no_text_is_asked_twice() -> None:
    texts = list(itertools.islice(new_texts(), 1000))
    assert len(set(texts)) == len(texts)
    # A prefix cache holds whole blocks, so it would reuse a block that the beginnings of two texts share.
    assert len({text.split(".")[0] for text in texts}) == len(texts)


def test_figures_are_medians_by_answer_and_number_of_callers() -> None:
    assert list(figures(SAMPLES)) == [
        JudgeFigures("label alone", 1, 2.0, 2.0),
        JudgeFigures("label alone", 4, 4.0, 8.0),
        JudgeFigures("label and reason", 16, 1.0, 2.0),
    ]
    assert [row.ratio for row in figures(SAMPLES)] == [1.0, 0.5, 0.5]


def test_the_table_has_a_row_for_each_answer_and_number_of_callers() -> None:
    assert judge_table(SAMPLES).row_count == 3


def test_vllm_alone_decodes_as_the_served_judge_does() -> None:
    config = (REPOSITORY / "judge_prompt" / "config.pbtxt").read_text("utf-8")
    for explain, limit in ((False, "max_label_tokens"), (True, "max_answer_tokens")):
        parameters = decoding(REPOSITORY, explain=explain)
        assert f'"{limit}" value {{ string_value: "{parameters["max_tokens"]}" }}' in config
        assert ("stop" in parameters) != explain


@pytest.mark.parametrize("judge", ["demo", "wide"])
def test_the_committed_samples_have_every_number_of_callers(judge: str) -> None:
    document = read_samples(RESULTS_FOLDER / f"judge_{judge}.json")
    measured = [JudgeSample(**sample) for sample in document["samples"]]
    assert {(row.answer, row.callers) for row in figures(measured)} == set(
        itertools.product(("label alone", "label and reason"), CALLERS)
    )
