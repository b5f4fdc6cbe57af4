"""A client without a server, for what the command line does with its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tribunal import Categories, InvalidInput, Refusal, ServerInfo, Toxicity, Verdict, Weights
from tribunal.contract import JudgeMode

CATEGORIES = ("Threat", "Guns and Illegal Weapons")
REASON = "The text threatens a person with violence, and names the weapon that is to be used."


def verdict_on(text: str) -> Verdict:
    """Flags what speaks of a bomb; the judge finds it toxic, and everything else not."""
    is_bad = "bomb" in text
    score = 0.875 if is_bad else 0.125
    return Verdict(
        flagged=is_bad,
        refusal=Refusal(detected=False, score=0.25),
        categories=Categories(CATEGORIES if is_bad else (), dict.fromkeys(CATEGORIES, score)),
        toxicity=Toxicity("answered", "toxic" if is_bad else "non-toxic", score, REASON),
        windows=1,
        truncated=False,
    )


@dataclass
class FakeClient:
    """Has the methods of `Client`, and refuses texts that say `refuse`."""

    batches: list[list[str]] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=lambda: {"aegis": "demo", "judge": "demo"})

    def __call__(self, *_: object, **__: object) -> "FakeClient":
        """Stands for the class too."""
        return self

    def __enter__(self) -> "FakeClient":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def is_ready(self) -> bool:
        return True

    def info(self) -> ServerInfo:
        weights = {name: Weights(source, None, "fp32") for name, source in self.sources.items()}
        return ServerInfo("2.51.0", {"moderation": True}, weights)

    def moderate_batch(
        self,
        texts: Sequence[str],
        *,
        judge: JudgeMode | None = None,  # noqa: ARG002
        explain: bool = True,  # noqa: ARG002
        return_errors: bool = False,
    ) -> list[Verdict | InvalidInput]:
        self.batches.append(list(texts))
        outcomes: list[Verdict | InvalidInput] = []
        for index, text in enumerate(texts):
            refused = InvalidInput(f"text[0] has {70_000 + index} bytes; the limit is 65536")
            outcomes.append(refused if "refuse" in text else verdict_on(text))
            if "refuse" in text and not return_errors:
                raise refused
        return outcomes

    def stream_judgement(self, text: str) -> Iterator[str]:
        yield from ("toxic" if "bomb" in text else "non-toxic", ". ", REASON)
