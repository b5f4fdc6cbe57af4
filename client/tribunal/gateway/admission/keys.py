"""Callers by their keys. The file contains hashes, so it reveals no key."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from limits import parse_many
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tribunal.errors import InvalidInput
from tribunal.gateway.caller import DEFAULT_POLICY, Caller
from tribunal.gateway.toml_file import read_toml

# Keys are random, so a fast hash without salt is enough: guessing is hopeless.
KEY_BYTES = 32
ANONYMOUS = "anonymous"


def _rate_limit(text: str) -> str:
    parse_many(text)
    return text


class Key(BaseModel):
    """One caller's key.

    sha256: of the key, in hexadecimal digits. policy: default policy of the caller's requests.
    rate_limit: of requests, such as `100/second` or `10/second;1000/hour`; None: no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    policy: str = DEFAULT_POLICY
    rate_limit: Annotated[str, AfterValidator(_rate_limit)] | None = None


class KeyFile(BaseModel):
    """The content of a key file: a table `[keys.NAME]` for each caller."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    keys: Mapping[str, Key]


class Keys:
    """The callers with a key; without a file no key is needed."""

    def __init__(self, callers: Mapping[str, Caller] | None) -> None:
        """callers: by the hash of their key; None: no key is needed."""
        self._callers = callers

    @classmethod
    def load(cls, file: Path | None, policies: Iterable[str]) -> "Keys":
        """Read `file`; raises InvalidInput if it is invalid or names a policy that is not in `policies`."""
        if file is None:
            return cls(None)
        callers = {}
        for name, key in read_toml(file, KeyFile).keys.items():
            if key.policy not in policies:
                raise InvalidInput(f"{file}: keys.{name}.policy: there is no policy {key.policy!r}")
            limits = tuple(parse_many(key.rate_limit)) if key.rate_limit else ()
            callers[key.sha256] = Caller(name, key.policy, limits)
        return cls(callers)

    def caller(self, key: str | None, address: str = "") -> Caller | None:
        """The caller with this key, or None. Every hash is compared in constant time."""
        if self._callers is None:
            return Caller(ANONYMOUS, address=address)
        digest = hash_key(key or "")
        found = None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def hash_key(key: str) -> str:
    """SHA-256 of `key` in hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def new_key() -> str:
    """A random key of 32 bytes."""
    return secrets.token_hex(KEY_BYTES)
