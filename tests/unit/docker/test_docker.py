"""The images' files: a linter's findings, and pinned versions of all that they install."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement

from launcher.arguments import parse_arguments
from launcher.repository.contract import CHECKOUT

DOCKER = CHECKOUT / "docker"
SERVERS = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.cpu"]
GATEWAY = DOCKER / "Dockerfile.gateway"
DOCKERFILES = [*SERVERS, GATEWAY]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(dockerfile: Path) -> None:
    linter = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--no-color", dockerfile],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (linter.stdout, linter.returncode) == ("", 0)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_every_base_and_package_has_its_version(dockerfile: Path) -> None:
    text = dockerfile.read_text("utf-8")
    bases = re.findall(r"^ARG (?:BASE|TRITON\w*)=(\S+)$", text, re.MULTILINE)
    assert bases
    assert all(re.search(r":[^:]*\d\d", base) for base in bases)
    installed = re.findall(r"^\s{8}([a-z][\w.-]+)(=\S+)?(?: \\| *$)", text, re.MULTILINE)
    assert all(version for _, version in installed)
    assert all("==" in pin for pin in re.findall(r"pip install [^&\n]*?(uv\S*)", text))


def test_every_package_of_the_gpu_image_is_pinned() -> None:
    pins = (DOCKER / "gpu.txt").read_text("utf-8").splitlines()
    assert len(pins) > 100
    assert all(re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.+!]+( ; .*)?", pin) for pin in pins)
    pinned = {pin.partition("==")[0] for pin in pins}
    for wanted in (DOCKER / "gpu.in").read_text("utf-8").splitlines():
        assert wanted in pins or wanted.partition("[")[0] in pinned, wanted


def test_the_gateway_image_has_every_package_in_the_version_of_the_tests() -> None:
    pins = dict(line.split("==") for line in (DOCKER / "gateway.txt").read_text("utf-8").splitlines())
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["gateway"]]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(pins[wanted.name]), f"{line}: compile docker/gateway.txt anew"
    tested = (CHECKOUT / "launcher" / "environments" / "main.txt").read_text("utf-8").splitlines()
    versions = dict(line.split("==") for line in tested if "==" in line)
    assert {name: versions[name] for name in pins if name in versions}.items() <= pins.items()


@pytest.mark.parametrize("dockerfile", SERVERS, ids=lambda path: path.name)
def test_both_images_run_the_launcher_with_options_that_it_has(dockerfile: Path) -> None:
    text = dockerfile.read_text("utf-8").replace("\\\n", "")
    for entry_point in re.findall(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE):
        command = json.loads(entry_point)
        options = parse_arguments(command[command.index("launcher") + 1 :])
        assert (options.repository, options.work_folder) == (Path("/models"), Path("/var/lib/tribunal"))
        assert options.expose
    assert "STOPSIGNAL SIGTERM" in text
    assert "/v2/health/ready" in text


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_copy_whole_packages(dockerfile: Path) -> None:
    sources = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile.read_text("utf-8"), re.MULTILINE)
    copied = {source for line in sources for source in line.split() if "$" not in source}
    assert ("client" if dockerfile == GATEWAY else "launcher") in copied
    assert not [source for source in copied if source.endswith(".py")]
    ignored = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text("utf-8").splitlines()
    assert {f"!{source}" for source in copied if (CHECKOUT / source).is_dir() and "/" not in source} <= set(
        ignored
    )
