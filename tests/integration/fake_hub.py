"""A local server with the Hugging Face hub's API, and the layouts of real repositories."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import torch
from safetensors.torch import load_file
from transformers import Phi3ForCausalLM

from export_scripts.sources import DEMO_WEIGHTS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Repository:
    """One repository: its files, including subfolders, and the commit of `main`."""

    folder: Path
    commit: str = COMMIT

    def files(self) -> list[str]:
        """Paths of the files, relative to the repository."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@dataclass
class Hub:
    """The server's content.

    repositories: by `OWNER/MODEL`. renamed: new names by old name.
    refusal: error code of every response, in the hub's header X-Error-Code.
    fetched: `OWNER/MODEL:PATH` of each downloaded file.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None
    fetched: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, hub_id: str, folder: Path, commit: str = COMMIT) -> Path:
        """Serve `folder` as the repository `hub_id`; returns the folder."""
        self.repositories[hub_id] = Repository(folder, commit)
        return folder


class Handler(BaseHTTPRequestHandler):
    """The routes that `snapshot_download` uses."""

    def __init__(self, hub: Hub, *arguments: Any) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        for old, new in self.hub.renamed.items():
            if f"/{old}/" in path:
                self.answer(307, b"", {"Location": path.replace(old, new)})
                return
        repository = next((name for name in self.hub.repositories if f"/{name}/" in path), None)
        if repository is None or self.hub.refusal:
            code = self.hub.refusal or "RepoNotFound"
            self.answer(403 if code == "GatedRepo" else 404, b"{}", {"X-Error-Code": code})
            return
        known = self.hub.repositories[repository]
        api = path.startswith("/api/")
        revision, _, file = path.partition("/revision/" if api else "/resolve/")[2].partition("/")
        if revision not in ("main", known.commit):
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif api:
            files = [{"rfilename": name} for name in known.files()]
            body = {"id": repository, "sha": known.commit, "siblings": files}
            self.answer(200, json.dumps(body).encode(), {})
        elif file not in known.files():
            self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        else:
            content = (known.folder / file).read_bytes()
            if self.command == "GET":
                self.hub.fetched.append(f"{repository}:{file}")
            etag = hashlib.sha256(content).hexdigest()
            self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": known.commit})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve `hub` on a free port, at its `url`, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, hub)) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


def change_json(file: Path, **changes: object) -> None:
    """Change fields of a JSON file."""
    content = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**content, **changes}), "utf-8")


def pickle_weights(folder: Path) -> None:
    """Replace the weights by `pytorch_model.bin`, as in repositories older than safetensors."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def write_rejection(folder: Path) -> Path:
    """ProtectAI/distilroberta-base-rejection-v1: also has an ONNX export and a training state."""
    shutil.copytree(DEMO_WEIGHTS / "rejection", folder)
    (folder / "onnx").mkdir()
    for file in ("model.onnx", "config.json", "tokenizer.json"):
        (folder / "onnx" / file).write_bytes(b"not to be downloaded")
    (folder / "training_args.bin").write_bytes(b"not to be downloaded")
    return folder


def write_aegis(folder: Path) -> Path:
    """A repository whose labels have no names, with only pickled weights."""
    shutil.copytree(DEMO_WEIGHTS / "aegis", folder)
    labels = [f"LABEL_{index}" for index in range(14)]
    change_json(
        folder / "config.json",
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    pickle_weights(folder)
    return folder


def write_judge(folder: Path) -> Path:
    """grounded-ai/phi3-toxicity-judge-merge: fp32 in four shards, `auto_map`, no tokenizer."""
    model = Phi3ForCausalLM.from_pretrained(DEMO_WEIGHTS / "judge", dtype=torch.float32)
    model.save_pretrained(folder, max_shard_size="4MB")
    assert len(list(folder.glob("model-*-of-00004.safetensors"))) == 4
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["torch_dtype"] = config.pop("dtype")
    config["auto_map"] = {
        "AutoConfig": "microsoft/Phi-3-mini-4k-instruct--configuration_phi3.Phi3Config",
        "AutoModelForCausalLM": "microsoft/Phi-3-mini-4k-instruct--modeling_phi3.Phi3ForCausalLM",
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder
