"""Finding Triton and libpython, and messages about missing parts."""

import sys
import sysconfig
from pathlib import Path

import pytest

from launcher import StartError
from launcher.process.wheel import find_libpython, find_stub, find_wheel


def test_everything_is_found_here() -> None:
    installation = find_wheel()
    assert installation.binary.exists()
    assert installation.stub.parent.name == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert all(folder.is_dir() for folder in installation.library_folders)


def test_a_python_without_a_stub_is_told_which_ones_have_one(tmp_path: Path) -> None:
    for version in ("3.9", "3.11", "3.10"):
        (tmp_path / version).mkdir()
    with pytest.raises(StartError, match=r"no stub for Python 3\.14; it has 3\.9, 3\.10, 3\.11"):
        find_stub(tmp_path, (3, 14))


def test_a_missing_libpython_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sysconfig.get_config_vars(), "LIBDIR", str(tmp_path))
    with pytest.raises(StartError, match=r"libpython3\.\d+.*is missing.*package libpython3"):
        find_libpython()


def test_a_missing_wheel_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pytriton", raising=False)
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(StartError, match=r"nvidia-pytriton.*make setup"):
        find_wheel()
