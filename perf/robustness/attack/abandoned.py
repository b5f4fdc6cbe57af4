"""Valid requests that their callers abandon: by cancelling, disconnecting, or a short deadline."""

import random
from dataclasses import dataclass
from typing import Literal, get_args

from perf.robustness.attack.attack_texts import MAX_TEXT_BYTES, short_text, text_of_bytes

How = Literal["gRPC cancel", "gRPC deadline", "gRPC stream cancel", "gRPC disconnect", "HTTP disconnect"]
LONGEST_WAIT_S = 0.5
LONG_SHARE = 0.3


@dataclass(frozen=True)
class Abandonment:
    """A request for verdicts that its caller abandons.

    after_s: seconds from the sending until the caller abandons it.
    texts: the request's texts.
    """

    how: How
    after_s: float
    texts: tuple[str, ...]

    def __str__(self) -> str:
        sizes = [len(text) for text in self.texts]
        return f"{self.how} after {self.after_s:.3f} s, texts of {sizes} bytes"


def abandonment(rng: random.Random) -> Abandonment:
    """A request of one to eight short texts or, for LONG_SHARE of them, one text of up to 65,536 bytes."""
    if rng.random() < LONG_SHARE:
        texts = [text_of_bytes(rng, rng.randint(2000, MAX_TEXT_BYTES))]
    else:
        texts = [short_text(rng) for _ in range(rng.randint(1, 8))]
    return Abandonment(rng.choice(get_args(How)), rng.random() ** 2 * LONGEST_WAIT_S, tuple(texts))
