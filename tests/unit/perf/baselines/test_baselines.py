"""The registry of baselines, and the processes that run them."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from perf.baselines.library_baseline import LibraryBaseline
from perf.baselines.registry import (
    Baseline,
    EncoderFiles,
    Precision,
    RunRound,
    all_baselines,
    baselines_at,
    baselines_of,
    reference_at,
)
from perf.baselines.round_process import RoundProcess
from perf.load.callers import send_texts
from perf.load.rounds import (
    BATCH_LOAD,
    LATENCY_LOAD,
    LOADS,
    THROUGHPUT_LOAD,
    Load,
    Round,
    figures_of,
    sample_key,
)
from perf.load.workload import WARM_UP_TEXTS, WORKLOAD_TEXTS, read_workload
from perf.speed.compare import (
    OTHER_PASSES,
    REFERENCE_PASSES,
    TRIBUNAL,
    contestants,
    passes_of,
    ratios_at,
    turns,
)

NO_FILES = EncoderFiles(Path(), Path())
ECHO = (
    "print('a line of a library'); print('{}', flush=True)\nfor line in __import__('sys').stdin: print(line)"
)


@dataclass(frozen=True)
class InstantBaseline:
    """A baseline that screens no text."""

    name: str = "instant"
    description: str = "nothing"
    loads: tuple[Load, ...] = (THROUGHPUT_LOAD,)
    is_reference: bool = False
    precision: Precision = "fp32"

    @contextlib.contextmanager
    def start(self, encoders: EncoderFiles) -> Iterator[RunRound]:  # noqa: ARG002
        """Yield a function that counts the texts."""
        yield lambda load, passes: send_texts(len, read_workload() * passes, load)


def module_with(*baselines: Baseline) -> ModuleType:
    module = ModuleType("module")
    module.__dict__["BASELINES"] = baselines
    return module


def test_a_module_with_baselines_registers_them_by_name() -> None:
    baseline = InstantBaseline()
    assert baselines_of([ModuleType("helper"), module_with(baseline)]) == {"instant": baseline}


def test_two_baselines_of_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match="two baselines are named 'instant'"):
        baselines_of([module_with(InstantBaseline()), module_with(InstantBaseline())])


def test_every_baseline_of_the_package_is_registered() -> None:
    assert set(all_baselines()) == {
        *("raw", "raw-int8", "raw-rejection", "raw-rejection-int8"),
        *("transformers", "optimum", "llm-guard", "fastapi", "litserve", "infinity", "vllm"),
    }


def test_every_baseline_is_compared_with_a_reference() -> None:
    assert {load for baseline in all_baselines().values() for load in baseline.loads} == set(LOADS)
    assert reference_at(LATENCY_LOAD, "fp32").name == "raw-rejection"
    for load in (THROUGHPUT_LOAD, BATCH_LOAD):
        assert reference_at(load, "fp32").name == "raw"
        assert reference_at(load, "int8").name == "raw-int8"


def test_tribunal_follows_its_reference_and_everybody_has_a_turn() -> None:
    for load in LOADS:
        order = turns(load)
        for precision, name in TRIBUNAL.items():
            assert order[order.index(name) - 1] == reference_at(load, precision).name
        assert sorted(order) == sorted(
            [*TRIBUNAL.values(), *(baseline.name for baseline in baselines_at(load))]
        )


def test_requests_of_several_texts_are_compared_with_raw_onnx_runtime_alone() -> None:
    assert turns(BATCH_LOAD) == ["raw", "tribunal fp32", "raw-int8", "tribunal int8"]


def test_every_contestant_has_its_number_of_passes() -> None:
    assert {name for name in contestants() if passes_of(name, THROUGHPUT_LOAD) == REFERENCE_PASSES} == {
        *TRIBUNAL.values(),
        *("raw", "raw-int8", "raw-rejection", "raw-rejection-int8"),
    }
    assert passes_of("fastapi", THROUGHPUT_LOAD) == OTHER_PASSES
    assert {passes_of(name, LATENCY_LOAD) for name in contestants()} == {1}


@pytest.mark.parametrize("load", [THROUGHPUT_LOAD, BATCH_LOAD], ids=str)
def test_int8_is_compared_with_raw_int8(load: Load) -> None:
    texts_per_s = {
        "raw": 20.0,
        "tribunal fp32": 19.0,
        "raw-int8": 80.0,
        "tribunal int8": 70.0,
        "fastapi": 10.0,
    }
    samples = {sample_key(name, *load): [Round(1 / rate, [1.0])] for name, rate in texts_per_s.items()}
    assert ratios_at(figures_of(samples), load) == pytest.approx(
        {"raw": 1.0, "tribunal fp32": 0.95, "raw-int8": 1.0, "tribunal int8": 0.875, "fastapi": 0.5}
    )


def test_a_latency_counts_the_waiting_for_the_workers() -> None:
    at_work = threading.Semaphore(2)

    def screen(texts: Sequence[str]) -> None:
        assert at_work.acquire(blocking=False)
        time.sleep(0.001)
        at_work.release()

    baseline = LibraryBaseline("slow", "slow", lambda _: screen, max_threads=2)
    with baseline.load(NO_FILES) as run_round:
        round_ = run_round(THROUGHPUT_LOAD, 2)
    # With the wait, a mean of more than three texts are in flight; without it, two, one for each worker.
    assert sum(round_.latencies_ms) / 1000 > 3 * round_.elapsed_s


def test_a_library_baseline_warms_up_and_screens_the_workload() -> None:
    screened: list[str] = []
    baseline = LibraryBaseline("list", "a list", lambda _: screened.extend)
    with baseline.load(NO_FILES) as run_round:
        assert len(screened) == WARM_UP_TEXTS
        round_ = run_round(THROUGHPUT_LOAD, 2)
    assert len(round_.latencies_ms) == 2 * WORKLOAD_TEXTS == len(screened) - WARM_UP_TEXTS


def test_a_round_process_answers_and_ends_with_its_input() -> None:
    with RoundProcess([sys.executable, "-c", ECHO], {}) as process:
        process.wait_until_ready()
        assert process.ask('{"elapsed_s": 2.0}') == {"elapsed_s": 2.0}


def test_a_round_process_that_ends_is_an_error() -> None:
    answer = json.dumps({"elapsed_s": 1.0, "latencies_ms": [5.0]})
    script = f"print('{{}}', flush=True); input(); print('{answer}', flush=True)"
    with RoundProcess([sys.executable, "-c", script], {}) as process:
        process.wait_until_ready()
        assert process.run_round(THROUGHPUT_LOAD, 2) == Round(1.0, [5.0])
        with pytest.raises(RuntimeError, match="the process ended unexpectedly"):
            process.wait_until_ready()
