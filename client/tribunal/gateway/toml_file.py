"""Reads a TOML file into a model of pydantic; each fault is named with its line."""

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tribunal.errors import InvalidInput

Content = TypeVar("Content", bound=BaseModel)


def read_toml(file: Path, content: type[Content]) -> Content:
    """Read `file` as `content`; raises InvalidInput with the line of each fault."""
    try:
        text = file.read_text("utf-8")
        return content.model_validate(tomllib.loads(text))
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file}: {error}") from error
    except ValidationError as error:
        faults = [f"{file}:{_line(text, fault['loc'])}: {_said(fault)}" for fault in error.errors()]
        raise InvalidInput("; ".join(faults)) from error


def _said(fault: Any) -> str:
    return f"{'.'.join(str(part) for part in fault['loc'] if part != '[key]')}: {fault['msg']}"


def _line(text: str, place: tuple[int | str, ...]) -> int:
    """Line of the deepest part of `place` found in `text`; each part is searched after the one before."""
    found = 0
    lines = text.splitlines()
    for part in place:
        name = rf"(?<![\w-])[\"']?{re.escape(str(part))}[\"']?(?![\w-])"
        key = re.compile(rf"^\s*\[[^\]]*{name}|^[^#=]*{name}[^#=]*=|[{{,]\s*{name}\s*=")
        found = next((line for line in range(found, len(lines)) if key.search(lines[line])), found)
    return found + 1
