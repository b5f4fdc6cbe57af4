"""The options of a guarded stream."""

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tribunal.arguments import check_judge, is_iterable, is_whole
from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput

Release = Literal["checked", "immediate"]
# A check has `overlap` characters and the new ones, far below the server's limit of 65,536 bytes.
MOST_CHARS = 4096


@dataclass(frozen=True, kw_only=True)
class GuardOptions:
    """The options of `Client.guard`; raises InvalidInput that names the option."""

    text: Callable[[Any], str | None] | None
    every: int
    overlap: int
    release: Release
    judge: JudgeMode | None
    final_judge: JudgeMode | None

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("overlap", 0)):
            value = getattr(self, name)
            if not is_whole(value) or not least <= value <= MOST_CHARS:
                raise InvalidInput(f"{name} is {value!r}; it must be between {least} and {MOST_CHARS}")
        if self.release not in get_args(Release):
            raise InvalidInput(f"release is {self.release!r}; it must be checked or immediate")
        if self.text is not None and not callable(self.text):
            raise InvalidInput(f"text is a {type(self.text).__name__}; give a function of a chunk, or None")
        check_judge(self.judge, "judge")
        check_judge(self.final_judge, "final_judge")

    def read(self, chunk: Any) -> str:
        """The text of `chunk`, empty if it has none; raises InvalidInput if it is not a string."""
        text = chunk if self.text is None else self.text(chunk)
        if text is None and self.text is not None:
            return ""
        if not isinstance(text, str):
            reads = "text= gives" if self.text else "give text= to read it: a chunk is"
            raise InvalidInput(f"{reads} a {type(text).__name__}, not a string")
        return text


def check_chunks(chunks: object, *, is_async: bool) -> None:
    """Raise InvalidInput unless `chunks` can be iterated, by the asyncio client asynchronously."""
    if is_async and not isinstance(chunks, AsyncIterable):
        raise InvalidInput(f"chunks is a {type(chunks).__name__}; give an async iterable of strings")
    if not is_async and not is_iterable(chunks):
        raise InvalidInput(f"chunks is a {type(chunks).__name__}; give an iterable of strings")
