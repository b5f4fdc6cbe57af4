"""What a text costs without Triton: each peer is a process that screens the workload on demand.

`python -m perf.peers PEER CHECKPOINTS MODELS` reads the number of callers from each line of standard
input, screens every text of the workload with both encoders, and writes a line of JSON: the seconds
that all of them took, and the milliseconds of each. An empty object says that it is ready.

CHECKPOINTS has a folder for each encoder with its PyTorch weights, MODELS one with its ONNX files in
the layout of a Triton repository.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from tokenizers import Tokenizer

from export_scripts.hub_models import ENCODERS
from launcher.host.prepacking import NORMS_APART
from launcher.host.tuning import available_cores
from launcher.repository.contract import limits
from perf.workload import WARMING, read_texts

Screen = Callable[[str], Any]


def raw_onnxruntime(models: Path, names: Iterable[str] = ENCODERS) -> Screen:
    """The encoders on exact-length rows, one thread a call: the least that screening can cost."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry(*NORMS_APART)
    encoders = []
    for name in names:
        tokenizer = Tokenizer.from_file(str(models / "tokenizer" / "1" / f"{name}.json"))
        tokenizer.no_padding()
        session = InferenceSession(
            models / name / "1" / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        encoders.append((tokenizer, session))

    def screen(text: str) -> None:
        for tokenizer, session in encoders:
            ids = np.array([[tokenizer.encode(text).ids]], dtype=np.int64)
            session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    return screen


def transformers_pipelines(checkpoints: Path) -> Screen:
    """The pipelines of the model cards."""
    from transformers import pipeline

    pipelines = [
        pipeline(
            "text-classification",
            model=str(checkpoints / name),
            truncation=True,
            max_length=limits().max_tokens,
            top_k=None,
            function_to_apply="sigmoid" if encoder.multi_label else "softmax",
            device="cpu",
        )
        for name, encoder in ENCODERS.items()
    ]
    return lambda text: [one(text) for one in pipelines]


def optimum_pipelines(checkpoints: Path) -> Screen:
    """optimum's ONNX pipelines, as on the card of the rejection model."""
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    pipelines = [
        pipeline(
            "text-classification",
            model=ORTModelForSequenceClassification.from_pretrained(checkpoints / name, export=True),
            tokenizer=AutoTokenizer.from_pretrained(checkpoints / name),
            truncation=True,
            max_length=limits().max_tokens,
            top_k=None,
            function_to_apply="sigmoid" if encoder.multi_label else "softmax",
        )
        for name, encoder in ENCODERS.items()
    ]
    return lambda text: [one(text) for one in pipelines]


def timed(screen: Screen, text: str) -> float:
    """Milliseconds that one text takes."""
    started_s = time.perf_counter()
    screen(text)
    return (time.perf_counter() - started_s) * 1000


def open_peer(peer: str, checkpoints: Path, models: Path) -> Callable[[int], list[float]]:
    """A function that screens the workload with so many callers, and gives the milliseconds of each text."""
    texts, cores = read_texts(), available_cores()
    if peer == "raw-rejection":
        screen, most = raw_onnxruntime(models, ["rejection"]), 1
    elif peer == "raw":
        screen, most = raw_onnxruntime(models), cores
    else:
        opened = {"transformers": transformers_pipelines, "optimum": optimum_pipelines}[peer]
        screen, most = opened(checkpoints), 1
    for text in texts[:WARMING]:
        screen(text)
    threads = {callers: ThreadPoolExecutor(callers) for callers in range(1, most + 1)}
    return lambda callers: list(threads[min(callers, most)].map(lambda text: timed(screen, text), texts))


def main() -> None:
    """Serve rounds until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m perf.peers", description=__doc__)
    parser.add_argument("peer", choices=("raw", "raw-rejection", "transformers", "optimum"))
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("models", type=Path)
    options = parser.parse_args()
    run = open_peer(options.peer, options.checkpoints, options.models)
    print("{}", flush=True)  # noqa: T201
    try:
        while True:
            callers = int(input())
            started_s = time.perf_counter()
            latencies_ms = run(callers)
            print(  # noqa: T201
                json.dumps({"elapsed_s": time.perf_counter() - started_s, "latencies_ms": latencies_ms}),
                flush=True,
            )
    except EOFError:
        pass


if __name__ == "__main__":
    main()
