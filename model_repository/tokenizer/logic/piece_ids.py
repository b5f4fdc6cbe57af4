"""Looks up the ids of a text's pieces, and asks the tokenizer only for pieces that it has not seen lately."""

import re
from collections.abc import Callable
from itertools import chain

# Two generations of pieces are kept: at most 32,768 pieces, 280 bytes each for words and 1 kB for the worst
# text, so 9 MB and at most 33 MB for each encoder.
GENERATION_PIECES = 16_384
MAX_PIECE_CHARACTERS = 32
MAX_PIECE_IDS = 16
# A piece by itself costs the tokenizer as much as four in a text.
PIECES_FOR_A_CALL = 4
# Of a text that is mostly new, which the tokenizer reads whole, one piece in so many is asked for as well.
PIECES_FOR_A_LESSON = 32

_Ids = tuple[int, ...]


class PieceIds:
    """Encodes texts by their pieces. Threads may share it: a piece has the same ids whoever adds it.

    pattern: finds the pieces of a text; the ids of a text must be those of its pieces one after another.
    encode: returns the ids of a text or of a piece.
    """

    def __init__(self, pattern: re.Pattern[str], encode: Callable[[str], list[int]]) -> None:
        self._pattern = pattern
        self._encode = encode
        self._young: dict[str, _Ids] = {}
        self._old: dict[str, _Ids] = {}

    def ids(self, text: str) -> list[int]:
        """The ids that `encode` returns for `text`."""
        pieces = self._pattern.findall(text)
        found = list(map(self._young.get, pieces))
        if None not in found:
            return list(chain.from_iterable(found))  # type: ignore[arg-type]
        known = {piece: ids for piece, ids in zip(pieces, found, strict=True) if ids is not None}
        new = []
        for piece in set(pieces) - known.keys():
            ids = self._old.get(piece)
            if ids is None:
                new.append(piece)
            else:
                known[piece] = ids
                self._keep(piece, ids)
        if len(new) > max(1, len(pieces) // PIECES_FOR_A_CALL):
            for piece in new[: 1 + len(pieces) // PIECES_FOR_A_LESSON]:
                self._learn(piece)
            return self._encode(text)
        known.update((piece, self._learn(piece)) for piece in new)
        return [token for piece in pieces for token in known[piece]]

    def _learn(self, piece: str) -> _Ids:
        ids = tuple(self._encode(piece))
        if len(piece) <= MAX_PIECE_CHARACTERS and len(ids) <= MAX_PIECE_IDS:
            self._keep(piece, ids)
        return ids

    def _keep(self, piece: str, ids: _Ids) -> None:
        if len(self._young) >= GENERATION_PIECES:
            self._old, self._young = self._young, {}
        self._young[piece] = ids
