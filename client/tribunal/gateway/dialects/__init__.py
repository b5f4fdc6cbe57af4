"""The protocols that the gateway speaks, one module each."""

from tribunal.gateway.dialect import Dialect
from tribunal.gateway.dialects import description, fms, kserve, litellm, openai, perspective, verdicts

# The last one has every path that the others have not.
DIALECTS: tuple[Dialect, ...] = (
    kserve.DIALECT,
    openai.DIALECT,
    litellm.DIALECT,
    fms.DIALECT,
    perspective.DIALECT,
    description.DIALECT,
    verdicts.DIALECT,
)
