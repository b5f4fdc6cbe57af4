"""Baselines `raw...`: ONNX Runtime called directly, the minimum cost of screening at each precision.

Each encoder runs once for all texts of a request, and its graph groups them by length. In requests of 16
texts this takes 6 % less CPU in int8, and 3 to 9 % less in fp32, than a run for each text without padding.
"""

import functools
from collections.abc import Iterable, Sequence

import numpy as np

from export_scripts.hub_models import ENCODERS
from launcher.host.devices import available_cores
from perf.baselines.encoder_sessions import open_session, open_tokenizer
from perf.baselines.library_baseline import LibraryBaseline, Screen
from perf.baselines.registry import EncoderFiles, Precision
from perf.load.rounds import BATCH_LOAD, LATENCY_LOAD, THROUGHPUT_LOAD


def open_sessions(encoders: EncoderFiles, precision: Precision, names: Iterable[str]) -> Screen:
    """Load the named encoders; each call runs on one thread and pads to the longest text."""
    repository = encoders.repository(precision)
    loaded = [(open_tokenizer(repository, name), open_session(repository, name)) for name in names]

    for tokenizer, _ in loaded:
        tokenizer.enable_padding()

    def screen(texts: Sequence[str]) -> None:
        for tokenizer, session in loaded:
            rows = tokenizer.encode_batch(list(texts))
            ids = np.array([[row.ids] for row in rows], dtype=np.int64)
            mask = np.array([[row.attention_mask] for row in rows], dtype=np.int64)
            session.run(["logits"], {"input_ids": ids, "attention_mask": mask})

    return screen


def raw_baselines(precision: Precision, suffix: str) -> tuple[LibraryBaseline, LibraryBaseline]:
    """The reference baselines at `precision`; their names end in `suffix`."""
    return (
        LibraryBaseline(
            name=f"raw{suffix}",
            description=f"raw ONNX Runtime, {precision}",
            loads=(THROUGHPUT_LOAD, BATCH_LOAD),
            open_screen=functools.partial(open_sessions, precision=precision, names=ENCODERS),
            max_threads=available_cores(),
            is_reference=True,
            precision=precision,
        ),
        LibraryBaseline(
            name=f"raw-rejection{suffix}",
            description=f"raw ONNX Runtime, {precision}, the slower encoder alone",
            loads=(LATENCY_LOAD,),
            open_screen=functools.partial(open_sessions, precision=precision, names=("rejection",)),
            is_reference=True,
            precision=precision,
        ),
    )


BASELINES = (*raw_baselines("fp32", ""), *raw_baselines("int8", "-int8"))
