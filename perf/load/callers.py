"""Concurrent callers that send the workload to a server."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from tribunal import Client, TribunalError

from perf.load.rounds import Round
from perf.load.workload import WARM_UP_TEXTS, batches, read_workload


def send_workload(
    screen: Callable[[Sequence[str]], object], callers: int, passes: int = 1, request_texts: int = 1
) -> Round:
    """Screen the workload `passes` times; each concurrent caller sends requests of `request_texts` texts.

    screen: sends one request; its texts count as failed if it raises TribunalError or RequestException.
    """

    def latencies_ms(texts: Sequence[str]) -> list[float | None]:
        started_s = time.perf_counter()
        try:
            screen(texts)
        except (TribunalError, requests.RequestException):
            return [None] * len(texts)
        return [(time.perf_counter() - started_s) * 1000] * len(texts)

    started_s = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        answers = pool.map(latencies_ms, batches(read_workload() * passes, request_texts))
        outcomes = [outcome for answer in answers for outcome in answer]
    elapsed_s = time.perf_counter() - started_s
    answered_ms = [outcome for outcome in outcomes if outcome is not None]
    return Round(elapsed_s, answered_ms, failures=len(outcomes) - len(answered_ms))


def screen_workload(client: Client, callers: int, passes: int = 1, request_texts: int = 1) -> Round:
    """Screen the workload through Tribunal's `moderation` model, without the judge."""

    def screen(texts: Sequence[str]) -> None:
        if request_texts == 1:
            client.moderate(texts[0], judge="never")
        else:
            client.moderate_batch(texts, judge="never")

    return send_workload(screen, callers, passes, request_texts)


def warm_up(client: Client) -> None:
    """Send a few texts concurrently, so that every instance of the encoders has answered some."""
    with ThreadPoolExecutor(WARM_UP_TEXTS) as pool:
        texts = 2 * read_workload()[:WARM_UP_TEXTS]
        list(pool.map(lambda text: client.moderate(text, judge="never"), texts))
