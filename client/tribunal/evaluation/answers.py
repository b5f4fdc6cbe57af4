"""Gets a running server's verdict of every text."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tribunal.batches import only_verdict
from tribunal.client import Client
from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput, ServerUnavailable, TribunalError
from tribunal.evaluation.target import Target
from tribunal.verdict import Verdict

TEXTS_PER_REQUEST = 8


@dataclass(frozen=True)
class InvalidText:
    """A text that the server refuses, for example because it is too long.

    row: its number in the data, counted from 1.
    """

    row: int
    error: str


def ask(
    client: Client,
    texts: Sequence[str],
    target: Target,
    *,
    concurrency: int,
    on_answers: Callable[[int], None] = lambda _texts: None,
) -> tuple[list[Verdict | None], list[InvalidText]]:
    """Verdicts of `texts` in order, None for a refused text; and the refused texts.

    For `toxicity` the judge is always asked, without its reason; for the encoders never.
    concurrency: requests of up to 8 texts in flight.
    on_answers: called with the number of texts that were answered.
    Raises TribunalError if the server fails, because a partial evaluation is useless.
    """
    judge: JudgeMode = "always" if target is Target.toxicity else "never"

    def ask_batch(start: int) -> list[Verdict | TribunalError]:
        batch = texts[start : start + TEXTS_PER_REQUEST]
        return client.moderate_batch(batch, judge=judge, explain=False, return_errors=True)

    verdicts: list[Verdict | None] = []
    refused: list[InvalidText] = []
    pool = ThreadPoolExecutor(concurrency)
    try:
        for answered in pool.map(ask_batch, range(0, len(texts), TEXTS_PER_REQUEST)):
            for outcome in answered:
                if isinstance(outcome, InvalidInput):
                    refused.append(InvalidText(len(verdicts) + 1, str(outcome)))
                    verdicts.append(None)
                else:
                    verdicts.append(only_verdict(outcome))
            on_answers(len(answered))
    finally:
        # After a failure or Ctrl-C, send no more requests.
        pool.shutdown(wait=False, cancel_futures=True)
    if target is Target.toxicity and not any(
        verdict and verdict.toxicity.score is not None for verdict in verdicts
    ):
        statuses = sorted({verdict.toxicity.status for verdict in verdicts if verdict})
        raise ServerUnavailable(
            f"the judge answered none of {len(verdicts)} texts ({', '.join(statuses) or 'all refused'}): "
            "check that the server has a judge"
        )
    return verdicts, refused
