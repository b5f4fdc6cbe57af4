"""The addresses on which a server may listen."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
import trustme

from launcher import StartError
from launcher.arguments import exposure_of, parse_arguments
from launcher.exposure.addresses import Exposure
from launcher.exposure.tls import Tls

EVERYWHERE = IPv4Address("0.0.0.0")  # noqa: S104
ANY_TLS = Tls(Path("certificate.pem"), Path("key.pem"))


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = Tls(tmp_path / "certificate.pem", tmp_path / "key.pem", tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return files


@pytest.mark.parametrize("address", [EVERYWHERE, IPv4Address("192.0.2.7")])
def test_an_open_address_without_protection_is_refused(address: IPv4Address) -> None:
    with pytest.raises(
        StartError, match=rf"{address} is not a loopback.*--tls-certificate.*--expose.*vulnerabil"
    ):
        Exposure(address)


@pytest.mark.parametrize(
    ("exposure", "listening", "reached"),
    [
        (Exposure(), "127.0.0.1", "127.0.0.1"),
        (Exposure(IPv4Address("127.0.0.5")), "127.0.0.5", "127.0.0.5"),
        (Exposure(EVERYWHERE, tls=ANY_TLS), "127.0.0.1", "127.0.0.1"),
        (Exposure(EVERYWHERE, everything=True), "0.0.0.0", "127.0.0.1"),  # noqa: S104
        (Exposure(IPv4Address("192.0.2.7"), everything=True), "192.0.2.7", "192.0.2.7"),
    ],
)
def test_where_the_plain_endpoints_are(exposure: Exposure, listening: str, reached: str) -> None:
    for endpoint in ("http", "metrics"):
        assert exposure.listens_on(endpoint) == listening
        assert exposure.reached_at(endpoint) == reached
    assert exposure.listens_on("grpc") == str(exposure.address)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exposure_of(parse_arguments([])) == Exposure()
    options = ["--address", "0.0.0.0", "--tls-certificate", "c", "--tls-key", "k", "--tls-client-ca", "a"]  # noqa: S104
    assert exposure_of(parse_arguments(options)) == Exposure(
        EVERYWHERE, tls=Tls(Path("c"), Path("k"), Path("a"))
    )
    for wrong, reason in (
        (["--tls-key", "k"], "give --tls-certificate and --tls-key together"),
        (["--tls-client-ca", "a"], "--tls-client-ca needs --tls-certificate"),
        (["--address", "everywhere"], "--address"),
    ):
        with pytest.raises(SystemExit):
            parse_arguments(wrong)
        assert reason in capsys.readouterr().err


def test_usable_files_pass(tls: Tls) -> None:
    tls.require_usable()


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("certificate.pem", r"certificate.pem.*--tls-certificate"),
        ("key.pem", r"key.pem.*--tls-key"),
        ("ca.pem", r"ca.pem has no certificates.*--tls-client-ca"),
    ],
)
def test_a_damaged_file_is_named(tls: Tls, file: str, reason: str) -> None:
    (tls.key.parent / file).write_text("no PEM")
    with pytest.raises(StartError, match=reason):
        tls.require_usable()
    (tls.key.parent / file).unlink()
    with pytest.raises(StartError, match=reason):
        tls.require_usable()


def test_a_key_of_another_certificate_is_refused(tls: Tls) -> None:
    trustme.CA().issue_cert("127.0.0.1").private_key_pem.write_to_path(tls.key)
    with pytest.raises(StartError, match="not a certificate and its key"):
        tls.require_usable()
