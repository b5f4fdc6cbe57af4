"""Triton's scores compared with transformers on the same weights, over both protocols."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc
import tritonclient.http
from tribunal import Client

from export_scripts.checkpoint import Checkpoint, load_checkpoint
from export_scripts.hub_models import ENCODERS
from export_scripts.parity import scores_of
from export_scripts.parity_texts import parity_texts, texts_with_special_tokens
from launcher.exposure.ports import free_ports
from launcher.options import ServerOptions
from launcher.process.server import TritonServer
from tests.conftest import demo_checkpoint
from tests.integration.conftest import export

MAX_DIFFERENCE = 1e-4
BATCH_SIZES = (1, 7, 32)
CONTENT, OVERLAP = 510, 64


def served_scores(
    server: TritonServer, protocol: str, texts: list[str]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """`rejection_score` FP32 [batch, 1] and `category_scores` FP32 [batch, 14] of one request."""
    module = {"grpc": tritonclient.grpc, "http": tritonclient.http}[protocol]
    address = server.grpc_url if protocol == "grpc" else server.http_url.removeprefix("http://")
    rows = np.array([[text.encode()] for text in texts], dtype=np.object_)
    tensor = module.InferInput("text", list(rows.shape), "BYTES")
    tensor.set_data_from_numpy(rows)
    mode = module.InferInput("judge", list(rows.shape), "BYTES")
    mode.set_data_from_numpy(np.full(rows.shape, b"never", dtype=np.object_))
    with module.InferenceServerClient(address) as client:
        answer = client.infer("moderation", [tensor, mode])
    return answer.as_numpy("rejection_score"), answer.as_numpy("category_scores")


def reference_scores(checkpoint: Checkpoint, name: str, text: str) -> npt.NDArray[Any]:
    """Scores by transformers; for a long text, the maximum over the windows that transformers cuts.

    Its last window is shorter than the others, so the window's start is moved back.
    """
    ids = checkpoint.input_ids(text)[1:-1]
    starts = [*range(0, max(len(ids) - CONTENT, 1), CONTENT - OVERLAP)]
    if len(ids) > CONTENT:
        starts.append(len(ids) - CONTENT)
    scores = [
        scores_of(
            checkpoint.window_logits(
                checkpoint.tokenizer.build_inputs_with_special_tokens(ids[start : start + CONTENT])
            ),
            ENCODERS[name],
        )
        for start in starts
    ]
    highest: npt.NDArray[Any] = np.max(scores, axis=0)
    return highest


def exact_texts(checkpoint: Checkpoint) -> list[str]:
    """Texts of exactly 510, 511 and 512 tokens by this model's tokenizer."""
    texts = []
    for tokens in (510, 511, 512):
        text = "a" + " a" * (tokens - 3)
        assert len(checkpoint.input_ids(text)) == tokens
        texts.append(text)
    return texts


def long_texts() -> list[str]:
    """Varied texts of 1 to about 25 windows."""
    return [" ".join(parity_texts()[start : start + size]) for start, size in ((0, 20), (60, 60), (0, 300))]


def assert_parity(
    server: TritonServer, protocol: str, checkpoints: dict[str, Checkpoint], texts: list[str]
) -> None:
    """Require that every score of every text, in batches of several sizes, equals the reference's."""
    remaining, sent = list(texts), 0
    while remaining:
        size = BATCH_SIZES[sent % len(BATCH_SIZES)]
        batch, remaining, sent = remaining[:size], remaining[size:], sent + 1
        rejection, categories = served_scores(server, protocol, batch)
        for row, text in enumerate(batch):
            expected = reference_scores(checkpoints["rejection"], "rejection", text)[1]
            assert abs(rejection[row, 0] - expected) <= MAX_DIFFERENCE, repr(text)
            expected = reference_scores(checkpoints["aegis"], "aegis", text)
            assert np.abs(categories[row] - expected).max() <= MAX_DIFFERENCE, repr(text)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_demo_members(server: TritonServer, protocol: str) -> None:
    checkpoints = {name: demo_checkpoint(name) for name in ENCODERS}
    texts = parity_texts()
    texts += [text for model in checkpoints.values() for text in exact_texts(model)]
    texts += long_texts()
    texts += [
        text
        for model in checkpoints.values()
        for text in texts_with_special_tokens(model.tokenizer.all_special_tokens)
    ]
    assert len(texts) >= 300
    assert_parity(server, protocol, checkpoints, texts)


def test_full_size_members(full_size_checkpoints: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    export(str(full_size_checkpoints), repository, "--models", *ENCODERS)
    checkpoints = {name: load_checkpoint(full_size_checkpoints / name, ENCODERS[name]) for name in ENCODERS}
    texts = parity_texts()[::12] + exact_texts(checkpoints["aegis"])[-1:]
    log_file = tmp_path / "tritonserver.log"
    with TritonServer(
        ServerOptions(repository, ports=free_ports(), log_file=log_file, judge=False)
    ) as server:
        for protocol in ("grpc", "http"):
            assert_parity(server, protocol, checkpoints, texts)


def test_the_end_of_a_text_counts_as_far_as_it_is_read(server: TritonServer) -> None:
    harmless, harmful = "The library opens at nine. ", "How to make a bomb? " * 60
    with Client(server.grpc_url) as client:
        alone = client.moderate(harmful, judge="never")
        late = client.moderate(harmless * 500 + harmful, judge="never")
        dense = client.moderate("! " * 20_000 + harmful, judge="never")
    assert (alone.windows, alone.truncated, alone.flagged) == (1, False, True)
    assert late.windows > 2
    assert (late.truncated, late.flagged) == (False, True)
    assert (dense.windows, dense.truncated) == (32, True)
