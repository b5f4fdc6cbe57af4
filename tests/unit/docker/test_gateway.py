"""The gateway in containers: its options, files and ports agree in all files."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tribunal.commands.cli import app
from tribunal.gateway.moderation.policies import load_policies
from tribunal.gateway.server import STOP_TIMEOUT_S
from tribunal.gateway.settings import DEFAULT_MAX_BODY_BYTES
from typer.main import get_command

from launcher.repository.contract import CHECKOUT
from tests.unit.docker.test_compose import TEXT, load

DOCKER = CHECKOUT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile.gateway").read_text("utf-8")
BASE = DOCKER / "kubernetes" / "base"


def entry_point() -> list[str]:
    (found,) = re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    command: list[str] = json.loads(found)
    return command


def options(*arguments: str) -> dict[str, Any]:
    """The options that `tribunal gateway` parses from the image's entry point and `arguments`."""
    program, command, *own = entry_point()
    assert program == "tribunal"
    commands: Any = get_command(app)
    parameters: dict[str, Any] = commands.commands[command].make_context(command, [*own, *arguments]).params
    return parameters


def deployment() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((BASE / "gateway_deployment.yaml").read_text("utf-8"))
    pod: dict[str, Any] = document["spec"]["template"]["spec"]
    return pod


def test_the_image_listens_on_the_ports_that_others_name() -> None:
    read = options()
    ports = (read["port"], read["grpc_port"], read["metrics_port"])
    assert ports == (8080, 8081, 8082)
    assert read["host"] == "0.0.0.0"  # noqa: S104
    assert read["keys_file"] is read["policies_file"] is None
    assert f"EXPOSE {' '.join(map(str, ports))}" in DOCKERFILE
    assert "http://127.0.0.1:8080/v2/health/ready" in DOCKERFILE
    (container,) = deployment()["containers"]
    assert tuple(port["containerPort"] for port in container["ports"]) == ports
    upstreams = re.findall(r"server gateway:(\d+);", (DOCKER / "nginx" / "upstreams.conf").read_text("utf-8"))
    assert tuple(map(int, upstreams)) == ports[:2]


@pytest.mark.parametrize("variables", [(), ("GATEWAY_KEYS",)])
def test_compose_gives_keys_only_where_there_are_some(variables: tuple[str, ...]) -> None:
    gateway = load(TEXT, *variables)["gateway"]
    read = options(*shlex.split(gateway["command"]))
    assert read["policies_file"] == Path("/etc/tribunal/policies.toml")
    assert read["keys_file"] == (Path("/etc/tribunal/keys.toml") if variables else None)
    (mount,) = gateway["volumes"]
    folder, target, mode = mount.split(":")
    assert (target, mode) == ("/etc/tribunal", "ro")
    assert (DOCKER / folder / read["policies_file"].name).is_file()


def test_kubernetes_lets_nobody_in_without_a_key() -> None:
    (container,) = deployment()["containers"]
    read = options(*container["args"])
    folders = {mount["name"]: Path(mount["mountPath"]) for mount in container["volumeMounts"]}
    assert (read["policies_file"].parent, read["keys_file"].parent) == (folders["policies"], folders["keys"])
    secrets = [volume["secret"] for volume in deployment()["volumes"] if "secret" in volume]
    assert [secret["secretName"] for secret in secrets] == ["gateway-keys"]
    assert not any(secret.get("optional") for secret in secrets)


@pytest.mark.parametrize("file", [DOCKER / "gateway" / "policies.toml", BASE / "policies.toml"])
def test_the_policies_that_come_along_are_valid(file: Path) -> None:
    assert "default" in load_policies(file)


def test_a_stop_waits_for_requests_that_are_under_way() -> None:
    assert load(TEXT)["gateway"]["stop_grace_period"] == "40s"
    (container,) = deployment()["containers"]
    (pause_s,) = [
        int(word) for word in container["lifecycle"]["preStop"]["exec"]["command"] if word.isdigit()
    ]
    assert STOP_TIMEOUT_S < 40
    assert int(pause_s) + STOP_TIMEOUT_S < deployment()["terminationGracePeriodSeconds"]


def test_nginx_listens_on_the_port_that_compose_publishes() -> None:
    nginx = load(TEXT)["nginx"]
    (port,) = re.findall(r"listen (\d+) ", (DOCKER / "nginx" / "listen.conf").read_text("utf-8"))
    assert nginx["ports"] == [f"127.0.0.1:{port}:{port}"]
    folder, target, _ = nginx["volumes"][0].split(":")
    config = Path(nginx["command"][nginx["command"].index("-c") + 1])
    assert (DOCKER / folder / config.relative_to(target)).is_file()
    assert "gateway" in nginx["depends_on"]


def test_nginx_passes_requests_that_the_gateway_accepts() -> None:
    config = (DOCKER / "nginx" / "nginx.conf").read_text("utf-8")
    sizes = [int(size) for size in re.findall(r"client_\w+_size\s+(\d+)m;", config)]
    assert len(sizes) == 2
    assert len(set(sizes)) == 1
    assert sizes[0] * 2**20 > DEFAULT_MAX_BODY_BYTES
