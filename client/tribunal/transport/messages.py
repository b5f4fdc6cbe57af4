"""Builds the inputs of each model and reads its outputs: pure functions, shared by both clients."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tribunal.arguments import check_judge, check_switch
from tribunal.contract import EXPLAIN, JUDGE_MODE, SPANS, STREAM, TEXT, JudgeMode
from tribunal.errors import InvalidInput, ServerError
from tribunal.server_info import SelfCheck, ServerInfo, Weights
from tribunal.transport.interface import Tensor, Tensors
from tribunal.verdict import Verdict


@dataclass(frozen=True)
class Question:
    """The options of a text.

    judge: when to ask the LLM; None: the server's default. explain: ask for the LLM's reason.
    spans: whether the encoders also read each sentence by itself.

    Raises InvalidInput that names the option.
    """

    judge: JudgeMode | None
    explain: bool
    spans: bool = False

    def __post_init__(self) -> None:
        check_judge(self.judge, "judge")
        check_switch(self.explain, "explain")
        check_switch(self.spans, "spans")


def encode_text(text: object, name: str) -> bytes:
    """`text` in UTF-8; raises InvalidInput, which names `name`, unless it is a valid Unicode string."""
    if not isinstance(text, str):
        raise InvalidInput(f"{name} is a {type(text).__name__}, not a string")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name} is not valid Unicode: character {error.start} {error.reason}") from error


def moderation_request(texts: Sequence[bytes], question: Question) -> Tensors:
    """Inputs of `moderation` for `texts` in UTF-8, at most MAX_BATCH_SIZE.

    text BYTES, explain BOOL, judge BYTES unless it is None, and spans BOOL if requested, all [batch, 1].
    """
    batch = len(texts)
    inputs = {TEXT: _column(texts, "object"), EXPLAIN: _column([question.explain] * batch, "bool")}
    if question.judge is not None:
        inputs[JUDGE_MODE] = _column([question.judge.encode()] * batch, "object")
    if question.spans:
        inputs[SPANS] = _column([True] * batch, "bool")
    return inputs


def read_verdicts(request: Tensors, documents: Tensor) -> list[Verdict]:
    """Verdicts from `documents` BYTES [batch, 1], one for each text of `request`; raises ServerError."""
    sent = len(request[TEXT])
    if len(documents) != sent:
        raise ServerError(f"{sent} texts were sent and {len(documents)} verdicts came back")
    return [Verdict.from_json(document) for document in documents.flat]


def judgement_request(text: str) -> Tensors:
    """Inputs of `judge` for a stream: text BYTES [1], stream BOOL [1]; raises InvalidInput."""
    return {TEXT: _column([encode_text(text, "text")], "object")[0], STREAM: _column([True], "bool")[0]}


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
        self_checks={
            name: SelfCheck(checked["texts"], checked["score_difference"], checked["tolerance"])
            for name, model in manifest["models"].items()
            if (checked := model.get("self_check"))
        },
    )


def require_size(inputs: Tensors, max_message_bytes: int) -> None:
    """Raise InvalidInput if the values of `inputs` exceed `max_message_bytes`."""
    # Each value of BYTES is sent with its length in 4 bytes.
    size_bytes = sum(
        sum(4 + len(value) for value in values.flat) if values.dtype.hasobject else values.nbytes
        for values in inputs.values()
    )
    if size_bytes > max_message_bytes:
        raise InvalidInput(f"the request has {size_bytes} bytes and max_message_bytes is {max_message_bytes}")


def _column(values: Sequence[bytes] | Sequence[bool], dtype: str) -> Tensor:
    """`values` as a tensor [batch, 1], of BYTES (`object`) or BOOL (`bool`)."""
    import numpy as np

    rows: Tensor = np.empty((len(values), 1), dtype)
    rows[:, 0] = values
    return rows
