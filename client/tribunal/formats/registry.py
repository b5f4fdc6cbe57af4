"""All formats by name and suffix. A new format is one module and one line here."""

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
# Output formats of `scan`. It writes JSONL while it runs, so that format needs no writer.
OUTPUT_FORMATS = tuple(format_ for format_ in FORMATS if format_ is JSONL or format_.write is not None)


@dataclass(frozen=True)
class InputFormat:
    """A format, and the compression of the whole file or None."""

    format: Format
    compression: str | None = None

    @classmethod
    def parse(cls, name: str) -> "InputFormat":
        """Find the format of a file's name, or of a suffix such as `csv.gz`; raises InvalidInput."""
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
    """The format for the suffix of `output`; raises InvalidInput if `scan` cannot write it."""
    format_ = BY_SUFFIX.get(output.suffix.lower().removeprefix("."))
    if format_ not in OUTPUT_FORMATS:
        suffixes = [f".{suffix}" for known in OUTPUT_FORMATS for suffix in known.suffixes]
        raise InvalidInput(f"the output {output} must end in {', '.join(suffixes)}, or be -")
    return format_
