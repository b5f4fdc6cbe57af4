"""Rows of labelled texts, from a file in any known format or from a dataset of the library `datasets`."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pyarrow.parquet

from tribunal.errors import InvalidInput
from tribunal.formats.compression import OPENERS
from tribunal.formats.input import Input
from tribunal.formats.location import require_local
from tribunal.formats.parquet import PARQUET
from tribunal.formats.registry import BY_SUFFIX, InputFormat


@dataclass(frozen=True)
class Source:
    """Where labelled texts come from.

    location: path of a file or folder, or the id of a dataset on the hub.
    text_field, label_field: column names; None tries the usual ones.
    subset, split, revision: of a folder or a dataset on the hub; a file has none.
    limit: read only so many texts; None reads all.
    encoding, delimiter: of a file; None for UTF-8 and the format's own.
    """

    location: str
    text_field: str | None = None
    label_field: str | None = None
    subset: str | None = None
    split: str | None = None
    revision: str | None = None
    limit: int | None = None
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows, at least one, with the names of all their columns.

    features: of the columns by `datasets`, for example the class names of numbers.
    """

    rows: Sequence[Mapping[str, Any]]
    features: Mapping[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))


def read_table(source: Source) -> Table:
    """The rows of `source`; raises InvalidInput with the reason if it cannot be read."""
    require_local(source.location, "reads", "download it first, or give the id of a dataset on the hub")
    path = Path(source.location)
    is_file = path.is_file() or (_has_suffix_of_a_format(path) and not path.is_dir())
    table = _read_file(source, path) if is_file else _read_dataset(source)
    if not table.rows:
        raise _unreadable(source, "it has no rows")
    return table


def _has_suffix_of_a_format(path: Path) -> bool:
    suffixes = [suffix for suffix in path.name.lower().split(".")[1:] if suffix not in OPENERS]
    return bool(suffixes) and suffixes[-1] in BY_SUFFIX


def _read_file(source: Source, path: Path) -> Table:
    if not path.is_file():
        raise _unreadable(source, "there is no such file")
    if not _has_suffix_of_a_format(path):
        known = ", ".join(f".{suffix}" for suffix in BY_SUFFIX)
        packed = ", ".join(f".{suffix}" for suffix in OPENERS)
        raise _unreadable(source, f"its name ends in none of {known} (with or without {packed})")
    if source.split or source.subset or source.revision:
        raise _unreadable(source, "a file has no split, subset or revision")
    input_format = InputFormat.parse(path.name).written_in(source.encoding, source.delimiter)
    rows = []
    with Input(source.location, input_format) as opened:
        for row in islice(opened.rows(), source.limit):
            if row.problem is not None:
                raise _unreadable(source, row.problem)
            rows.append(row.fields)
    features = {}
    if input_format.format is PARQUET:
        # A file that `datasets` wrote has the class names of its numbers.
        features = datasets.Features.from_arrow_schema(pyarrow.parquet.read_schema(path))
    return Table(rows, features)


def _read_dataset(source: Source) -> Table:
    """The rows of a folder, or of a dataset on the hub, read only as far as the limit."""
    if source.encoding is not None or source.delimiter is not None:
        raise _unreadable(source, "--encoding and --delimiter are for a single file: omit them")
    # The command reports errors itself, so `datasets` should not.
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    huggingface_hub.utils.logging.set_verbosity(logging.CRITICAL)
    try:
        dataset = _open_dataset(source)
        return Table(list(islice(dataset, source.limit)), dataset.features or {})
    except Exception as error:
        # `datasets` raises what its readers raise: pyarrow's, pandas', the hub's and its own.
        cause = error.__cause__ or error
        reason = "it has no rows" if isinstance(cause, StopIteration) else str(cause).strip()
        raise _unreadable(source, reason or type(cause).__name__) from error


def _open_dataset(source: Source) -> Any:
    dataset = datasets.load_dataset(
        source.location, source.subset, split=source.split, revision=source.revision, streaming=True
    )
    if source.split is not None:
        return dataset
    if len(dataset) > 1:
        raise InvalidInput(f"it has the splits {', '.join(dataset)}: choose one with --split")
    return next(iter(dataset.values()))


def _unreadable(source: Source, reason: str) -> InvalidInput:
    return InvalidInput(f"cannot read {source.location}: {reason}")
