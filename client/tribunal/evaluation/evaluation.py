"""The figures of an evaluation, from labels and answers."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tribunal.contract import ToxicityStatus
from tribunal.evaluation.answers import InvalidText
from tribunal.evaluation.measures import Measures, measure
from tribunal.evaluation.published import CARDS, ModelCard
from tribunal.evaluation.recommend import Goal, Recommendation, recommend
from tribunal.evaluation.scored import Scored
from tribunal.evaluation.target import Target
from tribunal.server_info import ServerInfo

NEGATIVE_NAMES = {Target.rejection: "NORMAL", Target.aegis: None, Target.toxicity: "non-toxic"}
DECISIONS = {
    Target.rejection: "the server's own: the score against its rejection_threshold",
    Target.aegis: "the server's own: each score against the threshold of its category",
    Target.toxicity: "the judge's label; no answer counts as toxic with score 1, as in the "
    "server's default policy (fail closed)",
}


@dataclass(frozen=True)
class Mistake:
    """A text with a wrong decision, and its score for one label.

    row: its number in the data, counted from 1.
    """

    row: int
    label: str
    kind: str
    score: float
    text: str


@dataclass(frozen=True)
class Evaluation:
    """All figures of one target on one set of texts, and their basis.

    measures: of all texts that the server answered; for toxicity no answer counts as toxic.
    answered_alone: for toxicity, of the texts that the judge answered; else None.
    statuses: for toxicity, how many texts the judge answered, and how many not.
    mistakes: the worst of them, with their texts; empty unless asked for.
    """

    target: Target
    data: str
    server: ServerInfo
    url: str
    at: str
    decisions: str
    measures: Measures
    answered_alone: Measures | None
    statuses: dict[ToxicityStatus, int]
    card: ModelCard
    recommendation: Recommendation | None
    refused: tuple[InvalidText, ...]
    mistakes: tuple[Mistake, ...]
    scored: Scored

    @property
    def weights_are_demo(self) -> bool:
        """Whether the server runs demonstration weights, to which the card's figures do not apply."""
        weights = self.server.weights.get(self.card.model)
        return weights is not None and weights.are_demo

    def as_document(self) -> dict[str, Any]:
        """All figures, and each text's labels, scores and decisions, for JSON; texts only if requested."""
        document = {
            name: _plain(value) for name, value in vars(self).items() if name not in ("scored", "target")
        }
        return {
            "target": self.target.value,
            **document,
            "predictions": {
                "names": list(self.scored.names),
                "rows": self.scored.rows.tolist(),
                "labels": self.scored.labels.astype(int).tolist(),
                "scores": self.scored.scores.tolist(),
                "decided": self.scored.decided.astype(int).tolist(),
                "answered": self.scored.answered.astype(int).tolist(),
                "highest_category": self.scored.highest_category.tolist(),
                "category_flagged": self.scored.category_flagged.astype(int).tolist(),
            },
        }


def evaluate_answers(
    scored: Scored,
    texts: list[str],
    target: Target,
    *,
    data: str,
    server: ServerInfo,
    url: str,
    statuses: dict[ToxicityStatus, int],
    refused: list[InvalidText],
    goal: Goal | None,
    examples: int,
) -> Evaluation:
    """Measure `scored`, propose thresholds for `goal`, and pick `examples` mistakes of each kind."""
    negative_name = NEGATIVE_NAMES[target]
    return Evaluation(
        target=target,
        data=data,
        server=server,
        url=url,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        decisions=DECISIONS[target],
        measures=measure(scored, negative_name),
        answered_alone=measure(scored.where(scored.answered), negative_name)
        if target is Target.toxicity
        else None,
        statuses=statuses,
        card=CARDS[target],
        recommendation=recommend(scored, target, goal) if goal else None,
        refused=tuple(refused),
        mistakes=worst_mistakes(scored, texts, examples),
        scored=scored,
    )


def worst_mistakes(scored: Scored, texts: list[str], count: int) -> tuple[Mistake, ...]:
    """The `count` false positives with the highest scores and false negatives with the lowest."""
    mistakes: list[Mistake] = []
    for kind, wrong, sign in (
        ("false positive", scored.decided & ~scored.labels, -1),
        ("false negative", ~scored.decided & scored.labels, 1),
    ):
        mistaken = np.argwhere(wrong)
        order = np.argsort(sign * scored.scores[wrong], kind="stable")[:count]
        mistakes.extend(
            Mistake(
                row=int(scored.rows[text]),
                label=scored.names[name],
                kind=kind,
                score=float(scored.scores[text, name]),
                text=texts[scored.rows[text] - 1],
            )
            for text, name in mistaken[order]
        )
    return tuple(mistakes)


def _plain(value: Any) -> Any:
    """Dataclasses as dictionaries, also inside tuples."""
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value
