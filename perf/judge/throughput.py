"""`python -m perf judge`: judged texts per second, through Tribunal's `moderation` and by vLLM alone.

Both use the same prompts, engine arguments, decoding and numbers of callers. They take turns, and the other
one is paused meanwhile, because vLLM's engine keeps a core busy for a while after its work. No text is sent
twice, because vLLM's prefix cache would hold its prompt. The default judge has the full width of Phi-3-mini,
2 of its 32 layers, random weights, and the demonstration's tokenizer, in which each half of the prompt's
template is one token.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tribunal import Client, Connection

from export_scripts.demo.text import read_judgements
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.process.wheel import vllm_environment
from launcher.repository.config import read_config
from model_repository.judge_prompt.logic.prompting import Prompt, sampling_parameters
from perf import baselines
from perf.baselines.round_process import RoundProcess
from perf.samples import write_samples
from perf.serving.exports import export_encoders_and_judge
from perf.serving.servers import benchmark_server

CALLERS = (1, 4, 16, 64)
# A round of a single caller would be too short with one text.
MIN_TEXTS = 4
# More than the time of a full-width judge for all texts on 2 cores.
TIMEOUT_S = 120
# With random weights, an answer ends only at the token limit.
ANSWER_TOKENS = 48
VLLM_SCRIPT = Path(baselines.__path__[0]) / "other_environments" / "vllm_rounds.py"
ROUNDS = 3
console = Console()


@dataclass(frozen=True)
class JudgeSample:
    """One round of a number of callers.

    moderation_s, bare_s: seconds for all texts through `moderation`, and by vLLM alone.
    prompt_tokens, cached_tokens, answer_tokens: counts of vLLM alone, over all texts; prompt tokens include
    those in the prefix cache.
    """

    callers: int
    explain: bool
    texts: int
    moderation_s: float
    bare_s: float
    prompt_tokens: int
    cached_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class JudgeFigures:
    """Medians of the rounds of one kind of answer and number of callers."""

    answer: str
    callers: int
    moderation_texts_per_s: float
    bare_texts_per_s: float

    @property
    def ratio(self) -> float:
        """Texts per second through `moderation`, relative to vLLM alone."""
        return self.moderation_texts_per_s / self.bare_texts_per_s


@contextlib.contextmanager
def paused(process_group: int) -> Iterator[None]:
    """Pause every process of the group until the context ends."""
    os.killpg(process_group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process_group, signal.SIGCONT)


def moderation_s(client: Client, pool: ThreadPoolExecutor, texts: Sequence[str], *, explain: bool) -> float:
    """Seconds for all texts through `moderation`; raises RuntimeError if the judge did not answer."""

    def judge_status(text: str) -> str:
        return client.moderate(text, judge="always", explain=explain).toxicity.status

    started_s = time.perf_counter()
    statuses = set(pool.map(judge_status, texts))
    elapsed_s = time.perf_counter() - started_s
    unanswered = statuses - {"answered", "unparsed"}
    if unanswered:
        raise RuntimeError(f"the judge did not answer every text; other statuses: {', '.join(unanswered)}")
    return elapsed_s


def prepared(repository: Path) -> Path:
    """`repository` with time limits of a benchmark."""
    set_parameter(repository / "verdict" / "config.pbtxt", "judge_timeout_s", TIMEOUT_S)
    set_parameter(repository / "judge_prompt" / "config.pbtxt", "max_answer_tokens", ANSWER_TOKENS)
    return repository


def set_parameter(path: Path, name: str, value: int) -> None:
    """Change one parameter of a model's config."""
    config = read_config(path)
    config.parameters[name].string_value = str(value)
    path.write_text(text_format.MessageToString(config), "utf-8")


def decoding(repository: Path, *, explain: bool) -> dict[str, Any]:
    """The sampling parameters that the repository's `judge_prompt` sends to vLLM."""
    limits = read_config(repository / "judge_prompt" / "config.pbtxt").parameters
    limit = limits["max_answer_tokens" if explain else "max_label_tokens"]
    return sampling_parameters(max_tokens=int(limit.string_value), explain=explain)


def new_texts() -> Iterator[str]:
    """An endless series of held-out texts; a number makes each text unique."""
    texts = itertools.cycle(row["text"] for row in read_judgements("heldout"))
    return (f"{number}. {text}" for number, text in enumerate(texts))


def measure_judge(
    repository: Path,
    rounds: int,
    texts_per_caller: int,
    numbers_of_callers: Sequence[int] = CALLERS,
    triton: Path | None = None,
) -> Iterator[JudgeSample]:
    """Samples of each round, number of callers and kind of answer.

    triton: a tritonserver other than the found one.
    """
    prompt = Prompt.read(repository / "judge_prompt" / "1" / "prompt.json")
    python = JUDGE_ENVIRONMENT / "bin" / "python"
    engine_file = repository / "phi3" / "1" / "model.json"
    texts = new_texts()
    with (
        benchmark_server(repository, "judge", judge=True, triton=triton) as server,
        # The client waits longer than the server, whose response says why a judgement is missing.
        Client(
            server.grpc_url,
            timeout_s=TIMEOUT_S + 10,
            connection=Connection(max_in_flight=max(numbers_of_callers)),
        ) as client,
        RoundProcess([python, VLLM_SCRIPT, engine_file], vllm_environment()) as vllm,
    ):
        vllm.wait_until_ready()
        for number in track(range(rounds + 1), "judging", console=console):
            # The first round is a warm-up and is discarded.
            every_case = itertools.product(numbers_of_callers, (False, True))
            cases = every_case if number > 0 else [(numbers_of_callers[-1], False)]
            for callers, explain in cases:
                asked = list(itertools.islice(texts, max(callers * texts_per_caller, MIN_TEXTS)))
                question = {
                    "prompts": [prompt.around(text) for text in asked],
                    "callers": callers,
                    "sampling": decoding(repository, explain=explain),
                }
                with paused(server.pid):
                    bare = vllm.ask(json.dumps(question))
                with paused(vllm.process_group), ThreadPoolExecutor(callers) as pool:
                    moderation = moderation_s(client, pool, asked, explain=explain)
                if number > 0:
                    yield JudgeSample(
                        callers,
                        explain,
                        len(asked),
                        moderation_s=moderation,
                        bare_s=bare["elapsed_s"],
                        prompt_tokens=bare["prompt_tokens"],
                        cached_tokens=bare["cached_tokens"],
                        answer_tokens=bare["answer_tokens"],
                    )


def figures(samples: Iterable[JudgeSample]) -> Iterator[JudgeFigures]:
    """Medians of the rounds, by kind of answer and number of callers."""
    by_case: dict[tuple[bool, int], list[JudgeSample]] = {}
    for sample in samples:
        by_case.setdefault((sample.explain, sample.callers), []).append(sample)
    for (explain, callers), rounds in sorted(by_case.items()):
        yield JudgeFigures(
            "label and reason" if explain else "label alone",
            callers,
            statistics.median(sample.texts / sample.moderation_s for sample in rounds),
            statistics.median(sample.texts / sample.bare_s for sample in rounds),
        )


def judge_table(samples: Sequence[JudgeSample]) -> Table:
    """A row for each kind of answer and number of callers."""
    table = Table("answer", "callers", "ratio", "moderation, texts/s", "vLLM alone, texts/s")
    for row in figures(samples):
        table.add_row(
            row.answer,
            str(row.callers),
            f"{row.ratio:.2f}",
            f"{row.moderation_texts_per_s:.2f}",
            f"{row.bare_texts_per_s:.2f}",
        )
    return table


def main(rounds: int, output: Path, texts_per_caller: int, repository: Path | None = None) -> None:
    """Measure, print the ratios, and write the samples."""
    served = repository or prepared(export_encoders_and_judge())
    samples = list(measure_judge(served, rounds, texts_per_caller))
    console.print(judge_table(samples))
    prompt_tokens, cached_tokens = (
        sum(getattr(sample, name) for sample in samples) for name in ("prompt_tokens", "cached_tokens")
    )
    console.print(f"of {prompt_tokens} prompt tokens vLLM alone had {cached_tokens} in its prefix cache")
    write_samples(output, {"samples": [asdict(sample) for sample in samples]})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--repository",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="model repository whose judge is measured (default: a judge of full width is exported)",
    )
    parser.add_argument(
        "--texts-per-caller",
        type=int,
        default=1,
        metavar="N",
        help=f"texts of each caller in a round, at least {MIN_TEXTS} in all",
    )
