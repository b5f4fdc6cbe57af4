"""Sampling parameters that the vLLM backend refuses before vLLM sees them."""

from typing import Any

import pytest

from launcher.backends.vllm.logic.sampling import require_settable
from model_repository.judge_prompt.logic.prompting import sampling_parameters

# Some fields of vllm.SamplingParams.
TYPES = {
    "n": int,
    "temperature": float,
    "ignore_eos": bool,
    "max_tokens": int | None,
    "stop": str | list[str] | None,
    "bad_words": list[str] | None,
}


@pytest.mark.parametrize("explain", [False, True])
def test_the_judges_sampling_parameters_pass(explain: bool) -> None:
    require_settable(sampling_parameters(max_tokens=5, explain=explain), TYPES)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"n": 1}, {"stop": None}, {"bad_words": None}, {"structured_outputs": '{"regex": "a"}'}],
)
def test_parameters_that_nvidias_backend_accepts_pass(parameters: dict[str, Any]) -> None:
    require_settable(parameters, TYPES)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"max_tokens": None}, "max_tokens must not be null"),
        ({"temperature": None}, "temperature must not be null"),
        ({"ignore_eos": None}, "ignore_eos must not be null"),
        ({"n": 2}, "n must be 1"),
        ({"n": None}, "n must be 1"),
        ({"lora_name": "x"}, "LoRA"),
        ({"structured_outputs": {"regex": "a"}}, "must be a string"),
        ({"output_kind": 2}, "output_kind"),
        ({"skip_clone": True}, "skip_clone"),
        ({"_eos_token_id": 1}, "_eos_token_id"),
    ],
)
def test_what_it_fails_on_or_answers_by_chance_is_refused(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        require_settable(parameters, TYPES)
