"""Both guards around streams of chunks: released text, the stream's end, and invalid options."""

import asyncio
from collections.abc import Sequence

import pytest
from tribunal import InvalidInput, ServerUnavailable, Verdict
from tribunal.contract import JudgeMode
from tribunal.guard import StreamFlagged
from tribunal.guard.async_guarding import async_guarded
from tribunal.guard.guarding import guarded
from tribunal.guard.options import GuardOptions

from tests.unit.client.guard.guarded_streams import (
    HARMFUL,
    TEXT,
    AsyncSource,
    PhraseChecker,
    Source,
    options,
    pieces_of,
)

RELEASED = TEXT.index(HARMFUL)


def run(
    kind: str, ask: PhraseChecker, source: Source, chosen: GuardOptions
) -> tuple[str, BaseException | None]:
    """The chunks that a guard releases of `source`, and the error that ends it."""
    given: list[str] = []

    async def ask_async(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        await asyncio.sleep(0)
        return ask(texts, judge)

    async def read_async() -> None:
        async for piece in async_guarded(ask_async, source, chosen):
            given.append(piece)

    try:
        if kind == "async":
            asyncio.run(read_async())
        else:
            given.extend(guarded(ask, source, chosen))
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return "".join(given), error
    return "".join(given), None


both = pytest.mark.parametrize(("kind", "source_type"), [("sync", Source), ("async", AsyncSource)])


@both
def test_harmless_text_comes_whole(kind: str, source_type: type[Source]) -> None:
    ask, source = PhraseChecker("absent"), source_type(pieces_of(TEXT))
    assert run(kind, ask, source, options()) == (TEXT, None)
    assert source.closed
    assert ask.asked[-1] == ((TEXT,), None)
    assert {judge for _, judge in ask.asked[:-1]} == {"never"}


@both
def test_a_flag_ends_the_stream_before_its_sentence(kind: str, source_type: type[Source]) -> None:
    source = source_type(pieces_of(TEXT) * 400)
    given, error = run(kind, PhraseChecker(HARMFUL), source, options())
    assert TEXT[:RELEASED].startswith(given)
    assert isinstance(error, StreamFlagged)
    assert error.released_chars == len(given)
    assert error.verdict.categories.flagged == ("Threat",)
    assert source.closed
    assert source.read < len(source.chunks)


@both
def test_immediate_gives_everything_up_to_the_flag(kind: str, source_type: type[Source]) -> None:
    given, error = run(
        kind, PhraseChecker(HARMFUL), source_type(pieces_of(TEXT)), options(release="immediate")
    )
    assert isinstance(error, StreamFlagged)
    assert error.released_chars == len(given) > RELEASED
    assert TEXT.startswith(given)


@both
def test_an_error_of_the_source_releases_nothing_unchecked(kind: str, source_type: type[Source]) -> None:
    source = source_type(pieces_of(TEXT), error=ConnectionError("upstream"))
    given, error = run(kind, PhraseChecker("absent"), source, options())
    assert isinstance(error, ConnectionError)
    assert not given.endswith("Come in.")
    assert source.closed


class UnavailableServer(PhraseChecker):
    """A checker that never gives a verdict."""

    def __call__(self, *_: object) -> list[Verdict]:
        raise ServerUnavailable("gone")


@both
def test_no_verdict_withholds(kind: str, source_type: type[Source]) -> None:
    source = source_type(pieces_of(TEXT) * 400)
    given, error = run(kind, UnavailableServer(""), source, options())
    assert given == ""
    assert isinstance(error, ServerUnavailable)
    assert source.closed


@both
def test_chunks_are_read_by_text(kind: str, source_type: type[Source]) -> None:
    source = source_type([{"content": None}, *({"content": piece} for piece in pieces_of(TEXT))])
    chosen = options(text=lambda chunk: chunk["content"])
    assert run(kind, PhraseChecker("absent"), source, chosen) == (TEXT, None)


@both
def test_a_chunk_that_is_no_string_is_refused(kind: str, source_type: type[Source]) -> None:
    given, error = run(kind, PhraseChecker("absent"), source_type([7]), options())
    assert given == ""
    assert isinstance(error, InvalidInput)
    assert "give text= to read it: a chunk is a int" in str(error)


@both
@pytest.mark.parametrize("chunks", [[], [""], ["  \n"]])
def test_a_stream_without_words_ends(kind: str, source_type: type[Source], chunks: list[str]) -> None:
    ask = PhraseChecker("absent")
    assert run(kind, ask, source_type(chunks), options()) == ("".join(chunks), None)
    assert ask.asked == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("every", 0, "between 1 and 4096"), ("overlap", -1, "between 0 and 4096"), ("overlap", 5000, "is 5000")],
)
def test_options_out_of_range_are_refused(name: str, value: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name} .*{message}" if message[0] == "b" else message):
        options(**{name: value})  # type: ignore[arg-type]


def test_release_is_one_of_two_words() -> None:
    with pytest.raises(InvalidInput, match="release is 'later'"):
        options(release="later")  # type: ignore[arg-type]
