"""The loads of `python -m perf scaling`: one quantity changes at a time."""

from dataclasses import dataclass, replace

from launcher.host.devices import available_cores
from perf.load.rounds import THROUGHPUT_CALLERS
from perf.load.workload import (
    SPECIAL_TOKENS,
    STRIDE_TOKENS,
    WINDOW_TOKENS,
    read_workload,
    text_of_tokens,
)

WORKLOAD_PASSES = 2
# Total tokens of the texts of one length; there are at least as many texts as callers.
LENGTH_TOKENS = 6000


@dataclass(frozen=True)
class ScalingLoad:
    """The texts and the server of one measurement.

    tokens: length of each text with special tokens; 0 for the workload's texts.
    request_texts: texts in a request. callers: concurrent requests. instances: of each encoder.
    """

    tokens: int = 0
    request_texts: int = 1
    callers: int = THROUGHPUT_CALLERS
    instances: int = available_cores()

    def texts(self, seed: int) -> list[str]:
        """The texts of one round."""
        if not self.tokens:
            return read_workload() * WORKLOAD_PASSES
        count = max(self.callers, LENGTH_TOKENS // self.tokens)
        return [text_of_tokens(self.tokens - SPECIAL_TOKENS, seed + number) for number in range(count)]


BASE = ScalingLoad()
# The last three lengths fill exactly 1, 2 and 4 windows.
WINDOWS_TOKENS = (WINDOW_TOKENS + SPECIAL_TOKENS + strides * STRIDE_TOKENS for strides in (0, 1, 3))
VALUES: dict[str, tuple[int, ...]] = {
    "tokens": (10, 34, 130, *WINDOWS_TOKENS),
    "request_texts": (1, 4, 16),
    "callers": (1, 2, 4, 8, 16),
    "instances": tuple(range(1, available_cores() + 2)),
}


def loads() -> list[ScalingLoad]:
    """Every load once: BASE, and BASE with another value of one quantity."""
    return list(
        dict.fromkeys(replace(BASE, **{name: value}) for name, values in VALUES.items() for value in values)
    )
