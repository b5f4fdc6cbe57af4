"""What is sent to each model and what its answer means: pure functions, shared by both clients."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tribunal.contract import EXPLAIN, JUDGE_MODE, MAX_BATCH_SIZE, STREAM, TEXT, JudgeMode
from tribunal.errors import InvalidInput, ServerError
from tribunal.server_info import ServerInfo, Weights
from tribunal.verdict import Verdict

Tensor = npt.NDArray[Any]
Tensors = Mapping[str, Tensor]


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


def moderation_requests(texts: Sequence[str], judge: JudgeMode | None, explain: bool) -> list[Tensors]:
    """Inputs of `moderation` for `texts` in their order, at most MAX_BATCH_SIZE in each request.

    text BYTES, explain BOOL and, unless it is None, judge BYTES, all [batch, 1]. Raises InvalidInput.
    """
    encoded = encode_texts(texts)
    requests: list[Tensors] = []
    for start in range(0, len(encoded), MAX_BATCH_SIZE):
        batch = encoded[start : start + MAX_BATCH_SIZE]
        inputs: dict[str, Tensor] = {TEXT: batch, EXPLAIN: np.full(batch.shape, explain)}
        if judge is not None:
            inputs[JUDGE_MODE] = np.full(batch.shape, judge.encode(), dtype=np.object_)
        requests.append(inputs)
    return requests


def read_verdicts(request: Tensors, documents: Tensor) -> list[Verdict]:
    """Verdicts from `documents` BYTES [batch, 1], one for each text of `request`; raises ServerError."""
    sent = len(request[TEXT])
    if len(documents) != sent:
        raise ServerError(f"{sent} texts were sent and {len(documents)} verdicts came back")
    return [Verdict.from_json(document) for document in documents[:, 0]]


def judgement_request(text: str) -> Tensors:
    """Inputs of `judge` for a stream: text BYTES [1], stream BOOL [1]; raises InvalidInput."""
    return {TEXT: encode_texts([text])[0], STREAM: np.array([True])}


def read_piece(piece: Tensor) -> str:
    """Text of one answer of the stream, BYTES [1]."""
    return str(piece[0].decode("utf-8"))


def read_server_info(triton_version: str, models: dict[str, bool], documents: Tensor) -> ServerInfo:
    """Server information from the answer of `manifest`, BYTES [1]."""
    manifest = json.loads(documents[0])
    return ServerInfo(
        triton_version=triton_version,
        models=models,
        weights={
            name: Weights(model["source"], model["revision"], model["precision"])
            for name, model in manifest["models"].items()
        },
    )


def require_size(inputs: Tensors, max_message_bytes: int) -> None:
    """Raise InvalidInput where the values of `inputs` alone have more than `max_message_bytes`."""
    # Each value of BYTES is sent with its length in 4 bytes.
    size_bytes = sum(
        sum(4 + len(value) for value in values.flat) if values.dtype == np.object_ else values.nbytes
        for values in inputs.values()
    )
    if size_bytes > max_message_bytes:
        raise InvalidInput(f"the request has {size_bytes} bytes and max_message_bytes is {max_message_bytes}")
