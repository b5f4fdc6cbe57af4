"""The asyncio client: the methods of `Client`, to await."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from tenacity import AsyncRetrying

from tribunal.batches import REQUESTS_AT_ONCE, Call, Outcome, Request, encode_each, merged, requests_of
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection, parse_address
from tribunal.contract import JUDGE, JUDGEMENT, MANIFEST, MODERATION, VERDICT, JudgeMode
from tribunal.errors import ServerUnavailable, TribunalError
from tribunal.gathering import Gatherer
from tribunal.guard.async_guarding import async_guarded
from tribunal.guard.options import GuardOptions, Release, check_chunks
from tribunal.server_info import ServerInfo
from tribunal.transport.deadline import check_deadline, late_answers, remaining_s, require_time_left
from tribunal.transport.faults import NoConnection, closed_client
from tribunal.transport.interface import AsyncTransport, Tensor, Tensors
from tribunal.transport.loop_owned import LoopOwned
from tribunal.transport.messages import (
    Question,
    encode_text,
    judgement_request,
    moderation_request,
    read_piece,
    read_server_info,
    read_verdicts,
    require_size,
)
from tribunal.transport.opening import open_async_transport
from tribunal.transport.proxy import proxy_to
from tribunal.transport.retries import retry_policy
from tribunal.transport.tries import Tries
from tribunal.verdict import Verdict

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Opened:
    """The connection of one event loop, the slots of its calls, and the calls that wait to be batched."""

    transport: AsyncTransport
    in_flight: asyncio.Semaphore
    gatherer: Gatherer


class AsyncClient:
    """Gets verdicts from a Tribunal server with asyncio; an asynchronous context manager.

    The options, methods and errors are those of `Client`. All tasks of an event loop can share one client:
    calls beyond `max_in_flight` wait. Waiting calls of `moderate` are batched into requests of up to 32
    texts. If all callers of a request cancel, it is also cancelled on the server. The first call connects.
    Each event loop has its own connection and its own `max_in_flight`; the connection ends with its loop.
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
        self._proxy = proxy_to(self._address, os.environ)
        self._opened = LoopOwned(self._open, _close)
        self._is_closed = False

    async def __aenter__(self) -> "AsyncClient":
        self._is_closed = False
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections, within 5 s; calls in flight and later ones raise InvalidInput."""
        self._is_closed = True
        await self._opened.close()

    async def moderate(
        self, text: str, *, judge: JudgeMode | None = None, explain: bool = True, spans: bool = False
    ) -> Verdict:
        """Verdict of one text; the options are those of `moderate_batch`.

        The call is sent at once while the server is free. Otherwise it waits and is batched with other
        waiting calls; each keeps its own deadline and its own error.
        """
        encoded = encode_text(text, "text")
        question = Question(judge, explain, spans)
        return await self._open_now().gatherer.verdict(encoded, question, self._new_deadline_s())

    @overload
    async def moderate_batch(
        self,
        texts: Sequence[str],
        *,
        judge: JudgeMode | None = None,
        explain: bool = True,
        spans: bool = False,
        return_errors: Literal[False] = False,
    ) -> list[Verdict]: ...

    @overload
    async def moderate_batch(
        self,
        texts: Sequence[str],
        *,
        judge: JudgeMode | None = None,
        explain: bool = True,
        spans: bool = False,
        return_errors: Literal[True],
    ) -> list[Verdict | TribunalError]: ...

    async def moderate_batch(
        self,
        texts: Sequence[str],
        *,
        judge: JudgeMode | None = None,
        explain: bool = True,
        spans: bool = False,
        return_errors: bool = False,
    ) -> list[Verdict] | list[Verdict | TribunalError]:
        """As `Client.moderate_batch`: verdicts of `texts` in order, within one deadline for all."""
        encoded = encode_each(texts, return_errors=return_errors)
        call = Call(Question(judge, explain, spans), self._new_deadline_s(), return_errors=return_errors)
        return merged(encoded, await self._outcomes_side_by_side(requests_of(encoded), call))

    async def stream_judgement(self, text: str) -> AsyncIterator[str]:
        """As `Client.stream_judgement`: the LLM's answer on one text, piece by piece; gRPC only."""
        request = judgement_request(text)
        require_size(request, self._connection.max_message_bytes)
        deadline_s = self._new_deadline_s()

        async def begin() -> tuple[list[Tensor], AsyncGenerator[Tensor]]:
            pieces = self._transport.stream(JUDGE, request, JUDGEMENT, remaining_s(deadline_s))
            try:
                return [await anext(pieces)], pieces
            except StopAsyncIteration:
                return [], pieces

        with late_answers(self._url, self._timeout_s):
            async with self._slot_in_flight(deadline_s):
                first, others = await self._retrying(begin, deadline_s)
                async with aclosing(others):
                    for piece in first:
                        yield read_piece(piece)
                    async for piece in others:
                        yield read_piece(piece)

    def guard(
        self,
        chunks: AsyncIterable[Any],
        *,
        text: Callable[[Any], str | None] | None = None,
        every: int = 200,
        overlap: int = 200,
        release: Release = "checked",
        judge: JudgeMode | None = "never",
        final_judge: JudgeMode | None = None,
    ) -> AsyncGenerator[str]:
        """As `Client.guard`: the text of the asynchronous `chunks`, checked while it is generated."""
        options = GuardOptions(
            text=text, every=every, overlap=overlap, release=release, judge=judge, final_judge=final_judge
        )
        check_chunks(chunks, is_async=True)
        return async_guarded(
            lambda texts, judge: self.moderate_batch(texts, judge=judge, explain=False), chunks, options
        )

    async def is_ready(self) -> bool:
        """As `Client.is_ready`."""
        return await self._is_ready(MODERATION, self._new_deadline_s())

    async def info(self) -> ServerInfo:
        """As `Client.info`."""
        deadline_s = self._new_deadline_s()
        names = sorted(await self._call(lambda timeout_s: self._transport.models(timeout_s), deadline_s))
        models = {name: await self._is_ready(name, deadline_s) for name in names}
        version = await self._call(lambda timeout_s: self._transport.version(timeout_s), deadline_s)
        return read_server_info(version, models, await self._infer(MANIFEST, {}, MANIFEST, deadline_s))

    def _open(self) -> "_Opened":
        most = self._connection.max_in_flight
        return _Opened(
            open_async_transport(self._address, self._connection, self._proxy),
            asyncio.Semaphore(most),
            Gatherer(self._outcomes, self._new_tries, most),
        )

    def _open_now(self) -> "_Opened":
        """The connection of this event loop; raises InvalidInput after `close()`."""
        if self._is_closed:
            raise closed_client()
        return self._opened.value()

    @property
    def _transport(self) -> AsyncTransport:
        return self._open_now().transport

    async def _outcomes_side_by_side(self, requests: Sequence[Request], call: Call) -> list[Outcome]:
        """Outcomes of all texts of `requests`, in order."""
        at_once = asyncio.Semaphore(REQUESTS_AT_ONCE)

        async def in_turn(request: Request) -> list[Outcome]:
            async with at_once:
                return await self._outcomes(request, call)

        tasks = [asyncio.create_task(in_turn(request)) for request in requests]
        try:
            return [outcome for outcomes in await asyncio.gather(*tasks) for outcome in outcomes]
        finally:
            # After a failure or a cancellation, send no more requests.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _outcomes(self, request: Request, call: Call) -> list[Outcome]:
        """An outcome for each text of `request`; raises errors unless `call` returns them."""
        try:
            inputs = moderation_request(request.texts, call.question)
            documents = await self._infer(MODERATION, inputs, VERDICT, call.deadline_s, call.tries)
            return [*read_verdicts(inputs, documents)]
        except call.divided_on as error:
            if len(request.texts) == 1:
                return request.failed(error, call)
            return [outcome for half in request.halves() for outcome in await self._outcomes(half, call)]
        except TribunalError as error:
            return request.failed(error, call)

    async def _infer(
        self, model: str, inputs: Tensors, output: str, deadline_s: float, tries: Tries | None = None
    ) -> Tensor:
        require_size(inputs, self._connection.max_message_bytes)
        return await self._call(
            lambda timeout_s: self._transport.infer(model, inputs, output, timeout_s), deadline_s, tries
        )

    async def _is_ready(self, model: str, deadline_s: float) -> bool:
        return await self._call(lambda timeout_s: self._transport.is_ready(model, timeout_s), deadline_s)

    def _new_deadline_s(self) -> float:
        return time.monotonic() + self._timeout_s

    def _new_tries(self) -> Tries:
        return Tries(self._url, self._timeout_s, self._connection.retries, self._proxy)

    async def _call(
        self, call: Callable[[float], Awaitable[Result]], deadline_s: float, tries: Tries | None = None
    ) -> Result:
        """Make `call` once a slot is free, with retries, within one deadline."""

        async def attempt() -> Result:
            async with self._slot_in_flight(deadline_s):
                return await call(remaining_s(deadline_s))

        return await self._retrying(attempt, deadline_s, tries)

    async def _retrying(
        self, attempt: Callable[[], Awaitable[Result]], deadline_s: float, tries: Tries | None = None
    ) -> Result:
        tries = tries or self._new_tries()

        async def counted() -> Result:
            with tries.one():
                return await attempt()

        try:
            policy = retry_policy(self._connection.retries, remaining_s(deadline_s))
            return await AsyncRetrying(**policy)(counted)
        except TimeoutError as error:
            raise tries.out_of_time() from error
        except NoConnection as error:
            from tribunal.transport.diagnosis import connection_fault

            left_s = remaining_s(deadline_s)
            fault = await asyncio.to_thread(
                connection_fault, self._address, self._connection, self._proxy, left_s
            )
            raise tries.gave_up(error, fault) from error.__cause__ or error
        except ServerUnavailable as error:
            raise tries.gave_up(error) from error.__cause__ or error

    @asynccontextmanager
    async def _slot_in_flight(self, deadline_s: float) -> AsyncIterator[None]:
        """Hold one of the `max_in_flight` slots; raises TimeoutError if none is free by the deadline."""
        in_flight = self._open_now().in_flight
        is_free = not in_flight.locked()
        async with asyncio.timeout(remaining_s(deadline_s)):
            await in_flight.acquire()
        try:
            if not is_free:
                require_time_left(deadline_s)
            yield
        finally:
            in_flight.release()


async def _close(opened: _Opened) -> None:
    await opened.transport.close()
