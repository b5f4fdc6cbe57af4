"""`python -m perf judge`: judged texts per second, through `moderation` and by vLLM alone.

The judge has the full width of Phi-3-mini in 2 layers with random weights, unless another repository is
named. Same prompts, same engine arguments, same decoding, 16 at once; rounds of the two take turns, and
the one whose turn it is not is stopped: an engine of vLLM spins on a core for a while after its work.
"""

import contextlib
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.protobuf import text_format
from rich.console import Console
from rich.progress import track
from tribunal import Client

from export_scripts.demo.text import read_judgements
from launcher.exposure.ports import free_ports
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.options import ServerOptions
from launcher.process.command_line import VLLM_ENVIRONMENT
from launcher.process.server import TritonServer
from launcher.repository.config import read_config
from launcher.repository.contract import CHECKOUT
from perf.child import Child
from perf.compare import FOLDER, PRECISIONS, export, prepare, write_checkpoints
from perf.hardware import describe_hardware

sys.path.append(str(CHECKOUT / "model_repository" / "judge_prompt" / "1"))
from model_repository.judge_prompt.logic.prompting import Prompt, sampling_parameters

CONCURRENCY = 16
# Beyond what a judge of full width takes for all of them on 2 cores. Random weights never end an answer.
TIMEOUT_S = 120
ANSWER_TOKENS = 48
console = Console()


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


def prepare_judge() -> Path:
    """The repository of the full-size encoders, with a judge of full width, exported once."""
    checkpoints = prepare()
    repository = FOLDER / PRECISIONS[0]
    if not (repository / "phi3" / "1" / "model.json").exists():
        write_checkpoints(checkpoints, ["judge"])
        with console.status("exporting the wide judge"):
            export(checkpoints, PRECISIONS[0], ["judge"])
    set_parameter(repository / "toxicity" / "config.pbtxt", "timeout_s", TIMEOUT_S)
    set_parameter(repository / "judge_prompt" / "config.pbtxt", "max_answer_tokens", ANSWER_TOKENS)
    return repository


def set_parameter(path: Path, name: str, value: int) -> None:
    """Change a parameter of a model's config."""
    config = read_config(path)
    config.parameters[name].string_value = str(value)
    path.write_text(text_format.MessageToString(config), "utf-8")


def measure_judge(repository: Path, rounds: int, texts: list[str]) -> dict[str, list[float]]:
    """Texts per second by round of `bare` and `moderation`, without and with a reason."""
    prompt = Prompt.read(repository / "judge_prompt" / "1" / "prompt.json")
    limits = read_config(repository / "judge_prompt" / "config.pbtxt").parameters
    samples: dict[str, list[float]] = {}
    prompts_file = FOLDER / "prompts.json"
    prompts_file.write_text(json.dumps([prompt.around(text) for text in texts]), "utf-8")
    command: list[str | Path] = [
        JUDGE_ENVIRONMENT / "bin" / "python",
        Path(__file__).parent / "bare_llm.py",
        repository / "phi3" / "1" / "model.json",
        prompts_file,
        str(CONCURRENCY),
    ]
    with (
        TritonServer(ServerOptions(repository, ports=free_ports(), log_file=FOLDER / "judge.log")) as server,
        Client(server.grpc_url, timeout_s=TIMEOUT_S + 10) as client,
        Child(command, VLLM_ENVIRONMENT) as bare,
        ThreadPoolExecutor(CONCURRENCY) as pool,
    ):
        bare.wait_until_ready()
        for number in track(range(rounds + 1), "judging", console=console):
            # The first round warms both up, with labels alone.
            for explain in (False, True) if number > 0 else (False,):
                name = "max_answer_tokens" if explain else "max_label_tokens"
                parameters = sampling_parameters(max_tokens=int(limits[name].string_value), explain=explain)
                with stopped(server.pid):
                    bare_s = bare.ask(json.dumps(parameters))["elapsed_s"]
                with stopped(bare.group):
                    moderated_s = served_s(client, pool, texts, explain=explain)
                if number > 0:
                    samples.setdefault(f"bare explain={explain}", []).append(len(texts) / bare_s)
                    samples.setdefault(f"moderation explain={explain}", []).append(len(texts) / moderated_s)
    return samples


def main(rounds: int, output: Path, repository: Path | None, number_of_texts: int) -> None:
    """Measure, print the ratios, and keep the samples."""
    texts = [row["text"] for row in read_judgements("heldout")][:number_of_texts]
    samples = measure_judge(repository or prepare_judge(), rounds, texts)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    for explain in (False, True):
        served, alone = medians[f"moderation explain={explain}"], medians[f"bare explain={explain}"]
        console.print(
            f"explain={explain}: {served / alone:.2f} of bare vLLM ({served:.2f} against {alone:.2f} texts/s)"
        )
    document = {"hardware": describe_hardware(), "concurrency": CONCURRENCY, "texts_per_s": samples}
    output.write_text(json.dumps(document), "utf-8")
    console.print(f"samples: {output}")
