"""Both guards around streams of chunks: order, errors, back-pressure, closing, cancelling."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

import pytest
from tribunal import InvalidInput, ServerUnavailable, Verdict
from tribunal.contract import JudgeMode
from tribunal.guard import StreamFlagged
from tribunal.guard.async_guarding import async_guarded
from tribunal.guard.cutting import AHEAD_CHARS
from tribunal.guard.guarding import guarded
from tribunal.guard.options import GuardOptions

from tests.unit.client.guard.guarded_streams import PhraseChecker, options, verdict

HARMFUL = "I will throw the bomb."
TEXT = f"The bread is fresh. It was baked today. {HARMFUL} The oven is hot. Come in."
RELEASED = TEXT.index(HARMFUL)


class Source:
    """The chunks of a text, which count how many were read and note that they were closed."""

    def __init__(self, chunks: Sequence[object], error: Exception | None = None) -> None:
        self.chunks = chunks
        self.error = error
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[object]:
        for chunk in self.chunks:
            self.read += 1
            yield chunk
        if self.error is not None:
            raise self.error

    async def __aiter__(self) -> AsyncIterator[object]:
        for chunk in self:
            await asyncio.sleep(0)
            yield chunk

    def close(self) -> None:
        self.closed = True


class AsyncSource(Source):
    """Is closed as an asynchronous generator is."""

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


def pieces_of(text: str, size: int = 4) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def run(
    kind: str, ask: PhraseChecker, source: Source, chosen: GuardOptions
) -> tuple[str, BaseException | None]:
    """What a guard gives of `source`, and what it ends with."""
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
    """Never gives a verdict."""

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


def test_reading_stops_while_a_check_waits() -> None:
    source = Source(["x" * 64] * 1000)
    held = threading.Event()

    def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        held.wait(60)
        return [verdict(False) for _ in texts]

    given: list[str] = []
    reading = threading.Thread(target=lambda: given.extend(guarded(ask, source, options())))
    reading.start()
    while source.read * 64 < AHEAD_CHARS:
        assert reading.is_alive()
        time.sleep(0.01)
    reading.join(0.3)
    assert source.read * 64 == AHEAD_CHARS
    held.set()
    reading.join()
    assert len("".join(given)) == 64_000


def test_asyncio_stops_reading_while_nobody_takes_what_is_released() -> None:
    source = AsyncSource(["The bread is fresh. "] * 1000)

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        return [verdict(False) for _ in texts]

    async def take_one() -> None:
        async with aclosing(async_guarded(ask, source, options())) as pieces:
            await anext(pieces)
            before = source.read
            for _ in range(1000):
                await asyncio.sleep(0)
            assert source.read <= before + 3
        assert source.closed

    asyncio.run(take_one())


def test_asyncio_stops_reading_while_a_check_waits() -> None:
    source = AsyncSource(["x" * 64] * 1000)

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        await asyncio.Event().wait()
        raise AssertionError

    async def wait_for_the_first() -> None:
        first = asyncio.ensure_future(anext(async_guarded(ask, source, options())))
        for _ in range(20_000):
            await asyncio.sleep(0)
        assert AHEAD_CHARS <= source.read * 64 <= AHEAD_CHARS + 2 * 64
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert source.closed

    asyncio.run(wait_for_the_first())


def test_cancelling_cancels_the_check_and_closes_the_source() -> None:
    source = AsyncSource(pieces_of(TEXT))
    ended: list[str] = []

    async def scenario() -> None:
        asked = asyncio.Event()

        async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            raise AssertionError

        async def read() -> None:
            async for _ in async_guarded(ask, source, options()):
                pass

        reading = asyncio.create_task(read())
        await asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(scenario())
    assert ended == ["cancelled"]
    assert source.closed


def test_a_source_that_is_cancelled_by_itself_ends_the_stream() -> None:
    async def source() -> AsyncIterator[str]:
        yield "The bread"
        raise asyncio.CancelledError

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        return [verdict(False) for _ in texts]

    async def read() -> list[str]:
        return [piece async for piece in async_guarded(ask, source(), options())]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(read())


def test_the_source_is_read_in_one_task() -> None:
    """A generator may hold a timeout, which belongs to the task that entered it."""

    async def source() -> AsyncIterator[str]:
        async with asyncio.timeout(30):
            for piece in pieces_of(TEXT):
                await asyncio.sleep(0)
                yield piece

    async def ask(texts: Sequence[str], judge: JudgeMode | None) -> list[Verdict]:
        return [verdict(HARMFUL in text) for text in texts]

    async def read() -> None:
        async for _ in async_guarded(ask, source(), options()):
            pass

    with pytest.raises(StreamFlagged):
        asyncio.run(read())
