"""Moderates Ray datasets: `dataset.map_batches(Moderate, ...)` adds `scan`'s columns to Arrow batches.

Needs pyarrow; Ray itself is imported only by the program that makes the dataset.
"""

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from tribunal.client import Client
from tribunal.connection import Connection
from tribunal.contract import MAX_BATCH_SIZE, SPANS, VERDICT, JudgeMode
from tribunal.errors import InvalidInput, ServerError, ServerUnavailable
from tribunal.formats.field import FieldName
from tribunal.scan.engine import ANY_TEXT, POLL_INTERVAL_S, Asker
from tribunal.scan.records import ERROR, OUTCOME, Record, filled_outcome, text_record
from tribunal.server_info import Weights

if TYPE_CHECKING:
    import pyarrow

# As of `tribunal scan`.
DEFAULT_CONCURRENCY = 4
DEFAULT_WAIT_S = 300.0
DEFAULT_TIMEOUT_S = 120.0


class Moderate:
    """Adds `verdict` and `error`, one of which is null, to each row of an Arrow table.

    For `map_batches(Moderate, fn_constructor_kwargs={"url": ...}, batch_format="pyarrow",
    compute=ray.data.ActorPoolStrategy(size=...))`. The columns are those that `tribunal scan` writes to
    Parquet. If the server refuses a text, or it is not a string, its row has the error; other rows are not
    affected.

    url: address of a server, or of several with the same weights, which take turns. If one is unavailable,
    the others take its rows.
    text_column: name of the column of the texts.
    judge, explain, spans: as of `Client.moderate_batch`.
    requests_in_flight: requests of each actor, with 32 texts each.
    wait_s: seconds that rows wait while no server gives verdicts; then ServerUnavailable fails the task.
    timeout_s: deadline of a request in seconds.
    connection: TLS, headers, compression, retries and limits.

    Raises InvalidInput if the table lacks the text column or already has `verdict` or `error`, or if servers
    have different weights; AccessDenied.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        text_column: str = "text",
        judge: JudgeMode | None = None,
        explain: bool = True,
        spans: bool = False,
        requests_in_flight: int = DEFAULT_CONCURRENCY,
        wait_s: float = DEFAULT_WAIT_S,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        connection: Connection | None = None,
    ) -> None:
        urls = [url] if isinstance(url, str) else list(url)
        if not urls:
            raise InvalidInput("url names no server")
        # One more than the requests, to probe an unavailable server while they wait for it.
        limited = replace(connection or Connection(), max_in_flight=requests_in_flight + 1)
        clients = [Client(one, timeout_s=timeout_s, connection=limited) for one in urls]
        # `_complete` waits instead, because another server may be available.
        self._askers = [Asker(client, judge, explain, wait_s=0.0, spans=spans) for client in clients]
        self._wait_s = wait_s
        self._weights: Mapping[str, Weights] | None = None
        self._text_column = text_column
        # Actors begin with different servers.
        self._turns = itertools.count(random.randrange(len(urls)))  # noqa: S311 - no secret
        self._pool = ThreadPoolExecutor(requests_in_flight)

    def __call__(self, table: "pyarrow.Table") -> "pyarrow.Table":
        """`table` with the columns `verdict` and `error`, in the same order."""
        import pyarrow

        self._require_columns(table.column_names)
        name = self._text_column
        column = FieldName(name, is_nested=False)
        records = [text_record({name: text}, text, column) for text in table.column(name).to_pylist()]
        parts = [records[start : start + MAX_BATCH_SIZE] for start in range(0, len(records), MAX_BATCH_SIZE)]
        completed = itertools.chain.from_iterable(self._pool.map(self._complete, parts))
        outcomes = [{VERDICT: record.verdict, ERROR: record.error} for record in completed]
        added = pyarrow.Table.from_pylist(outcomes, schema=self._schema)
        for field in self._schema:
            table = table.append_column(field, added.column(field.name))
        return table

    @cached_property
    def _schema(self) -> "pyarrow.Schema":
        """The schema of the added columns, the same for all batches, also those without any verdict."""
        import pyarrow

        (record,) = self._complete([Record({}, text=ANY_TEXT)])
        if record.verdict is None:
            raise ServerError(f"the server gives no verdict on {ANY_TEXT!r}: {record.error}")
        # The categories of the server are fields of the column `verdict`.
        filled = filled_outcome(record.verdict["categories"]["scores"], spans=SPANS in record.verdict)
        return pyarrow.schema({name: pyarrow.array([value]).type for name, value in filled.items()})

    def _complete(self, records: Sequence[Record]) -> list[Record]:
        """`records` with their outcomes, from the next available server.

        Raises ServerUnavailable if no server is available for `wait_s`.
        """
        deadline_s = time.monotonic() + self._wait_s
        turn = next(self._turns)
        while True:
            for number in range(len(self._askers)):
                asker = self._askers[(turn + number) % len(self._askers)]
                try:
                    self._require_same_weights(asker)
                    return asker.complete(records)
                except ServerUnavailable as error:
                    failure = error
                    # It may restart with other weights.
                    asker.weights = None
            if time.monotonic() > deadline_s:
                raise failure
            time.sleep(POLL_INTERVAL_S)

    def _require_same_weights(self, asker: Asker) -> None:
        """Raise InvalidInput if the server's weights differ from the other servers'; ServerUnavailable."""
        if (weights := asker.weights) is None:
            asker.wait_until_ready()
            weights = asker.weights
        self._weights = self._weights or weights
        if weights is not None and weights != self._weights:
            raise InvalidInput("the servers have different weights, or one restarted with others")

    def _require_columns(self, names: Sequence[str]) -> None:
        if self._text_column not in names:
            raise InvalidInput(
                f"the table has no column {self._text_column!r}; it has {', '.join(map(repr, names))}: name "
                "one with text_column"
            )
        for name in OUTCOME:
            if name in names:
                raise InvalidInput(f"the table has a column {name!r}, which the output uses: rename it")
