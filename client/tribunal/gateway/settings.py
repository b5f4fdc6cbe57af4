"""The options of one gateway."""

from dataclasses import dataclass, field
from pathlib import Path

from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection

# 64 texts of 64 KiB, plus JSON's overhead.
DEFAULT_MAX_BODY_BYTES = 8 * 2**20
DEFAULT_MAX_WAIT_S = 10.0
# As uvicorn's.
DEFAULT_KEEP_ALIVE_S = 5
# The maximum batch size of `moderation`.
MAX_BATCH_TEXTS = 64
# Texts of one request in the protocols of hosted APIs; the gateway sends them to Triton in several requests.
MAX_TEXTS = 1024


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """The options of a gateway: Triton's address, callers' keys, and limits.

    url: of Triton. connection: TLS, headers and retries for calls to Triton.
    timeout_s: from a request's last byte to its answer; a body must arrive within the same time.
    max_body_bytes: of a request, also after decompression.
    max_in_flight_texts: texts in flight at Triton, in each queue; None: as many as the server's instances
    take. Others wait in the gateway, and are dropped if their caller disconnects.
    max_wait_s: a request that would wait longer is refused at once.
    cors_origins: origins whose web pages may send requests, such as `https://example.org`.
    """

    url: str = DEFAULT_URL
    connection: Connection = field(default_factory=Connection)
    timeout_s: float = DEFAULT_TIMEOUT_S
    policies_file: Path | None = None
    keys_file: Path | None = None
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    max_in_flight_texts: int | None = None
    max_wait_s: float = DEFAULT_MAX_WAIT_S
    cors_origins: tuple[str, ...] = ()
