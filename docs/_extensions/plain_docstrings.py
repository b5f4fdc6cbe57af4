"""Shows the project's docstrings, which are plain text with `name: meaning` lines, as bullet lists."""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

NAMED = re.compile(r"^((?:`?[a-z_]+`?, )*`?[a-z_]+`?): (.*)$")


def as_bullets(lines: list[str]) -> list[str]:
    """`lines` with each `name: meaning` and its following lines as a bullet, set off by blank lines."""
    bullets: list[str] = []
    in_bullet = False
    for line in lines:
        named = NAMED.match(line)
        if named:
            if not in_bullet:
                bullets.append("")
            names = ", ".join(f"``{name.strip('`')}``" for name in named[1].split(", "))
            bullets.append(f"- {names}: {named[2]}")
            in_bullet = True
        elif in_bullet and line:
            bullets.append(f"  {line}")
        else:
            bullets.append(line)
            in_bullet = False
    return bullets


def _change(*event: Any) -> None:
    lines = event[-1]
    lines[:] = as_bullets(lines)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Change every docstring that autodoc reads."""
    app.connect("autodoc-process-docstring", _change)
    return {"parallel_read_safe": True}
