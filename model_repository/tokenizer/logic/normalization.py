"""Normalizes a text in which Unicode or spacing hides words from the encoders."""

import re
from collections.abc import Callable

from disarm import strip_obfuscation

# Three or more single letters with the same separator between them, as in `k i l l` or `k.i.l.l`.
_SPACED_LETTERS = re.compile(r"(?<!\w)\w([ .*_-])\w(?:\1\w)+(?!\w)")

NORMALIZATIONS = ("off", "on")


def normalizer(normalization: str) -> Callable[[str], str] | None:
    """`normalized` if `normalization` is `on`, else None; raises ValueError unless in NORMALIZATIONS."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization is {normalization!r}; it must be one of {', '.join(NORMALIZATIONS)}")
    return normalized if normalization == "on" else None


def normalized(text: str) -> str:
    """`text` with spaced letters joined, and characters replaced by the plain letters that they resemble.

    https://pypi.org/project/disarm replaces compatibility forms (NFKC), confusables (UTS #39,
    https://www.unicode.org/reports/tr39/), accents and invisible characters. It also rewrites scripts other
    than Latin, so the encoders read the result in addition to the text.
    """
    return strip_obfuscation(_SPACED_LETTERS.sub(lambda match: match[0].replace(match[1], ""), text))
