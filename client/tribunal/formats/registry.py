"""All formats by name and suffix. A new format is one module and one line here."""

from dataclasses import dataclass, replace
from pathlib import Path

from tribunal.errors import InvalidInput
from tribunal.formats.compression import OPENERS
from tribunal.formats.delimited import CSV, TAB, TSV
from tribunal.formats.encoding import UTF_8, encoding_named
from tribunal.formats.format import Format
from tribunal.formats.json_document import JSON
from tribunal.formats.jsonl import JSONL
from tribunal.formats.lines import LINES
from tribunal.formats.parquet import PARQUET

FORMATS = (JSONL, JSON, CSV, TSV, PARQUET, LINES)
NO_DELIMITERS = '"\r\n\0'
BY_SUFFIX = {suffix: format_ for format_ in FORMATS for suffix in format_.suffixes}
# Output formats of `scan`. It writes JSONL while it runs, so that format needs no writer.
OUTPUT_FORMATS = tuple(format_ for format_ in FORMATS if format_ is JSONL or format_.write is not None)


@dataclass(frozen=True)
class InputFormat:
    """A format with the form of a file in it.

    compression: of the whole file, or None. encoding: of a file of text. delimiter: of the cells of a row;
    None for the format's own.
    """

    format: Format
    compression: str | None = None
    encoding: str = UTF_8
    delimiter: str | None = None

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

    def written_in(self, encoding: str | None, delimiter: str | None) -> "InputFormat":
        """This format in an encoding and with a delimiter that a user gave, or None.

        Raises InvalidInput if the format has none, or for an encoding or delimiter that there is not.
        """
        if encoding is not None and not self.format.is_text:
            raise InvalidInput(f"--encoding is for text formats, and {self.format.name} is none: omit it")
        if delimiter is not None:
            if not self.format.is_delimited:
                raise InvalidInput(f"--delimiter is for csv and tsv, and not for {self.format.name}: omit it")
            delimiter = TAB if delimiter == "\\t" else delimiter
            if len(delimiter) != 1 or delimiter in NO_DELIMITERS:
                raise InvalidInput(
                    f"--delimiter {delimiter!r} must be one character, no quote or line end: for example ;"
                )
        return replace(
            self, encoding=UTF_8 if encoding is None else encoding_named(encoding), delimiter=delimiter
        )


def output_format(output: Path) -> Format:
    """The format for the suffix of `output`; raises InvalidInput if `scan` cannot write it."""
    format_ = BY_SUFFIX.get(output.suffix.lower().removeprefix("."))
    if format_ not in OUTPUT_FORMATS:
        suffixes = [f".{suffix}" for known in OUTPUT_FORMATS for suffix in known.suffixes]
        raise InvalidInput(f"the output {output} must end in {', '.join(suffixes)}, or be -")
    return format_
