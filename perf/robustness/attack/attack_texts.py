"""Texts, shapes and values for attacks, drawn from the caller's random generator."""

import math
import random
from collections.abc import Sequence
from typing import Any

from perf.load.workload import read_workload

SHORT_TEXTS = [text for text in read_workload() if len(text) < 200]
# Limit of one text, in bytes.
MAX_TEXT_BYTES = 65_536
MODELS = (
    *("tokenizer", "rejection", "aegis", "verdict", "moderation"),
    *("judge", "judge_prompt", "phi3", "manifest"),
)
DATATYPES = (
    *("BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64", "UINT64", "FP16", "BF16", "FP32", "FP64"),
    *("BYTES", "", "TYPE_STRING", "bytes", "NONE"),
)
STRANGE_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, float("nan"), float("inf"), 2**63, 2**64, 10**400, "", "\x00", "\ud800"),
    *([], {}, [[]], [None], {"": None}, [[[[]]]], "A" * 10_000, ["x"] * 1000, "NaN", "null", "'; --", "%s%n"),
)


def short_text(rng: random.Random) -> str:
    """A text of the workload, which has one window."""
    return rng.choice(SHORT_TEXTS)


def text_of_bytes(rng: random.Random, size_bytes: int) -> str:
    """A harmless text of exactly `size_bytes` bytes."""
    words = " ".join(short_text(rng) for _ in range(1 + size_bytes // 4000))
    encoded = words.encode("ascii", "ignore") + b" "
    return (encoded * (1 + size_bytes // len(encoded)))[:size_bytes].decode("ascii")


def any_size_text(rng: random.Random) -> str:
    """A valid text, mostly short; one in ten has up to MAX_TEXT_BYTES bytes."""
    if rng.random() < 0.9:
        return short_text(rng)
    return text_of_bytes(rng, rng.randint(1000, MAX_TEXT_BYTES))


def absurd_shape(rng: random.Random) -> list[int]:
    """A shape that declares far more elements than are sent, or an invalid shape."""
    huge = 2 ** rng.randint(27, 62) + rng.choice((-1, 0, 0, 1))
    shapes: Sequence[list[int]] = (
        [huge],
        [huge, 1],
        [1, huge],
        [huge, huge],
        [1] * rng.randint(3, 2000),
        [-1, 1],
        [0, 1],
        [1, 0],
        [-huge, 1],
        [2**31 - 1, 2**31 - 1, 2],
        [2**63 - 1, 1],
        [],
    )
    return rng.choice(shapes)


def log_uniform(rng: random.Random, smallest: int, largest: int) -> int:
    """A log-uniform whole number: small ones are common, large ones occur."""
    return min(largest, round(smallest * math.exp(rng.random() * math.log(largest / smallest))))


def mutated(rng: random.Random, valid: bytes) -> bytes:
    """`valid` with one to eight random changes: bits flipped, bytes added, removed, repeated or replaced."""
    changed = bytearray(valid)
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(len(changed) + 1)
        length = rng.randint(1, 16)
        change = rng.randrange(5)
        if change == 0 and place < len(changed):
            changed[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            changed[place:place] = rng.randbytes(length)
        elif change == 2:
            del changed[place : place + length]
        elif change == 3:
            changed[place:place] = changed[place : place + length] * rng.randint(1, 100)
        else:
            changed[place : place + length] = rng.choice(
                (b"\x00", b"\xff" * 8, b"-1", b"99999999999999999999")
            )
    return bytes(changed)
