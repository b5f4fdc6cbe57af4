"""The page at `/`: a text, its verdict, and code that sends the same request.

Its files are in the folder `page`; they need no build step and load nothing from other hosts.
"""

import json
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tribunal.gateway.moderation.categories import CATEGORIES

FOLDER = Path(__file__).parent / "page"
# Texts and judges' reasons may hold markup: nothing in them may load or run.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Browsers revalidate their copy and get 304 if it is current.
    "Cache-Control": "no-cache",
}
METHODS = ["GET", "HEAD"]

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """The files of the page, with its security headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file `path` of the folder; raises HTTPException 404."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


FILES = PageFiles(directory=FOLDER)


@router.api_route("/", methods=METHODS)
async def page(request: Request) -> Response:
    """The page."""
    return await FILES.get_response("index.html", request.scope)


@router.api_route("/favicon.ico", methods=METHODS)
async def icon(request: Request) -> Response:
    """The icon, for browsers that ask for one on `/docs`."""
    return await FILES.get_response("icon.svg", request.scope)


@router.api_route("/page/categories.js", methods=METHODS)
async def categories() -> Response:
    """The names of the categories as a JavaScript module, for the bars that the page shows at first."""
    script = f"export const CATEGORIES = {json.dumps(CATEGORIES)};\n"
    return Response(script, media_type="text/javascript", headers=HEADERS)


def add_page(app: FastAPI) -> None:
    """Serve the page and its files."""
    app.include_router(router)
    app.mount("/page", FILES)
