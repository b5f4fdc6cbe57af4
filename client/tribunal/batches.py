"""Splits the texts of a call into requests and merges their answers; shared by both clients."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from tribunal.arguments import check_switch, is_iterable
from tribunal.contract import MAX_BATCH_SIZE, TEXT
from tribunal.errors import InvalidInput, TribunalError
from tribunal.transport.messages import Question, encode_text
from tribunal.transport.tries import Tries
from tribunal.verdict import Verdict

Outcome = Verdict | TribunalError
# Requests of one call that are in flight together: keeps a server busy without flooding it.
REQUESTS_AT_ONCE = 8


@dataclass(frozen=True)
class Call:
    """The options of one call, for all its texts.

    deadline_s: of the whole call, on the monotonic clock.
    divided_on: errors after which a request is split in halves and retried, so that only the
    faulty texts fail.
    tries: counts the tries; None: the client counts those of each request.
    return_errors: return a text's error in place of its verdict, without failing the others.
    """

    question: Question
    deadline_s: float
    divided_on: tuple[type[TribunalError], ...] = (InvalidInput,)
    tries: Tries | None = None
    return_errors: bool = True


@dataclass(frozen=True)
class Request:
    """Texts in UTF-8 that are sent together; `first` is the row of the first one in the call."""

    first: int
    texts: Sequence[bytes]

    def halves(self) -> tuple["Request", "Request"]:
        """This request as two."""
        middle = len(self.texts) // 2
        return (
            Request(self.first, self.texts[:middle]),
            Request(self.first + middle, self.texts[middle:]),
        )

    def failed(self, error: TribunalError, call: Call) -> list[Outcome]:
        """`error` as the outcome of every text; raises it unless the call returns errors."""
        if call.return_errors:
            return [error] * len(self.texts)
        if isinstance(error, InvalidInput) and len(self.texts) == 1:
            # The server numbers the texts of the request, the caller those of the call.
            message = str(error).replace(f"{TEXT}[0]", f"{TEXT}[{self.first}]")
            raise InvalidInput(message) from error
        raise error


def encode_each(texts: Sequence[str], *, return_errors: bool) -> list[bytes | InvalidInput]:
    """Each text in UTF-8; for an invalid one raises InvalidInput, or returns it in the text's place."""
    check_switch(return_errors, "return_errors")
    if isinstance(texts, str):
        raise InvalidInput("texts is a single string; give a list of strings, or use moderate()")
    # A set has no order, and the keys of a mapping are rarely its texts.
    if isinstance(texts, Mapping | Set | bytes) or not is_iterable(texts):
        raise InvalidInput(f"texts is a {type(texts).__name__}; give a list of strings")
    encoded: list[bytes | InvalidInput] = []
    for row, text in enumerate(texts):
        try:
            encoded.append(encode_text(text, f"texts[{row}]"))
        except InvalidInput as error:
            if not return_errors:
                raise
            encoded.append(error)
    return encoded


def requests_of(encoded: Sequence[bytes | InvalidInput]) -> list[Request]:
    """The texts that can be sent, in order, at most MAX_BATCH_SIZE in each request."""
    texts = [text for text in encoded if isinstance(text, bytes)]
    return [
        Request(start, texts[start : start + MAX_BATCH_SIZE])
        for start in range(0, len(texts), MAX_BATCH_SIZE)
    ]


def merged(encoded: Sequence[bytes | InvalidInput], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """`outcomes` of the sent texts, merged with the errors of the texts that were not sent."""
    remaining = iter(outcomes)
    return [next(remaining) if isinstance(text, bytes) else text for text in encoded]


def only_verdict(outcome: Outcome) -> Verdict:
    """The verdict, or raises the error."""
    if isinstance(outcome, TribunalError):
        raise outcome
    return outcome
