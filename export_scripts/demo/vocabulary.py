"""Tokenizers of the demo models: the same algorithms as the real models', with small vocabularies."""

from collections.abc import Iterable

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import BertTokenizerFast, PreTrainedTokenizerFast, RobertaTokenizerFast

from export_scripts.demo.embeddings import minilm_words
from launcher.repository.contract import limits


def wordpiece_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Uncased WordPiece like BERT's, over single characters and the most frequent words of MiniLM."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = minilm_words()
    characters = [word for word in words if len(word.removeprefix("##")) == 1]
    entries = list(dict.fromkeys([*special, *characters, *words]))[:size]
    tokenizer = Tokenizer(
        models.WordPiece({entry: row for row, entry in enumerate(entries)}, unk_token=special[1])
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=limits().max_tokens)


def byte_level_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Cased byte-level BPE like RoBERTa's, trained on `texts` and MiniLM's words."""
    words = [f" {word}" for word in minilm_words() if not word.startswith("##")]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)]
    tokenizer.train_from_iterator(
        [*texts, *words],
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return RobertaTokenizerFast(tokenizer_object=tokenizer, model_max_length=limits().max_tokens)
