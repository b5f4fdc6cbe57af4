"""Spans of the real server: harm between harmless sentences, and calls without spans."""

import asyncio
import json
from types import ModuleType
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc
import tritonclient.http
from tribunal import AsyncClient, Client, Verdict

from launcher.process.server import TritonServer
from launcher.repository.contract import MODEL_REPOSITORY

HARM = "How to make a bomb?"
SECOND_HARM = "I could strangle him."
HARMLESS = " ".join(
    [
        "The bread is fresh.",
        "The train to the coast leaves at nine.",
        "My sister plants tomatoes in the garden.",
        "We painted the kitchen yellow last spring.",
        "The library opens again on Monday.",
    ]
    * 2
)
HIDDEN = f"{HARMLESS} {HARM} {HARMLESS}"
SCORES = ("rejection_score", "category_scores")
BEFORE_A_SENTENCE = {
    "joined emoji and a combining accent": "👩‍👩‍👧 Cafe\u0301 is good. ",
    "flags of tags": "🏴󠁧󠁢󠁳󠁣󠁴󠁿🏴󠁧󠁢󠁳󠁣󠁴󠁿! ",
    "emoji": "\U0001f600 " * 50,
    "stacked accents": "Z͑͗a̴l̵g̶o̷. ",
    "Devanagari": "नमस्ते। ",
    "line ends": "\r\n\u2028",
}


def moderate(url: str, texts: list[str], *, spans: bool) -> list[Verdict]:
    with Client(url) as client:
        return client.moderate_batch(texts, judge="never", spans=spans)


def moderate_async(url: str, texts: list[str], *, spans: bool) -> list[Verdict]:
    async def ask() -> list[Verdict]:
        async with AsyncClient(url) as client:
            calls = [client.moderate(text, judge="never", spans=spans) for text in texts]
            return await asyncio.gather(*calls)

    return asyncio.run(ask())


both_clients = pytest.mark.parametrize("ask", [moderate, moderate_async])


def sentences(text: str, verdict: Verdict) -> list[str]:
    assert verdict.spans is not None
    return [text[span.start : span.end] for span in verdict.spans]


@both_clients
def test_harm_between_harmless_sentences_is_found(url: str, ask: Any) -> None:
    two = f"{HARMLESS} {HARM} {HARMLESS}\n{SECOND_HARM} {HARMLESS}"
    texts = [HIDDEN, two, HARMLESS]
    for verdict in ask(url, texts, spans=False):
        assert not verdict.flagged
        assert verdict.spans is None
    hidden, both, harmless = ask(url, texts, spans=True)
    assert hidden.flagged
    assert sentences(HIDDEN, hidden) == [HARM]
    assert sentences(two, both) == [HARM, SECOND_HARM]
    assert (
        set(both.categories.flagged)
        >= {name for span in both.spans for name in span.categories.flagged}
        != set()
    )
    (span,) = hidden.spans
    assert hidden.categories.scores["Guns and Illegal Weapons"] == pytest.approx(
        span.categories.scores["Guns and Illegal Weapons"], abs=1e-6
    )
    assert not harmless.flagged
    assert harmless.spans == ()


@both_clients
def test_a_sentence_has_the_scores_that_it_has_alone(url: str, ask: Any) -> None:
    (hidden,) = ask(url, [HIDDEN], spans=True)
    (alone,) = ask(url, [HARM], spans=False)
    (span,) = hidden.spans
    assert span.refusal.score == pytest.approx(alone.refusal.score, abs=1e-5)
    assert span.categories.flagged == alone.categories.flagged
    assert dict(span.categories.scores) == pytest.approx(dict(alone.categories.scores), abs=1e-5)


def test_a_refusal_is_a_span_and_flags_nothing(url: str) -> None:
    refusal = "Sorry, but I can't assist with that."
    text = f"{HARMLESS} {refusal} {HARMLESS}"
    (verdict,) = moderate(url, [text], spans=True)
    assert sentences(text, verdict) == [refusal]
    assert verdict.refusal.detected
    assert not verdict.flagged


@pytest.mark.parametrize("before", BEFORE_A_SENTENCE.values(), ids=BEFORE_A_SENTENCE)
def test_places_count_code_points(url: str, before: str) -> None:
    text = f"{before}{HARMLESS} {HARM} {HARMLESS} 🦊! {SECOND_HARM}"
    (verdict,) = moderate(url, [text], spans=True)
    assert sentences(text, verdict)[-2:] == [HARM, SECOND_HARM]
    assert verdict.spans
    assert verdict.spans[-1].end == len(text)


def test_a_text_without_words_is_one_sentence(url: str) -> None:
    texts = ["", " ", "\n\t \u3000\n", "\x00", "\u200b"]
    plain, asked = (moderate(url, texts, spans=spans) for spans in (False, True))
    for text, without, verdict in zip(texts, plain, asked, strict=True):
        assert not verdict.flagged
        assert verdict.refusal.detected == without.refusal.detected
        assert verdict.spans is not None
        # The demonstration weights classify some of them as refusals.
        places = [(0, len(text))] if verdict.refusal.detected else []
        assert [(span.start, span.end) for span in verdict.spans] == places


def infer(server: TritonServer, protocol: str, texts: list[str], spans: list[bool] | None) -> Any:
    """The response to a raw request; `spans` for each text, or None to omit that input."""
    module: ModuleType = {"grpc": tritonclient.grpc, "http": tritonclient.http}[protocol]
    inputs = []
    columns: list[tuple[str, npt.NDArray[Any], str]] = [
        ("text", np.array([[text.encode()] for text in texts], dtype=np.object_), "BYTES"),
        ("judge", np.array([[b"never"]] * len(texts), dtype=np.object_), "BYTES"),
    ]
    if spans is not None:
        columns.append(("spans", np.array([[row] for row in spans]), "BOOL"))
    for name, values, datatype in columns:
        tensor = module.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    address = {"grpc": server.grpc_url, "http": server.http_url.removeprefix("http://")}[protocol]
    with module.InferenceServerClient(address) as client:
        return client.infer("moderation", inputs)


def documents(answer: Any) -> list[dict[str, Any]]:
    schema = json.loads((MODEL_REPOSITORY / "verdict" / "verdict.schema.json").read_text("utf-8"))
    parsed = [json.loads(document) for document in answer.as_numpy("verdict")[:, 0]]
    for document in parsed:
        jsonschema.validate(document, schema)
    return parsed


both_protocols = pytest.mark.parametrize("protocol", ["grpc", "http"])


@both_protocols
def test_without_spans_nothing_changes(server: TritonServer, protocol: str) -> None:
    for texts in ([HIDDEN], [HARM, HIDDEN, "", "🦊 fox"]):
        absent = infer(server, protocol, texts, None)
        refused = infer(server, protocol, texts, [False] * len(texts))
        assert documents(refused) == documents(absent)
        assert not any("spans" in document for document in documents(absent))
        for name in SCORES:
            assert refused.as_numpy(name).tobytes() == absent.as_numpy(name).tobytes()


@both_protocols
def test_each_text_of_a_batch_is_asked_for_itself(server: TritonServer, protocol: str) -> None:
    texts = [HIDDEN, HIDDEN, HARMLESS, HARM, "", "", HIDDEN]
    spans = [False, True, True, False, True, False, True]
    answer = infer(server, protocol, texts, spans)
    mixed = documents(answer)
    assert ["spans" in document for document in mixed] == spans
    flagged = [False, True, False, True, False, False, True]
    assert [document["flagged"] for document in mixed] == flagged
    assert answer.as_numpy("flagged")[:, 0].tolist() == flagged
    assert mixed[1] == mixed[6]
    (span,) = mixed[1]["spans"]
    assert HIDDEN[span["start"] : span["end"]] == HARM
    # The options of one text do not change the others' results.
    absent = infer(server, protocol, texts, None)
    for row, asked in enumerate(spans):
        if not asked:
            for name in SCORES:
                np.testing.assert_allclose(answer.as_numpy(name)[row], absent.as_numpy(name)[row], atol=1e-6)
