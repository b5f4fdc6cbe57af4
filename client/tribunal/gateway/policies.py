"""Named policies: what flags a text, and when to ask the judge. They do not change scores."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput
from tribunal.gateway.categories import Category

DEFAULT_POLICY = "default"
Threshold = Annotated[float, Field(ge=0, le=1)]
FlagOrPass = Literal["flag", "pass"]
Content = TypeVar("Content", bound=BaseModel)


class Policy(BaseModel):
    """What flags a text. A score at or above its threshold counts as detected.

    judge: when the judge is asked; None: the server's default. explain: whether it gives a reason.
    spans: whether the encoders also read each sentence by itself, unless the request says otherwise.
    category_threshold: of every category that `category_thresholds` does not name; None: the server's.
    toxicity_threshold: of the judge's P(toxic). refusal_threshold: of the refusal's score. 0.5 is the more
    probable of two labels.
    refusal: whether to flag an LLM's refusal.
    judge_failure: whether to flag a text if the judge was asked and gave no answer.
    truncation: whether to flag a text if its end was not read and the judge gave no answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    judge: JudgeMode | None = None
    explain: bool = True
    spans: bool = False
    category_threshold: Threshold | None = None
    category_thresholds: Mapping[Category, Threshold] = Field(default_factory=dict)
    toxicity_threshold: Threshold = 0.5
    refusal_threshold: Threshold = 0.5
    refusal: FlagOrPass = "pass"
    judge_failure: FlagOrPass = "flag"
    truncation: FlagOrPass = "flag"


class ServerPolicy(Policy):
    """Keeps the server's own decision, by the config of its model `verdict`."""


class PolicyFile(BaseModel):
    """The content of a policy file: a table `[policies.NAME]` for each policy."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    policies: Mapping[str, Policy]


def load_policies(file: Path | None) -> dict[str, Policy]:
    """The policies of `file`, and the server's own decision as `default` unless the file has one.

    Raises InvalidInput with the file's name and the line of each fault.
    """
    policies = {} if file is None else dict(read_toml(file, PolicyFile).policies)
    return {DEFAULT_POLICY: ServerPolicy(), **policies}


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
