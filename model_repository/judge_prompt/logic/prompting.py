"""Builds the prompt around a text, and the sampling parameters for vLLM."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Labels end with these; without a reason, generation stops right after them.
LABEL_ENDS = ("toxic", "Toxic", "TOXIC")
# Number of the likeliest tokens at each position; vLLM's default limit.
LOGPROBS = 20


@dataclass(frozen=True)
class Prompt:
    """The judge's prompt around a text.

    prefix, suffix: the rendered chat template before and after the text.
    special_tokens: every added token of the judge's tokenizer, each with two visible characters or more.
    """

    prefix: str
    suffix: str
    special_tokens: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> "Prompt":
        """Read `prompt.json` as the export writes it; raises OSError, ValueError or TypeError."""
        return cls(**json.loads(path.read_text("utf-8")))

    def around(self, text: str) -> str:
        """The whole prompt; its only special tokens are the template's own."""
        return f"{self.prefix}{neutralise(text, self.special_tokens)}{self.suffix}"


def neutralise(text: str, special_tokens: Sequence[str]) -> str:
    """Break each of `special_tokens` in `text` by a space after its first visible character."""
    if not special_tokens:
        return text
    pattern = re.compile("|".join(map(re.escape, sorted(special_tokens, key=len, reverse=True))))
    # An inserted space may complete another token, so search until none is left.
    while pattern.search(text):
        text = pattern.sub(lambda match: _broken(match[0]), text)
    return text


def _broken(token: str) -> str:
    end = len(token) - len(token.lstrip()) + 1
    return f"{token[:end]} {token[end:]}"


def sampling_parameters(*, max_tokens: int, explain: bool) -> dict[str, Any]:
    """Greedy decoding with log-probabilities; without `explain` it stops right after the label."""
    parameters: dict[str, Any] = {"temperature": 0.0, "max_tokens": max_tokens, "logprobs": LOGPROBS}
    if not explain:
        parameters |= {"stop": list(LABEL_ENDS), "include_stop_str_in_output": True}
    return parameters
