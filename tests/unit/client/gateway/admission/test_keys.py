"""Keys, their callers and their limits."""

from pathlib import Path

import pytest
from tribunal.errors import InvalidInput
from tribunal.gateway.admission.authentication import Authenticator, is_open, key_of
from tribunal.gateway.admission.keys import ANONYMOUS, Keys, hash_key, new_key
from tribunal.gateway.errors import GatewayError


def key_file(folder: Path, *lines: str, secret: str = "s3cret") -> Path:  # noqa: S107
    file = folder / "keys.toml"
    file.write_text("\n".join(["[keys.alice]", f'sha256 = "{hash_key(secret)}"', *lines]), "utf-8")
    return file


def test_without_a_file_everybody_is_let_in() -> None:
    caller = Keys.load(None, ["default"]).caller(None)
    assert caller is not None
    assert caller.name == ANONYMOUS


def test_a_key_names_its_caller_and_no_other_key_does(tmp_path: Path) -> None:
    keys = Keys.load(key_file(tmp_path, 'policy = "strict"'), ["default", "strict"])
    caller = keys.caller("s3cret")
    assert caller is not None
    assert (caller.name, caller.policy) == ("alice", "strict")
    assert [keys.caller(wrong) for wrong in (None, "", "s3cre", "S3CRET", "\udcff")] == [None] * 5


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('policy = "none"', "there is no policy 'none'"),
        ('rate_limit = "often"', r"keys\.toml:3: keys.alice.rate_limit"),
        ("colour = 1", r"keys\.toml:3: keys.alice.colour"),
    ],
)
def test_a_fault_of_the_file_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Keys.load(key_file(tmp_path, line), ["default"])


def test_a_file_holds_no_key(tmp_path: Path) -> None:
    secret = new_key()
    assert secret not in key_file(tmp_path, secret=secret).read_text()
    assert len({new_key() for _ in range(100)}) == 100


def test_a_caller_beyond_its_limit_is_told_when_to_return(tmp_path: Path) -> None:
    authenticator = Authenticator(Keys.load(key_file(tmp_path, 'rate_limit = "2/minute"'), ["default"]))
    alice = authenticator.identify("s3cret", "")
    for _ in range(2):
        authenticator.count(alice)
    with pytest.raises(GatewayError) as raised:
        authenticator.count(alice)
    assert raised.value.status == 429
    assert 1 <= int(raised.value.headers["Retry-After"]) <= 60


def test_a_stranger_is_refused_with_401(tmp_path: Path) -> None:
    with pytest.raises(GatewayError) as raised:
        Authenticator(Keys.load(key_file(tmp_path), ["default"])).identify("wrong", "")
    error = raised.value
    assert (error.status, error.headers) == (401, {"WWW-Authenticate": 'Bearer realm="tribunal"'})


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ([(b"authorization", b"Bearer abc")], b"", "abc"),
        ([(b"authorization", b"bearer  abc ")], b"", "abc"),
        ([(b"x-api-key", b"abc")], b"", "abc"),
        ([], b"key=abc&x=1", "abc"),
        ([(b"authorization", b"Basic abc")], b"", None),
        ([], b"", None),
    ],
)
def test_where_a_key_is_read(headers: list[tuple[bytes, bytes]], query: bytes, key: str | None) -> None:
    assert key_of({"type": "http", "headers": headers, "query_string": query}) == key


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", True), ("/page/style.css", True), ("/v1/verdicts", False), ("/page", False), ("//", False)],
)
def test_what_needs_no_key(path: str, expected: bool) -> None:
    assert is_open(path) is expected
