"""Crashes now and then are borne, crashes without end are not."""

from launcher.recovery.restarts import CrashLimit


def reached(*times_s: float) -> list[bool]:
    """What a limit of 3 crashes within 10 s says to crashes at these times."""
    clock = iter(times_s)
    limit = CrashLimit(3, 10.0, lambda: next(clock))
    return [limit.reached() for _ in times_s]


def test_crashes_far_apart_are_borne() -> None:
    assert reached(0, 4, 10, 14, 20) == [False] * 5


def test_many_within_the_time_are_not() -> None:
    assert reached(0, 4, 9.9) == [False, False, True]
    assert reached(0, 20, 24, 29) == [False, False, False, True]
