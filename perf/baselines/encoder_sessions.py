"""The encoders without a server: ONNX Runtime sessions with one thread, and the CPU time of their runs."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from tokenizers import Tokenizer

from export_scripts.hub_models import ENCODERS
from launcher.host.devices import available_cores
from launcher.host.prepacking import NORMS_APART


def open_session(repository: Path, name: str) -> InferenceSession:
    """The encoder `name` of a model repository, on one thread."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # The same option as in Tribunal's server.
    options.add_session_config_entry(*NORMS_APART)
    model = repository / name / "1" / "model.onnx"
    return InferenceSession(model, options, providers=["CPUExecutionProvider"])


def open_tokenizer(repository: Path, name: str) -> Tokenizer:
    """The tokenizer of the encoder `name` of a model repository, without padding."""
    tokenizer = Tokenizer.from_file(str(repository / "tokenizer" / "1" / f"{name}.json"))
    tokenizer.no_padding()
    return tokenizer


class EncoderSessions:
    """The encoders of a model repository, which run batches of texts of one window each."""

    def __init__(self, repository: Path) -> None:
        self._tokenizers = {name: open_tokenizer(repository, name) for name in ENCODERS}
        for tokenizer in self._tokenizers.values():
            tokenizer.enable_padding()
        self._sessions = {name: open_session(repository, name) for name in ENCODERS}

    def costs_ms(self, batches: Sequence[Sequence[str]]) -> dict[str, float]:
        """CPU milliseconds of a text in each encoder's session, without tokenisation.

        As many threads as cores run batches concurrently, like the instances of a server.
        """
        texts = sum(map(len, batches))
        return {name: self._run_s(name, batches) * 1000 / texts for name in self._sessions}

    def _run_s(self, name: str, batches: Sequence[Sequence[str]]) -> float:
        inputs = [self._inputs(name, batch) for batch in batches]
        cores = available_cores()

        def run(share: Sequence[dict[str, Any]]) -> float:
            started_s = time.thread_time()
            for tensors in share:
                self._sessions[name].run(["logits"], tensors)
            return time.thread_time() - started_s

        with ThreadPoolExecutor(cores) as pool:
            return sum(pool.map(run, [inputs[core::cores] for core in range(cores)]))

    def _inputs(self, name: str, batch: Sequence[str]) -> dict[str, Any]:
        """Tensors INT64 [texts, 1, tokens]."""
        encodings = self._tokenizers[name].encode_batch(list(batch))
        return {
            "input_ids": np.array([[encoding.ids] for encoding in encodings], dtype=np.int64),
            "attention_mask": np.array([[encoding.attention_mask] for encoding in encodings], dtype=np.int64),
        }
