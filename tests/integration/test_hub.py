"""`--source hub` against a local server with the hub's API and the layouts of real repositories."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from export_scripts.hub_models import BASE_MODEL, BASE_REVISION, ENCODERS, JUDGE
from export_scripts.judge import PROMPT, WEIGHTS
from export_scripts.prompt_template import CARD_PROMPT, PLACEHOLDER
from export_scripts.sources import DEMO_WEIGHTS
from launcher.host.judge_environment import JUDGE_ENVIRONMENT
from launcher.repository.contract import CHECKOUT
from launcher.repository.manifest import read_manifest
from launcher.repository.verification import verify
from model_repository.judge_prompt.logic.prompting import Prompt
from tests.integration.fake_hub import (
    COMMIT,
    Hub,
    change_json,
    pickle_weights,
    serving,
    write_aegis,
    write_judge,
    write_rejection,
)
from tests.phi3_tokenizer import LATER_TEMPLATE, write_phi3_tokenizer

REJECTION, AEGIS = ENCODERS["rejection"], ENCODERS["aegis"]
TEXTS = ("I could strangle him", "", " two  lines\n\nand a tab\t", "<b>naïve</b> 日本語 🙂")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub()) as hub:
        hub.add(REJECTION.hub_id, DEMO_WEIGHTS / "rejection")
        yield hub


@pytest.fixture
def judge_hub(hub: Hub, tmp_path: Path) -> Hub:
    """The judge, and its base model's tokenizer at the pinned commit."""
    hub.add(JUDGE.hub_id, write_judge(tmp_path / "judge"))
    hub.add(BASE_MODEL, write_phi3_tokenizer(tmp_path / "base"), BASE_REVISION)
    return hub


def export(
    tmp_path: Path, endpoint: str, *options: str, models: tuple[str, ...] = ("rejection",), **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export_scripts", "--source", "hub", "--models", *models]
    return subprocess.run(
        [*command, "--repository", str(tmp_path / "repository"), *options],
        cwd=CHECKOUT,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def export_judge(tmp_path: Path, hub: Hub, *options: str) -> dict[str, Any]:
    """Export the judge; returns its record in the manifest."""
    ran = export(tmp_path, hub.url, *options, models=("judge",))
    assert ran.returncode == 0, ran.stderr
    record: dict[str, Any] = read_manifest(tmp_path / "repository")["models"]["judge"]
    return {**record, "said": " ".join(ran.stderr.split())}


def test_the_resolved_commit_is_recorded_and_the_cache_serves_offline(hub: Hub, tmp_path: Path) -> None:
    ran = export(tmp_path, hub.url, "--revision", "rejection=main")
    assert ran.returncode == 0, ran.stderr
    record = read_manifest(tmp_path / "repository")["models"]["rejection"]
    assert record["source"] == "hub:ProtectAI/distilroberta-base-rejection-v1"
    assert record["revision"] == COMMIT
    again = export(tmp_path, hub.url, "--revision", "rejection=main", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr


def test_repositories_as_they_are(judge_hub: Hub, tmp_path: Path) -> None:
    """Covers an onnx/ folder, a renamed repository, labels without names, and pickled weights."""
    judge_hub.add(REJECTION.hub_id, write_rejection(tmp_path / "rejection"), REJECTION.hub_revision)
    judge_hub.add("new-owner/aegis", write_aegis(tmp_path / "aegis"))
    judge_hub.renamed[AEGIS.hub_id] = "new-owner/aegis"
    ran = export(tmp_path, judge_hub.url, models=("rejection", "aegis", "judge"))
    assert ran.returncode == 0, ran.stderr
    repository = tmp_path / "repository"
    records = read_manifest(repository)["models"]
    assert records["rejection"]["revision"] == REJECTION.hub_revision
    assert records["aegis"]["source"] == f"hub:{AEGIS.hub_id}"
    assert records["aegis"]["labels"] == list(AEGIS.labels)
    assert verify(repository) == sum(len(record["files"]) for record in records.values())
    assert not [name for name in judge_hub.fetched if ":onnx/" in name or "training_args" in name]
    assert "new-owner/aegis:pytorch_model.bin" in judge_hub.fetched


ENCODE = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
print(json.dumps([tokenizer(prompt)["input_ids"] for prompt in json.load(sys.stdin)]))
"""


def test_a_judge_without_a_tokenizer_gets_its_base_models(judge_hub: Hub, tmp_path: Path) -> None:
    record = export_judge(tmp_path, judge_hub, "--judge-dtype", "bfloat16")
    assert record["tokenizer"] == {
        "source": f"hub:{BASE_MODEL}",
        "revision": BASE_REVISION,
        "prompt_as_tuned": True,
    }
    assert (record["source_dtype"], record["served_dtype"]) == ("float32", "bfloat16")
    assert "holds no tokenizer; taking that of its base model" in record["said"]
    assert "warning" not in record["said"]
    # Only the tokenizer of the base model is downloaded.
    assert not [name for name in judge_hub.fetched if name.startswith(BASE_MODEL) and "token" not in name]
    weights = tmp_path / "repository" / WEIGHTS
    assert "auto_map" not in json.loads((weights / "config.json").read_text("utf-8"))
    assert not list(weights.glob("*.py"))
    stored = load_file(DEMO_WEIGHTS / "judge" / "model.safetensors")
    served = load_file(weights / "model.safetensors")
    assert served.keys() == stored.keys()
    assert all(torch.equal(served[name], stored[name].to(torch.bfloat16)) for name in stored)

    # vLLM tokenises the prompt with the transformers of its own environment.
    prompt = Prompt.read(tmp_path / "repository" / PROMPT)
    encoded = subprocess.run(
        [str(JUDGE_ENVIRONMENT / "bin" / "python"), "-c", ENCODE, str(weights)],
        input=json.dumps([prompt.around(text) for text in TEXTS]),
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert encoded.returncode == 0, encoded.stderr
    reference = AutoTokenizer.from_pretrained(tmp_path / "base")
    for text, ids in zip(TEXTS, json.loads(encoded.stdout), strict=True):
        message = [{"role": "user", "content": CARD_PROMPT.replace(PLACEHOLDER, text)}]
        assert ids == reference.apply_chat_template(message, tokenize=True, add_generation_prompt=True)


def test_another_tokenizer_can_be_named(judge_hub: Hub, tmp_path: Path) -> None:
    judge_hub.add("OWNER/later", write_phi3_tokenizer(tmp_path / "later", LATER_TEMPLATE))
    record = export_judge(tmp_path, judge_hub, "--judge-tokenizer", "OWNER/later@main")
    assert record["tokenizer"] == {
        "source": "hub:OWNER/later",
        "revision": COMMIT,
        "prompt_as_tuned": False,
    }
    assert "warning: the chat template of hub:OWNER/later does not render" in record["said"]


def test_a_judge_with_a_tokenizer_of_its_own_and_pickled_weights(hub: Hub, tmp_path: Path) -> None:
    hub.add(JUDGE.hub_id, tmp_path / "judge")
    shutil.copytree(DEMO_WEIGHTS / "judge", tmp_path / "judge")
    pickle_weights(tmp_path / "judge")
    record = export_judge(tmp_path, hub)
    assert record["tokenizer"] == {"source": f"hub:{JUDGE.hub_id}", "revision": COMMIT}
    assert (tmp_path / "repository" / WEIGHTS / "chat_template.jinja").exists()


def test_an_adapter_is_merged_into_the_base_that_it_names(judge_hub: Hub, tmp_path: Path) -> None:
    shutil.copytree(DEMO_WEIGHTS / "judge", tmp_path / "full")
    judge_hub.add(BASE_MODEL, tmp_path / "full", BASE_REVISION)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(DEMO_WEIGHTS / "judge"),
        LoraConfig(r=4, target_modules=["qkv_proj"], init_lora_weights=False),
    )
    adapted.save_pretrained(tmp_path / "adapter")
    change_json(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path=BASE_MODEL)
    judge_hub.add("OWNER/adapter", tmp_path / "adapter")
    record = export_judge(tmp_path, judge_hub, "--judge-adapter", "OWNER/adapter")
    assert record["merged_from"] == [
        {"source": f"hub:{BASE_MODEL}", "revision": BASE_REVISION},
        {"source": "hub:OWNER/adapter", "revision": COMMIT},
    ]
    assert f"hub:OWNER/adapter names {BASE_MODEL} as its base model; merging into it" in record["said"]


def test_a_judge_that_needs_code_is_refused_and_its_code_not_executed(judge_hub: Hub, tmp_path: Path) -> None:
    change_json(
        tmp_path / "judge" / "config.json", model_type="phi3_of_ours", architectures=["OurForCausalLM"]
    )
    ran = export(tmp_path, judge_hub.url, models=("judge",))
    refused(ran, "judge: ", "is a ['OurForCausalLM'], not a Phi3ForCausalLM", tmp_path)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        ("GatedRepo", "is gated: accept its terms"),
        ("RepoNotFound", "no such model, or a private one"),
        ("RevisionNotFound", "no such revision; check --revision"),
    ],
)
def test_a_refusal_of_the_hub_is_reported_and_nothing_is_written(
    hub: Hub, tmp_path: Path, refusal: str, reason: str
) -> None:
    hub.refusal = refusal
    refused(export(tmp_path, hub.url), f"rejection: {REJECTION.hub_id} at revision", reason, tmp_path)


def test_a_base_model_that_is_gone_is_said(hub: Hub, tmp_path: Path) -> None:
    hub.add(JUDGE.hub_id, write_judge(tmp_path / "judge"))
    ran = export(tmp_path, hub.url, models=("judge",))
    refused(ran, f"judge: the tokenizer of {BASE_MODEL} at revision", "no such model", tmp_path)


def test_offline_without_a_cache(tmp_path: Path) -> None:
    ran = export(tmp_path, "http://127.0.0.1:1", HF_HUB_OFFLINE="1")
    refused(ran, "rejection", "is not in the local cache and the hub cannot be reached", tmp_path)


def refused(ran: subprocess.CompletedProcess[str], start: str, line: str, tmp_path: Path) -> None:
    """Require that the export stopped with a one-line error and wrote nothing."""
    assert ran.returncode == 1
    stopped = [row for row in ran.stderr.splitlines() if "Export stopped:" in row]
    assert len(stopped) == 1
    assert start in stopped[0]
    assert line in stopped[0]
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "repository").exists()
