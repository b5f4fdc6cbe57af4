"""The judge's weights: reading of every layout, cast to the served dtype, and little memory."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, Phi3ForCausalLM

from export_scripts import judge_weights
from export_scripts.errors import SourceError, SpaceError
from export_scripts.judge_weights import JudgeWeights
from export_scripts.sources import DEMO_WEIGHTS
from launcher.repository.contract import CHECKOUT

DEMO = DEMO_WEIGHTS / "judge"
CONFIG = AutoConfig.from_pretrained(DEMO)
REFERENCE = {name: tensor.float() for name, tensor in load_file(DEMO / "model.safetensors").items()}


def whole(folder: Path) -> None:
    save_file(REFERENCE, folder / "model.safetensors")


def sharded(folder: Path) -> None:
    Phi3ForCausalLM.from_pretrained(DEMO, dtype=torch.float32).save_pretrained(folder, max_shard_size="4MB")
    assert len(list(folder.glob("model-*-of-*.safetensors"))) == 4


def pickled(folder: Path) -> None:
    torch.save(REFERENCE, folder / "pytorch_model.bin")


def pickled_in_shards(folder: Path) -> None:
    names = sorted(REFERENCE)
    files = {"pytorch_model-00001-of-00002.bin": names[:9], "pytorch_model-00002-of-00002.bin": names[9:]}
    for file, part in files.items():
        torch.save({name: REFERENCE[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in files.items() for name in part}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}), "utf-8")


@pytest.mark.parametrize("layout", [whole, sharded, pickled, pickled_in_shards])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_layout_is_cast(
    layout: Callable[[Path], None], dtype: judge_weights.Dtype, tmp_path: Path
) -> None:
    stored, written = tmp_path / "stored", tmp_path / "written"
    stored.mkdir()
    written.mkdir()
    layout(stored)
    weights = JudgeWeights.find(stored)
    weights.require_complete(CONFIG)
    assert weights.dtype == "float32"
    done: list[int] = []
    weights.write(written, dtype, done.append, max_shard_bytes=3_000_000)
    assert sum(done) == weights.size_bytes(dtype)
    files = sorted(written.glob("*.safetensors"))
    assert len(files) > 2
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in files)
    cast = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert cast.keys() == REFERENCE.keys()
    for name, tensor in cast.items():
        assert torch.equal(tensor, REFERENCE[name].to(getattr(torch, dtype)))
    index = json.loads((written / "model.safetensors.index.json").read_text("utf-8"))
    assert index["weight_map"].keys() == REFERENCE.keys()
    # transformers can read the written files.
    shutil.copy(DEMO / "config.json", written)
    _, report = Phi3ForCausalLM.from_pretrained(written, dtype="auto", output_loading_info=True)
    assert not report["missing_keys"]


def test_a_small_checkpoint_is_one_file_without_an_index(tmp_path: Path) -> None:
    JudgeWeights.find(DEMO).write(tmp_path, "float16")
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def damage_nothing_is_there(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def damage_cut(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])


def damage_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("{}", "utf-8")


def damage_shard_missing(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}), "utf-8"
    )


def damage_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"no pickle")


@pytest.mark.parametrize(
    "damage",
    [damage_nothing_is_there, damage_cut, damage_index, damage_shard_missing, damage_pickle],
)
def test_a_damaged_checkpoint_is_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    whole(tmp_path)
    damage(tmp_path)
    with pytest.raises(SourceError, match=r"judge: the checkpoint in .* is damaged or incomplete"):
        JudgeWeights.find(tmp_path)


def test_code_in_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SourceError, match="damaged or incomplete"):
        JudgeWeights.find(tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("change", ["missing", "reshaped"])
def test_weights_that_are_not_the_models_are_refused(change: str, tmp_path: Path) -> None:
    weights = dict(REFERENCE)
    name = "model.layers.1.mlp.down_proj.weight"
    changed = weights.pop(name)
    if change == "reshaped":
        weights[name] = changed[:-1].clone()
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(SourceError, match=rf"lacks weights of the model .*\({re.escape(name)}\)"):
        JudgeWeights.find(tmp_path).require_complete(CONFIG)


def test_a_number_that_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "written").mkdir()
    save_file({"norm": torch.tensor([1.0, 70_000.0])}, tmp_path / "model.safetensors")
    weights = JudgeWeights.find(tmp_path)
    with pytest.raises(SourceError, match=r"norm has numbers that are not finite in float16.*--judge-dtype"):
        weights.write(tmp_path / "written", "float16")
    weights.write(tmp_path / "written", "bfloat16")


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = JudgeWeights.find(DEMO)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7_000_000))
    weights.require_space(tmp_path, "float16")
    with pytest.raises(SpaceError, match=r"in float32 take 0\.0 GB.*0\.0 GB free: make room"):
        weights.require_space(tmp_path, "float32")


CAST = """
import sys
from pathlib import Path
from export_scripts.judge_weights import JudgeWeights
import torch
torch.set_num_threads(1)
weights = JudgeWeights.find(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
weights.write(Path(sys.argv[2]), "bfloat16", max_shard_bytes=int(sys.argv[3]))
"""


def anonymous_bytes(process: "subprocess.Popen[str]") -> int:
    """Anonymous memory of a process; the kernel can drop the mapped checkpoint at any time."""
    status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def test_memory_is_bounded_by_the_shard_and_not_by_the_checkpoint(tmp_path: Path) -> None:
    """Casting 320 MB in fp32 to shards of 20 MB takes little more memory than one shard."""
    tensor_bytes, tensors, shard_bytes = 10_000_000, 32, 20_000_000
    names = [f"layer{number}" for number in range(tensors)]
    save_file({name: torch.ones(tensor_bytes // 4) for name in names}, tmp_path / "model.safetensors")
    (tmp_path / "written").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", CAST, str(tmp_path), str(tmp_path / "written"), str(shard_bytes)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        before = most = anonymous_bytes(process)
        process.stdin.write("go\n")
        process.stdin.flush()
        while process.poll() is None:
            most = max(most, anonymous_bytes(process))
            time.sleep(0.001)
    assert process.returncode == 0
    assert len(list((tmp_path / "written").glob("*.safetensors"))) == 8
    assert most - before > 0
    assert most - before < 1.5 * shard_bytes + tensor_bytes
