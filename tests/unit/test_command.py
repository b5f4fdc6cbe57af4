"""The command line of tritonserver."""

from pathlib import Path

from local_server.command import Ports, server_arguments, server_environment
from local_server.installation import find_installation

ARGUMENTS = server_arguments(
    find_installation(),
    repository=Path("/models"),
    backends=Path("/backends"),
    ports=Ports(http=1, grpc=2, metrics=3),
    admin_key="secret",
    shm_prefix="tribunal-x",
    models={"aegis", "phi3"},
)


def option(name: str) -> str:
    (value,) = [argument.partition("=")[2] for argument in ARGUMENTS if argument.startswith(f"--{name}=")]
    return value


def test_every_endpoint_is_on_loopback() -> None:
    assert {option(f"{endpoint}-address") for endpoint in ("http", "grpc", "metrics")} == {"127.0.0.1"}
    assert [option(f"{endpoint}-port") for endpoint in ("http", "grpc", "metrics")] == ["1", "2", "3"]


def test_administrative_apis_ask_for_the_key() -> None:
    restricted = "shared-memory,model-repository,logging,trace:tribunal-admin-key=secret"
    assert option("http-restricted-api") == option("grpc-restricted-protocol") == restricted


def test_the_interpreters_own_libpython_comes_first() -> None:
    installation = find_installation()
    environment = server_environment(installation, {"LD_LIBRARY_PATH": "/other", "HOME": "/home/me"})
    folders = environment["LD_LIBRARY_PATH"].split(":")
    assert folders[0] == str(installation.library_folders[0])
    assert folders[-1] == "/other"
    assert environment["HOME"] == "/home/me"
    assert environment["LC_ALL"] == "C.UTF-8"
