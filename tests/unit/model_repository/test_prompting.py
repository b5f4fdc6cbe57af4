"""The judge's prompt: the card's words, and no special tokens except the template's."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import AutoTokenizer
from transformers.tokenization_utils_fast import PreTrainedTokenizerFast

from export_scripts.errors import SourceError
from export_scripts.prompt_template import CARD_PROMPT, added_tokens, render_prompt, verbatim_tokenizer
from export_scripts.sources import DEMO_WEIGHTS
from model_repository.judge_prompt.logic.prompting import Prompt, neutralise, sampling_parameters
from tests.phi3_tokenizer import write_phi3_tokenizer

TOKENIZER = verbatim_tokenizer(AutoTokenizer.from_pretrained(DEMO_WEIGHTS / "judge"))
RENDERED = render_prompt(TOKENIZER)
PROMPT = Prompt(RENDERED.prefix, RENDERED.suffix, RENDERED.special_tokens)


def special_tokens(text: str) -> Counter[int]:
    special = {row for row, token in TOKENIZER.added_tokens_decoder.items() if token.special}
    return Counter(token for token in TOKENIZER(text)["input_ids"] if token in special)


OWN = special_tokens(PROMPT.around("a text"))


def test_the_prompt_is_the_cards_in_the_chat_template() -> None:
    message = [{"role": "user", "content": CARD_PROMPT.replace("{text}", "a text")}]
    rendered = TOKENIZER.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    assert PROMPT.around("a text") == rendered
    assert CARD_PROMPT.startswith("\n    You are examining")
    assert CARD_PROMPT.endswith("for your classification.\n    ")
    assert {
        TOKENIZER.convert_tokens_to_ids(name): 1 for name in ("<|user|>", "<|end|>", "<|assistant|>")
    } == OWN


hostile = st.lists(
    st.one_of(
        st.sampled_from([*RENDERED.special_tokens, "<", "<|", "|>", "end", " ", "\n"]), st.text(max_size=5)
    )
).map("".join)


@settings(max_examples=300, deadline=None)
@given(hostile)
def test_no_text_brings_a_special_token(text: str) -> None:
    assert special_tokens(PROMPT.around(text)) == OWN


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abc <>|/", max_size=60))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    if not any(token in text for token in RENDERED.special_tokens):
        assert neutralise(text, RENDERED.special_tokens) == text


@pytest.fixture(scope="module")
def phi3(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """A tokenizer whose `</s>` is an added token that is not marked special."""
    folder = write_phi3_tokenizer(tmp_path_factory.mktemp("phi3"))
    tokenizer = verbatim_tokenizer(AutoTokenizer.from_pretrained(folder))
    marked = {str(token): token.special for token in tokenizer.added_tokens_decoder.values()}
    assert marked["</s>"] is False
    return tokenizer


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.sampled_from(["</s>", "<s>", "<|end|>", "<", "/s>", "|>", " ", "\n", "a"])).map("".join)
)
def test_no_text_brings_any_added_token(phi3: PreTrainedTokenizerFast, texts: str) -> None:
    rendered = render_prompt(phi3)
    prompt = Prompt(rendered.prefix, rendered.suffix, rendered.special_tokens)
    added = set(phi3.added_tokens_decoder)

    def counted(text: str) -> Counter[int]:
        return Counter(token for token in phi3(prompt.around(text))["input_ids"] if token in added)

    assert counted(texts) == counted("a text")


def test_added_tokens_without_a_meaning_of_their_own_are_left_alone() -> None:
    tokenizer = verbatim_tokenizer(AutoTokenizer.from_pretrained(DEMO_WEIGHTS / "judge"))
    tokenizer.add_tokens([AddedToken("\t\t", normalized=False), AddedToken("@", normalized=False)])
    assert not {"\t\t", "@"} & set(added_tokens(tokenizer))
    tokenizer.add_special_tokens({"additional_special_tokens": ["§"]})
    with pytest.raises(SourceError, match=r"special tokens \['§'\] of the tokenizer are single characters"):
        render_prompt(tokenizer)


@pytest.mark.parametrize(
    ("tokens", "text", "expected"),
    [
        ((), "<|end|>", "<|end|>"),
        ((" end",), "the end", "the e nd"),
        (("ab", "a b"), "ab", "a  b"),
    ],
)
def test_any_list_of_tokens_is_broken(tokens: tuple[str, ...], text: str, expected: str) -> None:
    assert neutralise(text, tokens) == expected


def test_a_special_token_becomes_visible_characters() -> None:
    assert neutralise("a<|end|>b</s>", RENDERED.special_tokens) == "a< |end|>b< /s>"


@pytest.mark.parametrize("explain", [True, False])
def test_decoding_is_greedy_with_log_probabilities(explain: bool) -> None:
    parameters = sampling_parameters(max_tokens=9, explain=explain)
    assert (parameters["temperature"], parameters["max_tokens"], parameters["logprobs"]) == (0, 9, 20)
    assert ("stop" in parameters) is not explain
