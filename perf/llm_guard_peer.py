"""The refusal part as LLM Guard does it: its NoRefusal scanner with ONNX, which reads 128 tokens.

`python llm_guard_peer.py CHECKPOINT TEXTS WARMING` runs in an environment of LLM Guard's own, and answers
each line of standard input with a line of JSON: the seconds that all texts of the file TEXTS took, one after
the other, and the milliseconds of each. It has read the first WARMING of them once before.
"""

import json
import sys
import time
from pathlib import Path

from llm_guard.model import Model
from llm_guard.output_scanners import NoRefusal
from llm_guard.util import configure_logger

# All but the place of the weights is LLM Guard's default:
# https://github.com/protectai/llm-guard/blob/main/llm_guard/output_scanners/no_refusal.py
PIPELINE = {"return_token_type_ids": False, "max_length": 128, "truncation": True}


def main() -> None:
    """Serve rounds until standard input ends."""
    checkpoint, texts_file, warming = sys.argv[1:]
    configure_logger("ERROR")
    scanner = NoRefusal(
        model=Model(path=checkpoint, onnx_path=checkpoint, pipeline_kwargs=PIPELINE), use_onnx=True
    )
    texts = [json.loads(line)["text"] for line in Path(texts_file).read_text("utf-8").splitlines()]
    for text in texts[: int(warming)]:
        scanner.scan("", text)
    print("{}", flush=True)  # noqa: T201
    for _ in sys.stdin:
        started_s = time.perf_counter()
        latencies_ms = []
        for text in texts:
            before_s = time.perf_counter()
            scanner.scan("", text)
            latencies_ms.append((time.perf_counter() - before_s) * 1000)
        answer = {"elapsed_s": time.perf_counter() - started_s, "latencies_ms": latencies_ms}
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
