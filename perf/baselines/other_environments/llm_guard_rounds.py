"""Runs rounds of LLM Guard's NoRefusal scanner, in LLM Guard's environment.

`python llm_guard_rounds.py MODEL TEXTS_FILE WARM_UP_TEXTS` runs a round for each line of standard input. It
answers with a line of JSON: the seconds for all texts of TEXTS_FILE, screened one at a time, and the
milliseconds of each. Before the first round it screens the first WARM_UP_TEXTS and writes an empty JSON
object when it is ready.
"""

import json
import sys
import time
from pathlib import Path

from llm_guard.model import Model
from llm_guard.output_scanners import NoRefusal
from llm_guard.util import configure_logger

# LLM Guard's defaults, except for the path of the weights:
# https://github.com/protectai/llm-guard/blob/main/llm_guard/output_scanners/no_refusal.py
PIPELINE_OPTIONS = {"return_token_type_ids": False, "max_length": 128, "truncation": True}


def main() -> None:
    """Run a round for each line of standard input, until its end."""
    model_folder, texts_file, warm_up_texts = sys.argv[1:]
    configure_logger("ERROR")
    model = Model(path=model_folder, onnx_path=model_folder, pipeline_kwargs=PIPELINE_OPTIONS)
    scanner = NoRefusal(model=model, use_onnx=True)
    texts = [json.loads(line)["text"] for line in Path(texts_file).read_text("utf-8").splitlines()]
    for text in texts[: int(warm_up_texts)]:
        scanner.scan("", text)
    print("{}", flush=True)  # noqa: T201
    for _ in sys.stdin:
        round_started_s = time.perf_counter()
        latencies_ms = []
        for text in texts:
            started_s = time.perf_counter()
            scanner.scan("", text)
            latencies_ms.append((time.perf_counter() - started_s) * 1000)
        answer = {"elapsed_s": time.perf_counter() - round_started_s, "latencies_ms": latencies_ms}
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
