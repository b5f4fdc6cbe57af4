"""A nightly job: moderate a file of comments, and write those that a person should look at.

    python batch_job.py comments.jsonl review.jsonl

A line of the input is `{"id": ..., "text": ...}`. The judge is asked where the encoders are undecided.
For a file that takes hours use `tribunal scan`, which resumes where it was interrupted.
"""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tribunal import Client, InvalidInput, Verdict

URL = os.environ.get("TRIBUNAL_URL", "localhost:8001")
CHUNK_SIZE = 256
# A chunk is sent in requests of 32 texts; a judge on a CPU takes its time.
TIMEOUT_S = 120.0


def verdicts(
    client: Client, comments: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], Verdict | str]]:
    """Each comment with its verdict, or with the error where the server refuses its text."""
    try:
        together = client.moderate_batch([comment["text"] for comment in comments], judge="auto")
        yield from zip(comments, together, strict=True)
    except InvalidInput:
        # One of them breaks a limit: ask one by one to find out which.
        for comment in comments:
            try:
                yield comment, client.moderate(comment["text"], judge="auto")
            except InvalidInput as error:
                yield comment, str(error)


def main(source: Path, target: Path) -> None:
    """Write the comments of `source` that are flagged or refused to `target`."""
    with (
        Client(URL, timeout_s=TIMEOUT_S) as client,
        source.open(encoding="utf-8") as lines,
        target.open("w", encoding="utf-8") as review,
    ):
        comments = map(json.loads, lines)
        while chunk := list(islice(comments, CHUNK_SIZE)):
            for comment, verdict in verdicts(client, chunk):
                if isinstance(verdict, str):
                    row = {**comment, "error": verdict}
                elif verdict.flagged:
                    row = {
                        **comment,
                        "categories": verdict.categories.flagged,
                        "judge": verdict.toxicity.status,
                        "reason": verdict.toxicity.reason,
                    }
                else:
                    continue
                review.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
