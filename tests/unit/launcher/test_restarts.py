"""Restarts: without limit after the server was ready, and none if it never was."""

from launcher.recovery.restarts import MOST_FAILED_STARTS, STABLE_S, Restarts


def test_pauses_grow_up_to_a_minute_and_never_end() -> None:
    restarts = Restarts(clock=lambda: 0.0)
    restarts.served()
    assert [restarts.pause_s() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_server_that_served_for_long_starts_again_at_once() -> None:
    now_s = 0.0
    restarts = Restarts(clock=lambda: now_s)
    restarts.served()
    assert [restarts.pause_s() for _ in range(3)] == [1, 2, 4]
    restarts.served()
    now_s = STABLE_S
    assert restarts.pause_s() == 1


def test_a_server_that_never_served_is_given_up() -> None:
    restarts = Restarts(clock=lambda: 0.0)
    pauses_s = [restarts.pause_s() for _ in range(MOST_FAILED_STARTS)]
    assert pauses_s == [1, 2, 4, 8, None]
