"""A web service that moderates what its users post, before anybody sees it.

    TRIBUNAL_URL=localhost:8001 uvicorn fastapi_service:app --port 8080
    curl --json '{"text": "The bread is fresh."}' http://localhost:8080/comments

A comment that is flagged is held back. Where no verdict can be had the answer is 503, and the comment
is not published: a moderation service that is down must not let everything through.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from tribunal import AsyncClient, InvalidInput, TribunalError

URL = os.environ.get("TRIBUNAL_URL", "localhost:8001")
# A user waits for the answer.
TIMEOUT_S = 5.0


class Comment(BaseModel):
    """What a user posts."""

    text: str


class Decision(BaseModel):
    """What becomes of it."""

    published: bool
    categories: list[str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the whole service: all its requests share one channel."""
    async with AsyncClient(URL, timeout_s=TIMEOUT_S) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/comments")
async def post_comment(comment: Comment, request: Request) -> Decision:
    """Publish `comment` unless it is flagged."""
    client: AsyncClient = request.app.state.client
    verdict = await client.moderate(comment.text, judge="auto", explain=False)
    return Decision(published=not verdict.flagged, categories=list(verdict.categories.flagged))


@app.get("/health")
async def health(request: Request) -> Response:
    """200 where verdicts can be had, else 503."""
    client: AsyncClient = request.app.state.client
    return Response(status_code=200 if await client.is_ready() else 503)


@app.exception_handler(InvalidInput)
async def refuse(_: Request, error: InvalidInput) -> JSONResponse:
    """The caller's fault: the message names the field and the limit."""
    return JSONResponse({"error": str(error)}, status_code=422)


@app.exception_handler(TribunalError)
async def hold_back(_: Request, error: TribunalError) -> JSONResponse:
    """Without a verdict nothing is published."""
    return JSONResponse({"error": str(error)}, status_code=503)
