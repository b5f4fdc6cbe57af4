"""Parsing of the judge's answer."""

import json
import math

import pytest

from model_repository.verdict.logic.answer import Judgement, read_answer, toxicity_score, worst


def position(**logprobs: float) -> dict[str, dict[str, object]]:
    ranked = sorted(logprobs.items(), key=lambda entry: -entry[1])
    return {
        str(row): {
            "logprob": math.log(probability),
            "rank": row + 1,
            "decoded_token": token.replace("_", " "),
        }
        for row, (token, probability) in enumerate(ranked)
    }


LOGPROBS = json.dumps([position(toxic=0.75, non=0.25)])


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("toxic. It threatens.", "toxic"),
        ("non-toxic. It is kind.", "non-toxic"),
        (" Toxic\nIt threatens.", "toxic"),
        ("**Non-Toxic**: it is kind", "non-toxic"),
        ('"non toxic" because', "non-toxic"),
        ("`nontoxic`", "non-toxic"),
        ("non\u2011toxic", "non-toxic"),
        ("Classification: toxic", "toxic"),
        ("- TOXIC -", "toxic"),
    ],
)
def test_a_label_at_the_start_is_read(answer: str, label: str) -> None:
    judgement = read_answer(answer, LOGPROBS, explain=True)
    assert (judgement.status, judgement.label) == ("answered", label)
    assert judgement.score == pytest.approx(0.75)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot say.",
        "It is toxic.",
        "toxicity is",
        "nonsense",
        "not toxic",
        "The text is non-toxic",
        "safe",
    ],
)
def test_anything_else_is_unparsed(answer: str) -> None:
    assert read_answer(answer, LOGPROBS, explain=True) == Judgement("unparsed")


def test_the_reason_is_what_follows() -> None:
    assert read_answer("**toxic**. It threatens.", LOGPROBS, explain=True).reason == "It threatens."
    assert read_answer("toxic", LOGPROBS, explain=True).reason is None
    assert read_answer("toxic. It threatens.", LOGPROBS, explain=False).reason is None


def test_the_score_is_read_at_the_first_token_with_a_letter() -> None:
    assert toxicity_score([position(_to=0.6, non=0.2, maybe=0.2)]) == pytest.approx(0.75)
    quoted = [{"0": {"logprob": 0.0, "rank": 1, "decoded_token": ' "'}}, position(Toxic=0.1, Non=0.3)]
    assert toxicity_score(quoted) == pytest.approx(0.25)
    assert math.isnan(toxicity_score([position(perhaps=1.0)]))
    assert math.isnan(toxicity_score([]))


@pytest.mark.parametrize("logprobs", ["[]", "null"])
def test_an_answer_without_a_score_is_unparsed(logprobs: str) -> None:
    assert read_answer("toxic", logprobs, explain=True) == Judgement("unparsed")


def test_the_worst_piece_decides() -> None:
    kind, bad = Judgement("answered", "non-toxic", 0.1), Judgement("answered", "toxic", 0.9)
    lost = Judgement("unavailable")
    assert worst([kind, bad, kind]) == bad
    assert worst([kind, lost]) == lost
    assert worst([lost, bad]) == bad
    assert worst([kind]) == kind
