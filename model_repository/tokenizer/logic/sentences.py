"""Finds the sentences of a text, so that the encoders can read each by itself."""

from collections.abc import Callable

from icu4py.breakers import SentenceBreaker

# First and last code point of a sentence; the second is exclusive.
Place = tuple[int, int]
# UAX #29 (https://unicode.org/reports/tr29/#Sentence_Boundaries) without a language's own exceptions.
LOCALE = "root"


def sentences_of(text: str, max_sentences: int) -> list[Place]:
    """Places of the sentences of `text`, in order, without the white space around them.

    If there are more than `max_sentences`, short neighbours are joined, so that the whole text is read. A
    text of only white space is one sentence.
    """
    places = []
    start = 0
    for sentence in SentenceBreaker(text, LOCALE):
        shown = sentence.strip()
        if shown:
            first = start + sentence.index(shown[0])
            places.append((first, first + len(shown)))
        start += len(sentence)
    if len(places) > max_sentences:
        # Any two neighbours are then longer than `longest` together, so at most max_sentences remain.
        places = _joined(places, longest=-(-2 * len(text) // max_sentences))
    return places or [(0, len(text))]


def _joined(places: list[Place], longest: int) -> list[Place]:
    joined = places[:1]
    for start, end in places[1:]:
        if end - joined[-1][0] <= longest:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def fitting(text: str, place: Place, count_tokens: Callable[[str], int], max_tokens: int) -> list[Place]:
    """The parts of a sentence of at most `max_tokens` each: itself, or parts of equal length.

    A part ends at white space if its second half has some.
    """
    start, end = place
    tokens = count_tokens(text[start:end])
    if tokens <= max_tokens or end - start < 2:
        return [place]
    length = -(-(end - start) // -(-tokens // max_tokens))
    parts = []
    while start < end:
        cut = min(start + length, end)
        if cut < end:
            space = max(text.rfind(white, start + length // 2, cut) for white in " \n\t")
            cut = space + 1 if space > start else cut
        parts += fitting(text, (start, cut), count_tokens, max_tokens)
        start = cut
    return parts
