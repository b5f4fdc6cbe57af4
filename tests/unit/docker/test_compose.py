"""`docker/compose.yaml` against the Compose specification, and against the files that it names."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from launcher.repository.contract import CHECKOUT

FILE = CHECKOUT / "docker" / "compose.yaml"
TEXT = FILE.read_text("utf-8")
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)\}")


def load(text: str) -> dict[str, Any]:
    """The document with each variable at its default, or at `given`; ValueError where it is no Compose."""
    document = yaml.safe_load(VARIABLE.sub(lambda variable: variable["default"] or "given", text))
    compose = PyCompose.from_yaml(yaml.safe_dump(document))
    compose.validate()
    services: dict[str, Any] = document["services"]
    return services


def test_it_follows_the_specification() -> None:
    assert set(load(TEXT)) == {"server-cpu", "server-gpu", "prometheus", "grafana"}


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
        "prometheus": ["cpu", "gpu"],
        "grafana": ["cpu", "gpu"],
    }


def test_nothing_is_open_beyond_this_machine_and_nothing_has_privileges() -> None:
    for name, service in load(TEXT).items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
    assert not any(":8002" in port for service in load(TEXT).values() for port in service["ports"])
    assert re.search(r"GF_SECURITY_ADMIN_PASSWORD: \$\{GRAFANA_PASSWORD:\?", TEXT)


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
    for name, service in load(TEXT).items():
        if not name.startswith("server"):
            continue
        build = service["build"]
        assert (FILE.parent / build["context"]).resolve() == CHECKOUT
        assert Path(build["dockerfile"]).parent == Path("docker")
        assert any(mount.endswith(":/models:ro") for mount in service["volumes"])
