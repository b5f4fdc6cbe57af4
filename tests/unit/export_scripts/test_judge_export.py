"""Exports of the judge: a merged checkpoint or an adapter, for each target."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, Phi3ForCausalLM, set_seed

from export_scripts.adapter import base_of, merge_adapter
from export_scripts.errors import SourceError
from export_scripts.hub_models import JUDGE
from export_scripts.judge import WEIGHTS, Reporting, export_judge
from export_scripts.judge_engine import EngineOptions
from export_scripts.prompt_template import render_prompt, verbatim_tokenizer
from export_scripts.sources import DEMO_WEIGHTS, Source, named_source
from tests.phi3_tokenizer import LATER_TEMPLATE, write_phi3_tokenizer

DEMO = Source(DEMO_WEIGHTS / "judge", "demo")


def test_the_export_has_the_files_of_each_model(tmp_path: Path) -> None:
    export = export_judge(DEMO, tmp_path, tmp_path, EngineOptions("gpu", tensor_parallel_size=2))
    arguments = json.loads((tmp_path / "phi3" / "1" / "model.json").read_text("utf-8"))
    assert arguments["model"] == str(tmp_path / WEIGHTS)
    assert (arguments["dtype"], arguments["tensor_parallel_size"]) == ("float16", 2)
    assert arguments["max_model_len"] == 1024
    assert "quantization" not in arguments
    prompt = json.loads((tmp_path / "judge_prompt" / "1" / "prompt.json").read_text("utf-8"))
    assert prompt["prefix"].startswith("<|user|>\n\n    You are examining")
    assert prompt["suffix"].endswith("\n    <|end|>\n<|assistant|>\n")
    assert {"<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "</s>"} <= set(prompt["special_tokens"])
    assert (tmp_path / "verdict" / "1" / "tokenizer.json").exists()
    record = export.record(tmp_path)
    assert str(WEIGHTS / "model.safetensors") in record["files"]
    assert (record["source_dtype"], record["served_dtype"], record["precision"]) == (*["float16"] * 3,)
    assert record["gpu_memory"]["gpu_memory_utilization"] == arguments["gpu_memory_utilization"]
    assert record["gpu_memory"]["least_vram_bytes"] > 4_000_000_000
    assert record["tokenizer"] == {"source": "demo", "revision": None}
    served = AutoTokenizer.from_pretrained(tmp_path / WEIGHTS)
    assert render_prompt(served) == render_prompt(AutoTokenizer.from_pretrained(DEMO.folder))


def test_a_tokenizer_that_adds_a_bos_does_not_add_it_twice() -> None:
    tokenizer = AutoTokenizer.from_pretrained(DEMO.folder)
    template = f"{{{{ bos_token }}}}{tokenizer.chat_template}"
    tokenizer.chat_template = template
    served = verbatim_tokenizer(tokenizer)
    prompt = render_prompt(served)
    ids = served(f"{prompt.prefix}a text{prompt.suffix}")["input_ids"]
    assert ids.count(served.bos_token_id) == 1


def test_fp8_reaches_the_engine_and_the_manifest(tmp_path: Path) -> None:
    export = export_judge(DEMO, tmp_path, tmp_path, EngineOptions("gpu", quantization="fp8"))
    arguments = json.loads((tmp_path / "phi3" / "1" / "model.json").read_text("utf-8"))
    assert arguments["quantization"] == "fp8"
    assert export.record(tmp_path)["quantization"] == "fp8"


def test_the_demo_judge_is_cast_for_a_cpu_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    sizes: list[int] = []
    written: list[int] = []
    export_judge(
        DEMO,
        tmp_path,
        tmp_path,
        EngineOptions(),
        reporting=Reporting(said.append, sizes.append, written.append),
    )
    assert said == ["judge: stored in float16, served in float32"]
    assert sizes == [sum(written)]
    config = json.loads((tmp_path / WEIGHTS / "config.json").read_text("utf-8"))
    assert config["dtype"] == "float32"
    served = Phi3ForCausalLM.from_pretrained(tmp_path / WEIGHTS, dtype="auto")
    assert served.dtype == torch.float32


def test_what_is_served_names_no_code(tmp_path: Path) -> None:
    shutil.copytree(DEMO.folder, tmp_path / "judge")
    config = json.loads((DEMO.folder / "config.json").read_text("utf-8"))
    config |= {"auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
    (tmp_path / "judge" / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "judge" / "evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')", "utf-8")
    export_judge(Source(tmp_path / "judge", "dir"), tmp_path / "staged", tmp_path, EngineOptions())
    assert not (tmp_path / "executed").exists()
    assert "auto_map" not in json.loads((tmp_path / "staged" / WEIGHTS / "config.json").read_text("utf-8"))
    assert not list((tmp_path / "staged").rglob("*.py"))


def test_a_chosen_tokenizer_is_recorded_and_one_of_another_form_is_warned_of(tmp_path: Path) -> None:
    for template, as_tuned in ((None, True), (LATER_TEMPLATE, False)):
        options = {} if template is None else {"template": template}
        folder = write_phi3_tokenizer(tmp_path / f"tokenizer-{as_tuned}", **options)
        said: list[str] = []
        staged = tmp_path / f"staged-{as_tuned}"
        export = export_judge(DEMO, staged, staged, EngineOptions(), str(folder), Reporting(said.append))
        assert export.record(staged)["tokenizer"] == {
            "source": f"dir:{folder}",
            "revision": None,
            "prompt_as_tuned": as_tuned,
        }
        assert any("warning: the chat template of" in sentence for sentence in said) is not as_tuned
        prefix = json.loads((staged / "judge_prompt" / "1" / "prompt.json").read_text("utf-8"))["prefix"]
        assert prefix.startswith("<s><|user|>") is as_tuned


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    shutil.copytree(DEMO.folder, tmp_path / "judge")
    (tmp_path / "judge" / damage).unlink()
    with pytest.raises(SourceError, match="judge: "):
        export_judge(Source(tmp_path / "judge", "dir"), tmp_path / "staged", tmp_path, EngineOptions())


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A LoRA adapter of the demo judge that changes its answers."""
    set_seed(5)
    model = AutoModelForCausalLM.from_pretrained(DEMO.folder, dtype=torch.float32)
    adapted = get_peft_model(
        model, LoraConfig(r=4, target_modules=["qkv_proj", "o_proj"], init_lora_weights=False)
    )
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_is_merged_into_its_base(adapter: Path, tmp_path: Path) -> None:
    base = Source(DEMO.folder, "hub:base", "b" * 40)
    lora = Source(adapter, "hub:lora", "a" * 40)
    merged = merge_adapter(base, lora, tmp_path / "merged")
    assert merged.name == "hub:base + hub:lora"
    plain, changed = (
        Phi3ForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
        for folder in (DEMO.folder, merged.folder)
    )
    name = "model.layers.0.self_attn.qkv_proj.weight"
    assert not torch.equal(plain[name], changed[name])
    untouched = "model.layers.0.mlp.down_proj.weight"
    assert torch.equal(plain[untouched], changed[untouched])
    export = export_judge(merged, tmp_path / "staged", tmp_path, EngineOptions())
    assert export.record(tmp_path / "staged")["merged_from"] == [
        {"source": "hub:base", "revision": "b" * 40},
        {"source": "hub:lora", "revision": "a" * 40},
    ]


def test_a_base_without_a_tokenizer_leaves_the_merged_judge_without_one(
    adapter: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in ("config.json", "model.safetensors"):
        shutil.copy(DEMO.folder / file, bare)
    merged = merge_adapter(Source(bare, "dir:bare"), Source(adapter, "dir:lora"), tmp_path / "merged")
    chosen = str(write_phi3_tokenizer(tmp_path / "phi3"))
    export = export_judge(merged, tmp_path / "staged", tmp_path, EngineOptions(), chosen)
    assert export.details["tokenizer"]["source"] == f"dir:{chosen}"


def test_an_adapter_names_its_own_base(adapter: Path) -> None:
    said: list[str] = []
    lora = named_source(str(adapter), JUDGE)
    assert base_of(lora, None, said.append).folder == DEMO.folder
    assert f"names {DEMO.folder} as its base model; merging into it" in said[0]


def test_a_base_that_is_not_the_adapters_is_said(adapter: Path, tmp_path: Path) -> None:
    said: list[str] = []
    lora = named_source(str(adapter), JUDGE)
    shutil.copytree(DEMO.folder, tmp_path / "other")
    assert base_of(lora, str(tmp_path / "other"), said.append).folder == tmp_path / "other"
    assert f"was tuned from {DEMO.folder}, and is merged into {tmp_path / 'other'}" in said[0]


def test_an_adapter_that_names_no_base_asks_for_one(adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    for text in (json.dumps({**config, "base_model_name_or_path": None}), "{", "[]"):
        (adapter / "adapter_config.json").write_text(text, "utf-8")
        with pytest.raises(SourceError, match=r"names no base model in adapter_config\.json; name the base"):
            base_of(named_source(str(adapter), JUDGE), None, print)


def test_an_invalid_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be merged"):
        merge_adapter(DEMO, DEMO, tmp_path)
