"""The mapping from Tribunal's categories to OpenAI's."""

from openai.types.moderation import Categories
from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.gateway.protocols.openai_categories import (
    OPENAI_CATEGORIES,
    openai_detected,
    openai_input_types,
    openai_scores,
)

from launcher.repository.contract import CHECKOUT

SCORES: dict[str, float] = {name: (1 + index) / 100 for index, name in enumerate(CATEGORIES)}
NOT_MAPPED = {"Needs Caution", "PII/Privacy", "Profanity"}


def test_they_are_those_of_the_openai_package() -> None:
    assert set(OPENAI_CATEGORIES) == {field.alias or name for name, field in Categories.model_fields.items()}


def test_each_of_ours_is_mapped_or_named_here() -> None:
    sources = {source for mapped in OPENAI_CATEGORIES.values() for source in mapped.sources}
    assert sources == set(CATEGORIES) - NOT_MAPPED


def test_a_score_is_the_largest_of_its_sources() -> None:
    scores = openai_scores(SCORES)
    assert scores["sexual"] == max(SCORES["Sexual"], SCORES["Sexual (minor)"])
    assert scores["self-harm"] == SCORES["Suicide and Self Harm"]
    assert scores["violence/graphic"] == 0
    assert list(scores) == list(OPENAI_CATEGORIES)


def test_a_category_is_detected_where_one_of_its_sources_is() -> None:
    detected = openai_detected({"Guns and Illegal Weapons", "Profanity"})
    assert {name for name, value in detected.items() if value} == {"illicit", "illicit/violent"}
    assert not any(openai_detected(()).values())


def test_a_category_without_a_source_has_no_score() -> None:
    types = openai_input_types()
    assert types["violence"] == ["text"]
    assert types["self-harm/intent"] == []


def test_the_documentation_has_the_table() -> None:
    page = (CHECKOUT / "docs" / "clients" / "openai.md").read_text("utf-8")
    for name, mapped in OPENAI_CATEGORIES.items():
        assert f"| `{name}` | {', '.join(mapped.sources) or 'none'} | {mapped.reason} |" in page
    for name in NOT_MAPPED:
        assert f"`{name}`" in page
