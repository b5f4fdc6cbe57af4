"""The client's types, and inputs that it refuses without asking a server."""

import copy
import dataclasses
import inspect
import json
import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest
import tribunal
from tribunal import (
    AsyncClient,
    Categories,
    Client,
    InvalidInput,
    Refusal,
    ServerError,
    Span,
    Toxicity,
    TribunalError,
    Verdict,
)
from tribunal.batches import encode_each
from tribunal.transport.messages import Question, moderation_request

DOCUMENT: dict[str, Any] = {
    "flagged": True,
    "refusal": {"detected": False, "score": 0.004},
    "categories": {"flagged": ["Threat"], "scores": {"Threat": 0.9, "Violence": 0.1}},
    "toxicity": {"status": "answered", "label": "toxic", "score": 0.97, "reason": "A threat."},
    "windows": 2,
    "truncated": False,
}
SPANS: list[dict[str, Any]] = [
    {
        "start": 3,
        "end": 25,
        "refusal": {"detected": True, "score": 0.75},
        "categories": {"flagged": [], "scores": {"Threat": 0.2, "Violence": 0.1}},
    },
    {
        "start": 26,
        "end": 40,
        "refusal": {"detected": False, "score": 0.1},
        "categories": {"flagged": ["Threat"], "scores": {"Threat": 0.9, "Violence": 0.1}},
    },
]


def test_a_verdict_is_read_from_its_document() -> None:
    verdict = Verdict.from_json(json.dumps(DOCUMENT).encode())
    assert verdict.flagged
    assert verdict.refusal.score == 0.004
    assert verdict.categories.flagged == ("Threat",)
    assert verdict.categories.scores["Violence"] == 0.1
    assert verdict.toxicity == Toxicity("answered", "toxic", 0.97, "A threat.")
    assert (verdict.windows, verdict.truncated) == (2, False)
    assert pickle.loads(pickle.dumps(verdict)) == copy.deepcopy(verdict) == verdict  # noqa: S301
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.flagged = False  # type: ignore[misc]


def read(document: dict[str, Any]) -> Verdict:
    return Verdict.from_json(json.dumps(document).encode())


def test_spans_are_read_in_their_order() -> None:
    verdict = read({**DOCUMENT, "spans": SPANS})
    assert verdict.spans == (
        Span(3, 25, Refusal(True, 0.75), Categories((), {"Threat": 0.2, "Violence": 0.1})),
        Span(26, 40, Refusal(False, 0.1), Categories(("Threat",), {"Threat": 0.9, "Violence": 0.1})),
    )
    assert read({**DOCUMENT, "spans": []}).spans == ()
    assert read(DOCUMENT).spans is None
    assert pickle.loads(pickle.dumps(verdict)) == copy.deepcopy(verdict) == verdict  # noqa: S301


@pytest.mark.parametrize("document", [DOCUMENT, {**DOCUMENT, "spans": []}, {**DOCUMENT, "spans": SPANS}])
def test_a_document_comes_back_as_it_was(document: dict[str, Any]) -> None:
    verdict = read(document)
    assert json.loads(json.dumps(verdict.as_document())) == document
    assert json.loads(verdict.as_json()) == document
    assert Verdict.from_json(verdict.as_json()) == verdict


def test_fields_of_a_newer_servers_spans_are_left_out() -> None:
    newer = [
        {**span, "words": [1], "refusal": {**span["refusal"], "reason": None}, "toxicity": {"score": 1}}
        for span in SPANS
    ]
    assert read({**DOCUMENT, "spans": newer}) == read({**DOCUMENT, "spans": SPANS})


@pytest.mark.parametrize("spans", [7, [7], [{"start": 1}], [{**SPANS[0], "categories": None}]])
def test_spans_of_another_form_are_the_servers_error(spans: object) -> None:
    with pytest.raises(ServerError, match="same version"):
        read({**DOCUMENT, "spans": spans})


def test_fields_of_a_newer_server_are_left_out() -> None:
    newer = {
        name: {**value, "new": {"deep": [1]}} if isinstance(value, dict) else value
        for name, value in DOCUMENT.items()
    }
    document = json.dumps({**newer, "model_versions": {"aegis": 2}}).encode()
    assert Verdict.from_json(document) == Verdict.from_json(json.dumps(DOCUMENT).encode())


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"\xff", b'{"flagged": true}', json.dumps({**DOCUMENT, "refusal": {"odd": 1}}).encode()],
)
def test_anything_else_is_the_servers_error(document: bytes) -> None:
    with pytest.raises(ServerError, match="same version"):
        Verdict.from_json(document)


def test_texts_become_one_row_each() -> None:
    texts = ["é", "", "a\x00b"]
    encoded = [text.encode() for text in texts]
    assert encode_each(texts, return_errors=False) == encoded
    inputs = moderation_request(encoded, Question("never", explain=False))
    assert {name: values.shape for name, values in inputs.items()} == dict.fromkeys(
        ("text", "explain", "judge"), (3, 1)
    )
    assert inputs["text"][:, 0].tolist() == encoded


def test_spans_are_an_input_only_where_they_are_asked_for() -> None:
    plain = moderation_request([b"a", b"b"], Question(None, explain=True))
    asked = moderation_request([b"a", b"b"], Question(None, explain=True, spans=True))
    assert set(plain) == {"text", "explain"}
    assert set(asked) == {"text", "explain", "spans"}
    assert asked["spans"].dtype == bool
    assert asked["spans"].tolist() == [[True], [True]]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one string", "single string"),
        (["good", None], r"texts\[1\] is a NoneType"),
        (["good", b"bytes"], r"texts\[1\] is a bytes"),
        (["lone \ud800"], r"texts\[0\] is not valid Unicode: character 5"),
    ],
)
def test_an_invalid_text_is_refused_with_its_index(texts: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        encode_each(texts, return_errors=False)


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
def test_a_deadline_is_finite(timeout_s: float) -> None:
    with pytest.raises(InvalidInput, match="timeout_s"):
        Client(timeout_s=timeout_s)


@pytest.mark.parametrize("url", ["ftp://host", "", "://host", "grpcs://"])
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_an_unknown_scheme_is_refused(client: Callable[[str], object], url: str) -> None:
    with pytest.raises(InvalidInput, match=r"must be host:port"):
        client(url)


def test_every_error_has_one_base() -> None:
    from tribunal import errors

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    ]
    assert len(kinds) == 7
    assert all(issubclass(kind, TribunalError) for kind in kinds)


def test_public_signatures_name_only_the_clients_own_types() -> None:
    checked = 0
    for name in tribunal.__all__:
        kind = getattr(tribunal, name)
        assert kind.__doc__, name
        for method_name, method in inspect.getmembers(kind, inspect.isfunction):
            if method_name.startswith("_"):
                continue
            assert method.__doc__, f"{name}.{method_name}"
            hints = str(typing.get_type_hints(method))
            assert "numpy" not in hints, f"{name}.{method_name}"
            assert "tritonclient" not in hints, f"{name}.{method_name}"
            checked += 1
    assert checked >= 12


def test_both_clients_have_the_same_methods_and_options() -> None:
    def signatures(client: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert signatures(AsyncClient) == signatures(Client)
