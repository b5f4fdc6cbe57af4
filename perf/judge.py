"""`python -m perf.judge REPOSITORY`: judged texts per second, through `moderation` and by vLLM alone.

Same prompts, same engine arguments, same decoding, 16 at once; rounds of the two take turns, and
the one whose turn it is not is stopped: an engine of vLLM spins on a core for a while after its work.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track
from tribunal import Client

from export_scripts.demo.text import read_judgements
from export_scripts.members import CHECKOUT
from local_server.command import VLLM_ENVIRONMENT
from local_server.preconditions import free_ports
from local_server.server import TritonServer
from local_server.tuning import JUDGE_ENVIRONMENT, read_config

sys.path.append(str(CHECKOUT / "model_repository" / "judge_prompt" / "1"))
from prompting import Prompt, sampling_parameters

CONCURRENCY = 16
ROUNDS = 5
STOP_TIMEOUT_S = 60.0
console = Console()


class BareLlm:
    """The engine alone, in a process of the judge's environment."""

    def __init__(self, repository: Path, prompts: list[str], folder: Path) -> None:
        prompts_file = folder / "prompts.json"
        prompts_file.write_text(json.dumps(prompts), "utf-8")
        script = Path(__file__).parent / "bare_llm.py"
        engine = repository / "phi3" / "1" / "model.json"
        self._process = subprocess.Popen(
            [str(JUDGE_ENVIRONMENT / "bin" / "python"), script, engine, prompts_file, str(CONCURRENCY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **VLLM_ENVIRONMENT},
            start_new_session=True,
        )
        self.group = self._process.pid

    def __enter__(self) -> "BareLlm":
        self._read("ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=STOP_TIMEOUT_S)

    def round_s(self, *, max_tokens: int, explain: bool) -> float:
        """Seconds that all prompts take."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(
            json.dumps(sampling_parameters(max_tokens=max_tokens, explain=explain)) + "\n"
        )
        self._process.stdin.flush()
        return float(self._read())

    def _read(self, wanted: str | None = None) -> str:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in self._process.stdout:
            # vLLM writes its own messages there too.
            if line.strip() == wanted or (wanted is None and line.strip().replace(".", "").isdigit()):
                return line.strip()
        raise RuntimeError("the bare engine ended")


@contextlib.contextmanager
def stopped(group: int) -> Iterator[None]:
    """A process group that does not run meanwhile."""
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def served_s(client: Client, pool: ThreadPoolExecutor, texts: list[str], *, explain: bool) -> float:
    """Seconds that all texts take through `moderation`; raises RuntimeError where one got no answer."""

    def status(text: str) -> str:
        return client.moderate(text, judge="always", explain=explain).toxicity.status

    started_s = time.perf_counter()
    statuses = set(pool.map(status, texts))
    elapsed_s = time.perf_counter() - started_s
    if not statuses <= {"answered", "unparsed"}:
        raise RuntimeError(f"the judge was {statuses - {'answered', 'unparsed'}}")
    return elapsed_s


def main() -> None:
    """Measure, print the ratios, and keep the samples."""
    parser = argparse.ArgumentParser(prog="python -m perf.judge", description=__doc__)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build" / "perf_judge.json", metavar="FILE")
    parser.add_argument("--texts", type=int, default=160, metavar="N", help="in each round")
    options = parser.parse_args()
    texts = [row["text"] for row in read_judgements("heldout")][: options.texts]
    prompt = Prompt.read(options.repository / "judge_prompt" / "1" / "prompt.json")
    limits = read_config(options.repository / "judge_prompt" / "config.pbtxt").parameters
    samples: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        TritonServer(
            options.repository, ports=free_ports(), log_file=CHECKOUT / "build" / "perf.log"
        ) as server,
        Client(server.grpc_url, timeout_s=60) as client,
        BareLlm(options.repository, [prompt.around(text) for text in texts], Path(folder)) as bare,
        ThreadPoolExecutor(CONCURRENCY) as pool,
    ):
        for _ in track(range(ROUNDS + 1), "rounds", console=console):
            for explain in (False, True):
                name = "max_answer_tokens" if explain else "max_label_tokens"
                max_tokens = int(limits[name].string_value)
                with stopped(server.pid):
                    bare_s = bare.round_s(max_tokens=max_tokens, explain=explain)
                samples.setdefault(f"bare explain={explain}", []).append(len(texts) / bare_s)
                with stopped(bare.group):
                    moderated_s = served_s(client, pool, texts, explain=explain)
                samples.setdefault(f"moderation explain={explain}", []).append(len(texts) / moderated_s)
    # The first round warms both up.
    medians = {name: statistics.median(values[1:]) for name, values in samples.items()}
    for explain in (False, True):
        served, alone = medians[f"moderation explain={explain}"], medians[f"bare explain={explain}"]
        console.print(
            f"explain={explain}: {served / alone:.2f} of bare vLLM ({served:.1f} against {alone:.1f} texts/s)"
        )
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps({"texts_per_s": samples, "concurrency": CONCURRENCY}, indent=2))


if __name__ == "__main__":
    main()
