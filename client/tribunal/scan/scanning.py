"""One scan from its input to its output, with what an earlier run of it has left."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tribunal.contract import JudgeMode
from tribunal.errors import InvalidInput
from tribunal.scan.engine import Asker, completed
from tribunal.scan.journal import COMPLETE, RETRYING, SCANNING, Journal
from tribunal.scan.progress import ScanProgress
from tribunal.scan.records import OUTCOME, VERDICT, Record, ToRecord, to_record, to_retry
from tribunal.scan.rows import Format, Input, Row, identity
from tribunal.scan.summary import Summary

JSONL, PARQUET = Format("jsonl", None), Format("parquet", None)
SUFFIXES = (".jsonl", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says of a scan; see its help."""

    source: str
    form: Format
    output: Path
    text_field: str
    judge: JudgeMode | None
    explain: bool
    concurrency: int
    batch_size: int

    @property
    def is_parquet(self) -> bool:
        """Whether the output is."""
        return self.output.suffix == ".parquet"

    @property
    def questions(self) -> dict[str, object]:
        """What is asked of each record, which is the same throughout an output."""
        return {"text_field": self.text_field, "judge": self.judge, "explain": self.explain}


@dataclass(frozen=True)
class Pass:
    """One pass over rows.

    source, form: where they come from. to_record: what becomes of each.
    whole: the work file keeps the fields of each record, not its outcome alone.
    """

    source: str
    form: Format
    to_record: ToRecord
    whole: bool

    def open(self, text_field: str) -> Input:
        """The input; of Parquet, whose other columns are copied at the end, only what is needed."""
        columns: tuple[str, ...] = ()
        if not self.whole:
            columns = (text_field, *OUTCOME) if self.to_record is to_retry else (text_field,)
        return Input(self.source, self.form, columns=columns or None)


def to_standard_output(options: Options, asker: Asker, progress: ScanProgress) -> Summary:
    """Write each record as a line of JSON as soon as its turn comes; nothing is kept to go on from."""
    _greet(asker, progress)
    summary = Summary()
    whole_pass = Pass(options.source, options.form, to_record, whole=True)
    for lines in _lines(whole_pass, options, asker, progress, summary, skipped=0, last=None):
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
    return summary


def to_file(
    options: Options,
    asker: Asker,
    progress: ScanProgress,
    journal: Journal,
    *,
    overwrite: bool,
    retry_failed: bool,
) -> Summary:
    """Scan, go on with a scan or a retry that was interrupted, or retry what failed.

    Raises InvalidInput where the output is not that of these options, and what the asker raises.
    """
    stage = None if overwrite else journal.stage
    if stage is None and not overwrite and options.output.exists():
        raise InvalidInput(f"{options.output} exists and no scan of it is known: give --overwrite or another")
    if stage == COMPLETE and retry_failed and (journal.summary or {}).get("failed"):
        journal.begin(RETRYING, {})
        stage = RETRYING
    plan: Mapping[str, object] = options.questions
    if stage != RETRYING:
        plan = {**plan, "format": asdict(options.form), "input": identity(options.source)}
    if stage is not None:
        journal.require_same(plan)
    if stage == COMPLETE:
        progress.say(f"{options.output} is complete")
        return Summary.from_dict(journal.summary or {})
    weights = {name: asdict(of_model) for name, of_model in _greet(asker, progress).items()}
    if stage is None:
        journal.begin(SCANNING, {**plan, "weights": weights})
    else:
        journal.require_same({"weights": weights})
    if stage == RETRYING:
        form = PARQUET if options.is_parquet else JSONL
        one_pass = Pass(str(options.output), form, to_retry, whole=not options.is_parquet)
    else:
        whole = not (options.is_parquet and options.form.kind == "parquet")
        one_pass = Pass(options.source, options.form, to_record, whole)
    summary = _fill(one_pass, options, asker, progress, journal)
    convert = None
    if options.is_parquet:
        from tribunal.scan import parquet

        source = Path(one_pass.source)
        convert = parquet.from_records if one_pass.whole else partial(parquet.from_columns, source=source)
    journal.complete(summary.to_dict(), convert)
    return summary


def _fill(
    one_pass: Pass, options: Options, asker: Asker, progress: ScanProgress, journal: Journal
) -> Summary:
    """Complete the work file from where it stands; returns the counts of all of it."""
    summary, last = Summary(), None
    for last in journal.resume():
        summary.add(last[VERDICT])
    if last is not None:
        progress.say(f"going on after {summary.records:,} records")
    for lines in _lines(one_pass, options, asker, progress, summary, summary.records, last):
        journal.write(lines)
    return summary


def _lines(
    one_pass: Pass,
    options: Options,
    asker: Asker,
    progress: ScanProgress,
    summary: Summary,
    skipped: int,
    last: Mapping[str, Any] | None,
) -> Iterator[bytes]:
    """Lines of the records after the first `skipped`, of which `last` was the last."""
    with one_pass.open(options.text_field) as opened:
        rows = opened.rows()
        before = list(_last(rows, skipped))
        if last is not None and one_pass.whole and (not before or _fields(before[0]) != _fields(last)):
            raise InvalidInput(
                f"record {skipped} of {one_pass.source} is not the one that {options.output} ends with: give "
                "the input that it was begun with, or --overwrite"
            )
        records = (one_pass.to_record(row, options.text_field) for row in rows)
        progress.start()
        for batch in completed(
            records, asker, concurrency=options.concurrency, batch_size=options.batch_size
        ):
            for record in batch:
                summary.add(record.verdict)
            yield b"".join(record.line(whole=one_pass.whole) for record in batch)
            progress.show_progress(len(batch), summary.records, opened.share_read)


def _greet(asker: Asker, progress: ScanProgress) -> Mapping[str, Any]:
    """Wait for the server, and say where its weights are for demonstration only; returns them."""
    asker.wait_until_ready()
    asker.weights = asker.client.info().weights
    demo = [name for name, weights in asker.weights.items() if weights.are_demo]
    if demo:
        progress.say(f"weights for demonstration only: {', '.join(demo)}")
    return asker.weights


def _last(rows: Iterator[Row], count: int) -> Iterator[Row]:
    """Take `count` rows, and give the last of them."""
    row = None
    for row in islice(rows, count):  # noqa: B007 - the last is what is wanted
        pass
    if row is not None:
        yield row


def _fields(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record as they are written."""
    fields = row.fields if isinstance(row, Row) else row
    written = json.loads(Record(fields).line(whole=True))
    return {name: value for name, value in written.items() if name not in OUTCOME}
