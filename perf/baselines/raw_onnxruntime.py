"""Baselines `raw` and `raw-rejection`: ONNX Runtime called directly, the least that screening can cost."""

import functools
from collections.abc import Iterable

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from tokenizers import Tokenizer

from export_scripts.hub_models import ENCODERS
from launcher.host.devices import available_cores
from launcher.host.prepacking import NORMS_APART
from perf.baselines.library_baseline import LibraryBaseline, Screen
from perf.baselines.registry import EncoderFiles
from perf.rounds import LATENCY_CALLERS, THROUGHPUT_CALLERS


def open_sessions(encoders: EncoderFiles, names: Iterable[str]) -> Screen:
    """Load the named encoders; each call runs on one thread, on a row of the text's exact length."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Tribunal's server sets this option too.
    options.add_session_config_entry(*NORMS_APART)
    loaded = []
    for name in names:
        tokenizer = Tokenizer.from_file(str(encoders.repository / "tokenizer" / "1" / f"{name}.json"))
        tokenizer.no_padding()
        session = InferenceSession(
            encoders.repository / name / "1" / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        loaded.append((tokenizer, session))

    def screen(text: str) -> None:
        for tokenizer, session in loaded:
            ids = np.array([[tokenizer.encode(text).ids]], dtype=np.int64)
            session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    return screen


BASELINES = (
    LibraryBaseline(
        name="raw",
        description="raw ONNX Runtime",
        callers=THROUGHPUT_CALLERS,
        open_screen=functools.partial(open_sessions, names=ENCODERS),
        max_threads=available_cores(),
        is_reference=True,
    ),
    LibraryBaseline(
        name="raw-rejection",
        description="raw ONNX Runtime, the slower encoder alone",
        callers=LATENCY_CALLERS,
        open_screen=functools.partial(open_sessions, names=("rejection",)),
        is_reference=True,
    ),
)
