"""Scanners for LLM Guard, by its protocol; LLM Guard itself is not imported.

    from llm_guard import scan_output, scan_prompt
    from tribunal import Client
    from tribunal.adapters.llm_guard import NoRefusal, OutputModeration, PromptModeration

    client = Client("localhost:8001")
    prompt, valid, risk = scan_prompt([PromptModeration(client)], prompt)
    output, valid, risk = scan_output([NoRefusal(client), OutputModeration(client)], prompt, output)

Without a verdict a scanner raises a TribunalError. A scanner returns the text unchanged.
"""

from tribunal.client import Client
from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput
from tribunal.verdict import Verdict

# (the text, whether it may pass, its risk).
Scanned = tuple[str, bool, float]

# Of LLM Guard's own scanner NoRefusal.
REFUSAL_THRESHOLD = 0.75
# LLM Guard's risk scores lie in [-1, 1].
LEAST_RISK, HIGHEST_RISK = -1.0, 1.0


class PromptModeration:
    """Scans a prompt; a prompt is valid if the server does not flag it."""

    def __init__(self, client: Client, *, judge: JudgeMode | None = None) -> None:
        self._client = client
        self._judge = judge

    def scan(self, prompt: str) -> Scanned:
        """Raises TribunalError if there is no verdict."""
        verdict = self._client.moderate(prompt, judge=self._judge, explain=False)
        return prompt, not verdict.flagged, risk_score(verdict)


class OutputModeration:
    """Scans an LLM's answer, without the prompt; an answer is valid if the server does not flag it."""

    def __init__(self, client: Client, *, judge: JudgeMode | None = None) -> None:
        self._scanner = PromptModeration(client, judge=judge)

    def scan(self, prompt: str, output: str) -> Scanned:  # noqa: ARG002
        """Raises TribunalError if there is no verdict."""
        return self._scanner.scan(output)


class NoRefusal:
    """Scans an LLM's answer for a refusal; replaces LLM Guard's scanner of this name.

    threshold: between 0 and 1; a score above it is a refusal. LLM Guard reads the first 128 tokens and
    rounds the score to two digits; this scanner reads as much as the server, and does not round.

    Raises InvalidInput for a threshold out of range.
    """

    def __init__(self, client: Client, *, threshold: float = REFUSAL_THRESHOLD) -> None:
        if not 0 < threshold < 1:
            raise InvalidInput(f"threshold is {threshold}; it must be between 0 and 1")
        self._client = client
        self._threshold = threshold

    def scan(self, prompt: str, output: str) -> Scanned:  # noqa: ARG002
        """Raises TribunalError if there is no verdict. A text whose end was not read is not valid."""
        if not output.strip():
            return output, True, LEAST_RISK
        verdict = self._client.moderate(output, judge="never")
        score = verdict.refusal.score
        if score <= self._threshold and verdict.truncated:
            return output, False, HIGHEST_RISK
        return output, score <= self._threshold, scaled_risk(score, self._threshold)


def risk_score(verdict: Verdict) -> float:
    """The highest score of a category or of the judge, in [0, 1]; 1 if something else flags the text."""
    is_scored = bool(verdict.categories.flagged) or verdict.toxicity.label == "toxic"
    if verdict.flagged and not is_scored:
        return HIGHEST_RISK
    return max(*verdict.categories.scores.values(), verdict.toxicity.score or 0.0)


def scaled_risk(score: float, threshold: float) -> float:
    """The distance of `score` from `threshold`, with one digit: -1 for a score of 0, 1 for a score of 1."""
    room = 1 - threshold if score > threshold else threshold
    return round((score - threshold) / room, 1)
