"""Google's client library for Perspective API, against a gateway: `check.py URL`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from googleapiclient import discovery  # type: ignore[import-not-found]
from googleapiclient.errors import HttpError  # type: ignore[import-not-found]

VERDICTS: dict[str, Any] = json.loads(Path(os.environ["TRIBUNAL_VERDICTS"]).read_text("utf-8"))
INSULT = "You are a pathetic clown and everybody laughs at you."
HARMLESS = "How to make a birthday cake without eggs?"


def main(url: str) -> None:
    """Assert that the discovery document has the method, and that scores equal those of `tribunal.Client`."""
    client = build(url, os.environ["TRIBUNAL_KEY"])
    for text, verdict in VERDICTS.items():
        scores, flagged = verdict["categories"]["scores"], verdict["categories"]["flagged"]
        expected = {
            "TOXICITY": max(verdict["toxicity"]["score"], *(scores[name] for name in flagged), 0.0),
            "INSULT": scores["Harassment"],
            "IDENTITY_ATTACK": scores["Hate/Identity Hate"],
            "SEXUALLY_EXPLICIT": max(scores["Sexual"], scores["Sexual (minor)"]),
        }
        answer = analyze(client, text, *expected, languages=["en"], doNotStore=True, clientToken="c1")
        found = answer["attributeScores"]
        assert {name: found[name]["summaryScore"]["value"] for name in expected} == expected, text
        assert {score["summaryScore"]["type"] for score in found.values()} == {"PROBABILITY"}
        assert (answer["clientToken"], answer["languages"]) == ("c1", ["en"])
    check_spans_and_thresholds(client)
    check_errors(client, url)


def build(url: str, key: str) -> Any:
    """A client as in Perspective's documentation, but with the gateway's address."""
    return discovery.build(
        "commentanalyzer",
        "v1alpha1",
        developerKey=key,
        discoveryServiceUrl=f"{url}/$discovery/rest?version=v1alpha1",
        static_discovery=False,
    )


def analyze(client: Any, text: str, *attributes: str, **fields: Any) -> dict[str, Any]:
    """The response for one comment."""
    body = {"comment": {"text": text}, "requestedAttributes": {name: {} for name in attributes}, **fields}
    answer: dict[str, Any] = client.comments().analyze(body=body).execute()
    return answer


def check_spans_and_thresholds(client: Any) -> None:
    """Spans of an insult in a comment and of a whole comment; scores below the threshold are omitted."""
    comment = f"😀 {HARMLESS} {INSULT} {HARMLESS}"
    scores = analyze(client, comment, "INSULT", "PROFANITY", spanAnnotations=True)["attributeScores"]
    begin, units = len(HARMLESS) + 4, len(comment) + 1
    for name, places in {"INSULT": (begin, begin + len(INSULT)), "PROFANITY": (0, units)}.items():
        (span,) = scores[name]["spanScores"]
        assert (span["begin"], span["end"]) == places, scores[name]
        assert span["score"] == scores[name]["summaryScore"], scores[name]
    assert "spanScores" not in analyze(client, comment, "INSULT")["attributeScores"]["INSULT"]
    body = {
        "comment": {"text": HARMLESS},
        "requestedAttributes": {"THREAT": {"scoreThreshold": 1}, "PROFANITY": {"scoreThreshold": 0}},
    }
    answer = client.comments().analyze(body=body).execute()
    assert set(answer["attributeScores"]) == {"PROFANITY"}


def check_errors(client: Any, url: str) -> None:
    """The library parses each error with its message and details."""
    faults = {
        "COMMENT_EMPTY": lambda: analyze(client, "", "TOXICITY"),
        "NO_REQUESTED_ATTRIBUTES": lambda: analyze(client, HARMLESS),
        "INVALID_REQUEST": lambda: analyze(client, HARMLESS, "FLIRTATION"),
        "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE": lambda: analyze(client, HARMLESS, "INSULT", languages=["fr"]),
    }
    for error_type, ask in faults.items():
        error = raised(ask)
        assert error.status_code == 400, error
        assert [detail["errorType"] for detail in error.error_details] == [error_type], error
    assert "FLIRTATION" in raised(faults["INVALID_REQUEST"]).reason
    stranger = build(url, "unknown")
    assert raised(lambda: analyze(stranger, HARMLESS, "THREAT")).status_code == 401
    limited = build(url, os.environ["TRIBUNAL_LIMITED_KEY"])
    for _ in range(2):
        analyze(limited, HARMLESS, "THREAT")
    assert raised(lambda: analyze(limited, HARMLESS, "THREAT")).status_code == 429


def raised(call: Any) -> Any:
    """The error that `call` raises."""
    try:
        call()
    except HttpError as error:
        return error
    raise AssertionError("no error was raised")


if __name__ == "__main__":
    main(sys.argv[1])
