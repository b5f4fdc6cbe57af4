"""The command line of tritonserver."""

import argparse
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from launcher.arguments import parse_arguments, trace_url
from launcher.exposure.addresses import ON_LOOPBACK, Exposure
from launcher.exposure.ports import Ports
from launcher.exposure.tls import Tls
from launcher.options import ServerOptions
from launcher.process.command_line import server_arguments, trace_arguments
from launcher.process.environment import server_environment
from launcher.process.find import find_installation
from launcher.process.installation import Installation
from launcher.process.nvidia_image import NvidiaImage
from launcher.process.wheel import find_wheel

ENDPOINTS = ("http", "grpc", "metrics")


def arguments(
    exposure: Exposure = ON_LOOPBACK, installation: Installation | None = None, config_name: str | None = None
) -> dict[str, str]:
    """Options of the command line by name; those that may be repeated keep their last value."""
    given = server_arguments(
        installation or find_installation(),
        ServerOptions(Path("/models"), None, ports=Ports(http=1, grpc=2, metrics=3), exposure=exposure),
        repository=Path("/models"),
        backends=Path("/backends"),
        admin_key="secret",
        shm_prefix="tribunal-x",
        models={"aegis", "phi3"},
        config_name=config_name,
    )
    return dict(option.removeprefix("--").partition("=")[::2] for option in given[1:])


def test_only_nvidias_backends_complete_configs() -> None:
    image = NvidiaImage(
        Path("/opt/tritonserver/bin/tritonserver"), Path("/caches"), Path("/opt/tritonserver")
    )
    assert "disable-auto-complete-config" in arguments()
    assert "disable-auto-complete-config" not in arguments(installation=image)
    assert "model-config-name" not in arguments(installation=image)
    assert arguments(installation=image, config_name="tensorrt")["model-config-name"] == "tensorrt"


def test_every_endpoint_is_on_loopback() -> None:
    options = arguments()
    assert {options[f"{endpoint}-address"] for endpoint in ENDPOINTS} == {"127.0.0.1"}
    assert [options[f"{endpoint}-port"] for endpoint in ENDPOINTS] == ["1", "2", "3"]
    assert not [name for name in options if "ssl" in name or "cert" in name]


def test_administrative_apis_ask_for_the_key() -> None:
    options = arguments(Exposure(everything=True))
    restricted = "shared-memory,model-repository,logging,trace:tribunal-admin-key=secret"
    assert options["http-restricted-api"] == options["grpc-restricted-protocol"] == restricted


def test_with_tls_only_grpc_leaves_loopback() -> None:
    options = arguments(Exposure(IPv4Address("10.0.0.7"), tls=Tls(Path("/cert"), Path("/key"))))
    assert [options[f"{endpoint}-address"] for endpoint in ENDPOINTS] == [
        "127.0.0.1",
        "10.0.0.7",
        "127.0.0.1",
    ]
    assert (options["grpc-server-cert"], options["grpc-server-key"]) == ("/cert", "/key")
    assert "grpc-use-ssl-mutual" not in options


def test_a_client_ca_asks_callers_for_certificates() -> None:
    options = arguments(Exposure(tls=Tls(Path("/cert"), Path("/key"), Path("/ca"))))
    assert (options["grpc-use-ssl-mutual"], options["grpc-root-cert"]) == ("true", "/ca")


def test_spans_are_sent_only_where_an_endpoint_is_named() -> None:
    assert "trace-config" not in arguments()
    assert trace_arguments("http://host:4318/v1/traces", 10) == [
        "--trace-config=mode=opentelemetry",
        "--trace-config=level=TIMESTAMPS",
        "--trace-config=rate=10",
        "--trace-config=opentelemetry,url=http://host:4318/v1/traces",
    ]


@pytest.mark.parametrize(
    "text", ["localhost:4318", "http://localhost:4318", "ftp://host/v1/traces", "http:///x"]
)
def test_an_address_without_a_path_is_no_endpoint_of_traces(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a URL such as"):
        trace_url(text)


def test_the_options_of_traces() -> None:
    options = parse_arguments(["--trace-url", "http://host:4318/v1/traces", "--trace-rate", "7"])
    assert (options.trace_url, options.trace_rate) == ("http://host:4318/v1/traces", 7)
    with pytest.raises(SystemExit):
        parse_arguments(["--trace-rate", "0"])


def test_the_interpreters_own_libpython_comes_first() -> None:
    wheel, inherited = find_wheel(), {"LD_LIBRARY_PATH": "/other", "HOME": "/home/me"}
    environment = server_environment(
        wheel.environment(inherited),
        inherited,
        Path("/work"),
        Path("/temporary"),
        Path("/scratch/self_check.json"),
        judge=False,
    )
    folders = environment["LD_LIBRARY_PATH"].split(":")
    assert folders[0] == str(wheel.library_folders[0])
    assert folders[-1] == "/other"
    assert environment["HOME"] == "/home/me"
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["TMPDIR"] == "/temporary"
    assert environment["TRIBUNAL_JUDGE"] == "absent"
    assert environment["VLLM_CACHE_ROOT"].startswith("/work/")
