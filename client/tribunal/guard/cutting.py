"""Decides which text of a stream to check next, and which text to release. No input or output."""

import itertools
from dataclasses import dataclass

from tribunal.contract import JudgeMode
from tribunal.guard.options import MOST_CHARS, GuardOptions
from tribunal.guard.sentences import sentence_ends

# Maximum of characters that wait for a check before reading stops, and of new characters in one check.
AHEAD_CHARS = MOST_CHARS


@dataclass(frozen=True)
class Check:
    """A check, which passes if none of its texts is flagged.

    questions: texts to moderate together, with the judge's mode; stripped, and not blank.
    end: number of characters of the stream that are checked once it passes.
    """

    questions: tuple[tuple[tuple[str, ...], JudgeMode | None], ...]
    end: int
    is_final: bool = False


class GuardedText:
    """The text of one stream: received, then checked, then released; one check at a time.

    The text before `held` may be released: it was checked together with the end of its sentence, or with the
    `overlap` characters that follow it.
    """

    def __init__(self, options: GuardOptions) -> None:
        self.released_chars = 0
        self.is_complete = False
        self._options = options
        self._text = ""
        self._has_ended = False
        self._checked = 0
        self._held = 0

    @property
    def has_room(self) -> bool:
        """Whether more may be read: not while AHEAD_CHARS wait for their check."""
        return not self._has_ended and len(self._text) - self._checked < AHEAD_CHARS

    def add(self, text: str) -> None:
        """Receive the next characters."""
        self._text += text

    def end(self) -> None:
        """Receive the end."""
        self._has_ended = True

    def next_check(self) -> Check | None:
        """The next check, if no other is in flight; None: wait for more text."""
        received = len(self._text)
        limit = min(received, self._checked + AHEAD_CHARS)
        if self._has_ended and limit == received:
            return None if self.is_complete else self._check(received, is_final=True)
        ends = [end for end in sentence_ends(self._text, self._held, limit) if end > self._checked]
        if ends:
            return self._check(ends[-1])
        if limit - self._checked >= self._options.every:
            return self._check(limit)
        return None

    def passed(self, check: Check) -> None:
        """Note that no text of `check` was flagged."""
        self._checked = check.end
        if check.is_final:
            self._held = check.end
            self.is_complete = True
            return
        ends = sentence_ends(self._text, self._held, check.end)
        self._held = max(self._held, check.end - self._options.overlap, *ends)

    def take(self) -> str:
        """The characters to release now."""
        end = len(self._text) if self._options.release == "immediate" else self._held
        released = self._text[self.released_chars : end]
        self.released_chars = end
        return released

    def _check(self, end: int, *, is_final: bool = False) -> Check:
        options = self._options
        texts = self._texts_up_to(end)
        whole = self._text.strip() if is_final else ""
        parts = tuple(text for text in texts if text != whole)
        questions = ((parts, options.judge), ((whole,) if whole else (), options.final_judge))
        return Check(tuple(question for question in questions if question[0]), end, is_final)

    def _texts_up_to(self, end: int) -> list[str]:
        """The unreleased text with the `overlap` before it, and each new sentence by itself.

        Benign text around a sentence would dilute its scores.
        """
        start = max(0, self._held - self._options.overlap)
        parts = [(start, end)]
        for in_doubt in (False, True):
            ends = sentence_ends(self._text, start, end - 1, in_doubt=in_doubt)
            parts += [part for part in itertools.pairwise((start, *ends, end)) if part[1] > self._checked]
        texts = (self._text[first:last].strip() for first, last in parts)
        return [text for text in dict.fromkeys(texts) if text]
