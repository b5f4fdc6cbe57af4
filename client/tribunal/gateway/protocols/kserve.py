"""The KServe protocol for `moderation`, `manifest` and `judge`: valid requests, and their outputs.

HTTP and gRPC share it. No tensor of a caller reaches Triton: this module reads texts and options and refuses
invalid shapes and sizes, and the gateway's client builds a new request.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tribunal.contract import (
    EXPLAIN,
    JUDGE,
    JUDGE_MODE,
    JUDGEMENT,
    MANIFEST,
    MODERATION,
    SPANS,
    STREAM,
    TEXT,
    VERDICT,
    JudgeMode,
)
from tribunal.gateway.errors import GatewayError, invalid
from tribunal.gateway.moderation.decision import Decision
from tribunal.gateway.moderation.moderator import Options
from tribunal.gateway.moderation.policies import Policy
from tribunal.gateway.settings import MAX_BATCH_TEXTS
from tribunal.server_info import ServerInfo

Tensor = npt.NDArray[Any]
DATATYPES = {TEXT: "BYTES", JUDGE_MODE: "BYTES", EXPLAIN: "BOOL", SPANS: "BOOL"}
CATEGORY_SCORES = "category_scores"
OUTPUTS = {
    "rejection_score": "FP32",
    CATEGORY_SCORES: "FP32",
    "toxicity_score": "FP32",
    "flagged": "BOOL",
    VERDICT: "BYTES",
}
# The models that the gateway exposes.
MODELS = (MODERATION, MANIFEST, JUDGE)
VERSION = "1"
PLATFORM = "tribunal"
DATA_TYPES = {"BYTES": "TYPE_STRING", "BOOL": "TYPE_BOOL", "FP32": "TYPE_FP32"}
# Inputs and outputs of each model: datatype, and dimensions without the batch.
Described = Mapping[str, tuple[str, list[int]]]
DESCRIBED: Mapping[str, tuple[Described, Described]] = {
    MODERATION: (
        {name: (datatype, [1]) for name, datatype in DATATYPES.items()},
        {name: (datatype, [-1 if name == CATEGORY_SCORES else 1]) for name, datatype in OUTPUTS.items()},
    ),
    MANIFEST: ({}, {MANIFEST: ("BYTES", [1])}),
    JUDGE: ({TEXT: ("BYTES", [1]), STREAM: ("BOOL", [1])}, {JUDGEMENT: ("BYTES", [-1])}),
}
MODES: Mapping[bytes, JudgeMode] = {b"always": "always", b"auto": "auto", b"never": "never"}


@dataclass(frozen=True)
class TextRows:
    """The texts of one request with their options, one row each."""

    texts: Sequence[str]
    judge: Sequence[JudgeMode | None]
    explain: Sequence[bool | None]
    spans: Sequence[bool | None]

    def options(self, policy: Policy) -> list[Options]:
        """The options of each text under `policy`."""
        return [
            Options(policy, *of_text) for of_text in zip(self.judge, self.explain, self.spans, strict=True)
        ]


def model_metadata(name: str) -> dict[str, Any]:
    """The metadata of one of MODELS, in KServe's form; a dimension of -1 is the batch."""
    inputs, outputs = DESCRIBED[name]
    batch = [-1] if name == MODERATION else []
    return {
        "name": name,
        "versions": [VERSION],
        "platform": PLATFORM,
        **{
            kind: [
                {"name": tensor, "datatype": datatype, "shape": [*batch, *dims]}
                for tensor, (datatype, dims) in tensors.items()
            ]
            for kind, tensors in (("inputs", inputs), ("outputs", outputs))
        },
    }


def model_config(name: str) -> dict[str, Any]:
    """The config of one of MODELS in the form of Triton's, as far as callers need it."""
    inputs, outputs = DESCRIBED[name]
    config = {
        "name": name,
        "platform": PLATFORM,
        "max_batch_size": MAX_BATCH_TEXTS if name == MODERATION else 0,
        "input": [
            {"name": tensor, "data_type": DATA_TYPES[datatype], "dims": dims, "optional": tensor != TEXT}
            for tensor, (datatype, dims) in inputs.items()
        ],
        "output": [
            {"name": tensor, "data_type": DATA_TYPES[datatype], "dims": dims}
            for tensor, (datatype, dims) in outputs.items()
        ],
    }
    return {**config, "model_transaction_policy": {"decoupled": True}} if name == JUDGE else config


def require_version(version: str) -> None:
    """Raise GatewayError 404 unless the version is the served one, or empty for the newest."""
    if version not in ("", VERSION):
        message = f"unknown version {version[:20]!r}; version {VERSION} is served"
        raise GatewayError(404, "version_not_found", message, "version")


def require_model(name: str, models: Sequence[str] = MODELS) -> None:
    """Raise GatewayError 404 unless the model is one of `models`."""
    if name not in models:
        known = ", ".join(models)
        raise GatewayError(404, "model_not_found", f"unknown model {name[:80]!r}; known here: {known}")


def require_tensor(name: str, datatype: str, shape: Sequence[int]) -> int:
    """The number of rows of an input; raises GatewayError 400 for a wrong name, datatype or shape."""
    if name not in DATATYPES:
        raise invalid(f"unexpected input {name[:80]!r}; known: {', '.join(DATATYPES)}", "inputs")
    if datatype != DATATYPES[name]:
        raise invalid(f"input {name} has datatype {datatype[:20]!r}; it must be {DATATYPES[name]}", name)
    if len(shape) != 2 or shape[1] != 1 or not 1 <= shape[0] <= MAX_BATCH_TEXTS:
        raise invalid(
            f"input {name} has shape {list(shape)[:8]}; it must be [batch, 1], batch 1 to {MAX_BATCH_TEXTS}",
            name,
        )
    return shape[0]


def read_texts(inputs: Mapping[str, Sequence[Any]]) -> TextRows:
    """Rows of the inputs, BYTES as bytes and BOOL as bool, as texts and options; raises GatewayError 400."""
    if TEXT not in inputs:
        raise invalid(f"input {TEXT} is missing", TEXT)
    batch = len(inputs[TEXT])
    for name, rows in inputs.items():
        if len(rows) != batch:
            raise invalid(f"input {name} has {len(rows)} rows and {TEXT} has {batch}", name)
    return TextRows(
        [_text(row, raw) for row, raw in enumerate(inputs[TEXT])],
        [_mode(raw) for raw in inputs.get(JUDGE_MODE, [None] * batch)],
        list(inputs.get(EXPLAIN, [None] * batch)),
        list(inputs.get(SPANS, [None] * batch)),
    )


def require_outputs(names: Sequence[str]) -> Sequence[str]:
    """The requested outputs, or all if none is named; raises GatewayError 400."""
    for name in names:
        if name not in OUTPUTS:
            raise invalid(f"unexpected output {name[:80]!r}; known: {', '.join(OUTPUTS)}", "outputs")
    return list(dict.fromkeys(names)) or list(OUTPUTS)


def output_tensors(decisions: Sequence[Decision]) -> dict[str, Tensor]:
    """All outputs of `moderation`, [batch, 1] each, category_scores [batch, categories].

    Scores have six decimals, like the verdict's. A missing toxicity_score is NaN.
    """
    verdicts = [decision.verdict for decision in decisions]
    toxicity = [np.nan if verdict.toxicity.score is None else verdict.toxicity.score for verdict in verdicts]
    return {
        "rejection_score": np.array([[verdict.refusal.score] for verdict in verdicts], np.float32),
        CATEGORY_SCORES: np.array(
            [[*verdict.categories.scores.values()] for verdict in verdicts], np.float32
        ),
        "toxicity_score": np.array([[score] for score in toxicity], np.float32),
        "flagged": np.array([[decision.flagged] for decision in decisions], np.bool_),
        VERDICT: np.array(
            [[json.dumps(decision.as_document()).encode()] for decision in decisions], np.object_
        ),
    }


def manifest_document(server: ServerInfo) -> bytes:
    """The server's weights and self-checks, in the form of its model `manifest`."""
    models = {name: asdict(weights) for name, weights in server.weights.items()}
    for name, check in server.self_checks.items():
        models[name]["self_check"] = asdict(check)
    return json.dumps({"models": models}).encode()


def _text(row: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid(f"text[{row}] is not valid UTF-8: byte {error.start} {error.reason}", TEXT) from error


def _mode(raw: bytes | None) -> JudgeMode | None:
    if raw is None:
        return None
    if raw not in MODES:
        named = raw[:40].decode("utf-8", "replace")
        raise invalid(f"judge is {named!r}; it must be one of always, auto, never", JUDGE_MODE)
    return MODES[raw]
