"""Policy files, and the line of each error."""

from pathlib import Path

import pytest
from tribunal.errors import InvalidInput
from tribunal.gateway.caller import DEFAULT_POLICY
from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.gateway.moderation.policies import Policy, ServerPolicy, load_policies

from launcher.repository.contract import category_labels

GOOD = """
# For children.
[policies.strict]
judge = "auto"
category_threshold = 0.3
refusal = "flag"

[policies.strict.category_thresholds]
"Sexual (minor)" = 0.05
Violence = 0.2

[policies.fast]
judge = "never"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "policies.toml"
    file.write_text(text, "utf-8")
    return file


def test_the_categories_are_those_of_the_model() -> None:
    assert category_labels() == CATEGORIES


def test_without_a_file_the_server_decides() -> None:
    assert load_policies(None) == {DEFAULT_POLICY: ServerPolicy()}


def test_a_file_names_policies(tmp_path: Path) -> None:
    policies = load_policies(written(tmp_path, GOOD))
    assert list(policies) == [DEFAULT_POLICY, "strict", "fast"]
    assert policies["strict"].category_thresholds == {"Sexual (minor)": 0.05, "Violence": 0.2}
    assert policies["fast"] == Policy(judge="never")


def test_a_file_may_have_its_own_default(tmp_path: Path) -> None:
    policies = load_policies(written(tmp_path, '[policies.default]\njudge = "never"\n'))
    assert policies == {DEFAULT_POLICY: Policy(judge="never")}


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ('judge = "auto"', 'judge = "sometimes"', 4, "policies.strict.judge"),
        ("category_threshold = 0.3", "category_threshold = 1.3", 5, "policies.strict.category_threshold"),
        ('refusal = "flag"', "refusals = 1", 6, "policies.strict.refusals"),
        ("Violence = 0.2", "Violins = 0.2", 10, "Violins"),
        ("Violence = 0.2", 'Violence = "high"', 10, "Violence"),
        ('judge = "never"', "judge = 1", 13, "policies.fast.judge"),
    ],
)
def test_a_fault_is_named_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, said: str
) -> None:
    file = written(tmp_path, GOOD.replace(before, after))
    with pytest.raises(InvalidInput, match=rf"policies\.toml:{line}: .*{said}"):
        load_policies(file)


def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 2"):
        load_policies(written(tmp_path, "[policies.a]\njudge = = 1\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml: No such file"):
        load_policies(tmp_path / "none.toml")
