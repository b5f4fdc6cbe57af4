"""Statistics of vLLM's engine, under the names that NVIDIA's vLLM backend gives them.

https://github.com/triton-inference-server/vllm_backend#triton-metrics
"""

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

# Name of each counter and its help text.
COUNTERS = {
    "vllm:prompt_tokens_total": "Processed prompt tokens.",
    "vllm:generation_tokens_total": "Generated tokens.",
}
# Name of each histogram and its help text.
HISTOGRAMS = {
    "vllm:time_to_first_token_seconds": "Time from the arrival of a question to its first token.",
    "vllm:time_per_output_token_seconds": "Time from one token of an answer to the next.",
    "vllm:e2e_request_latency_seconds": "Time from the arrival of a question to the end of its answer.",
    "vllm:request_prompt_tokens": "Tokens of the prompt, by question.",
    "vllm:request_generation_tokens": "Tokens of the answer, by question.",
    "vllm:request_params_n": "Requested sequences, by question.",
}


def boundaries(max_model_len: int) -> dict[str, list[float]]:
    """Upper bounds of each histogram's buckets; vLLM's own are not in the same place in all its versions.

    max_model_len: maximum tokens of a question and its answer.
    """
    tokens = one_two_five(1, max_model_len)
    return {
        "vllm:time_to_first_token_seconds": one_two_five(0.001, 2000),
        "vllm:time_per_output_token_seconds": one_two_five(0.001, 100),
        "vllm:e2e_request_latency_seconds": one_two_five(0.01, 5000),
        "vllm:request_prompt_tokens": tokens,
        "vllm:request_generation_tokens": tokens,
        "vllm:request_params_n": one_two_five(1, 20),
    }


def one_two_five(least: float, most: float) -> list[float]:
    """The numbers 1, 2 and 5 times a power of ten, from `least` to `most`."""
    exponents = range(math.floor(math.log10(least)), math.floor(math.log10(most)) + 1)
    numbers = (float(f"{digit}e{exponent}") for exponent in exponents for digit in (1, 2, 5))
    return [number for number in numbers if least <= number <= most]


class Taken(NamedTuple):
    """Increments of the counters and observations of the histograms."""

    increments: Counter[str]
    observations: dict[str, list[float]]


class Tally:
    """Counts since the last `take`; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = Taken(Counter(), defaultdict(list))

    def add(self, stats: Any) -> None:
        """Count the values of a vllm.v1.metrics.stats.IterationStats."""
        finished = stats.finished_requests
        observed: dict[str, Iterable[float]] = {
            "vllm:time_to_first_token_seconds": stats.time_to_first_tokens_iter,
            "vllm:time_per_output_token_seconds": stats.inter_token_latencies_iter,
            "vllm:e2e_request_latency_seconds": [done.e2e_latency for done in finished],
            "vllm:request_prompt_tokens": [done.num_prompt_tokens for done in finished],
            "vllm:request_generation_tokens": [done.num_generation_tokens for done in finished],
            "vllm:request_params_n": stats.n_params_iter,
        }
        with self._lock:
            self._taken.increments["vllm:prompt_tokens_total"] += stats.num_prompt_tokens
            self._taken.increments["vllm:generation_tokens_total"] += stats.num_generation_tokens
            for name, values in observed.items():
                self._taken.observations[name].extend(values)

    def take(self) -> Taken:
        """Return the counts and reset them."""
        with self._lock:
            taken, self._taken = self._taken, Taken(Counter(), defaultdict(list))
        return taken
