"""Options of a connection: invalid values, and values that are never shown."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tenacity
from tribunal import Client, Connection, InvalidInput, Overloaded, ServerUnavailable
from tribunal.connection import Address
from tribunal.transport.diagnosis import connection_fault
from tribunal.transport.messages import Question, moderation_request, require_size
from tribunal.transport.retries import retry_after_s, retry_policy


@pytest.mark.parametrize(
    ("url", "host", "is_http", "is_tls"),
    [
        ("host:1", "host:1", False, False),
        ("grpc://host:1", "host:1", False, False),
        ("grpcs://host:1", "host:1", False, True),
        ("http://host:1/", "host:1", True, False),
        ("https://host:1/path", "host:1/path", True, True),
    ],
)
def test_the_scheme_says_protocol_and_tls(url: str, host: str, is_http: bool, is_tls: bool) -> None:
    assert Address.parse(url) == Address(url, host, is_http, is_tls)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file '/nowhere/ca.pem' is not a file"),
        ({"cert_file": __file__}, "cert_file and key_file need each other"),
        ({"compression": "zip"}, "compression is 'zip'"),
        ({"retries": -1}, "retries is -1"),
        ({"max_in_flight": 0}, "max_in_flight is 0; it must be at least 1"),
        ({"max_message_bytes": 0}, "max_message_bytes is 0"),
        ({"headers": {"authorization": "Bearer a\nb"}}, "header 'authorization': its value must be"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Connection(**options)


def test_a_secret_is_in_no_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        Connection(headers={"authorization": "Bearer geheim\n"})
    assert "geheim" not in str(caught.value)
    assert "geheim" not in repr(Connection(headers={"authorization": "Bearer geheim"}))


def test_files_for_tls_need_a_url_with_tls() -> None:
    with pytest.raises(InvalidInput, match="ca_file is for TLS, which 'localhost:8001' does not use"):
        Client("localhost:8001", connection=Connection(ca_file=__file__))


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate", "utf-8")
    with pytest.raises(InvalidInput, match=r"cannot be read as PEM: ca_file '.*ca.pem'"):
        Client("https://localhost:1", connection=Connection(ca_file=file))


def test_the_size_counts_every_value_with_its_length() -> None:
    inputs = moderation_request(["é".encode(), b"abc"], Question(None, explain=True))
    require_size(inputs, 2 + 3 + 2 * 4 + 2)
    with pytest.raises(InvalidInput, match="the request has 15 bytes and max_message_bytes is 14"):
        require_size(inputs, 14)


def test_pauses_grow_are_random_and_end_before_the_deadline() -> None:
    policy = retry_policy(retries=100, timeout_s=60.0)
    retrying = tenacity.Retrying(**policy)
    longest = []
    for number in range(1, 9):
        state = tenacity.RetryCallState(retrying, None, (), {})
        state.attempt_number = number
        pauses = [policy["wait"](state) for _ in range(200)]
        assert len(set(pauses)) > 100
        longest.append(max(pauses))
    limits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert all(limit / 2 < most <= limit for most, limit in zip(longest, limits, strict=True))

    state.outcome_timestamp = state.start_time + 59.0
    state.upcoming_sleep = 0.9
    assert not policy["stop"](state)
    state.upcoming_sleep = 1.1
    assert policy["stop"](state)


def test_only_an_unavailable_server_is_asked_again() -> None:
    attempts = []

    def fail(error: Exception) -> None:
        attempts.append(error)
        raise error

    for error in (ServerUnavailable("away"), InvalidInput("bad")):
        with pytest.raises(type(error)):
            tenacity.Retrying(**retry_policy(retries=2, timeout_s=5.0))(fail, error)
    assert [type(error) for error in attempts] == [ServerUnavailable] * 3 + [InvalidInput]


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [
        ("3", 3.0),
        (b"0", 0.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("Wed, 21 Oct 2026", None),
        ("inf", None),
    ],
)
def test_only_seconds_are_read_of_retry_after(header: str | bytes | None, pause_s: float | None) -> None:
    assert retry_after_s(header) == pause_s


def test_a_pause_is_as_long_as_the_server_asks_for() -> None:
    policy = retry_policy(retries=1, timeout_s=60.0)
    state = tenacity.RetryCallState(tenacity.Retrying(**policy), None, (), {})
    state.set_exception((Overloaded, Overloaded("later", retry_after_s=7.0), None))
    assert policy["wait"](state) == 7.0
    assert policy["retry"](state)
    state.set_exception((Overloaded, Overloaded("later"), None))
    assert 0 < policy["wait"](state) <= 0.1


def test_a_name_whose_look_up_never_ends_does_not_hold_up_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [ended.wait(20)][:0])
    started_s = time.monotonic()
    try:
        assert connection_fault(Address.parse("host:1"), Connection(), None, 0.2) is None
        assert time.monotonic() - started_s < 5
    finally:
        ended.set()
