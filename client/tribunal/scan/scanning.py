"""One scan from its input to its output; resumes an earlier run."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from tribunal.contract import VERDICT
from tribunal.errors import InvalidInput
from tribunal.formats.format import Row
from tribunal.formats.json_values import json_text
from tribunal.formats.registry import InputFormat
from tribunal.scan.engine import Asker, completed
from tribunal.scan.journal import COMPLETE, RETRYING, SCANNING, Journal
from tribunal.scan.passes import Options, Pass
from tribunal.scan.progress import ScanProgress
from tribunal.scan.records import ERROR, without_outcome
from tribunal.scan.summary import Summary
from tribunal.server_info import Weights, demo_warning


@dataclass
class Scan:
    """One run of the command, with its options, its client and its counts."""

    options: Options
    asker: Asker
    progress: ScanProgress
    summary: Summary = field(default_factory=Summary)
    _has_told_of_null: bool = False

    def to_standard_output(self) -> Summary:
        """Write each record as a line of JSON as soon as its turn comes; such a scan cannot be resumed."""
        one_pass = self._pass_over_input()
        one_pass.require_text_field()
        self._greet_server()
        for lines in self._lines(one_pass):
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        return self.summary

    def to_file(self, journal: Journal, *, overwrite: bool, retry_failed: bool) -> Summary:
        """Scan, resume an interrupted scan or retry, or retry failed records.

        Raises InvalidInput if the output belongs to other options, and the errors of the asker.
        """
        stage = self._stage_of(journal, overwrite=overwrite, retry_failed=retry_failed)
        plan = (
            self.options.questions if stage == RETRYING else {**self.options.questions, **self.options.origin}
        )
        if stage is not None:
            journal.require_same(plan)
        if stage == COMPLETE:
            self.progress.say(f"{self.options.output} is complete")
            return Summary.from_dict(journal.summary or {})
        if stage != RETRYING:
            self._pass_over_input().require_text_field()
        weights = {name: asdict(of_model) for name, of_model in self._greet_server().items()}
        if stage is None:
            journal.begin(SCANNING, {**plan, "weights": weights})
        else:
            journal.require_same({"weights": weights})
        self._complete(journal, is_retry=stage == RETRYING)
        return self.summary

    def _stage_of(self, journal: Journal, *, overwrite: bool, retry_failed: bool) -> str | None:
        """The stage at which the scan goes on, None at the beginning; begins a retry of failed records.

        Raises InvalidInput if the output exists and is not a scan's.
        """
        if overwrite:
            return None
        stage = journal.stage
        if stage is None and self.options.output.exists():
            raise InvalidInput(
                f"{self.options.output} exists and is not the output of a scan: "
                "give --overwrite or another --output"
            )
        if stage == COMPLETE and retry_failed and (journal.summary or {}).get("failed"):
            journal.begin(RETRYING, {})
            return RETRYING
        return stage

    def _complete(self, journal: Journal, *, is_retry: bool) -> None:
        """Complete the work file, and make the output from it."""
        one_pass = self._pass_over_output() if is_retry else self._pass_over_input()
        last = None
        for last in journal.resume():
            self.summary.add(last[VERDICT], last[ERROR])
        if last is not None:
            self.progress.say(f"going on after {self.summary.records:,} records")
        for lines in self._lines(one_pass, last):
            journal.write(lines)
        journal.complete(self.summary.to_dict(), one_pass.output_writer())

    def _pass_over_input(self) -> Pass:
        options = self.options
        return Pass(options.source, options.input_format, options.output_format, options.field)

    def _pass_over_output(self) -> Pass:
        options, output_format = self.options, self.options.output_format
        output = str(options.output)
        return Pass(output, InputFormat(output_format), output_format, options.field, is_retry=True)

    def _lines(self, one_pass: Pass, last: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Lines of the records after those of the summary, of which `last` was the last."""
        options, skipped = self.options, self.summary.records
        with one_pass.open() as opened:
            rows = one_pass.rows(opened)
            before = _last_of(rows, skipped)
            if last is not None and one_pass.is_whole:
                self._require_same_record(one_pass, before, last)
            records = map(one_pass.to_record, rows)
            self.progress.start()
            batches = completed(
                records,
                self.asker,
                concurrency=options.concurrency,
                batch_size=options.batch_size,
                stop_reading=opened.stop,
            )
            with closing(batches):
                for batch in batches:
                    for record in batch:
                        self.summary.add(record.verdict, record.error)
                    yield b"".join(
                        record.line(whole=one_pass.is_whole, on_null=self._tell_of_null) for record in batch
                    )
                    self.progress.show_progress(len(batch), self.summary.records, opened.share_read)

    def _require_same_record(self, one_pass: Pass, before: Row | None, last: Mapping[str, Any]) -> None:
        """Raise InvalidInput unless the row before the next is the `last` record of the work file."""
        fields = one_pass.to_record(before).fields if before else None
        if fields is None or json.loads(json_text(fields)) != without_outcome(last):
            raise InvalidInput(
                f"record {self.summary.records} of {one_pass.source} differs from the last "
                f"record of {self.options.output}: give the original input, or --overwrite"
            )

    def _tell_of_null(self) -> None:
        """Say once that a number became null."""
        if not self._has_told_of_null:
            self._has_told_of_null = True
            self.progress.say("NaN and infinite numbers of the input are null in the output: JSON has none")

    def _greet_server(self) -> Mapping[str, Weights]:
        """Wait for the server, and warn of demonstration weights; returns the weights.

        Raises ServerError if spans are requested and the server is too old for them.
        """
        self.asker.wait_until_ready()
        if self.options.spans:
            self.asker.require_answer()
        weights = self.asker.weights or {}
        warning = demo_warning(weights)
        if warning is not None:
            self.progress.say(warning)
        return weights


def _last_of(rows: Iterator[Row], count: int) -> Row | None:
    """Skip `count` rows; returns the last of them."""
    row = None
    for row in islice(rows, count):  # noqa: B007 - the last is what is wanted
        pass
    return row
