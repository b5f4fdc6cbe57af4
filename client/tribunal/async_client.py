"""The asyncio client: the methods of `Client`, to await."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TypeVar

from tenacity import AsyncRetrying

from tribunal.async_transport import AsyncTransport, open_async_transport
from tribunal.client import remaining_s
from tribunal.connection import (
    DEFAULT_TIMEOUT_S,
    DEFAULT_URL,
    Connection,
    check_deadline,
    parse_address,
)
from tribunal.contract import JUDGE, JUDGEMENT, MANIFEST, MODERATION, VERDICT, JudgeMode
from tribunal.error_mapping import retry_policy, translated_errors
from tribunal.messages import (
    Tensor,
    Tensors,
    judgement_request,
    moderation_requests,
    read_piece,
    read_server_info,
    read_verdicts,
    require_size,
)
from tribunal.server_info import ServerInfo
from tribunal.verdict import Verdict

Result = TypeVar("Result")


class AsyncClient:
    """Asks a Tribunal server for verdicts from asyncio; an asynchronous context manager.

    The options, methods and errors are those of `Client`. Any number of tasks of one event loop may
    call it at once: they share one channel, and those beyond `max_in_flight` wait. A call that is
    cancelled is cancelled on the server too. The connection is made by the first call.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        connection: Connection | None = None,
    ) -> None:
        self._url = url
        self._timeout_s = check_deadline(timeout_s)
        self._connection = connection or Connection()
        self._address = parse_address(url, self._connection)
        self._opened: AsyncTransport | None = None
        self._in_flight = asyncio.Semaphore(self._connection.max_in_flight)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connection."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def moderate(self, text: str, *, judge: JudgeMode | None = None, explain: bool = True) -> Verdict:
        """Verdict of one text; the options are those of `moderate_batch`."""
        return (await self.moderate_batch([text], judge=judge, explain=explain))[0]

    async def moderate_batch(
        self, texts: Sequence[str], *, judge: JudgeMode | None = None, explain: bool = True
    ) -> list[Verdict]:
        """Verdicts of `texts`, one each, in their order.

        judge: ask the LLM `always`, `never`, or `auto` (where the encoders are undecided); None
        leaves it to the server's config.
        explain: False for the LLM's label and score without its reason, which is faster.

        Sent as requests of at most 32 texts, one after the other, each with a deadline of its own. A
        text that breaks a limit fails the call with InvalidInput.
        """
        return [
            verdict
            for request in moderation_requests(texts, judge, explain)
            for verdict in read_verdicts(request, await self._infer(MODERATION, request, VERDICT))
        ]

    async def stream_judgement(self, text: str) -> AsyncIterator[str]:
        """The LLM's answer on one text, label first, piece by piece as it is generated; gRPC only.

        It is tried again only before its first piece.
        """
        request = judgement_request(text)
        require_size(request, self._connection.max_message_bytes)
        deadline_s = time.monotonic() + self._timeout_s

        async def begin() -> tuple[list[Tensor], AsyncGenerator[Tensor]]:
            pieces = self._transport.stream(JUDGE, request, JUDGEMENT, remaining_s(deadline_s))
            try:
                return [await anext(pieces)], pieces
            except StopAsyncIteration:
                return [], pieces

        with translated_errors(self._url, self._timeout_s):
            async with self._slot_in_flight(deadline_s):
                first, others = await self._retrying(begin)
                async with aclosing(others):
                    for piece in first:
                        yield read_piece(piece)
                    async for piece in others:
                        yield read_piece(piece)

    async def is_ready(self) -> bool:
        """Whether the server gives verdicts now; False, not an error, where it still loads."""
        return await self._call(lambda timeout_s: self._transport.is_ready(MODERATION, timeout_s))

    async def info(self) -> ServerInfo:
        """What the server runs, and from which weights."""
        names = sorted(await self._call(self._transport.models))
        models = {name: await self._call(partial(self._transport.is_ready, name)) for name in names}
        version = await self._call(self._transport.version)
        return read_server_info(version, models, await self._infer(MANIFEST, {}, MANIFEST))

    @property
    def _transport(self) -> AsyncTransport:
        # Not before there is an event loop, which the connection belongs to.
        if self._opened is None:
            self._opened = open_async_transport(self._address, self._connection)
        return self._opened

    async def _infer(self, model: str, inputs: Tensors, output: str) -> Tensor:
        require_size(inputs, self._connection.max_message_bytes)
        return await self._call(lambda timeout_s: self._transport.infer(model, inputs, output, timeout_s))

    async def _call(self, call: Callable[[float], Awaitable[Result]]) -> Result:
        """Make `call` once a slot is free, and again where the retry policy says so, all by one deadline."""
        deadline_s = time.monotonic() + self._timeout_s

        async def attempt() -> Result:
            async with self._slot_in_flight(deadline_s):
                return await call(remaining_s(deadline_s))

        return await self._retrying(attempt)

    async def _retrying(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        async def sorted_attempt() -> Result:
            with translated_errors(self._url, self._timeout_s):
                return await attempt()

        policy = retry_policy(self._connection.retries, self._timeout_s)
        return await AsyncRetrying(**policy)(sorted_attempt)

    @asynccontextmanager
    async def _slot_in_flight(self, deadline_s: float) -> AsyncIterator[None]:
        """Hold one of the `max_in_flight` slots; raises TimeoutError where none is free by the deadline."""
        async with asyncio.timeout(remaining_s(deadline_s)):
            await self._in_flight.acquire()
        try:
            yield
        finally:
            self._in_flight.release()
