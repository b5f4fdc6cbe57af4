"""The repetition of a step in a thread."""

import threading
import time

from launcher.recovery.background import Background


def test_a_step_is_repeated_until_the_end_of_the_context() -> None:
    steps: list[float] = []
    third = threading.Event()

    def step() -> None:
        steps.append(time.monotonic())
        if len(steps) == 3:
            third.set()

    with Background(step, 0.001):
        assert third.wait(10)
    count = len(steps)
    time.sleep(0.02)
    assert len(steps) == count


def test_a_step_that_takes_long_does_not_hold_up_the_end() -> None:
    begun, end = threading.Event(), threading.Event()

    def step() -> None:
        begun.set()
        end.wait(10)

    with Background(step, 0.0, join_timeout_s=0.01) as background:
        assert begun.wait(10)
    assert background.stopped.is_set()
    end.set()
