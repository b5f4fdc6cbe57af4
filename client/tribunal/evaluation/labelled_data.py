"""Reads labelled texts from a file, a folder or the Hugging Face hub, by the library `datasets`."""

import csv
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import numpy.typing as npt

from tribunal.errors import InvalidInput
from tribunal.evaluation.target import Target

TEXT_FIELDS = ("text", "content", "sentence", "comment", "prompt", "response")
LABEL_FIELDS = {
    Target.rejection: ("label", "rejection", "is_rejection", "refusal"),
    Target.aegis: ("labels", "label", "categories", "category"),
    Target.toxicity: ("label", "toxic", "is_toxic", "toxicity"),
}
NAMES = {
    Target.rejection: {"rejection": True, "refusal": True, "normal": False},
    Target.toxicity: {"toxic": True, "non-toxic": False, "nontoxic": False, "non toxic": False},
}
NUMBERS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
# How the dataset behind aegis says that no category holds.
NO_CATEGORY = "safe"
BUILDERS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
COMPRESSIONS = (".gz", ".bz2", ".xz")


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and what holds of them.

    names: what the columns of `labels` mean: `REJECTION`, `toxic`, or the categories.
    labels: BOOL [texts, names].
    """

    texts: list[str]
    names: tuple[str, ...]
    labels: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """Where labelled texts come from.

    location: path of a file or folder, or the id of a dataset on the hub.
    text_field, label_field: column names; None tries the usual ones.
    subset, split, revision: of a folder or a dataset on the hub; a file has none.
    limit: read only so many texts; None reads all.
    """

    location: str
    text_field: str | None = None
    label_field: str | None = None
    subset: str | None = None
    split: str | None = None
    revision: str | None = None
    limit: int | None = None


def read_labelled(source: Source, target: Target, categories: Sequence[str]) -> LabelledTexts:
    """Labelled texts of `source`; `categories` are the names of the server's categories.

    Raises InvalidInput, which names the row and what was expected, for a file that cannot be read, a
    column that is not there, a text that is no string, or a label that `target` does not know.
    """
    try:
        dataset = _open(source)
        rows = list(islice(dataset, source.limit))
    except Exception as error:
        # `datasets` raises what its readers raise: pyarrow's, pandas', the hub's and its own.
        cause = error.__cause__ or error
        reason = "it has no rows" if isinstance(cause, StopIteration) else str(cause).strip()
        raise InvalidInput(f"{source.location} cannot be read: {reason or type(cause).__name__}") from error
    if not rows:
        raise InvalidInput(f"{source.location} cannot be read: it has no rows")
    columns = tuple(rows[0])
    text_field = _field("text", source.text_field, TEXT_FIELDS, columns, source.location)
    names, label_of = _label_reader(source, target, categories, columns, dataset.features or {})
    texts = []
    labels = np.zeros((len(rows), len(names)), dtype=np.bool_)
    for index, row in enumerate(rows):
        text = row[text_field]
        if not isinstance(text, str):
            raise InvalidInput(
                f"row {index + 1} of {source.location}: {text_field} is a {type(text).__name__}, not a text"
            )
        texts.append(text)
        try:
            labels[index] = label_of(row)
        except ValueError as error:
            raise InvalidInput(f"row {index + 1} of {source.location}: {error}") from error
    return LabelledTexts(texts, names, labels)


def _open(source: Source) -> Any:
    """The rows of `source` as an iterable dataset, read as they are asked for."""
    # What fails is raised, and told once.
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    huggingface_hub.utils.logging.set_verbosity(logging.CRITICAL)
    path = Path(source.location)
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSIONS]
    builder = BUILDERS.get(suffixes[-1].lower()) if suffixes else None
    if path.is_file() or (builder and not path.is_dir()):
        if not path.is_file():
            raise InvalidInput("there is no such file")
        if builder is None:
            known = ", ".join(BUILDERS)
            raise InvalidInput(f"its name ends in none of {known} (with or without .gz, .bz2, .xz)")
        if source.split or source.subset or source.revision:
            raise InvalidInput("a file has no split, subset or revision")
        options: dict[str, Any] = {}
        if builder == "csv":
            # A text of digits, or one that says NA or null, is a text.
            fields = (source.text_field,) if source.text_field else TEXT_FIELDS
            options = {
                "sep": "\t" if ".tsv" in path.suffixes else ",",
                "keep_default_na": False,
                "converters": dict.fromkeys(fields, str),
                "quoting": csv.QUOTE_MINIMAL,
            }
        files = {"train": str(path)}
        return datasets.load_dataset(builder, data_files=files, split="train", streaming=True, **options)
    splits = datasets.load_dataset(
        source.location, source.subset, split=source.split, revision=source.revision, streaming=True
    )
    if source.split is not None:
        return splits
    if len(splits) > 1:
        raise InvalidInput(f"it has the splits {', '.join(splits)}: choose one with --split")
    return next(iter(splits.values()))


def _label_reader(
    source: Source,
    target: Target,
    categories: Sequence[str],
    columns: tuple[str, ...],
    features: Mapping[str, Any],
) -> tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Any]]:
    """What the labels are called, and the function that reads those of a row, raising ValueError."""
    candidates = LABEL_FIELDS[target]
    if (
        target is Target.aegis
        and source.label_field is None
        and not set(candidates) & set(columns)
        and set(categories) & set(columns)
    ):
        missing = [name for name in categories if name not in columns]
        if missing:
            raise InvalidInput(f"{source.location} has no column for {', '.join(missing)}")
        return tuple(categories), lambda row: [_one(f"{name} is", row[name], NUMBERS) for name in categories]
    field = _field("label", source.label_field, candidates, columns, source.location)
    # A class label of the hub is a number that stands for a name.
    feature = getattr(features.get(field), "feature", features.get(field))
    to_name = getattr(feature, "int2str", None)
    if target is Target.aegis:
        return tuple(categories), lambda row: _categories(row[field], categories, to_name)
    known = {**NUMBERS, **NAMES[target]}
    name = "REJECTION" if target is Target.rejection else "toxic"

    def read(row: Mapping[str, Any]) -> bool:
        value = row[field]
        return _one(f"{field} is", to_name(value) if to_name and value is not None else value, known)

    return (name,), read


def _field(
    kind: str, asked: str | None, usual: Sequence[str], columns: tuple[str, ...], location: str
) -> str:
    if asked in columns:
        return str(asked)
    if asked is None:
        for name in usual:
            if name in columns:
                return name
    wanted = repr(asked) if asked else f"{kind} column ({', '.join(usual)})"
    raise InvalidInput(
        f"{location} has no {wanted}; its columns are {', '.join(columns)}: name one with --{kind}-field"
    )


def _one(what: str, value: Any, known: Mapping[str, bool]) -> bool:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    found = known.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"{what} {value!r}; it must be one of {', '.join(known)}")
    return found


def _categories(
    value: Any, categories: Sequence[str], to_name: Callable[[int], str] | None
) -> npt.NDArray[np.bool_]:
    """The categories that `value` names: a list, a JSON list, or names between commas or semicolons.

    A list of as many 0 and 1 as there are categories stands for them in their order.
    """
    held = np.zeros(len(categories), dtype=np.bool_)
    if isinstance(value, str):
        value = json.loads(value) if value.strip().startswith("[") else value.replace(";", ",").split(",")
    if value is None or not isinstance(value, Iterable):
        raise ValueError(f"the labels are {value!r}; give a list of category names")
    entries = list(value)
    if not to_name and len(entries) == len(categories) and all(entry in (0, 1) for entry in entries):
        return np.array(entries, dtype=np.bool_)
    places = {name.lower(): place for place, name in enumerate(categories)}
    for entry in entries:
        name = str(to_name(entry) if to_name and isinstance(entry, int) else entry).strip()
        if name.lower() in places:
            held[places[name.lower()]] = True
        elif name and name.lower() != NO_CATEGORY:
            raise ValueError(f"{name!r} is no category; they are {', '.join(categories)}")
    return held
