"""Judgements from pieces that are answered, late or failed, and sharing of the judge between requests."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from model_repository.verdict.logic.answer import UNAVAILABLE, Judgement, Status
from model_repository.verdict.logic.judging import JudgedText, Judging, Limits, share_of_calls

KIND = Judgement("answered", "non-toxic", 0.1)
TOXIC = Judgement("answered", "toxic", 0.9)
TIMEOUT_S = 0.2
MANY = 1000

Result = TypeVar("Result")


class FakeJudge:
    """Answers pieces by name: kind, toxic, unparsed, broken (raises), late (waits for `release`)."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.explained: list[bool] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.release = asyncio.Event()

    async def ask(self, piece: str, explain: bool) -> Judgement:
        self.asked.append(piece)
        self.explained.append(explain)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if piece == "broken":
                raise RuntimeError("the stub has died")
            if piece == "late":
                await self.release.wait()
        finally:
            self.in_flight -= 1
        return {"toxic": TOXIC, "unparsed": Judgement("unparsed")}.get(piece, KIND)


class Fixture:
    """A judge, with its recorded observations and log messages."""

    def __init__(self, calls: int = MANY, calls_of_request: int = MANY, timeout_s: float = TIMEOUT_S) -> None:
        self.judge = FakeJudge()
        self.observed: list[tuple[Status, float]] = []
        self.warnings: list[str] = []
        self.judging = Judging(
            ask=self.judge.ask,
            split=str.split,
            limits=Limits(timeout_s, calls, calls_of_request),
            observe=lambda status, seconds: self.observed.append((status, seconds)),
            warn=self.warnings.append,
        )

    async def of(self, *texts: str) -> list[Judgement]:
        return await self.judging.judge([JudgedText(text, explain=True) for text in texts])


def run(steps: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """The result of `steps`, which must never hang."""

    async def bounded() -> Result:
        return await asyncio.wait_for(steps(), 10)

    return asyncio.run(bounded())


@pytest.mark.parametrize(
    ("text", "judgement"),
    [
        ("kind", KIND),
        ("kind toxic kind", TOXIC),
        ("toxic late", TOXIC),
        ("late toxic broken unparsed", TOXIC),
        ("kind late", UNAVAILABLE),
        ("late late", UNAVAILABLE),
        ("kind broken", UNAVAILABLE),
        ("kind unparsed", Judgement("unparsed")),
    ],
)
def test_what_is_known_counts(text: str, judgement: Judgement) -> None:
    async def steps() -> None:
        fixture = Fixture()
        assert await fixture.of(text) == [judgement]
        ((status, seconds),) = fixture.observed
        assert status == judgement.status
        assert (seconds >= TIMEOUT_S * 0.9) is ("late" in text)

    run(steps)


def test_each_text_has_its_own_judgement_in_order() -> None:
    async def steps() -> None:
        assert await Fixture().of("kind", "late", "toxic", "broken") == [
            KIND,
            UNAVAILABLE,
            TOXIC,
            UNAVAILABLE,
        ]

    run(steps)


def test_a_reason_is_asked_for_where_it_is_wanted() -> None:
    async def steps() -> None:
        fixture = Fixture(calls=1)
        questions = [JudgedText("kind kind", explain=True), JudgedText("toxic", explain=False)]
        assert await fixture.judging.judge(questions) == [KIND, TOXIC]
        explained = dict(zip(fixture.judge.asked, fixture.judge.explained, strict=True))
        assert explained == {"kind": True, "toxic": False}

    run(steps)


def test_each_failed_piece_and_each_late_text_is_logged_once() -> None:
    async def steps() -> None:
        fixture = Fixture()
        await fixture.of("broken", "late kind late")
        assert sorted(fixture.warnings) == [
            "2 of 3 pieces of a text not answered within 0.2 s",
            "the judge could not be asked: RuntimeError('the stub has died')",
        ]

    run(steps)


def test_a_text_that_cannot_be_cut_is_unavailable() -> None:
    async def steps() -> None:
        fixture = Fixture()

        def split(text: str) -> list[str]:
            raise MemoryError(text)

        fixture.judging.split = split
        assert await fixture.of("kind") == [UNAVAILABLE]
        assert "MemoryError" in fixture.warnings[0]

    run(steps)


def test_one_request_leaves_room_for_the_others() -> None:
    async def steps() -> None:
        fixture = Fixture(calls=8, calls_of_request=3, timeout_s=5)
        large = asyncio.create_task(fixture.of("late " * 20, "late " * 20))
        await asyncio.sleep(0.05)
        assert fixture.judge.in_flight == 3
        assert await fixture.of("kind", "toxic") == [KIND, TOXIC]
        fixture.judge.release.set()
        assert await large == [KIND, KIND]
        assert len(fixture.judge.asked) == 42
        assert fixture.judge.most_in_flight <= 5

    run(steps)


def test_all_requests_together_are_bounded() -> None:
    async def steps() -> None:
        fixture = Fixture(calls=4, calls_of_request=3, timeout_s=5)
        requests = [asyncio.create_task(fixture.of("kind " * 10)) for _ in range(5)]
        assert await asyncio.gather(*requests) == [[KIND]] * 5
        assert fixture.judge.most_in_flight == 4

    run(steps)


def test_after_the_time_limit_nothing_more_is_asked() -> None:
    async def steps() -> None:
        fixture = Fixture(calls_of_request=2)
        assert await fixture.of("late " * 50) == [UNAVAILABLE]
        fixture.judge.release.set()
        await asyncio.sleep(0.05)
        assert len(fixture.judge.asked) == 2

    run(steps)


def test_a_call_in_flight_runs_to_its_end_and_keeps_its_place_until_then() -> None:
    async def steps() -> None:
        fixture = Fixture(calls=2)
        assert await fixture.of("late late") == [UNAVAILABLE]
        assert fixture.judge.in_flight == 2
        assert await fixture.of("kind") == [UNAVAILABLE]
        fixture.judge.release.set()
        assert await fixture.of("kind") == [KIND]
        assert fixture.judge.asked == ["late", "late", "kind"]

    run(steps)


def test_the_next_free_call_goes_to_the_request_that_has_the_fewest() -> None:
    async def steps() -> None:
        fixture = Fixture(calls=4, calls_of_request=2, timeout_s=5)
        large = [asyncio.create_task(fixture.of("late " * 50)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert fixture.judge.in_flight == 4
        small = asyncio.create_task(fixture.of("toxic"))
        await asyncio.sleep(0.05)
        assert "toxic" not in fixture.judge.asked
        fixture.judge.release.set()
        assert await small == [TOXIC]
        # Two of the large requests came earlier and have no call, either.
        assert fixture.judge.asked.index("toxic") == 4 + 2
        assert await asyncio.gather(*large) == [[KIND]] * 4

    run(steps)


def test_other_requests_do_not_shorten_a_requests_time() -> None:
    async def steps() -> None:
        fixture = Fixture(calls=1, timeout_s=0.4)
        slow = asyncio.create_task(fixture.of("late"))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(fixture.of("kind late"))
        await asyncio.sleep(0.2)
        fixture.judge.release.set()
        assert await slow == [KIND]
        fixture.judge.release.clear()
        # 0.5 s after the request, and 0.3 s after its first call.
        asyncio.get_running_loop().call_later(0.3, fixture.judge.release.set)
        assert await waiting == [KIND]

    run(steps)


def test_the_pieces_of_one_request_share_its_time() -> None:
    async def steps() -> None:
        fixture = Fixture(calls_of_request=1)
        assert await fixture.of("late", "kind") == [UNAVAILABLE, UNAVAILABLE]
        fixture.judge.release.set()
        await asyncio.sleep(0.05)
        assert fixture.judge.asked == ["late"]

    run(steps)


@pytest.mark.parametrize(("groups", "share"), [([1], 64), ([8], 8), ([4, 4], 8), ([100], 1), ([], 64)])
def test_the_processes_share_the_calls_of_the_server(groups: list[int], share: int) -> None:
    assert share_of_calls(64, {"instance_group": [{"count": count} for count in groups]}) == share
