"""Baselines `raw...`: ONNX Runtime called directly, the least that screening can cost at each precision."""

import functools
from collections.abc import Iterable

import numpy as np

from export_scripts.hub_models import ENCODERS
from launcher.host.devices import available_cores
from perf.baselines.library_baseline import LibraryBaseline, Screen
from perf.baselines.registry import EncoderFiles, Precision
from perf.encoder_sessions import open_session, open_tokenizer
from perf.rounds import LATENCY_CALLERS, THROUGHPUT_CALLERS


def open_sessions(encoders: EncoderFiles, precision: Precision, names: Iterable[str]) -> Screen:
    """Load the named encoders; each call runs on one thread, on a row of the text's exact length."""
    repository = encoders.repository(precision)
    loaded = [(open_tokenizer(repository, name), open_session(repository, name)) for name in names]

    def screen(text: str) -> None:
        for tokenizer, session in loaded:
            ids = np.array([[tokenizer.encode(text).ids]], dtype=np.int64)
            session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    return screen


def raw_baselines(precision: Precision, suffix: str) -> tuple[LibraryBaseline, LibraryBaseline]:
    """The references at `precision`; `suffix` ends their names."""
    return (
        LibraryBaseline(
            name=f"raw{suffix}",
            description=f"raw ONNX Runtime, {precision}",
            callers=THROUGHPUT_CALLERS,
            open_screen=functools.partial(open_sessions, precision=precision, names=ENCODERS),
            max_threads=available_cores(),
            is_reference=True,
            precision=precision,
        ),
        LibraryBaseline(
            name=f"raw-rejection{suffix}",
            description=f"raw ONNX Runtime, {precision}, the slower encoder alone",
            callers=LATENCY_CALLERS,
            open_screen=functools.partial(open_sessions, precision=precision, names=("rejection",)),
            is_reference=True,
            precision=precision,
        ),
    )


BASELINES = (*raw_baselines("fp32", ""), *raw_baselines("int8", "-int8"))
