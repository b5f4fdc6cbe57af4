"""Fixtures of the launcher's tests."""

import shutil
from pathlib import Path

import pytest

from launcher.repository.contract import MODEL_REPOSITORY


@pytest.fixture
def tracked_copy(tmp_path: Path) -> Path:
    """A copy of the tracked model repository, without exported files."""
    copy = tmp_path / "repository"
    shutil.copytree(MODEL_REPOSITORY, copy, ignore=shutil.ignore_patterns("*.onnx", "local.pbtxt"))
    return copy
