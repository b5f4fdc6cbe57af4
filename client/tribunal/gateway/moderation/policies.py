"""Named policies: what flags a text, and when to ask the judge. They do not change scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tribunal.contract import JudgeMode
from tribunal.gateway.caller import DEFAULT_POLICY, Caller
from tribunal.gateway.errors import GatewayError
from tribunal.gateway.moderation.categories import Category
from tribunal.gateway.toml_file import read_toml

Threshold = Annotated[float, Field(ge=0, le=1)]
FlagOrPass = Literal["flag", "pass"]


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


@dataclass(frozen=True)
class Policies:
    """The policies by name."""

    by_name: dict[str, Policy]

    def find(self, name: str) -> Policy:
        """The policy `name`; raises GatewayError 404."""
        if name not in self.by_name:
            known = ", ".join(self.by_name)
            raise GatewayError(
                404, "policy_not_found", f"there is no policy {name[:80]!r}; known: {known}", "model"
            )
        return self.by_name[name]

    def of(self, caller: Caller, name: str | None) -> Policy:
        """The policy `name`, or the caller's if `name` is None; raises GatewayError 404."""
        return self.find(caller.policy if name is None else name)


def load_policies(file: Path | None) -> dict[str, Policy]:
    """The policies of `file`, and the server's own decision as `default` unless the file has one.

    Raises InvalidInput with the file's name and the line of each fault.
    """
    policies = {} if file is None else dict(read_toml(file, PolicyFile).policies)
    return {DEFAULT_POLICY: ServerPolicy(), **policies}
