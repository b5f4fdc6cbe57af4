"""A web service that moderates its users' comments before it publishes them.

    TRIBUNAL_URL=localhost:8001 uvicorn fastapi_service:app --port 8080
    curl --json '{"text": "The bread is fresh."}' http://localhost:8080/comments

It withholds flagged comments. If it gets no verdict, it answers 503 and does not publish the comment, because
an outage of moderation must not let every comment through.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from tribunal import AsyncClient, InvalidInput, TribunalError

URL = os.environ.get("TRIBUNAL_URL", "localhost:8001")
# Short, because a user waits for the answer.
TIMEOUT_S = 5.0


class Comment(BaseModel):
    """A user's comment."""

    text: str


class Decision(BaseModel):
    """The result of a post."""

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
    """200 if the server can give verdicts, else 503."""
    client: AsyncClient = request.app.state.client
    return Response(status_code=200 if await client.is_ready() else 503)


@app.exception_handler(InvalidInput)
async def refuse(_: Request, error: InvalidInput) -> JSONResponse:
    """Answer 422 to invalid input; the message names the field and the limit."""
    return JSONResponse({"error": str(error)}, status_code=422)


@app.exception_handler(TribunalError)
async def hold_back(_: Request, error: TribunalError) -> JSONResponse:
    """Answer 503 without a verdict; the comment is not published."""
    return JSONResponse({"error": str(error)}, status_code=503)
