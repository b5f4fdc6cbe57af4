"""A text as a person reads it, where Unicode or spacing hides its words from the encoders."""

import re
from collections.abc import Callable

from disarm import strip_obfuscation

# Three or more single letters with the same separator between them, as in `k i l l` or `k.i.l.l`.
_SPACED_LETTERS = re.compile(r"(?<!\w)\w([ .*_-])\w(?:\1\w)+(?!\w)")

NORMALIZATIONS = ("off", "on")


def normalizer(normalization: str) -> Callable[[str], str] | None:
    """`normalized` where `normalization` is `on`; raises ValueError for none of NORMALIZATIONS."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization is {normalization!r}; it must be one of {', '.join(NORMALIZATIONS)}")
    return normalized if normalization == "on" else None


def normalized(text: str) -> str:
    """`text` with spaced letters joined, and its characters as the plain letters that they look like.

    Compatibility forms (NFKC), confusables (UTS #39, https://www.unicode.org/reports/tr39/), accents and
    invisible characters are replaced by https://pypi.org/project/disarm. It rewrites scripts other than Latin
    as well, so it is read beside the text and not in its place.
    """
    return strip_obfuscation(_SPACED_LETTERS.sub(lambda match: match[0].replace(match[1], ""), text))
