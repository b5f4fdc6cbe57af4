"""`python -m perf.baselines`: runs one library baseline for `python -m perf compare`.

Each line of standard input is a JSON array: the number of callers, texts in a request, and passes over the
workload. For each line, the process screens the workload and writes a line of JSON: the seconds of the round,
and the latency of each text in ms, including its wait. When it is ready, before the first round, it writes an
empty JSON object.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from perf.baselines.library_baseline import LibraryBaseline
from perf.baselines.registry import EncoderFiles, all_baselines
from perf.load.rounds import Load


def main() -> None:
    """Run a round for each line of standard input, until its end."""
    library_baselines = {
        name: baseline for name, baseline in all_baselines().items() if isinstance(baseline, LibraryBaseline)
    }
    parser = argparse.ArgumentParser(prog="python -m perf.baselines", description=__doc__)
    parser.add_argument("name", choices=library_baselines, help="the baseline to run")
    parser.add_argument("checkpoints", type=Path, help="folder of the encoders' PyTorch weights")
    parser.add_argument(
        "repositories", type=Path, help="folder of the model repositories with the encoders' ONNX files"
    )
    options = parser.parse_args()
    encoders = EncoderFiles(options.checkpoints, options.repositories)
    with library_baselines[options.name].load(encoders) as run_round:
        print("{}", flush=True)  # noqa: T201
        for line in sys.stdin:
            callers, request_texts, passes = json.loads(line)
            round_ = run_round(Load(callers, request_texts), passes)
            print(json.dumps(asdict(round_)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
