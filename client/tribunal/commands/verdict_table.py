"""Verdicts as a table that grows row by row, and is as narrow as the terminal."""

from collections.abc import Sequence

from rich.console import Console, OverflowMethod
from rich.padding import Padding
from rich.table import Table

from tribunal.console import one_line, output_width, symbol
from tribunal.verdict import Categories, Span, Toxicity, Verdict

MAX_TEXT_WIDTH = 46
MIN_TEXT_WIDTH = 12
FLAGGED_WIDTH = len("flagged")
REFUSAL_WIDTH = len("refusal")
JUDGE_WIDTH = len("non-toxic 0.00")
GAP_WIDTH = 2
OTHER_COLUMNS_WIDTH = FLAGGED_WIDTH + REFUSAL_WIDTH + JUDGE_WIDTH + 3 * GAP_WIDTH
INDENT = 4
# rich's sign for the missing end of a text.
ELLIPSIS = "…"


class VerdictTable:
    """Prints a row for each text, and below it the parts of unlimited length.

    The columns have fixed widths, so that later rows align with the first ones.
    """

    def __init__(self) -> None:
        width = output_width()
        self._console = Console(highlight=False, width=width)
        self._text_width = max(MIN_TEXT_WIDTH, min(MAX_TEXT_WIDTH, width - OTHER_COLUMNS_WIDTH))
        self._has_head = False

    def add(self, text: str, verdict: Verdict) -> None:
        """Print the decision on `text`, the refusal and the judge; then the spans, categories and reason."""
        if not self._has_head:
            self._console.print(self._row("text", "flagged", "refusal", "judge", style="bold"))
            self._console.print(symbol("─", "-") * (self._text_width + OTHER_COLUMNS_WIDTH))
            self._has_head = True
        refusal = f"{verdict.refusal.score:.2f}"
        self._console.print(
            self._row(
                one_line(text),
                "[red]yes[/red]" if verdict.flagged else "[green]no[/green]",
                f"[yellow]{refusal}[/yellow]" if verdict.refusal.detected else refusal,
                _judge_cell(verdict.toxicity),
            )
        )
        self.add_spans(text, verdict.spans or ())
        for line in _details(verdict):
            self._print_indented(line, INDENT)

    def add_spans(self, text: str, spans: Sequence[Span]) -> None:
        """Print each sentence of `spans`, and below it the scores that cross a threshold."""
        for span in spans:
            self._print_indented(f"sentence: {one_line(text[span.start : span.end])}", INDENT)
            for line in _categories(span.categories):
                self._print_indented(line, 2 * INDENT)
            if span.refusal.detected:
                self._print_indented(f"refusal: [yellow]{span.refusal.score:.2f}[/yellow]", 2 * INDENT)

    def _print_indented(self, line: str, indent: int) -> None:
        self._console.print(Padding(line, (0, 0, 0, indent), expand=False))

    def _row(self, text: str, flagged: str, refusal: str, judge: str, style: str = "") -> Table:
        row = Table.grid(padding=(0, GAP_WIDTH, 0, 0))
        overflow: OverflowMethod = "ellipsis" if symbol(ELLIPSIS, "") else "crop"
        row.add_column(width=self._text_width, no_wrap=True, overflow=overflow, style=style)
        row.add_column(width=FLAGGED_WIDTH, style=style)
        row.add_column(width=REFUSAL_WIDTH, justify="right", style=style)
        row.add_column(width=JUDGE_WIDTH, no_wrap=True, style=style)
        row.add_row(text, flagged, refusal, judge)
        return row


def _judge_cell(toxicity: Toxicity) -> str:
    """The judge's label and P(toxic), or why there is none."""
    if toxicity.score is not None:
        return f"{toxicity.label} {toxicity.score:.2f}"
    return "" if toxicity.status == "skipped" else f"[yellow]{toxicity.status}[/yellow]"


def _categories(categories: Categories) -> list[str]:
    """A line with the flagged categories and their scores, if there are any."""
    named = [f"{one_line(name)} {categories.scores[name]:.2f}" for name in categories.flagged]
    return [f"categories: {', '.join(named)}"] if named else []


def _details(verdict: Verdict) -> list[str]:
    """The lines below the row."""
    lines = _categories(verdict.categories)
    if verdict.toxicity.reason:
        lines.append(f"reason: {one_line(verdict.toxicity.reason)}")
    if verdict.truncated:
        lines.append("[yellow]The encoders did not read the end of the text.[/yellow]")
    return lines
