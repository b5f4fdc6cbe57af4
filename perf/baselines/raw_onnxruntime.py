"""Baselines `raw` and `raw-rejection`: ONNX Runtime called directly, the least that screening can cost."""

import functools
from collections.abc import Iterable

import numpy as np

from export_scripts.hub_models import ENCODERS
from launcher.host.devices import available_cores
from perf.baselines.library_baseline import LibraryBaseline, Screen
from perf.baselines.registry import EncoderFiles
from perf.encoder_sessions import open_session, open_tokenizer
from perf.rounds import LATENCY_CALLERS, THROUGHPUT_CALLERS


def open_sessions(encoders: EncoderFiles, names: Iterable[str]) -> Screen:
    """Load the named encoders; each call runs on one thread, on a row of the text's exact length."""
    loaded = [
        (open_tokenizer(encoders.repository, name), open_session(encoders.repository, name)) for name in names
    ]

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
