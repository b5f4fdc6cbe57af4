"""The images' files: what a linter says of them, and that nothing in them comes from where it may change."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.process.command_line import ADMIN_HEADER, RESTRICTED_APIS
from launcher.repository.contract import CHECKOUT
from launcher.repository.manifest import MANIFEST, sha256, write_manifest

DOCKER = CHECKOUT / "docker"
DOCKERFILES = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.cpu"]


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
    assert set((DOCKER / "gpu.in").read_text("utf-8").splitlines()) <= set(pins)


@pytest.fixture
def entry_point(tmp_path: Path) -> Path:
    """The GPU image's entry point, with its folders here and a tritonserver that tells its arguments."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tritonserver").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "bin" / "tritonserver").chmod(0o755)
    models = tmp_path / "models"
    (models / "aegis").mkdir(parents=True)
    (models / "aegis" / "model.onnx").write_bytes(b"weights")
    write_manifest(
        models,
        {"models": {"aegis": {"files": {"aegis/model.onnx": sha256(models / "aegis" / "model.onnx")}}}},
    )
    script = tmp_path / "entrypoint.sh"
    text = (DOCKER / "entrypoint.sh").read_text("utf-8")
    script.write_text(text.replace("/models", str(models)).replace("python3", sys.executable))
    return script


def run(script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", script, "--log-verbose=0"],
        cwd=CHECKOUT,
        env={"PATH": f"{script.parent / 'bin'}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_entry_point_restricts_what_the_launcher_restricts(entry_point: Path) -> None:
    first, second = (run(entry_point).stdout.splitlines() for _ in range(2))
    given = dict(option.removeprefix("--").partition("=")[::2] for option in first)
    assert given["http-restricted-api"] == given["grpc-restricted-protocol"]
    restricted, _, key = given["http-restricted-api"].rpartition("=")
    assert restricted == f"{RESTRICTED_APIS}:{ADMIN_HEADER}"
    assert len(key) >= 32
    assert f"--http-restricted-api={restricted}={key}" not in second
    assert first[-1] == "--log-verbose=0"


def test_the_entry_point_starts_nothing_on_changed_files(entry_point: Path) -> None:
    models = entry_point.parent / "models"
    checksum = sha256(models / MANIFEST)
    assert run(entry_point, MANIFEST_SHA256=checksum).returncode == 0
    exchanged = run(entry_point, MANIFEST_SHA256="0" * 64)
    assert (exchanged.returncode, exchanged.stdout) == (1, "")
    (models / "aegis" / "model.onnx").write_bytes(b"others")
    refused = run(entry_point)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "aegis/model.onnx was changed" in refused.stderr
