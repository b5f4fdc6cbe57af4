"""Arguments of a wrong type or value: InvalidInput that names the argument and says what it must be."""

import asyncio
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import tribunal
from tribunal import AsyncClient, Client, Connection, InvalidInput, Overloaded, TribunalError
from tribunal.guard import StreamFlagged
from tribunal.transport.faults import NoConnection

from tests.unit.client.fake_client import verdict_on

URL = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("judge", True, "judge is True; it must be one of always, auto, never, or None"),
        ("judge", "sometimes", "judge is 'sometimes'; it must be one of always, auto, never, or None"),
        ("judge", ["never"], r"judge is \['never'\]; it must be one of"),
        ("explain", "no", "explain is 'no'; it must be True or False"),
        ("explain", None, "explain is None; it must be True or False"),
        ("spans", 1, "spans is 1; it must be True or False"),
    ],
)
def test_an_option_of_a_call_is_named(name: str, value: Any, must: str) -> None:
    with Client(URL) as client:
        for call in (
            lambda: client.moderate("a", **{name: value}),
            lambda: client.moderate_batch(["a"], **{name: value}),
        ):
            with pytest.raises(InvalidInput, match=must):
                call()

    async def ask() -> None:
        async with AsyncClient(URL) as client:
            for call in (
                client.moderate("a", **{name: value}),
                client.moderate_batch(["a"], **{name: value}),
            ):
                with pytest.raises(InvalidInput, match=must):
                    await call

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (None, "NoneType"),
        (7, "int"),
        (b"bytes", "bytes"),
        ({"a text": "b"}, "dict"),
        ({"a text"}, "set"),
        (frozenset({"a text"}), "frozenset"),
        ({"a text": "b"}.keys(), "dict_keys"),
    ],
)
@pytest.mark.parametrize("return_errors", [False, True])
def test_texts_without_an_order_are_refused(texts: Any, kind: str, return_errors: Any) -> None:
    with (
        Client(URL) as client,
        pytest.raises(InvalidInput, match=f"texts is a {kind}; give a list of strings"),
    ):
        client.moderate_batch(texts, return_errors=return_errors)


def test_return_errors_is_true_or_false() -> None:
    with Client(URL) as client, pytest.raises(InvalidInput, match="return_errors is 'no'; it must be True"):
        client.moderate_batch(["a"], return_errors="no")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "must"),
    [
        ({"every": "200"}, "every is '200'; it must be between 1 and"),
        ({"overlap": None}, "overlap is None; it must be between 0 and"),
        ({"text": "content"}, "text is a str; give a function of a chunk, or None"),
        ({"judge": True}, "judge is True; it must be one of"),
        ({"final_judge": "yes"}, "final_judge is 'yes'; it must be one of"),
        ({"release": ["checked"]}, r"release is \['checked'\]; it must be checked or immediate"),
    ],
)
def test_an_option_of_guard_is_named(options: dict[str, Any], must: str) -> None:
    with Client(URL) as client, pytest.raises(InvalidInput, match=must):
        client.guard(["a"], **options)


def test_what_is_no_stream_is_refused() -> None:
    with Client(URL) as client, pytest.raises(InvalidInput, match="chunks is a NoneType; give an iterable"):
        client.guard(None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="chunks is a list; give an async iterable"):
        AsyncClient(URL).guard(["a"])  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout_s", ["5", None, True, [1], 10**400])
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_a_deadline_is_a_number(client: Callable[..., object], timeout_s: Any) -> None:
    with pytest.raises(InvalidInput, match=r"timeout_s is .*; it must be positive and finite"):
        client(URL, timeout_s=timeout_s)


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:1"])
def test_the_longest_deadline_works(url: str) -> None:
    with (
        Client(url, timeout_s=1e300, connection=Connection(retries=0)) as client,
        pytest.raises(tribunal.ServerUnavailable),
    ):
        client.moderate("a text")


@pytest.mark.parametrize(
    ("options", "must"),
    [
        ({"retries": "3"}, "retries is '3'; it must be at least 0"),
        ({"retries": True}, "retries is True"),
        ({"max_in_flight": 1.5}, "max_in_flight is 1.5; it must be at least 1"),
        ({"max_message_bytes": None}, "max_message_bytes is None; it must be at least 1"),
        ({"ca_file": 7}, "ca_file '7' is not a file"),
        ({"ca_file": "a\0b"}, "ca_file .* is not a file"),
        ({"headers": [("a", "b")]}, "headers is a list; give a dict of names and values"),
        ({"headers": {"a": 1}}, "header 'a': its value must be printable ASCII"),
        ({"headers": {1: "a"}}, "header 1: a name may contain only"),
        ({"headers": {"a b": "c"}}, "header 'a b': a name may contain only letters"),
        ({"compression": ["gzip"]}, r"compression is \['gzip'\]; it must be gzip, deflate or None"),
    ],
)
def test_an_option_of_a_connection_is_named(options: dict[str, Any], must: str) -> None:
    with pytest.raises(InvalidInput, match=must):
        Connection(**options)


@pytest.mark.parametrize("scheme", ["", "grpc://", "grpcs://", "http://", "https://"])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:99999",
        "127.0.0.1:0",
        "127.0.0.1:8001:",
        "127.0.0.1:",
        "127.0.0.1:-1",
        "127.0.0.1:a",
        ":8001",
        "::1:8001",
        "[::1",
        "a b:8001",
        "a\n:8001",
        "a..b:8001",
        "a" * 64 + ":8001",
    ],
)
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_an_address_without_a_valid_port_is_refused_at_construction(
    client: Callable[..., object], scheme: str, host: str
) -> None:
    with pytest.raises(
        InvalidInput, match="has no valid host and port: give host:port with a port between 1"
    ):
        client(scheme + host)


@pytest.mark.parametrize("url", [None, 7, b"127.0.0.1:1", ["127.0.0.1:1"]])
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_an_address_is_a_string(client: Callable[..., object], url: Any) -> None:
    with pytest.raises(InvalidInput, match="must be host:port"):
        client(url)


@pytest.mark.parametrize(
    "url", ["[::1]:8001", "http://[::1]:80", "host", "host.example:65535", "grpcs://host"]
)
def test_a_valid_address_is_taken(url: str) -> None:
    Client(url).close()


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:1"])
def test_the_largest_limits_work(url: str) -> None:
    most = 2**70
    connection = Connection(retries=0, max_in_flight=most, max_message_bytes=most)
    with Client(url, connection=connection) as client, pytest.raises(tribunal.ServerUnavailable):
        client.moderate("a text")


def kinds(base: type[TribunalError]) -> Iterator[type[TribunalError]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


OWN_ARGUMENTS: dict[type[TribunalError], tuple[Any, ...]] = {
    StreamFlagged: (verdict_on("a bomb"), 7),
    NoConnection: ("away", 2.0),
    Overloaded: ("full", 3.0),
}


@pytest.mark.parametrize("kind", list(dict.fromkeys(kinds(TribunalError))))
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickle(kind: type[TribunalError], protocol: int) -> None:
    error = kind(*OWN_ARGUMENTS.get(kind, ("a message",)))
    copy = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
    assert type(copy) is kind
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def flag() -> None:
    raise StreamFlagged(verdict_on("a bomb"), 7)


def test_a_flagged_stream_comes_out_of_a_process_pool() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(StreamFlagged) as caught:
        pool.submit(flag).result(timeout=20)
    assert caught.value.verdict == verdict_on("a bomb")
    assert caught.value.released_chars == 7
