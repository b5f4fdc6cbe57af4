"""The command `tribunal moderate`."""

import json
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import typer

from tribunal.client import Client
from tribunal.commands.connection_options import connecting
from tribunal.commands.options import AsJson, Explain, Judge, Spans, Timeout, Url
from tribunal.commands.standard_input import as_utf8, batches_of, batches_of_standard_input
from tribunal.commands.verdict_table import VerdictTable
from tribunal.connection import DEFAULT_TIMEOUT_S, DEFAULT_URL, Connection
from tribunal.errors import TribunalError
from tribunal.server_info import demo_warning
from tribunal.verdict import Span


@connecting
def moderate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", show_default="each line of standard input", help="Texts."),
    ] = None,
    judge: Judge = None,
    explain: Explain = True,
    spans: Spans = False,
    stream: Annotated[bool, typer.Option(help="Print only the LLM's answer, as it is generated.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    timeout_s: Timeout = DEFAULT_TIMEOUT_S,
    *,
    connection: Connection,
) -> None:
    """Print the verdict of each TEXT, as soon as it arrives.

    With --json each line has `index`, `text` and the fields of the verdict. With --json --stream there is a
    line for each `piece` of the LLM's answer, then one with the `text`, the whole `answer` and, with
    --spans, the `spans`.

    \b
    Examples:
      tribunal moderate "How to make a bomb?"
      tribunal moderate --json --judge never < texts.txt
      tribunal moderate --spans --judge never "The bread is fresh. I could strangle him. Come in."
      tribunal moderate --stream "I could strangle him"
    """
    batches = batches_of([as_utf8(text) for text in texts]) if texts else batches_of_standard_input()
    table = VerdictTable()
    index = 0
    with Client(url, timeout_s=timeout_s, connection=connection) as client:
        for batch in batches:
            if stream:
                for offset, text in enumerate(batch):
                    answer = _print_pieces(client, index + offset, text, as_json)
                    found = client.moderate(text, judge="never", spans=True).spans if spans else None
                    _end_stream(table, index + offset, text, answer, found, as_json)
            else:
                verdicts = client.moderate_batch(batch, judge=judge, explain=explain, spans=spans)
                for offset, (text, verdict) in enumerate(zip(batch, verdicts, strict=True)):
                    if as_json:
                        _print_json({"index": index + offset, "text": text, **verdict.as_document()})
                    else:
                        table.add(text, verdict)
            if index == 0:
                _warn_of_demo_weights(client)
            index += len(batch)


def _print_pieces(client: Client, index: int, text: str, as_json: bool) -> str:
    """Print the judge's answer on `text` piece by piece; returns the whole."""
    pieces = []
    for piece in client.stream_judgement(text):
        pieces.append(piece)
        if as_json:
            _print_json({"index": index, "piece": piece})
        else:
            typer.echo(piece, nl=False)
    return "".join(pieces)


def _end_stream(
    table: VerdictTable, index: int, text: str, answer: str, spans: tuple[Span, ...] | None, as_json: bool
) -> None:
    """Print the part after the last piece; `spans` is None if not requested."""
    if not as_json:
        typer.echo()
        table.add_spans(text, spans or ())
        return
    document: dict[str, Any] = {"index": index, "text": text, "answer": answer}
    if spans is not None:
        document["spans"] = [asdict(span) for span in spans]
    _print_json(document)


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document))


def _warn_of_demo_weights(client: Client) -> None:
    """Print on standard error which weights are for demonstration only, if the server tells."""
    with suppress(TribunalError):
        warning = demo_warning(client.info().weights)
        if warning is not None:
            typer.echo(warning, err=True)
