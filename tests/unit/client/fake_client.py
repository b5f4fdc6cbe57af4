"""A client without a server, for tests of the command line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tribunal import (
    Categories,
    InvalidInput,
    Refusal,
    ServerError,
    ServerInfo,
    Span,
    Toxicity,
    TribunalError,
    Verdict,
    Weights,
)
from tribunal.contract import JudgeMode

OLD_SERVER = "the server is too old for an option of this call: update the server"
CATEGORIES = ("Threat", "Guns and Illegal Weapons")
SENTENCE = re.compile(r"[^.?!\s][^.?!]*[.?!]*")
REASON = "The text threatens a person with violence, and names the weapon that is to be used."


def verdict_on(text: str) -> Verdict:
    """A verdict that flags texts about a bomb; the judge finds them toxic, and all others non-toxic."""
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


def with_spans(text: str) -> Verdict:
    """That verdict with the sentences about a bomb; sentences with `sorry` are also refusals."""
    verdict = verdict_on(text)
    spans = [
        Span(
            *sentence.span(),
            Refusal("sorry" in sentence[0], 0.75),
            verdict_on(sentence[0]).categories,
        )
        for sentence in SENTENCE.finditer(text)
        if "bomb" in sentence[0] or "sorry" in sentence[0]
    ]
    return replace(verdict, spans=tuple(spans))


@dataclass
class FakeClient:
    """Has the methods of `Client`, and refuses texts that contain `refuse`.

    knows_spans: False for the client of a server without the input `spans`.
    """

    batches: list[list[str]] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=lambda: {"aegis": "demo", "judge": "demo"})
    knows_spans: bool = True

    def __call__(self, *_: object, **__: object) -> "FakeClient":
        """Return itself, because it also replaces the class."""
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
        spans: bool = False,
        return_errors: bool = False,
    ) -> list[Verdict | TribunalError]:
        self.batches.append(list(texts))
        outcomes: list[Verdict | TribunalError] = []
        for index, text in enumerate(texts):
            if spans and not self.knows_spans:
                outcomes.append(ServerError(OLD_SERVER))
            elif "refuse" in text:
                outcomes.append(InvalidInput(f"text[0] has {70_000 + index} bytes; the limit is 65536"))
            else:
                outcomes.append(with_spans(text) if spans else verdict_on(text))
            if isinstance(failure := outcomes[-1], TribunalError) and not return_errors:
                raise failure
        return outcomes

    def moderate(self, text: str, *, judge: JudgeMode | None = None, spans: bool = False) -> Verdict:
        self.batches.append([text])
        assert judge == "never"
        return with_spans(text) if spans else verdict_on(text)

    def stream_judgement(self, text: str) -> Iterator[str]:
        yield from ("toxic" if "bomb" in text else "non-toxic", ". ", REASON)
