"""The judge's tokenizer: its own, its base model's, or another one."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer

from export_scripts import judge_tokenizer
from export_scripts.errors import SourceError
from export_scripts.hub_models import BASE_MODEL, BASE_REVISION, HubModel
from export_scripts.judge_tokenizer import (
    follows_card,
    load_tokenizer,
    splitting_tokenizer,
    tokenizer_source,
)
from export_scripts.prompt_template import CARD_PROMPT, PLACEHOLDER, render_prompt, verbatim_tokenizer
from export_scripts.sources import DEMO_WEIGHTS, Source
from model_repository.judge_prompt.logic.prompting import Prompt
from model_repository.verdict.logic.asking import text_splitter
from tests.phi3_tokenizer import LATER_TEMPLATE, write_phi3_tokenizer

DEMO = Source(DEMO_WEIGHTS / "judge", "demo")
CONFIG = AutoConfig.from_pretrained(DEMO.folder)
TEXTS = ("I could strangle him", "", " two  lines\n\nand a tab\t", "<b>naïve</b> 日本語 🙂", "a{text}b" * 20)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The requests to a hub that has Phi-3's tokenizer."""
    names: list[str] = []
    phi3 = Source(write_phi3_tokenizer(tmp_path / "phi3"), "hub:base", "0" * 40)

    def named(text: str, model: HubModel) -> Source:
        names.append(text)
        return phi3

    monkeypatch.setattr(judge_tokenizer, "named_tokenizer", named)
    return names


def test_a_checkpoint_keeps_its_own_tokenizer(asked: list[str]) -> None:
    said: list[str] = []
    assert tokenizer_source(DEMO, None, said.append) is DEMO
    assert (asked, said) == ([], [])


def test_without_one_the_base_models_is_taken_at_its_pinned_revision(
    asked: list[str], tmp_path: Path
) -> None:
    said: list[str] = []
    bare = Source(tmp_path, "hub:judge")
    assert tokenizer_source(bare, None, said.append).name == "hub:base"
    assert asked == [f"{BASE_MODEL}@{BASE_REVISION}"]
    assert "holds no tokenizer; taking that of its base model microsoft/Phi-3-mini-4k-instruct" in said[0]


def test_a_named_one_comes_before_the_checkpoints(asked: list[str]) -> None:
    assert tokenizer_source(DEMO, "OWNER/MODEL@main", print).name == "hub:base"
    assert asked == ["OWNER/MODEL@main"]


def test_prompt_ids_are_those_of_the_chat_template_of_the_original(tmp_path: Path) -> None:
    """The prompt equals that of transformers with the unchanged tokenizer."""
    folder = write_phi3_tokenizer(tmp_path / "phi3")
    reference = AutoTokenizer.from_pretrained(folder)
    assert reference("a")["input_ids"][0] == reference.bos_token_id
    served = verbatim_tokenizer(load_tokenizer(Source(folder, "dir"), CONFIG))
    rendered = render_prompt(served)
    prompt = Prompt(rendered.prefix, rendered.suffix, rendered.special_tokens)
    for text in TEXTS:
        message = [{"role": "user", "content": CARD_PROMPT.replace(PLACEHOLDER, text)}]
        wanted = reference.apply_chat_template(message, tokenize=True, add_generation_prompt=True)
        assert served(prompt.around(text))["input_ids"] == wanted
        assert wanted.count(reference.bos_token_id) == 1


def test_the_form_of_the_cards_time_begins_with_a_bos(tmp_path: Path) -> None:
    for template, as_tuned in ((None, True), (LATER_TEMPLATE, False)):
        options = {} if template is None else {"template": template}
        folder = write_phi3_tokenizer(tmp_path / str(as_tuned), **options)
        served = verbatim_tokenizer(load_tokenizer(Source(folder, "dir"), CONFIG))
        assert follows_card(render_prompt(served)) is as_tuned


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused() -> None:
    small = AutoConfig.from_pretrained(DEMO.folder, vocab_size=100)
    with pytest.raises(SourceError, match=r"token ids up to 8271, and the model only 100 embeddings"):
        load_tokenizer(DEMO, small)


def test_no_tokenizer_and_a_damaged_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no tokenizer; name one with --judge-tokenizer"):
        load_tokenizer(Source(tmp_path, "dir"), CONFIG)
    shutil.copy(DEMO.folder / "tokenizer_config.json", tmp_path)
    with pytest.raises(SourceError, match="damaged or incomplete"):
        load_tokenizer(Source(tmp_path, "dir"), CONFIG)
    (tmp_path / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(SourceError, match="damaged or incomplete"):
        load_tokenizer(Source(tmp_path, "dir"), CONFIG)


def test_the_code_of_a_tokenizer_is_not_executed(tmp_path: Path) -> None:
    folder = write_phi3_tokenizer(tmp_path / "phi3")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nclass Evil: pass\n", "utf-8")
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    config["auto_map"] = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    load_tokenizer(Source(folder, "dir"), CONFIG)
    assert not (tmp_path / "executed").exists()


def test_texts_are_split_by_the_judges_tokens(tmp_path: Path) -> None:
    """`</s>` is one token, and several tokens after the prompt has neutralised it."""
    served = verbatim_tokenizer(
        load_tokenizer(Source(write_phi3_tokenizer(tmp_path / "phi3"), "dir"), CONFIG)
    )
    splitting_tokenizer(served).save(str(tmp_path / "tokenizer.json"))
    split = text_splitter(tmp_path / "tokenizer.json", 64)
    text = "</s>" * 100
    pieces = split(text)
    assert "".join(pieces) == text
    assert len(pieces) >= 3
