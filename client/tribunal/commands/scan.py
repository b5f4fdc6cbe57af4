"""The command `tribunal scan`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tribunal.client import Client
from tribunal.commands.connection_options import connecting
from tribunal.commands.options import Delimiter, Encoding, Explain, Judge, Spans, Timeout, Url, naming_extra
from tribunal.commands.standard_streams import standard_input
from tribunal.connection import DEFAULT_URL, Connection
from tribunal.contract import MAX_BATCH_SIZE
from tribunal.formats.input import STANDARD_INPUT
from tribunal.formats.jsonl import JSONL
from tribunal.formats.lines import LINES
from tribunal.formats.location import require_local
from tribunal.formats.registry import InputFormat, output_format
from tribunal.scan.engine import Asker
from tribunal.scan.journal import Journal
from tribunal.scan.passes import Options
from tribunal.scan.progress import ScanProgress
from tribunal.scan.scanning import Scan

SOME_FAILED = 3
STANDARD_OUTPUT = "-"
DEFAULT_CONCURRENCY = 4
DEFAULT_WAIT_S = 300.0
# Requests queue behind each other, and the judge is slow.
DEFAULT_SCAN_TIMEOUT_S = 120.0


@connecting
def scan(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A file of JSONL, JSON, CSV, TSV, Parquet or lines, also .gz, .bz2, .xz, .zst; "
            "- is standard input.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A .jsonl, .csv, .tsv or .parquet file; - is standard output, as JSONL."
        ),
    ],
    connection: Connection,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            show_default="by the name's ending",
            help="Format of INPUT: jsonl, json, csv, tsv, parquet or lines.",
        ),
    ] = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    text_field: Annotated[
        str,
        typer.Option(
            help="Field or column of the text, also message.text in an object, or messages[].content in "
            "each item of a list."
        ),
    ] = "text",
    judge: Judge = None,
    explain: Explain = True,
    spans: Spans = False,
    concurrency: Annotated[
        int, typer.Option(min=1, max=512, help="Requests in flight.")
    ] = DEFAULT_CONCURRENCY,
    batch_size: Annotated[
        int, typer.Option(min=1, max=MAX_BATCH_SIZE, help="Texts in a request.")
    ] = MAX_BATCH_SIZE,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for an unavailable server.")
    ] = DEFAULT_WAIT_S,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", show_default="off", help="Retry the failed records of a finished output."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", show_default="off", help="Start over, and replace OUTPUT.")
    ] = False,
    url: Url = DEFAULT_URL,
    timeout_s: Timeout = DEFAULT_SCAN_TIMEOUT_S,
) -> None:
    """Write the verdict of each record of INPUT, in order. The same command resumes an interrupted scan.

    OUTPUT has each record with `verdict` and `error` added, one of which is null. If the text field has
    `[]`, they are lists with one entry for each item. The scan writes to
    OUTPUT.part until it is complete; OUTPUT.scan.json records the input and the options. Exit status 3: a
    record failed.

    \b
    Examples:
      tribunal scan comments.jsonl -o verdicts.jsonl --judge never
      tribunal scan comments.csv.gz -o verdicts.parquet --text-field body
      tribunal scan export.csv -o verdicts.csv --encoding utf-16 --delimiter ";"
      tribunal scan chats.jsonl -o verdicts.jsonl --text-field 'messages[].content'
      tribunal scan comments.jsonl -o verdicts.jsonl --judge never --retry-failed
      zcat logs.gz | tribunal scan - --format lines -o - | jq .verdict.flagged
    """
    if source == STANDARD_INPUT and input_format is None:
        raise typer.BadParameter("standard input needs --format, for example jsonl or lines")
    if source == STANDARD_INPUT:
        standard_input()
    to_standard_output = str(output) == STANDARD_OUTPUT
    require_local(source, "reads", "download it first, or pipe it and give - as INPUT")
    require_local(str(output), "writes", "write a file and upload it, or give - as OUTPUT and pipe it")
    parsed = InputFormat.parse(input_format or Path(source).name).written_in(encoding, delimiter)
    options = Options(
        source=source,
        input_format=parsed,
        output=output,
        output_format=JSONL if to_standard_output else output_format(output),
        text_field="text" if parsed.format is LINES else text_field,
        judge=judge,
        explain=explain,
        spans=spans,
        concurrency=concurrency,
        batch_size=batch_size,
    )
    options.require_output()
    # One more than the requests, to probe an unavailable server while they wait for it.
    limited = replace(connection, max_in_flight=concurrency + 1)
    with ScanProgress() as progress, Client(url, timeout_s=timeout_s, connection=limited) as client:
        asker = Asker(client, judge, explain, wait_s, spans=spans, on_wait=progress.show_waiting)
        one_scan = Scan(options, asker, progress)
        with naming_extra("scan"):
            if to_standard_output:
                summary = one_scan.to_standard_output()
            else:
                journal = Journal(output)
                journal.require_other_input(source)
                with journal:
                    summary = one_scan.to_file(journal, overwrite=overwrite, retry_failed=retry_failed)
    progress.show(summary)
    raise typer.Exit(SOME_FAILED if summary.failed else 0)
