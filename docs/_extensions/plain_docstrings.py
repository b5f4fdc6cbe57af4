"""Shows the project's docstrings, which are plain text with `name: meaning` lines, as lists of fields."""

import re

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

NAMED = re.compile(r"^([a-z_]+(?:, [a-z_]+)*): (.*)$")


def as_fields(lines: list[str]) -> list[str]:
    """`lines` with each `name: meaning` and its following lines as a field, set off by blank lines."""
    fields: list[str] = []
    in_field = False
    for line in lines:
        named = NAMED.match(line)
        if named:
            if not in_field and fields and fields[-1]:
                fields.append("")
            fields.append(f":{named[1]}: {named[2]}")
            in_field = True
        elif in_field and line:
            fields.append(f"  {line}")
        else:
            fields.append(line)
            in_field = False
    return fields


def _process(
    app: Sphinx, what: str, name: str, documented: object, options: object, lines: list[str]
) -> None:
    lines[:] = as_fields(lines)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Change every docstring that autodoc reads."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
