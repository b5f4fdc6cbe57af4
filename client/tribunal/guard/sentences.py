"""Finds the ends of sentences in a streamed text.

It finds an end only when the next sentence has begun, and skips doubtful ends, such as those after `Dr.`,
`e.g.` or `2.`, because a missed end only delays the release of text. Doubtful ends are for reading sentences
separately, where a wrong end only costs time.
"""

import re
from collections.abc import Iterator

# The terminators of UAX #29 (https://unicode.org/reports/tr29/) in scripts that put a space after a sentence.
TERMINATORS = frozenset(".!?…‼⁇⁈⁉؟۔।॥።፧។៕။")
WIDE_TERMINATORS = frozenset("。！？｡")
CLOSERS = frozenset("\"'”’»›)]}*_`」』】）")
MOST_CLOSERS = 8
# Characters of the longest word that counts as an abbreviation: `Mr`, `Dr`, `Jan`, `U.S`.
LONGEST_ABBREVIATION = 3

_wide = "".join(WIDE_TERMINATORS)
_closers = re.escape("".join(CLOSERS))
# White space, or wide terminators and closers before more text; possessive, so that the time is linear.
_CANDIDATE = re.compile(rf"(?<!\s)\s++(?=\S)|(?<![{_wide}])[{_wide}]++[{_closers}]*+(?=\S)")


def sentence_ends(text: str, start: int, stop: int, *, in_doubt: bool = False) -> Iterator[int]:
    """Positions in `text`, after `start` and up to `stop`, at which the next sentence begins.

    in_doubt: include doubtful ends, such as those after an abbreviation or before a lower-case letter.
    """
    for candidate in _CANDIDATE.finditer(text, start, stop + 1):
        end = candidate.end()
        if start < end <= stop and (
            not candidate[0].isspace() or _ends_before(text, candidate.start(), end, in_doubt)
        ):
            yield end


def _ends_before(text: str, space: int, following: int, in_doubt: bool) -> bool:
    """Whether a sentence ends before the white space from `space` to `following`."""
    if text.count("\n", space, following) > (0 if in_doubt else 1):
        return True
    end = space
    while end > max(0, space - MOST_CLOSERS) and text[end - 1] in CLOSERS:
        end -= 1
    if end == 0 or text[end - 1] not in TERMINATORS | WIDE_TERMINATORS:
        return False
    if in_doubt:
        return True
    return not (text[following].islower() or (text[end - 1] == "." and _is_abbreviation(text, end - 1)))


def _is_abbreviation(text: str, period: int) -> bool:
    """Whether the word before `period` looks like an abbreviation, an initial or a number."""
    start = period
    while start > max(0, period - LONGEST_ABBREVIATION - 1) and text[start - 1].isalnum():
        start -= 1
    word = text[start:period]
    if word.isdigit() or len(word) == 1:
        return True
    return 0 < len(word) <= LONGEST_ABBREVIATION and word[0].isupper()
