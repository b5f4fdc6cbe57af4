"""The protocols that the gateway speaks, one module each."""

from tribunal.gateway.protocols import description, fms, kserve_http, litellm, openai, perspective, verdicts
from tribunal.gateway.protocols.dialect import Dialect

# The last one is the fallback for all other paths.
DIALECTS: tuple[Dialect, ...] = (
    kserve_http.DIALECT,
    openai.DIALECT,
    litellm.DIALECT,
    fms.DIALECT,
    perspective.DIALECT,
    description.DIALECT,
    verdicts.DIALECT,
)
