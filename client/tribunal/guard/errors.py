"""The error that ends a guarded stream."""

from tribunal.errors import TribunalError
from tribunal.verdict import Verdict


class StreamFlagged(TribunalError):
    """A check of a guarded stream was flagged; nothing more of the stream is released.

    verdict: of the flagged text.
    released_chars: number of characters of the stream released before.
    """

    def __init__(self, verdict: Verdict, released_chars: int) -> None:
        categories = ", ".join(verdict.categories.flagged) or f"toxicity {verdict.toxicity.status}"
        super().__init__(f"the stream was flagged ({categories}) after {released_chars} characters")
        self.verdict = verdict
        self.released_chars = released_chars
