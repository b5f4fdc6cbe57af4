"""The synchronous client."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from tribunal.errors import InvalidInput, ServerError
from tribunal.transport import Tensor, open_transport
from tribunal.verdict import Verdict

DEFAULT_URL = "localhost:8001"
DEFAULT_TIMEOUT_S = 30.0
ENSEMBLE = "moderation"
JUDGE = "toxicity_judge"
# Every Tribunal server takes at least this many texts in one request.
MAX_BATCH_SIZE = 32


@dataclass(frozen=True)
class Weights:
    """Where the weights of one member come from.

    source: `demo`, `hub:OWNER/MODEL` or `dir:PATH`.
    revision: commit on the hub, None for other sources.
    """

    source: str
    revision: str | None
    precision: str

    @property
    def are_demo(self) -> bool:
        """Whether they are for demonstration only."""
        return self.source == "demo"


@dataclass(frozen=True)
class ServerInfo:
    """What a server runs: Triton's version, its models with their readiness, and the members' weights."""

    triton_version: str
    models: dict[str, bool]
    weights: dict[str, Weights]


class Client:
    """Asks a Tribunal server for verdicts; a context manager.

    url: `host:port` for gRPC, `http://host:port` for HTTP.
    timeout_s: deadline of each call, in seconds.

    Over gRPC it may be shared between threads, and over HTTP each thread has its own connection.
    Every method raises a TribunalError: InvalidInput, ServerUnavailable, DeadlineExceeded or
    ServerError.
    """

    def __init__(self, url: str = DEFAULT_URL, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        if not 0 < timeout_s < float("inf"):
            raise InvalidInput(f"timeout_s is {timeout_s}; it must be positive and finite")
        self._timeout_s = timeout_s
        self._transport = open_transport(url)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection."""
        self._transport.close()

    def moderate(self, text: str, *, judge: str | None = None, explain: bool = True) -> Verdict:
        """Verdict of one text; the options are those of `moderate_batch`."""
        return self.moderate_batch([text], judge=judge, explain=explain)[0]

    def moderate_batch(
        self, texts: Sequence[str], *, judge: str | None = None, explain: bool = True
    ) -> list[Verdict]:
        """Verdicts of `texts`, one each, in their order.

        judge: ask the LLM `always`, `never`, or `auto` (where the encoders are undecided); None
        leaves it to the server's config.
        explain: False for the LLM's label and score without its reason, which is faster.

        Sent as requests of at most 32 texts, each with a deadline of its own. A text that breaks a
        limit fails the call with InvalidInput.
        """
        encoded = encode_texts(texts)
        verdicts: list[Verdict] = []
        for start in range(0, len(encoded), MAX_BATCH_SIZE):
            batch = encoded[start : start + MAX_BATCH_SIZE]
            inputs: dict[str, Tensor] = {"text": batch, "explain": np.full(batch.shape, explain)}
            if judge is not None:
                inputs["judge"] = np.full(batch.shape, judge.encode(), dtype=np.object_)
            documents = self._transport.infer(ENSEMBLE, inputs, "verdict", self._timeout_s)
            if len(documents) != len(batch):
                raise ServerError(f"{len(batch)} texts were sent and {len(documents)} verdicts came back")
            verdicts.extend(Verdict.from_json(document) for document in documents[:, 0])
        return verdicts

    def stream_judgement(self, text: str) -> Iterator[str]:
        """The LLM's answer on one text, label first, piece by piece as it is generated; gRPC only."""
        inputs = {"text": encode_texts([text])[0], "stream": np.array([True])}
        for piece in self._transport.stream(JUDGE, inputs, "text_output", self._timeout_s):
            yield piece[0].decode("utf-8")

    def is_ready(self) -> bool:
        """Whether the server gives verdicts now; False, not an error, where it still loads."""
        return self._transport.is_ready(ENSEMBLE, self._timeout_s)

    def info(self) -> ServerInfo:
        """What the server runs, and from which weights."""
        models = {name: self._transport.is_ready(name, self._timeout_s) for name in self._model_names()}
        manifest = json.loads(self._transport.infer("manifest", {}, "manifest", self._timeout_s)[0])
        return ServerInfo(
            triton_version=self._transport.version(self._timeout_s),
            models=models,
            weights={
                name: Weights(member["source"], member["revision"], member["precision"])
                for name, member in manifest["members"].items()
            },
        )

    def _model_names(self) -> list[str]:
        return sorted(self._transport.models(self._timeout_s))


def encode_texts(texts: Sequence[str]) -> Tensor:
    """`texts` as the tensor `text` BYTES [batch, 1], UTF-8.

    Raises InvalidInput for a value that is no string, or one with a lone surrogate.
    """
    if isinstance(texts, str):
        raise InvalidInput("texts is a single string; give a list of strings, or use moderate()")
    rows = np.empty((len(texts), 1), dtype=np.object_)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"texts[{row}] is a {type(text).__name__}, not a string")
        try:
            rows[row, 0] = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidInput(
                f"texts[{row}] is not valid Unicode: character {error.start} {error.reason}"
            ) from error
    return rows
