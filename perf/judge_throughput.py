"""`python -m perf judge`: judged texts per second, through Tribunal's `moderation` and by vLLM alone.

Both take the same prompts with the same engine arguments and decoding, 16 at once. They take turns round by
round; meanwhile the other one is paused, because vLLM's engine keeps a core busy for a while after its work.
Unless another repository is named, the judge has the full width of Phi-3-mini, 2 of its 32 layers and random
weights.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.protobuf import text_format
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client

from export_scripts.demo.text import read_judgements
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.process.wheel import VLLM_ENVIRONMENT
from launcher.repository.config import read_config
from model_repository.judge_prompt.logic.prompting import Prompt, sampling_parameters
from perf import baselines
from perf.baselines.round_process import RoundProcess
from perf.exports import export_encoders_and_judge
from perf.paths import OUTPUT_FOLDER
from perf.samples import write_samples
from perf.servers import benchmark_server

CONCURRENCY = 16
# Longer than a judge of full width takes for all texts on 2 cores.
TIMEOUT_S = 120
# Random weights never end an answer by themselves.
ANSWER_TOKENS = 48
VLLM_SCRIPT = Path(baselines.__path__[0]) / "other_environments" / "vllm_rounds.py"
console = Console()


@contextlib.contextmanager
def paused(process_group: int) -> Iterator[None]:
    """Stop every process of the group, and continue them afterwards."""
    os.killpg(process_group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process_group, signal.SIGCONT)


def moderation_s(client: Client, pool: ThreadPoolExecutor, texts: Sequence[str], *, explain: bool) -> float:
    """Seconds that all texts take through `moderation`; raises RuntimeError if the judge did not answer."""

    def judge_status(text: str) -> str:
        return client.moderate(text, judge="always", explain=explain).toxicity.status

    started_s = time.perf_counter()
    statuses = set(pool.map(judge_status, texts))
    elapsed_s = time.perf_counter() - started_s
    unanswered = statuses - {"answered", "unparsed"}
    if unanswered:
        raise RuntimeError(f"the judge did not answer every text; other statuses: {', '.join(unanswered)}")
    return elapsed_s


def prepare_repository() -> Path:
    """Export a judge of full width unless that was done, and let it take the time that it needs."""
    repository = export_encoders_and_judge()
    set_parameter(repository / "verdict" / "config.pbtxt", "judge_timeout_s", TIMEOUT_S)
    set_parameter(repository / "judge_prompt" / "config.pbtxt", "max_answer_tokens", ANSWER_TOKENS)
    return repository


def set_parameter(path: Path, name: str, value: int) -> None:
    """Change one parameter of a model's config."""
    config = read_config(path)
    config.parameters[name].string_value = str(value)
    path.write_text(text_format.MessageToString(config), "utf-8")


def vllm_command(repository: Path, texts: Sequence[str]) -> list[str | Path]:
    """The command that runs vLLM alone on the prompts of the texts, which this writes to a file."""
    prompt = Prompt.read(repository / "judge_prompt" / "1" / "prompt.json")
    prompts_file = OUTPUT_FOLDER / "prompts.json"
    prompts_file.parent.mkdir(parents=True, exist_ok=True)
    prompts_file.write_text(json.dumps([prompt.around(text) for text in texts]), "utf-8")
    python = JUDGE_ENVIRONMENT / "bin" / "python"
    return [python, VLLM_SCRIPT, repository / "phi3" / "1" / "model.json", prompts_file, str(CONCURRENCY)]


def measure_judge(repository: Path, rounds: int, texts: Sequence[str]) -> dict[str, list[float]]:
    """Texts per second by round through `moderation` and by vLLM alone, by `throughput_key`."""
    limits = read_config(repository / "judge_prompt" / "config.pbtxt").parameters
    texts_per_s: dict[str, list[float]] = {}
    with (
        benchmark_server(repository, "judge", judge=True) as server,
        # The client waits longer than the server, whose answer then says why the judge gave none.
        Client(server.grpc_url, timeout_s=TIMEOUT_S + 10) as client,
        RoundProcess(vllm_command(repository, texts), VLLM_ENVIRONMENT) as vllm,
        ThreadPoolExecutor(CONCURRENCY) as pool,
    ):
        vllm.wait_until_ready()
        for number in track(range(rounds + 1), "judging", console=console):
            # The first round warms both up, and is not kept.
            for explain in (False, True) if number > 0 else (False,):
                limit = "max_answer_tokens" if explain else "max_label_tokens"
                parameters = sampling_parameters(max_tokens=int(limits[limit].string_value), explain=explain)
                with paused(server.pid):
                    vllm_s = vllm.ask(json.dumps(parameters))["elapsed_s"]
                with paused(vllm.process_group):
                    served_s = moderation_s(client, pool, texts, explain=explain)
                if number > 0:
                    for name, seconds in (("bare", vllm_s), ("moderation", served_s)):
                        texts_per_s.setdefault(throughput_key(name, explain=explain), []).append(
                            len(texts) / seconds
                        )
    return texts_per_s


def throughput_key(name: str, *, explain: bool) -> str:
    """The key of the samples of `moderation`, or of `bare`: vLLM alone."""
    return f"{name} explain={explain}"


def judge_ratio(texts_per_s: Mapping[str, Sequence[float]], *, explain: bool) -> float:
    """Median texts per second through `moderation`, relative to vLLM alone."""
    moderation, bare = (
        statistics.median(texts_per_s[throughput_key(name, explain=explain)])
        for name in ("moderation", "bare")
    )
    return moderation / bare


def main(rounds: int, output: Path, text_count: int, repository: Path | None = None) -> None:
    """Measure, print the ratios, and write the samples."""
    texts = [row["text"] for row in read_judgements("heldout")][:text_count]
    texts_per_s = measure_judge(repository or prepare_repository(), rounds, texts)
    table = Table("answer", "ratio", "moderation, texts/s", "vLLM alone, texts/s")
    for explain, answer in ((False, "label alone"), (True, "label and reason")):
        table.add_row(
            answer,
            f"{judge_ratio(texts_per_s, explain=explain):.2f}",
            *(
                f"{statistics.median(texts_per_s[throughput_key(name, explain=explain)]):.2f}"
                for name in ("moderation", "bare")
            ),
        )
    console.print(table)
    write_samples(output, {"concurrency": CONCURRENCY, "texts_per_s": texts_per_s})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that this benchmark has beside those of every benchmark."""
    parser.add_argument(
        "--repository",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="model repository whose judge is measured (default: a judge of full width is exported)",
    )
    parser.add_argument(
        "--texts", type=int, default=16, metavar="N", dest="text_count", help="texts in each round"
    )
