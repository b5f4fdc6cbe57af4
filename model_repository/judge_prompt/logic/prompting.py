"""A text to what vLLM is asked: the judge's prompt around it, and how to decode the answer."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Labels end with these; generation that needs no reason stops right after them.
LABEL_ENDS = ("toxic", "Toxic", "TOXIC")
# The likeliest tokens at each position; vLLM's own limit unless an engine raises it.
LOGPROBS = 20


@dataclass(frozen=True)
class Prompt:
    """The rendered chat template before and after the text, and the strings that are special in it."""

    prefix: str
    suffix: str
    special_tokens: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> "Prompt":
        """Read `prompt.json` as the export writes it."""
        return cls(**json.loads(path.read_text("utf-8")))

    def around(self, text: str) -> str:
        """The whole prompt; its only special tokens are the template's own."""
        return f"{self.prefix}{neutralise(text, self.special_tokens)}{self.suffix}"


def neutralise(text: str, special_tokens: Sequence[str]) -> str:
    """Make every special token in `text` ordinary characters, by a space after its first one."""
    pattern = re.compile("|".join(map(re.escape, sorted(special_tokens, key=len, reverse=True))))
    while pattern.search(text):
        text = pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def sampling_parameters(*, max_tokens: int, explain: bool) -> dict[str, Any]:
    """Greedy decoding with log-probabilities; without `explain` it stops right after the label."""
    parameters: dict[str, Any] = {"temperature": 0.0, "max_tokens": max_tokens, "logprobs": LOGPROBS}
    if not explain:
        parameters |= {"stop": list(LABEL_ENDS), "include_stop_str_in_output": True}
    return parameters
