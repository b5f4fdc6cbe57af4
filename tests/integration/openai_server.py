"""A server of OpenAI's streamed chat completions that answers with a given text."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from launcher.exposure.ports import free_ports

CHUNK_CHARS = 4
CHUNK_INTERVAL_S = 0.01


@dataclass
class OpenAIServer:
    """A served answer.

    url: for OPENAI_BASE_URL. sent_chars: characters sent so far. has_left: whether the caller left early.
    """

    url: str
    answer: str
    sent_chars: int = 0
    has_left: bool = False

    async def events(self) -> AsyncIterator[str]:
        """The answer as server-sent events."""
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "demo"}

        def event(delta: dict[str, str], finish_reason: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            return f"data: {json.dumps({**common, 'choices': [choice]})}\n\n"

        try:
            yield event({"role": "assistant"})
            for at in range(0, len(self.answer), CHUNK_CHARS):
                yield event({"content": self.answer[at : at + CHUNK_CHARS]})
                self.sent_chars = at + CHUNK_CHARS
                await asyncio.sleep(CHUNK_INTERVAL_S)
            yield event({}, "stop")
            yield f"data: {json.dumps({**common, 'choices': [], 'usage': None})}\n\n"
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.has_left = True
            raise


@contextmanager
def openai_server(answer: str) -> Iterator[OpenAIServer]:
    """Serve `answer` on a free port."""
    port = free_ports().http
    served = OpenAIServer(f"http://127.0.0.1:{port}/v1", answer)
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete() -> StreamingResponse:
        return StreamingResponse(served.events(), media_type="text/event-stream")

    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.02)
        yield served
    finally:
        server.should_exit = True
        thread.join()
