"""Perspective's API: requests and responses."""

from typing import Any

import pytest
from pydantic import ValidationError
from tribunal.gateway.errors import GatewayError, overloaded
from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.gateway.moderation.decision import Decision, decide
from tribunal.gateway.moderation.policies import Policy
from tribunal.gateway.protocols.perspective import (
    STATUS_NAMES,
    AnalyzeCommentRequest,
    answer,
    check,
    error_document,
    utf16_places,
)
from tribunal.gateway.protocols.perspective_attributes import ATTRIBUTES, CATEGORIES_OF, attribute_score
from tribunal.gateway.protocols.perspective_discovery import discovery_document
from tribunal.verdict import Verdict

from tests.unit.client.gateway.verdicts import ANSWERED, FAILED, SKIPPED, span, verdict


def request(**fields: Any) -> AnalyzeCommentRequest:
    comment = {"comment": {"text": "You fool."}, "requestedAttributes": {"TOXICITY": {}}}
    return AnalyzeCommentRequest.model_validate({**comment, **fields})


def decision(of: Verdict, **policy: Any) -> Decision:
    return decide(Policy(**policy), of)


def refusal_of(asked: AnalyzeCommentRequest) -> GatewayError:
    with pytest.raises(GatewayError) as error:
        check(asked)
    return error.value


@pytest.mark.parametrize("attribute", CATEGORIES_OF)
def test_an_attribute_is_the_highest_of_its_categories(attribute: str) -> None:
    highest = max(CATEGORIES.index(category) for category in CATEGORIES_OF[attribute])
    assert attribute_score(attribute, decision(verdict(ANSWERED))) == highest / 16


@pytest.mark.parametrize(("toxicity", "score"), [(ANSWERED, 0.75), (SKIPPED, 13 / 16), (FAILED, 13 / 16)])
def test_toxicity_is_the_judges_score_where_it_answered(toxicity: Any, score: float) -> None:
    assert attribute_score("TOXICITY", decision(verdict(toxicity))) == score


def test_toxicity_is_at_least_the_score_of_each_detected_category() -> None:
    flagged = decision(verdict(ANSWERED), category_threshold=0.8)
    assert "Violence" in flagged.categories
    assert attribute_score("TOXICITY", flagged) == 13 / 16


def test_a_comment_that_is_too_long_is_named() -> None:
    error = GatewayError(400, "comment_too_long", "comment.text has 70000 bytes", "comment.text")
    assert error_document(error)["error"]["details"][0]["errorType"] == "COMMENT_TOO_LONG"


def test_an_answer_has_the_form_of_perspectives() -> None:
    asked = request(clientToken="a1", requestedAttributes={"TOXICITY": {}, "PROFANITY": None})
    assert answer(asked, decision(verdict(ANSWERED))) == {
        "attributeScores": {
            "TOXICITY": {"summaryScore": {"value": 0.75, "type": "PROBABILITY"}},
            "PROFANITY": {"summaryScore": {"value": 0.5, "type": "PROBABILITY"}},
        },
        "languages": ["en"],
        "detectedLanguages": ["en"],
        "clientToken": "a1",
    }


@pytest.mark.parametrize(("threshold", "is_answered"), [(0.0, True), (0.75, True), (0.76, False)])
def test_a_score_below_its_threshold_is_left_out(threshold: float, is_answered: bool) -> None:
    asked = request(requestedAttributes={"TOXICITY": {"scoreThreshold": threshold}})
    scores = answer(asked, decision(verdict(ANSWERED)))["attributeScores"]
    assert ("TOXICITY" in scores) is is_answered


COMMENT = "😀 Fool. I hit 😀 you. Sorry."
INSULT, THREAT, REFUSAL = span(2, 7, Harassment=0.625), span(8, 20, Threat=0.75), span(21, 27, refusal=0.75)


def spans_of(attribute: str, of: Verdict) -> list[Any]:
    asked = request(
        comment={"text": COMMENT},
        spanAnnotations=True,
        requestedAttributes={attribute: {"scoreThreshold": 0}},
    )
    spans = answer(asked, decision(of))["attributeScores"][attribute]["spanScores"]
    assert {score["score"]["type"] for score in spans} == {"PROBABILITY"}
    return [(score["begin"], score["end"], score["score"]["value"]) for score in spans]


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("INSULT", [(3, 8, 0.625)]),
        ("THREAT", [(9, 22, 0.75)]),
        ("TOXICITY", [(3, 8, 0.625), (9, 22, 0.75)]),
        # If no sentence crosses the threshold, the span is the whole comment, with its score.
        ("PROFANITY", [(0, 29, 0.5)]),
    ],
)
def test_an_attribute_has_the_sentences_in_which_it_is_detected(
    attribute: str, expected: list[tuple[int, int, float]]
) -> None:
    assert spans_of(attribute, verdict(ANSWERED, spans=(INSULT, THREAT, REFUSAL))) == expected


def test_without_a_sentence_the_judges_score_is_that_of_the_whole_comment() -> None:
    assert spans_of("TOXICITY", verdict(ANSWERED, spans=())) == [(0, 29, 0.75)]


def test_places_count_utf16_code_units() -> None:
    places = utf16_places(COMMENT, (INSULT, THREAT, REFUSAL))
    units = COMMENT.encode("utf-16-le")
    found = [units[2 * begin : 2 * end].decode("utf-16-le") for begin, end in places]
    assert found == [COMMENT[span.start : span.end] for span in (INSULT, THREAT, REFUSAL)]
    assert found == ["Fool.", "I hit 😀 you.", "Sorry."]


def test_fields_may_have_their_protobuf_names() -> None:
    named = AnalyzeCommentRequest.model_validate(
        {"comment": {"text": "a"}, "requested_attributes": {"THREAT": {"score_threshold": 0.5}}}
    )
    threshold = named.requested_attributes["THREAT"]
    assert threshold is not None
    assert threshold.score_threshold == 0.5


@pytest.mark.parametrize(
    ("fields", "error_type", "message"),
    [
        ({"comment": {"text": ""}}, "COMMENT_EMPTY", "comment.text must not be empty"),
        (
            {"requestedAttributes": {}},
            "NO_REQUESTED_ATTRIBUTES",
            f"requestedAttributes must name at least one of {', '.join(ATTRIBUTES)}",
        ),
        (
            {"requestedAttributes": {"TOXICITY": {}, "FLIRTATION": {}}},
            "INVALID_REQUEST",
            f"Unknown requested attribute: FLIRTATION; known: {', '.join(ATTRIBUTES)}",
        ),
        (
            {"languages": ["en", "fr"]},
            "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
            "Attribute TOXICITY does not support request languages: fr",
        ),
    ],
)
def test_requests_that_perspective_refuses_are_refused(
    fields: dict[str, Any], error_type: str, message: str
) -> None:
    document = error_document(refusal_of(request(**fields)))["error"]
    assert document["code"] == 400
    assert document["status"] == "INVALID_ARGUMENT"
    assert document["message"] == message
    assert [detail["errorType"] for detail in document["details"]] == [error_type]


@pytest.mark.parametrize("languages", [[], ["en"], ["EN-us"]])
def test_english_is_taken(languages: list[str]) -> None:
    check(request(languages=languages))


@pytest.mark.parametrize(
    "fields",
    [
        {"comment": {"text": "a", "type": "HTML"}},
        {"requestedAttributes": {"TOXICITY": {"scoreType": "STDDEV_SCORE"}}},
        {"requestedAttributes": {"TOXICITY": {"scoreThreshold": float("nan")}}},
        {"textt": "a"},
    ],
)
def test_fields_outside_of_the_protocol_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request(**fields)


def test_a_failed_judge_is_no_score() -> None:
    with pytest.raises(GatewayError) as error:
        answer(request(), decision(verdict(FAILED)))
    assert error_document(error.value)["error"]["status"] == "UNAVAILABLE"
    assert error.value.status == 503


def test_a_policy_may_let_the_encoders_answer_for_a_failed_judge() -> None:
    scores = answer(request(), decision(verdict(FAILED), judge_failure="pass"))["attributeScores"]
    assert scores["TOXICITY"]["summaryScore"]["value"] == 13 / 16


@pytest.mark.parametrize(
    ("attributes", "toxicity"),
    [({"TOXICITY"}, SKIPPED), ({"THREAT"}, SKIPPED), ({"TOXICITY", "THREAT"}, ANSWERED)],
)
def test_encoders_give_no_score_of_a_text_they_did_not_read(attributes: set[str], toxicity: Any) -> None:
    asked = request(requestedAttributes={name: {} for name in attributes})
    with pytest.raises(GatewayError) as error:
        answer(asked, decision(verdict(toxicity, truncated=True), truncation="pass"))
    assert error_document(error.value)["error"]["details"][0]["errorType"] == "COMMENT_TOO_LONG"


def test_the_judge_scores_a_text_that_the_encoders_did_not_read() -> None:
    scores = answer(request(), decision(verdict(ANSWERED, truncated=True)))["attributeScores"]
    assert scores["TOXICITY"]["summaryScore"]["value"] == 0.75


def test_only_faults_of_the_request_have_a_type() -> None:
    document = error_document(overloaded(3))["error"]
    assert document["status"] == "RESOURCE_EXHAUSTED"
    assert "details" not in document
    assert set(STATUS_NAMES) >= {401, 429, 500, 503, 504}


def test_every_schema_that_the_discovery_document_names_is_there() -> None:
    document = discovery_document("http://localhost/")
    named = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            named.update({node["$ref"]} if "$ref" in node else set())
            for child in node.values():
                walk(child)

    walk(document)
    assert named <= set(document["schemas"])
    taken = {AnalyzeCommentRequest.model_fields[name].alias for name in AnalyzeCommentRequest.model_fields}
    assert set(document["schemas"]["AnalyzeCommentRequest"]["properties"]) == taken
