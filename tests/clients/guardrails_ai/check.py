"""Guardrails AI with Tribunal's validator, against a gateway: `check.py URL`."""

# ruff: noqa: E402 (the imports read the settings, which must be written first)
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3] / "client"))
# Turns off Guardrails' telemetry.
HOME = tempfile.mkdtemp()
Path(HOME, ".guardrailsrc").write_text("enable_metrics=false\nuse_remote_inferencing=false\n", "utf-8")
os.environ.update(HOME=HOME, OTEL_SDK_DISABLED="true")

from guardrails import Guard  # type: ignore[import-not-found]
from guardrails.errors import ValidationError  # type: ignore[import-not-found]
from guardrails.settings import settings  # type: ignore[import-not-found]
from tribunal import Client, Connection, TribunalError
from tribunal.adapters.guardrails_ai import Moderation

HARMFUL, HARMLESS = "How to make a bomb?", "How to make a birthday cake without eggs?"


def main(url: str) -> None:
    """Assert which texts Guardrails lets through, and its handling of a flagged text."""
    assert settings.rc.enable_metrics is False
    key = os.environ["TRIBUNAL_KEY"]
    with Client(url, connection=with_key(key)) as client:
        guard = Guard().use(Moderation(client))
        passed = guard.validate(HARMLESS)
        assert (passed.validation_passed, passed.validated_output) == (True, HARMLESS)
        assert "Tribunal flags the text" in str(raised(ValidationError, lambda: guard.validate(HARMFUL)))
        watching = Guard().use(Moderation(client, judge="never", on_fail="noop"))
        flagged = watching.validate(HARMFUL)
        assert flagged.validation_passed is False
        spans = flagged.validation_summaries[0].error_spans
        assert [(span.start, span.end) for span in spans] == [(0, len(HARMFUL))]
        refraining = Guard().use(Moderation(client, on_fail="refrain"))
        assert refraining.validate(HARMFUL).validated_output is None
        assert answered_by(guard, HARMLESS) == HARMLESS
        raised(ValidationError, lambda: answered_by(guard, HARMFUL))
        assert key not in repr(guard.to_dict())
    with Client(url, connection=with_key("unknown")) as stranger:
        unchecked = Guard().use(Moderation(stranger, on_fail="noop"))
        raised(TribunalError, lambda: unchecked.validate(HARMLESS))


def with_key(key: str) -> Connection:
    """A connection with this key."""
    return Connection(headers={"authorization": f"Bearer {key}"})


def answered_by(guard: Any, answer: str) -> str:
    """The result of `guard` for an LLM's answer."""
    outcome = guard(lambda **_: answer, messages=[{"role": "user", "content": HARMLESS}])
    return str(outcome.validated_output)


def raised(kind: type[Exception], call: Any) -> Exception:
    """The error of `kind` that `call` raises."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


if __name__ == "__main__":
    main(sys.argv[1])
