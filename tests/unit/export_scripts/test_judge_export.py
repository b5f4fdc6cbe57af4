"""Exporting the judge: merged or with an adapter, for each target."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, Phi3ForCausalLM, set_seed

from export_scripts.adapter import merge_adapter
from export_scripts.errors import SourceError
from export_scripts.hub_models import JUDGE
from export_scripts.judge import WEIGHTS, export_judge
from export_scripts.prompt_template import render_prompt, verbatim_tokenizer
from export_scripts.sources import DEMO_WEIGHTS, Source, named_source

DEMO = Source(DEMO_WEIGHTS / "judge", "demo")


def test_the_export_holds_what_each_model_reads(tmp_path: Path) -> None:
    export = export_judge(DEMO, tmp_path, tmp_path, "gpu", tensor_parallel_size=2)
    arguments = json.loads((tmp_path / "phi3" / "1" / "model.json").read_text("utf-8"))
    assert arguments["model"] == str(tmp_path / WEIGHTS)
    assert (arguments["dtype"], arguments["tensor_parallel_size"]) == ("float16", 2)
    prompt = json.loads((tmp_path / "judge_prompt" / "1" / "prompt.json").read_text("utf-8"))
    assert prompt["prefix"].startswith("<|user|>\n\n    You are examining")
    assert prompt["suffix"].endswith("\n    <|end|>\n<|assistant|>\n")
    assert {"<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "</s>"} <= set(prompt["special_tokens"])
    assert (tmp_path / "toxicity" / "1" / "tokenizer.json").exists()
    record = export.record(tmp_path)
    assert str(WEIGHTS / "model.safetensors") in record["files"]
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


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_incomplete_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    shutil.copytree(DEMO.folder, tmp_path / "judge")
    (tmp_path / "judge" / damage).unlink()
    with pytest.raises(SourceError, match="judge: "):
        export_judge(Source(tmp_path / "judge", "dir"), tmp_path / "staged", tmp_path, "cpu")


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
    base, lora = named_source(str(DEMO.folder), JUDGE), named_source(str(adapter), JUDGE)
    merged = merge_adapter(base, lora, tmp_path / "merged")
    assert merged.name == f"{base.name} + {lora.name}"
    plain, changed = (
        Phi3ForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
        for folder in (DEMO.folder, merged.folder)
    )
    name = "model.layers.0.self_attn.qkv_proj.weight"
    assert not torch.equal(plain[name], changed[name])
    untouched = "model.layers.0.mlp.down_proj.weight"
    assert torch.equal(plain[untouched], changed[untouched])
    export_judge(merged, tmp_path / "staged", tmp_path, "cpu")


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be merged"):
        merge_adapter(DEMO, DEMO, tmp_path)
