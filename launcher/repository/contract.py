"""What every part of Tribunal takes from the model repository, read from the one file that states it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath

from launcher.repository.config import read_config
from launcher.repository.manifest import LABELS

CHECKOUT = Path(__file__).parents[2]
MODEL_REPOSITORY = CHECKOUT / "model_repository"
# The models that need the LLM; a server without them still moderates.
JUDGE_MODELS = frozenset({"judge", "judge_prompt", "phi3"})
ENCODERS = ("rejection", "aegis")
# The words that the judge was fine-tuned to begin its answer with.
JUDGE_LABELS = ("toxic", "non-toxic")


@dataclass(frozen=True)
class Limits:
    """How much one request may hold.

    max_batch_size: texts of a request. max_text_bytes: UTF-8 bytes of a text.
    max_tokens: tokens of a window, special tokens included. max_windows: windows of a text.
    """

    max_batch_size: int
    max_text_bytes: int
    max_tokens: int
    max_windows: int


@cache
def limits() -> Limits:
    """The limits that the tracked configs of `moderation` and `tokenizer` state."""
    parameters = read_config(MODEL_REPOSITORY / "tokenizer" / "config.pbtxt").parameters
    return Limits(
        max_batch_size=read_config(MODEL_REPOSITORY / "moderation" / "config.pbtxt").max_batch_size,
        **{
            name: int(parameters[name].string_value)
            for name in ("max_text_bytes", "max_tokens", "max_windows")
        },
    )


@cache
def category_labels() -> tuple[str, ...]:
    """Names of the safety categories, in the order of the logits of `aegis`."""
    return tuple((MODEL_REPOSITORY / LABELS).read_text("utf-8").splitlines())


@cache
def _generated_patterns() -> tuple[str, ...]:
    lines = (MODEL_REPOSITORY / ".gitignore").read_text("utf-8").splitlines()
    return tuple(line.strip("/") for line in lines if line and not line.startswith("#"))


def is_generated(path: PurePath) -> bool:
    """Whether `path`, relative to a repository, is an output of an export or a server, not a source.

    `model_repository/.gitignore` lists the outputs.
    """
    parents = (path, *path.parents)
    return any(parent.match(pattern) for parent in parents for pattern in _generated_patterns())
