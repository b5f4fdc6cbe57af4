"""All formats, by the names and suffixes that they go by. A new format is one module, and its line here."""

from dataclasses import dataclass
from pathlib import Path

from tribunal.errors import InvalidInput
from tribunal.formats.compression import OPENERS
from tribunal.formats.delimited import CSV, TSV
from tribunal.formats.format import Format
from tribunal.formats.json_document import JSON
from tribunal.formats.jsonl import JSONL
from tribunal.formats.lines import LINES
from tribunal.formats.parquet import PARQUET

FORMATS = (JSONL, JSON, CSV, TSV, PARQUET, LINES)
BY_SUFFIX = {suffix: format_ for format_ in FORMATS for suffix in format_.suffixes}
# What `scan` writes. While it runs it writes JSONL, so that format needs no writer.
OUTPUT_FORMATS = tuple(format_ for format_ in FORMATS if format_ is JSONL or format_.write is not None)


@dataclass(frozen=True)
class InputFormat:
    """A format, and the compression of the whole file or None."""

    format: Format
    compression: str | None = None

    @classmethod
    def parse(cls, name: str) -> "InputFormat":
        """From a file's name or a format such as `jsonl` or `csv.gz`; raises InvalidInput."""
        *_, first, last = ["", "", *name.lower().split(".")]
        compression = last if last in OPENERS else None
        format_ = BY_SUFFIX.get(first if compression else last)
        if format_ is None:
            raise InvalidInput(
                f"cannot tell the format of {name!r}: give --format, one of {', '.join(BY_SUFFIX)}, and "
                f"compressed for example jsonl.gz ({', '.join(OPENERS)})"
            )
        if compression and not format_.is_stream:
            raise InvalidInput(f"{name!r}: {format_.name} compresses its columns itself: decompress the file")
        return cls(format_, compression)


def output_format(output: Path) -> Format:
    """The format that the name of `output` ends with; raises InvalidInput if `scan` cannot write it."""
    format_ = BY_SUFFIX.get(output.suffix.lower().removeprefix("."))
    if format_ not in OUTPUT_FORMATS:
        suffixes = [f".{suffix}" for known in OUTPUT_FORMATS for suffix in known.suffixes]
        raise InvalidInput(f"the output {output} must end in {', '.join(suffixes)}, or be -")
    return format_
