"""The simulated batcher batches like Triton's, and the tracked config has the bucket that it favours."""

import pytest

from export_scripts.encoders import RUN_LIMITS
from export_scripts.window_loop import RunLimits
from launcher.repository.config import read_config
from launcher.repository.contract import MODEL_REPOSITORY, limits
from perf.length_buckets import (
    BUCKETS,
    MAX_RUN_PADDING_TOKENS,
    MAX_RUN_TOKENS,
    Batch,
    Cost,
    Outcome,
    batch_with_loop,
    batch_without_loop,
    simulate,
    simulate_all,
    workload_tokens,
)

RUN_MS = 10.0
ONLY_RUNS = Cost(run_ms=RUN_MS, computed_token_ms=0.0, copied_token_ms=0.0)


def outcome(tokens: list[int], buckets: str, arrivals_ms: list[float] | None = None) -> Outcome:
    return simulate(
        arrivals_ms or [0.0] * len(tokens),
        tokens,
        graph="without the loop",
        buckets=buckets,
        texts_per_s=1,
        max_batch_texts=3,
        cost=ONLY_RUNS,
    )


def test_only_neighbours_of_equal_shape_share_a_batch() -> None:
    assert outcome([5, 5, 9, 5], "every length").mean_batch_texts == pytest.approx(4 / 3)
    assert outcome([5, 5, 9], "512 for all").mean_batch_texts == 3


def test_a_batch_has_a_largest_size() -> None:
    assert outcome([5] * 7, "every length").mean_batch_texts == pytest.approx(7 / 3)


def test_a_text_waits_for_the_batches_before_it_and_no_longer() -> None:
    assert outcome([5, 9, 5], "every length").mean_waiting_ms == pytest.approx(RUN_MS)
    assert outcome([5, 9], "every length", [0.0, RUN_MS]).mean_waiting_ms == 0


def test_a_text_that_is_not_there_yet_is_not_waited_for() -> None:
    assert outcome([5, 5], "every length", [0.0, 1.0]).mean_batch_texts == 1


def test_padding_is_a_share_of_what_is_computed() -> None:
    assert outcome([16, 32], "multiples of 32").padding_share == pytest.approx(0.25)


def test_the_loop_computes_no_more_than_the_texts_of_a_run_need() -> None:
    assert batch_with_loop([300, 20, 200], 512) == Batch(runs=2, computed_tokens=620, copied_tokens=1536)
    assert batch_without_loop([300, 20, 200], 512) == Batch(1, computed_tokens=1536, copied_tokens=1536)


def test_runs_are_those_of_the_exported_graph() -> None:
    assert RUN_LIMITS["fp16"] == RunLimits(MAX_RUN_TOKENS, MAX_RUN_PADDING_TOKENS)


def test_every_bucket_holds_the_lengths_of_the_workload() -> None:
    for tokens in workload_tokens():
        for bucket in BUCKETS.values():
            assert tokens <= bucket(tokens) <= limits().max_tokens


def test_the_tracked_config_pads_to_what_waits_least() -> None:
    outcomes = simulate_all(seed=1, requests=4000)
    assert outcomes == simulate_all(seed=1, requests=4000)
    tracked = read_config(MODEL_REPOSITORY / "tokenizer" / "config.pbtxt")
    step = int(tracked.parameters["pad_to_multiple_of"].string_value)
    for texts_per_s in {one.texts_per_s for one in outcomes}:
        least = min(
            (one for one in outcomes if (one.graph, one.texts_per_s) == ("with the loop", texts_per_s)),
            key=lambda one: one.mean_waiting_ms,
        )
        assert BUCKETS[least.buckets](1) == step
