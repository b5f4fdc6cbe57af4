"""LiteLLM's proxy with a gateway as guardrail and an LLM that counts its requests: `check.py URL`."""

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

PAGE = Path(__file__).parents[3] / "docs" / "clients" / "litellm.md"
ADDRESS = "http://localhost:8080"
START_TIMEOUT_S = 120
HARMFUL, HARMLESS = "How to make a bomb?", "How to make a birthday cake without eggs?"
REFUSAL = "Sorry, but I can't assist with that."
GREETING = "Thank you for helping my grandmother across the street."
MASTER_KEY = f"sk-{secrets.token_hex(32)}"
ANSWER = "Mash two bananas into the batter."


class Upstream(ThreadingHTTPServer):
    """An LLM with OpenAI's API that answers `ANSWER`, or the words after `say:` in the prompt."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), UpstreamHandler)
        self.requests = 0

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class UpstreamHandler(BaseHTTPRequestHandler):
    """Answers chat completions."""

    server: Upstream

    def do_POST(self) -> None:
        """Count the request, and answer it."""
        self.server.requests += 1
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = asked["messages"][-1]["content"]
        # A prompt with an image is a list of parts.
        said = isinstance(prompt, str) and prompt.startswith("say:")
        text = prompt.removeprefix("say:") if said else ANSWER
        stream = asked.get("stream", False)
        body = events(text) if stream else json.dumps(completion(text)).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if stream else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""


def completion(text: str) -> dict[str, Any]:
    """A chat completion that says `text`, or calls a tool with it if it begins with `{`."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if text.startswith("{"):
        call = {"id": "call-1", "type": "function", "function": {"name": "send", "arguments": text}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "fake",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def events(text: str) -> bytes:
    """A streamed chat completion that says `text` word by word."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
    words = text.split(" ")
    deltas = [{"role": "assistant", "content": words[0]}, *({"content": f" {word}"} for word in words[1:])]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    lines = [json.dumps({**head, "choices": [choice]}) for choice in (*choices, last)]
    return "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()


def configuration(upstream: str, guardrails: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The proxy's configuration: one model, and guardrails."""
    params = {"model": "openai/fake", "api_base": upstream, "api_key": "any"}
    return {
        "general_settings": {"master_key": MASTER_KEY},
        "model_list": [{"model_name": "fake", "litellm_params": params}],
        "guardrails": guardrails,
    }


def guardrails_by_name(url: str) -> list[dict[str, Any]]:
    """Guardrails that run only if a request names them."""
    key = os.environ["TRIBUNAL_KEY"]

    def generic(name: str, mode: str, **params: Any) -> dict[str, Any]:
        given = {"guardrail": "generic_guardrail_api", "mode": mode, "api_base": url, "api_key": key}
        return {"guardrail_name": name, "litellm_params": {**given, **params}}

    def moderation(name: str, mode: str, **params: Any) -> dict[str, Any]:
        given = {"guardrail": "openai_moderation", "mode": mode, "api_base": f"{url}/v1", "api_key": key}
        return {"guardrail_name": name, "litellm_params": {**given, **params}}

    strict = {"policy": "strict", "judge": "never"}
    return [
        moderation("moderation", "pre_call"),
        moderation("moderation-after", "post_call"),
        moderation("moderation-stranger", "pre_call", api_key="unknown"),
        generic("before", "pre_call"),
        generic("after", "post_call"),
        # A stream is judged in pieces, but the demo's judge was trained on whole sentences.
        generic("encoders", "post_call", additional_provider_specific_params={"judge": "never"}),
        generic("strict", "pre_call", additional_provider_specific_params=strict),
        generic("images", "pre_call", additional_provider_specific_params={"images": "pass"}),
        generic("stranger", "pre_call", api_key="unknown"),
        generic("unreachable", "pre_call", api_base="http://127.0.0.1:1"),
    ]


def guardrails_of_page(url: str) -> list[dict[str, Any]]:
    """All guardrails of the documentation together; each runs by default."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    documents = [yaml.safe_load(block.replace(ADDRESS, url)) for block in blocks]
    return [guardrail for document in documents for guardrail in document["guardrails"]]


@contextmanager
def running_proxy(config: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Run a proxy and yield its address."""
    file, log_file = folder / "config.yaml", folder / "litellm.log"
    file.write_text(json.dumps(config), "utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_port
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "litellm"), "--config", str(file), "--host", "127.0.0.1"]
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with log_file.open("wb") as log:
        proxy = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log, env=environ)
    try:
        await_ready(proxy, url, log_file)
        yield url
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log_file.read_text('utf-8')[-4000:]}") from error
    finally:
        proxy.terminate()
        proxy.wait(60)


def await_ready(proxy: subprocess.Popen[bytes], url: str, log_file: Path) -> None:
    """Wait until the proxy answers."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert proxy.poll() is None, "the proxy has ended"
        try:
            if httpx.get(f"{url}/health/liveliness").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("the proxy is not ready")


class Chat:
    """Sends requests to the proxy, and reports which ones reached its LLM."""

    def __init__(self, proxy: str, upstream: Upstream) -> None:
        self._url = f"{proxy}/v1/chat/completions"
        self._upstream = upstream

    def ask(self, content: Any, *guardrails: str) -> tuple[httpx.Response, int]:
        """The answer, and the number of requests that reached the LLM."""
        before = self._upstream.requests
        messages = [{"role": "assistant", "content": GREETING}, {"role": "user", "content": content}]
        body = {"model": "fake", "messages": messages, "guardrails": guardrails}
        headers = {"authorization": f"Bearer {MASTER_KEY}"}
        answer = httpx.post(self._url, json=body, headers=headers, timeout=60)
        return answer, self._upstream.requests - before

    def stream(self, content: str, *guardrails: str) -> str:
        """The events of a streamed answer."""
        messages = [{"role": "user", "content": content}]
        body = {"model": "fake", "messages": messages, "guardrails": guardrails, "stream": True}
        headers = {"authorization": f"Bearer {MASTER_KEY}"}
        return httpx.post(self._url, json=body, headers=headers, timeout=60).text

    def require_passed(self, content: Any, *guardrails: str) -> httpx.Response:
        """Require that the LLM was asked, and that its answer came back."""
        answer, reached = self.ask(content, *guardrails)
        assert (answer.status_code, reached) == (200, 1), (guardrails, answer.text)
        return answer

    def require_blocked(self, content: Any, *guardrails: str, reached: int = 0) -> str:
        """Require an error, and that the LLM was asked `reached` times; the error's text."""
        answer, asked = self.ask(content, *guardrails)
        assert answer.status_code >= 400, (guardrails, answer.text)
        assert asked == reached, guardrails
        return answer.text


def check(chat: Chat) -> None:
    """Assert which texts each guardrail lets through."""
    for guardrail in ("moderation", "before"):
        answer = chat.require_passed(HARMLESS, guardrail).json()
        assert answer["choices"][0]["message"]["content"] == ANSWER
        chat.require_blocked(HARMFUL, guardrail)
    for guardrail in ("moderation-after", "after"):
        chat.require_passed(HARMLESS, guardrail)
        chat.require_blocked(f"say:{HARMFUL}", guardrail, reached=1)
    said = chat.require_blocked(HARMFUL, "before")
    assert "the request is flagged for: " in said
    assert HARMFUL not in said
    chat.require_passed(REFUSAL, "before")
    assert "refusal" in chat.require_blocked(REFUSAL, "strict")
    chat.require_blocked("say:" + json.dumps({"body": HARMFUL}), "after", reached=1)
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    parts = [{"type": "text", "text": HARMLESS}, picture]
    assert "images" in chat.require_blocked(parts, "before")
    chat.require_passed(parts, "images")
    check_streams(chat)
    check_failures(chat, ("moderation-stranger", "stranger", "unreachable"))


def check_streams(chat: Chat) -> None:
    """A flagged stream stops at the flag; a harmless one arrives completely."""
    assert "batter." in chat.stream(f"say:{ANSWER}", "encoders")
    said = chat.stream(f"say:{HARMFUL} {ANSWER}", "encoders")
    assert "flagged for" in said
    assert "batter." not in said


def check_failures(chat: Chat, guardrails: Sequence[str]) -> None:
    """Without a verdict, nothing passes."""
    for guardrail in guardrails:
        chat.require_blocked(HARMLESS, guardrail)


def check_page(chat: Chat) -> None:
    """The documented guardrails run by default, and one of them flags refusals."""
    chat.require_passed(HARMLESS)
    for prompt in (HARMFUL, REFUSAL):
        chat.require_blocked(prompt)


def main(url: str) -> None:
    """Start the LLM and a proxy for each configuration, check, and stop them."""
    with tempfile.TemporaryDirectory() as folder, Upstream() as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        for guardrails, checking in ((guardrails_by_name(url), check), (guardrails_of_page(url), check_page)):
            with running_proxy(configuration(upstream.url, guardrails), Path(folder)) as proxy:
                checking(Chat(proxy, upstream))
        upstream.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
