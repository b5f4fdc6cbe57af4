"""Callers that send the workload to a server, several at once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests
from tribunal import Client, TribunalError

from perf.load.workload import WARM_UP_TEXTS, read_workload
from perf.rounds import Round


def send_workload(screen: Callable[[str], object], callers: int, passes: int = 1) -> Round:
    """Screen the workload `passes` times, with so many callers at once.

    screen: sends one text; the text counts as failed where it raises TribunalError or RequestException.
    """

    def latency_ms(text: str) -> float | None:
        started_s = time.perf_counter()
        try:
            screen(text)
        except (TribunalError, requests.RequestException):
            return None
        return (time.perf_counter() - started_s) * 1000

    started_s = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        outcomes = list(pool.map(latency_ms, read_workload() * passes))
    elapsed_s = time.perf_counter() - started_s
    answered_ms = [outcome for outcome in outcomes if outcome is not None]
    return Round(elapsed_s, answered_ms, failures=len(outcomes) - len(answered_ms))


def screen_workload(client: Client, callers: int, passes: int = 1) -> Round:
    """Screen the workload through Tribunal's `moderation` model, without the judge."""
    return send_workload(lambda text: client.moderate(text, judge="never"), callers, passes)


def warm_up(client: Client) -> None:
    """Send a few texts at once, so that every instance of the encoders has answered some."""
    with ThreadPoolExecutor(WARM_UP_TEXTS) as pool:
        texts = 2 * read_workload()[:WARM_UP_TEXTS]
        list(pool.map(lambda text: client.moderate(text, judge="never"), texts))
