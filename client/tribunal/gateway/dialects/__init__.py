"""The protocols that the gateway speaks, one module each."""

from tribunal.gateway.dialect import Dialect
from tribunal.gateway.dialects import description, fms, kserve, litellm, openai, perspective, verdicts

# The last one is the fallback for all other paths.
DIALECTS: tuple[Dialect, ...] = (
    kserve.DIALECT,
    openai.DIALECT,
    litellm.DIALECT,
    fms.DIALECT,
    perspective.DIALECT,
    description.DIALECT,
    verdicts.DIALECT,
)
