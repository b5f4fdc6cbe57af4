"""The policies and the server: `GET /v1/policies` and `GET /v1/server`."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from tribunal.contract import JUDGE, JudgeMode
from tribunal.gateway.moderation.categories import CATEGORIES
from tribunal.gateway.moderation.policies import FlagOrPass, Policy, ServerPolicy
from tribunal.gateway.protocols.dialect import CallerOf, Dialect, ModeratorOf, PoliciesOf
from tribunal.gateway.protocols.verdicts import error_document
from tribunal.server_info import server_document

router = APIRouter(tags=["description"])


class Thresholds(BaseModel):
    """A score at or above its threshold counts as detected; null means the server's own threshold."""

    categories: dict[str, float | None]
    toxicity: float | None
    refusal: float | None


class PolicyAnswer(BaseModel):
    """A policy. `judge` is null if the server's config decides when the judge is asked."""

    name: str
    decided_by: Literal["policy", "server"]
    judge: JudgeMode | None
    explain: bool
    spans: bool
    thresholds: Thresholds
    refusal: FlagOrPass
    judge_failure: FlagOrPass | None
    truncation: FlagOrPass | None


class PoliciesAnswer(BaseModel):
    """The policies, and the name of the default one."""

    default: str
    policies: list[PolicyAnswer]


class WeightsAnswer(BaseModel):
    """Where the weights of one model come from; `are_demo`: they are for demonstration only."""

    source: str
    revision: str | None
    precision: str
    are_demo: bool


class SelfCheckAnswer(BaseModel):
    """The largest difference of an encoder's scores from the export's, in its last self-check."""

    texts: int
    score_difference: float
    tolerance: float


class ServerAnswer(BaseModel):
    """The server's models. `has_judge`: the server has the LLM judge."""

    triton_version: str
    models: dict[str, bool]
    weights: dict[str, WeightsAnswer]
    self_checks: dict[str, SelfCheckAnswer]
    has_judge: bool


@router.get("/v1/policies", response_model=PoliciesAnswer)
async def policies(caller: CallerOf, policies: PoliciesOf) -> Any:
    """The policies that a request may name, with their thresholds."""
    named = [policy_answer(name, policy) for name, policy in policies.by_name.items()]
    return PoliciesAnswer(default=caller.policy, policies=named)


@router.get("/v1/server", response_model=ServerAnswer)
async def server(moderator: ModeratorOf) -> Any:
    """Triton's version, its models with their readiness, and the models' weights."""
    info = await moderator.info()
    return {**server_document(info), "has_judge": JUDGE in info.models}


def policy_answer(name: str, policy: Policy) -> PolicyAnswer:
    """The description of a policy for callers."""
    is_servers = isinstance(policy, ServerPolicy)
    own = {str(category): threshold for category, threshold in policy.category_thresholds.items()}
    return PolicyAnswer(
        name=name,
        decided_by="server" if is_servers else "policy",
        judge=policy.judge,
        explain=policy.explain,
        spans=policy.spans,
        thresholds=Thresholds(
            categories={category: own.get(category, policy.category_threshold) for category in CATEGORIES},
            toxicity=None if is_servers else policy.toxicity_threshold,
            refusal=None if is_servers else policy.refusal_threshold,
        ),
        refusal=policy.refusal,
        judge_failure=None if is_servers else policy.judge_failure,
        truncation=None if is_servers else policy.truncation,
    )


DIALECT = Dialect("description", ("/v1/policies", "/v1/server"), router, error_document)
