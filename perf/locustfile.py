"""Load for Locust: what callers of a moderation service send, over gRPC and HTTP.

`make load` runs it against a server of its own. Against another one:
`locust -f perf/locustfile.py --grpc-url HOST:8001 --host http://HOST:8000`.
Goodput, requests answered within `--limit-ms`, is printed at the end.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc.experimental.gevent
from locust import User, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from tribunal import Client, TribunalError

from perf.workload import read_texts

TEXTS = read_texts()
SHORT = [text for text in TEXTS if len(text) < 200]
LONG = " ".join(TEXTS)
BATCH = 8

grpc.experimental.gevent.init_gevent()
answered: Counter[bool] = Counter()


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Options of this file, beside Locust's own."""
    parser.add_argument("--grpc-url", default="localhost:8001", env_var="TRIBUNAL_URL")
    parser.add_argument("--limit-ms", type=float, default=1000.0, help="slower answers are no goodput")
    parser.add_argument("--with-judge", action="store_true", help="ask the judge too")


@events.quitting.add_listener
def report_goodput(environment: Environment, **_: Any) -> None:
    """Print the share and the rate of requests that were answered within the limit."""
    total = environment.stats.total
    seconds = max((total.last_request_timestamp or 0) - total.start_time, 1e-9)
    sent = sum(answered.values()) + total.num_failures
    limit_ms = option(environment, "limit_ms")
    print(  # noqa: T201
        f"goodput: {answered[True] / seconds:.1f} requests/s within {limit_ms:g} ms, "
        f"{answered[True]} of {sent}"
    )


def option(environment: Environment, name: str) -> Any:
    """The value of one of the options above."""
    return getattr(environment.parsed_options, name)


class Caller(User):
    """Sends short texts mostly, sometimes long ones, batches, and texts for the judge."""

    abstract = True
    wait_time = between(0.0, 0.1)
    protocol: str

    def on_start(self) -> None:
        """Open this caller's own connection."""
        url = option(self.environment, "grpc_url" if self.protocol == "grpc" else "host")
        self.client = Client(url, timeout_s=30)

    def on_stop(self) -> None:
        """Close it."""
        self.client.close()

    def measured(self, name: str, call: Callable[[], object]) -> None:
        """Report one call to Locust, a failed one with its error."""
        error = None
        started_s = time.perf_counter()
        try:
            call()
        except TribunalError as raised:
            error = raised
        elapsed_ms = (time.perf_counter() - started_s) * 1000
        if error is None:
            answered[elapsed_ms <= option(self.environment, "limit_ms")] += 1
        self.environment.events.request.fire(
            request_type=self.protocol,
            name=name,
            response_time=elapsed_ms,
            response_length=0,
            exception=error,
            context={},
        )

    @task(20)
    def short(self) -> None:
        """One short text."""
        self.measured("short", lambda: self.client.moderate(random.choice(SHORT), judge="never"))  # noqa: S311

    @task(1)
    def long(self) -> None:
        """One text of several windows."""
        self.measured("long", lambda: self.client.moderate(LONG[:8000], judge="never"))

    @task(3)
    def batch(self) -> None:
        """Several texts of mixed lengths at once."""
        texts = random.sample(TEXTS, BATCH)
        self.measured("batch", lambda: self.client.moderate_batch(texts, judge="never"))

    @task(4)
    def judged(self) -> None:
        """One text that the judge decides too, where it is served."""
        if option(self.environment, "with_judge"):
            text = random.choice(SHORT)  # noqa: S311
            self.measured("judged", lambda: self.client.moderate(text, judge="always"))


class GrpcCaller(Caller):
    """Calls over gRPC."""

    protocol = "grpc"
    weight = 3


class HttpCaller(Caller):
    """Calls over HTTP."""

    protocol = "http"
    weight = 1
