"""The files of the page: how the gateway serves them, and that they load nothing from other hosts."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.gateway.page import FOLDER, add_page

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
MEDIA_TYPES = {
    "": "text/html",
    "favicon.ico": "image/svg+xml",
    "page/icon.svg": "image/svg+xml",
    "page/style.css": "text/css",
    "page/theme.js": "text/javascript",
    "page/page.js": "text/javascript",
    "page/sentences.js": "text/javascript",
    "page/categories.js": "text/javascript",
}


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    add_page(app)
    return TestClient(app)


@pytest.mark.parametrize("path", MEDIA_TYPES)
def test_every_file_is_guarded(client: TestClient, path: str) -> None:
    answer = client.get(f"/{path}")
    assert answer.status_code == 200
    # Older systems use the former MIME type of JavaScript.
    media_type = answer.headers["content-type"].partition(";")[0].replace("application/j", "text/j")
    assert media_type == MEDIA_TYPES[path]
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert client.head(f"/{path}").status_code == 200


def test_an_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/page/style.css")
    again = client.get("/page/style.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("path", ["page/nothing.js", "page/", "page/%2e%2e/page.py", "page/..%2fpage.py"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"/{path}").status_code == 404


def test_the_categories_are_those_of_the_gateway(client: TestClient) -> None:
    assert re.findall(r'"([^"]+)"', client.get("/page/categories.js").text) == list(CATEGORIES)


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_no_file_names_another_host_or_writes_markup(file: Path) -> None:
    text = file.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(?i)(https?:)?//[a-z0-9]+\.[a-z]", text)
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="):
        assert forbidden not in text
    assert not re.search(r"\son[a-z]+=", text)
