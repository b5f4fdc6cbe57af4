"""`docker/compose.yaml`: its validity by the Compose specification, and the files that it names."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from launcher.repository.contract import CHECKOUT

FILE = CHECKOUT / "docker" / "compose.yaml"
TEXT = FILE.read_text("utf-8")
VARIABLE = re.compile(
    r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\+(?P<replacement>[^}]*)|:(?P<required>\?)[^}]*)\}"
)


def load(text: str, *variables: str) -> dict[str, Any]:
    """The services with each of `variables` set, and others at their default.

    Required variables have the value `given`. Raises ValueError if the file is invalid.
    """

    def content(variable: re.Match[str]) -> str:
        if variable["replacement"] is not None:
            return variable["replacement"] if variable["name"] in variables else ""
        return "given" if variable["required"] else variable["default"]

    document = yaml.safe_load(VARIABLE.sub(content, text))
    compose = PyCompose.from_yaml(yaml.safe_dump(document))
    compose.validate()
    services: dict[str, Any] = document["services"]
    return services


def test_it_follows_the_specification() -> None:
    assert set(load(TEXT)) == {"server-cpu", "server-gpu", "gateway", "nginx", "prometheus", "grafana"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("profiles: [cpu]", "profile: [cpu]"), ("shm_size: 1gb", "shm_size: much"), (":3000:3000", ":3000:x")],
)
def test_a_broken_file_is_noticed(right: str, wrong: str) -> None:
    with pytest.raises(ValueError, match="services"):
        load(TEXT.replace(right, wrong))


def test_each_profile_has_a_server_and_both_have_the_dashboards() -> None:
    profiles = {name: service["profiles"] for name, service in load(TEXT).items()}
    assert profiles == {
        "server-cpu": ["cpu"],
        "server-gpu": ["gpu"],
        "gateway": ["cpu", "gpu"],
        "nginx": ["tls"],
        "prometheus": ["cpu", "gpu"],
        "grafana": ["cpu", "gpu"],
    }


def test_nothing_is_open_beyond_this_machine_and_nothing_has_privileges() -> None:
    for name, service in load(TEXT).items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
    assert re.search(r"GF_SECURITY_ADMIN_PASSWORD: \$\{GRAFANA_PASSWORD:\?", TEXT)


def test_only_the_gateway_and_prometheus_reach_the_servers() -> None:
    services = load(TEXT)
    networks = {name: set(service.get("networks", ["default"])) for name, service in services.items()}
    assert {name for name, joined in networks.items() if "triton" in joined} == {
        *("server-cpu", "server-gpu"),
        *("gateway", "prometheus"),
    }
    for name in ("server-cpu", "server-gpu"):
        assert networks[name] == {"triton"}
        assert "ports" not in services[name]
    assert yaml.safe_load(TEXT)["networks"]["triton"] == {"internal": True}
    # Only Prometheus reaches its metrics.
    assert services["gateway"]["ports"] == ["127.0.0.1:8080:8080", "127.0.0.1:8081:8081"]


def test_the_gateway_runs_beside_the_server_of_either_profile() -> None:
    gateway = load(TEXT)["gateway"]
    assert set(gateway["depends_on"]) == {"server-cpu", "server-gpu"}
    assert all(server["required"] is False for server in gateway["depends_on"].values())
    assert gateway["read_only"] is True


def test_images_are_pinned_and_what_is_mounted_exists() -> None:
    volumes = yaml.safe_load(TEXT)["volumes"]
    for name, service in load(TEXT).items():
        repository, _, tag = service["image"].partition(":")
        assert repository
        assert tag
        assert tag != "latest"
        for mount in service["volumes"]:
            source, _, rest = mount.partition(":")
            if source.startswith("."):
                assert (FILE.parent / source).exists(), (name, mount)
                assert rest.endswith(":ro")
            else:
                assert source in volumes, (name, mount)


def test_images_are_built_from_the_checkout() -> None:
    built = {name: service for name, service in load(TEXT).items() if "build" in service}
    assert set(built) == {"server-cpu", "server-gpu", "gateway"}
    for name, service in built.items():
        build = service["build"]
        assert (FILE.parent / build["context"]).resolve() == CHECKOUT
        assert Path(build["dockerfile"]).parent == Path("docker")
        assert (CHECKOUT / build["dockerfile"]).is_file()
        if name != "gateway":
            assert any(mount.endswith(":/models:ro") for mount in service["volumes"])
