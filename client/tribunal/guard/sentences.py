"""Finds where sentences end in a text that is still growing.

An end is found only once the next sentence has begun, and is missed rather than guessed: after `Dr.`,
`e.g.` or `2.` there is none. A missed end only delays what is released. Ends in doubt are for reading
sentences by themselves, where one too many only costs time.
"""

import re
from collections.abc import Iterator

# The terminators of UAX #29 (https://unicode.org/reports/tr29/) in scripts that put a space after a sentence.
TERMINATORS = frozenset(".!?…‼⁇⁈⁉؟۔।॥።፧។៕။")
WIDE_TERMINATORS = frozenset("。！？｡")
CLOSERS = frozenset("\"'”’»›)]}*_`」』】）")
MOST_CLOSERS = 8
# `Mr`, `Dr`, `Jan`, `U.S`: the longest word that is taken for an abbreviation.
LONGEST_ABBREVIATION = 3

_wide = "".join(WIDE_TERMINATORS)
_closers = re.escape("".join(CLOSERS))
# A run of white space, or wide terminators with nothing after them; possessive, so that the time is linear.
_CANDIDATE = re.compile(rf"(?<!\s)\s++(?=\S)|(?<![{_wide}])[{_wide}]++[{_closers}]*+(?=\S)")


def sentence_ends(text: str, start: int, stop: int, *, in_doubt: bool = False) -> Iterator[int]:
    """Ends of sentences in `text`, from behind `start` to `stop`: where the next sentence begins.

    in_doubt: also where a sentence may end, as after an abbreviation, or before a small letter.
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
