"""Splits each text into the windows that the encoders read: whole, by sentence, and normalized."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from .encoding import TextEncoder
from .sentences import Place, fitting, sentences_of
from .windows import FORMS, Window, WindowLimits

# Padding after the sentences of a text that has fewer than another of its batch.
NO_PLACE = (-1, -1)
# Token ids by encoder.
Ids = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Reading:
    """The encoders' input for one text.

    windows: of each encoder; first one for each of `sentences`, then those of the whole text.
    sentences: their places; a sentence that is also read in normalized form is listed twice.
    text_windows: windows of the original whole text, for the encoder that needs more.
    truncated: whether an encoder does not read the end of the text.
    """

    windows: Mapping[str, Sequence[Window]]
    sentences: Sequence[Place]
    text_windows: int
    truncated: bool


class Reader:
    """Reads texts for all encoders.

    encoders: by name. normalize: returns a second form of a text to read as well; None: no second form.
    max_sentences: of a text in each form; above it, neighbours are joined. limits: of a request.
    """

    def __init__(
        self,
        encoders: Mapping[str, TextEncoder],
        *,
        normalize: Callable[[str], str] | None,
        max_sentences: int,
        limits: WindowLimits,
    ) -> None:
        self._encoders = encoders
        self._normalize = normalize
        self._max_sentences = max_sentences
        self._limits = limits
        self._content_tokens = min(encoder.content_tokens for encoder in encoders.values())
        self._max_text_tokens = min(encoder.max_text_tokens for encoder in encoders.values())

    def read(self, texts: Sequence[str], spans: Sequence[bool]) -> list[Reading]:
        """Read the texts of a request in order; `spans` says for each whether to read its sentences as well.

        Raises TooManyWindows at the text that breaks a limit, without reading the texts after it.
        """
        readings: list[Reading] = []
        windows: Counter[str] = Counter()
        for text, with_sentences in zip(texts, spans, strict=True):
            readings.append(self._read(text, with_sentences=with_sentences))
            windows.update({name: len(of_text) for name, of_text in readings[-1].windows.items()})
            self._limits.check_sum(max(windows.values()), len(readings))
        most = max(len(of_text) for reading in readings for of_text in reading.windows.values())
        self._limits.check_padding(len(readings), most)
        return readings

    def _read(self, text: str, *, with_sentences: bool) -> Reading:
        # Encodes each sentence only once, although it is counted first and may be the whole text.
        ids_of = cache(self._ids)
        forms = self._forms(text, ids_of)
        windows: dict[str, list[Window]] = {name: [] for name in self._encoders}
        places, truncated = self._read_sentences(text, ids_of, windows) if with_sentences else ([], False)
        text_windows = 0
        for name, encoder in self._encoders.items():
            original, *others = (form[name] for form in forms)
            encoded = encoder.windows(original)
            windows[name] += encoded.windows
            text_windows = max(text_windows, len(encoded.windows))
            truncated |= encoded.truncated
            for other in others:
                if other != original:
                    windows[name] += encoder.windows(other).windows
        return Reading(windows, places, text_windows, truncated)

    def _read_sentences(
        self, text: str, ids_of: Callable[[str], Ids], windows: Mapping[str, list[Window]]
    ) -> tuple[list[Place], bool]:
        """Append a window for each sentence and each of its forms.

        Returns their places, and whether the text has more than the limit.
        """

        def count_tokens(part: str) -> int:
            return _most_tokens(ids_of(part))

        read: list[Place] = []
        tokens = 0
        for sentence in sentences_of(text, self._max_sentences):
            for place in fitting(text, sentence, count_tokens, self._content_tokens):
                forms = self._forms(text[slice(*place)], ids_of)
                tokens += _most_tokens(forms[0])
                if tokens > self._max_text_tokens or len(read) + len(forms) > FORMS * self._max_sentences:
                    return read, True
                for form in forms:
                    read.append(place)
                    for name, encoder in self._encoders.items():
                        windows[name].append(encoder.window(form[name]))
        return read, False

    def _forms(self, text: str, ids_of: Callable[[str], Ids]) -> list[Ids]:
        """Token ids of `text`, and of its normalized form if they differ for an encoder."""
        forms = [ids_of(text)]
        if self._normalize is not None and (form := self._normalize(text)) != text:
            ids = ids_of(form)
            if ids != forms[0]:
                forms.append(ids)
        return forms

    def _ids(self, text: str) -> Ids:
        return {name: encoder.ids(text) for name, encoder in self._encoders.items()}


def _most_tokens(form: Ids) -> int:
    return max(len(ids) for ids in form.values())


def places_tensor(readings: Sequence[Reading]) -> npt.NDArray[np.int32]:
    """Places of the sentences INT32 [batch, sentences, 2], padded with NO_PLACE."""
    most = max(1, max(len(reading.sentences) for reading in readings))
    places = np.full((len(readings), most, 2), NO_PLACE, dtype=np.int32)
    for row, reading in enumerate(readings):
        if reading.sentences:
            places[row, : len(reading.sentences)] = reading.sentences
    return places
