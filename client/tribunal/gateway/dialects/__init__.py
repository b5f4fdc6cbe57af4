"""The protocols that the gateway speaks, one module each."""

from tribunal.gateway.dialect import Dialect
from tribunal.gateway.dialects import kserve, litellm, openai, verdicts

# The last one has every path that the others have not.
DIALECTS: tuple[Dialect, ...] = (
    kserve.DIALECT,
    openai.DIALECT,
    litellm.DIALECT,
    verdicts.DIALECT,
)
