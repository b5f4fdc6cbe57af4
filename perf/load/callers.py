"""Concurrent callers that send the workload to a server."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from tribunal import Client, TribunalError

from perf.load.rounds import Load, Round
from perf.load.workload import WARM_UP_TEXTS, batches, read_workload


def send_texts(screen: Callable[[Sequence[str]], object], texts: Sequence[str], load: Load) -> Round:
    """Screen the texts under a load.

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
    with ThreadPoolExecutor(load.callers) as pool:
        answers = pool.map(latencies_ms, batches(texts, load.request_texts))
        outcomes = [outcome for answer in answers for outcome in answer]
    elapsed_s = time.perf_counter() - started_s
    answered_ms = [outcome for outcome in outcomes if outcome is not None]
    return Round(elapsed_s, answered_ms, failures=len(outcomes) - len(answered_ms))


def screening(client: Client) -> Callable[[Sequence[str]], object]:
    """A function that screens the texts of one request by Tribunal's `moderation`, without the judge."""

    def screen(texts: Sequence[str]) -> object:
        if len(texts) == 1:
            return client.moderate(texts[0], judge="never")
        return client.moderate_batch(texts, judge="never")

    return screen


def screen_workload(client: Client, callers: int) -> Round:
    """Screen the workload once, in requests of one text."""
    return send_texts(screening(client), read_workload(), Load(callers))


def warm_up(client: Client) -> None:
    """Send a few texts concurrently, so that every instance of the encoders has answered some."""
    with ThreadPoolExecutor(WARM_UP_TEXTS) as pool:
        texts = 2 * read_workload()[:WARM_UP_TEXTS]
        list(pool.map(lambda text: client.moderate(text, judge="never"), texts))
