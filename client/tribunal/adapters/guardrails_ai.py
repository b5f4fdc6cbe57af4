"""A validator for Guardrails AI, which must be installed.

from guardrails import Guard
from tribunal import Client
from tribunal.adapters.guardrails_ai import Moderation

guard = Guard().use(Moderation(Client("localhost:8001")))
guard.validate("How to make a bomb?")     # raises guardrails.errors.ValidationError
"""

from collections.abc import Callable, Mapping
from typing import Any

from guardrails.validator_base import (  # type: ignore[import-not-found]
    ErrorSpan,
    FailResult,
    PassResult,
    Validator,
    register_validator,
)

from tribunal.client import Client
from tribunal.contract import JudgeMode
from tribunal.verdict import Verdict


@register_validator(name="tribunal/moderation", data_type="string")
class Moderation(Validator):  # type: ignore[misc]
    """Passes a text that the server does not flag.

    on_fail: what Guardrails does with a flagged text; by default it raises an exception.

    Without a verdict, validation raises a TribunalError whatever `on_fail` says.
    """

    def __init__(
        self,
        client: Client,
        *,
        judge: JudgeMode | None = None,
        on_fail: str | Callable[..., Any] | None = None,
    ) -> None:
        # Guardrails prints and stores these arguments, so they omit the client, which may have a key.
        super().__init__(on_fail=on_fail, judge=judge)
        self._client = client
        self._judge = judge

    def _validate(self, value: str, metadata: Mapping[str, Any]) -> PassResult | FailResult:  # noqa: ARG002
        verdict = self._client.moderate(value, judge=self._judge, explain=False)
        if not verdict.flagged:
            return PassResult()
        why = f"Tribunal flags the text: {', '.join(_reasons(verdict))}"
        return FailResult(error_message=why, error_spans=[ErrorSpan(start=0, end=len(value), reason=why)])


def _reasons(verdict: Verdict) -> list[str]:
    toxicity = verdict.toxicity
    if toxicity.status in ("unavailable", "unparsed"):
        return [*verdict.categories.flagged, "the judge gave no answer"]
    others = {"toxic": toxicity.label == "toxic", "its end was not read": verdict.truncated}
    return [*verdict.categories.flagged, *(reason for reason, holds in others.items() if holds)]
