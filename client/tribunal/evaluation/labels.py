"""Reads the labels of a row, in all usual forms."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tribunal.evaluation.target import Target

POSITIVE_NAMES = {Target.rejection: "REJECTION", Target.toxicity: "toxic"}
WORDS = {
    Target.rejection: {"rejection": True, "refusal": True, "normal": False},
    Target.toxicity: {"toxic": True, "non-toxic": False, "nontoxic": False, "non toxic": False},
}
YES_OR_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
# The label of aegis's dataset for a text without a category.
NO_CATEGORY = "safe"

# The name of a class by its number, if a dataset has named classes.
ClassName = Callable[[int], str]


@dataclass(frozen=True)
class LabelReader:
    """Reads the labels of a row.

    names: of the labels. read: returns BOOL [names] for a row; raises ValueError that names the valid
    labels.
    """

    names: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], npt.NDArray[np.bool_]]


def category_columns_reader(categories: Sequence[str]) -> LabelReader:
    """Reader of rows with a column for each category."""
    return LabelReader(
        tuple(categories),
        lambda row: np.array([_yes_or_no(name, row.get(name), YES_OR_NO) for name in categories]),
    )


def categories_reader(field: str, categories: Sequence[str], class_name: ClassName | None) -> LabelReader:
    """Reader of rows that list their categories in the column `field`."""
    return LabelReader(
        tuple(categories), lambda row: _read_categories(row.get(field), categories, class_name)
    )


def yes_or_no_reader(field: str, target: Target, class_name: ClassName | None) -> LabelReader:
    """Reader of rows with one label in the column `field`."""
    known = {**YES_OR_NO, **WORDS[target]}

    def read(row: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
        value = row.get(field)
        if class_name and value is not None:
            value = class_name(value)
        return np.array([_yes_or_no(field, value, known)])

    return LabelReader((POSITIVE_NAMES[target],), read)


def class_name_of(feature: Any) -> ClassName | None:
    """The class names of a column's numbers, from its `datasets` feature; None if it has none."""
    return getattr(getattr(feature, "feature", feature), "int2str", None)


def _yes_or_no(field: str, value: Any, known: Mapping[str, bool]) -> bool:
    word = str(value).strip().lower()
    # 1.0 means 1, as a number and as text in CSV.
    holds = known.get(word.removesuffix(".0"))
    if holds is None:
        raise ValueError(f"{field} is {value!r}; it must be one of {', '.join(known)}")
    return holds


def _read_categories(
    value: Any, categories: Sequence[str], class_name: ClassName | None
) -> npt.NDArray[np.bool_]:
    """The categories that `value` names, as BOOL [categories].

    A list of as many 0 and 1 as there are categories stands for them in order.
    """
    entries = _entries(value)
    if not class_name and len(entries) == len(categories) and all(entry in (0, 1) for entry in entries):
        return np.array(entries, dtype=np.bool_)
    return _named([_name(entry, class_name) for entry in entries], categories)


def _entries(value: Any) -> list[Any]:
    """The entries of a list, of a JSON list, or of names between commas or semicolons."""
    if isinstance(value, str):
        value = json.loads(value) if value.strip().startswith("[") else value.replace(";", ",").split(",")
    if value is None or not isinstance(value, Iterable):
        raise ValueError(f"the labels are {value!r}; give a list of category names")
    return list(value)


def _name(entry: Any, class_name: ClassName | None) -> str:
    """The name of a category, by its number if the classes have names."""
    return str(class_name(entry) if class_name and isinstance(entry, int) else entry).strip()


def _named(names: Iterable[str], categories: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which `categories` are among `names`; raises ValueError for a name that is none."""
    columns = {name.lower(): column for column, name in enumerate(categories)}
    held = np.zeros(len(categories), dtype=np.bool_)
    for name in names:
        if name.lower() in columns:
            held[columns[name.lower()]] = True
        elif name and name.lower() != NO_CATEGORY:
            raise ValueError(f"{name!r} is no category; they are {', '.join(categories)}")
    return held
