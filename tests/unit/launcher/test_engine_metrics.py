"""vLLM's counts, under the metric names of NVIDIA's backend."""

from types import SimpleNamespace

import pytest

from launcher.backends.vllm.logic.engine_metrics import COUNTERS, HISTOGRAMS, Tally, boundaries, one_two_five


def step(*, finished: int) -> SimpleNamespace:
    """Statistics of one step of vLLM's engine in which `finished` questions finished."""
    done = SimpleNamespace(e2e_latency=0.5, num_prompt_tokens=9, num_generation_tokens=4)
    return SimpleNamespace(
        num_prompt_tokens=9,
        num_generation_tokens=2,
        time_to_first_tokens_iter=[0.1],
        inter_token_latencies_iter=[0.01, 0.02],
        finished_requests=[done] * finished,
        n_params_iter=[1] * finished,
    )


def test_steps_add_up_until_they_are_taken() -> None:
    tally = Tally()
    tally.add(step(finished=0))
    tally.add(step(finished=1))
    taken = tally.take()
    assert taken.increments == {"vllm:prompt_tokens_total": 18, "vllm:generation_tokens_total": 4}
    assert taken.observations == {
        "vllm:time_to_first_token_seconds": [0.1, 0.1],
        "vllm:time_per_output_token_seconds": [0.01, 0.02, 0.01, 0.02],
        "vllm:e2e_request_latency_seconds": [0.5],
        "vllm:request_prompt_tokens": [9],
        "vllm:request_generation_tokens": [4],
        "vllm:request_params_n": [1],
    }
    assert taken.increments.keys() == COUNTERS.keys()
    assert taken.observations.keys() == HISTOGRAMS.keys()
    assert not tally.take().increments


def test_each_histogram_has_rising_boundaries() -> None:
    buckets = boundaries(max_model_len=1024)
    assert buckets.keys() == HISTOGRAMS.keys()
    assert all(sorted(set(bounds)) == bounds for bounds in buckets.values())
    assert buckets["vllm:request_prompt_tokens"] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


@pytest.mark.parametrize(
    ("least", "most", "numbers"), [(0.01, 0.1, [0.01, 0.02, 0.05, 0.1]), (1, 1, [1]), (2, 6, [2, 5])]
)
def test_one_two_five(least: float, most: float, numbers: list[float]) -> None:
    assert one_two_five(least, most) == numbers
