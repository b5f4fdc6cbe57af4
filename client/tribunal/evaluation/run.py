"""One evaluation of a running server: reads the texts, gets their verdicts, measures them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tribunal.client import Client
from tribunal.errors import InvalidInput
from tribunal.evaluation.answers import ask
from tribunal.evaluation.evaluation import Evaluation, evaluate_answers
from tribunal.evaluation.labelled_data import read_labelled
from tribunal.evaluation.recommend import Goal
from tribunal.evaluation.scored import score
from tribunal.evaluation.sources import Source
from tribunal.evaluation.target import Target

PROBE = "hello"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of an evaluation.

    goal: of the recommended thresholds; None recommends none.
    examples: number of the worst mistakes of each kind to keep with their texts.
    concurrency: requests in flight.
    """

    target: Target
    source: Source
    goal: Goal | None
    examples: int
    concurrency: int


def evaluate_server(
    client: Client, url: str, request: Request, on_progress: Callable[[int, int], None]
) -> Evaluation:
    """Get the server's verdict of every text of the request, and measure the verdicts.

    url: of the server, for the report. on_progress: called with how many texts were answered since the
    last call, and how many there are. Raises InvalidInput if the data cannot be read, or the server
    refuses every text.
    """
    server = client.info()
    labelled = read_labelled(request.source, request.target, _server_categories(client))
    verdicts, refused = ask(
        client,
        labelled.texts,
        request.target,
        concurrency=request.concurrency,
        on_answers=lambda answered: on_progress(answered, len(labelled.texts)),
    )
    if len(refused) == len(verdicts):
        raise InvalidInput(f"the server refused every text; row 1: {refused[0].error}")
    statuses = Counter(
        verdict.toxicity.status for verdict in verdicts if verdict and request.target is Target.toxicity
    )
    return evaluate_answers(
        score(labelled, verdicts, request.target),
        labelled.texts,
        request.target,
        data=request.source.location,
        server=server,
        url=url,
        statuses=dict(statuses),
        refused=refused,
        goal=request.goal,
        examples=request.examples,
    )


def _server_categories(client: Client) -> tuple[str, ...]:
    """The names of the server's categories, in its order."""
    return tuple(client.moderate(PROBE, judge="never").categories.scores)
