"""Load for Locust: the traffic of a moderation service, over gRPC and HTTP.

`make load` runs it against a server that it starts. Against another server:
`locust -f perf/load/locustfile.py --grpc-url HOST:8001 --host http://HOST:8000`.
At the end it prints the goodput: the rate of requests that were answered within `--limit-ms`.
"""

# Locust types neither its events nor its tasks.
# mypy: disallow-untyped-decorators=False

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

from perf.load.workload import read_workload

TEXTS = read_workload()
SHORT_TEXTS = [text for text in TEXTS if len(text) < 200]
LONG_TEXT = " ".join(TEXTS)[:8000]
BATCH_TEXTS = 8
TIMEOUT_S = 30

grpc.experimental.gevent.init_gevent()
# Numbers of answered requests, by whether they were answered within the limit.
answered_in_time: Counter[bool] = Counter()


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Add the options of this file to Locust's own."""
    parser.add_argument(
        "--grpc-url", default="localhost:8001", env_var="TRIBUNAL_URL", help="gRPC endpoint of the server"
    )
    parser.add_argument(
        "--limit-ms", type=float, default=1000.0, help="slower answers do not count as goodput"
    )
    parser.add_argument("--with-judge", action="store_true", help="send texts for the judge, too")


@events.quitting.add_listener
def report_goodput(environment: Environment, **_: Any) -> None:
    """Print the rate and the number of requests that were answered within the limit."""
    total = environment.stats.total
    seconds = max((total.last_request_timestamp or 0) - total.start_time, 1e-9)
    requests = sum(answered_in_time.values()) + total.num_failures
    in_time = answered_in_time[True]
    print(  # noqa: T201
        f"goodput: {in_time / seconds:.1f} requests/s; {in_time} of {requests} requests were answered within "
        f"{option(environment, 'limit_ms'):g} ms"
    )


def option(environment: Environment, name: str) -> Any:
    """Value of a command-line option."""
    return getattr(environment.parsed_options, name)


class Caller(User):
    """Sends mostly short texts, sometimes long ones, batches, and texts for the judge."""

    abstract = True
    wait_time = between(0.0, 0.1)
    protocol: str

    def on_start(self) -> None:
        """Open this caller's own connection."""
        url = option(self.environment, "grpc_url" if self.protocol == "grpc" else "host")
        self.client = Client(url, timeout_s=TIMEOUT_S)

    def on_stop(self) -> None:
        """Close this caller's connection."""
        self.client.close()

    def report(self, name: str, call: Callable[[], object]) -> None:
        """Make a call and report its latency and any error to Locust."""
        error = None
        started_s = time.perf_counter()
        try:
            call()
        except TribunalError as raised:
            error = raised
        elapsed_ms = (time.perf_counter() - started_s) * 1000
        if error is None:
            answered_in_time[elapsed_ms <= option(self.environment, "limit_ms")] += 1
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
        """Send one short text."""
        text = random.choice(SHORT_TEXTS)  # noqa: S311 - no secret
        self.report("short", lambda: self.client.moderate(text, judge="never"))

    @task(1)
    def long(self) -> None:
        """Send one text of several windows."""
        self.report("long", lambda: self.client.moderate(LONG_TEXT, judge="never"))

    @task(3)
    def batch(self) -> None:
        """Send several texts of mixed lengths at once."""
        texts = random.sample(TEXTS, BATCH_TEXTS)
        self.report("batch", lambda: self.client.moderate_batch(texts, judge="never"))

    @task(4)
    def judged(self) -> None:
        """Send one text to the judge, too, if `--with-judge` is given."""
        if option(self.environment, "with_judge"):
            text = random.choice(SHORT_TEXTS)  # noqa: S311 - no secret
            self.report("judged", lambda: self.client.moderate(text, judge="always"))


class GrpcCaller(Caller):
    """Calls over gRPC."""

    protocol = "grpc"
    weight = 3


class HttpCaller(Caller):
    """Calls over HTTP."""

    protocol = "http"
    weight = 1
