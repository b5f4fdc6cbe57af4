"""A nightly job: moderate a file of comments, and write those that a person should look at.

    python batch_job.py comments.jsonl review.jsonl

A line of the input is `{"id": ..., "text": ...}`. The judge is asked where the encoders are undecided.
For a file that takes hours use `tribunal scan`, which resumes where it was interrupted.
"""

import json
import os
import sys
from itertools import islice
from pathlib import Path

from tribunal import Client, InvalidInput, TribunalError

URL = os.environ.get("TRIBUNAL_URL", "localhost:8001")
CHUNK_SIZE = 256
# Of a whole chunk; a judge on a CPU takes its time.
TIMEOUT_S = 600.0


def main(source: Path, target: Path) -> None:
    """Write the comments of `source` that are flagged or refused to `target`."""
    with (
        Client(URL, timeout_s=TIMEOUT_S) as client,
        source.open(encoding="utf-8") as lines,
        target.open("w", encoding="utf-8") as review,
    ):
        comments = map(json.loads, lines)
        while chunk := list(islice(comments, CHUNK_SIZE)):
            texts = [comment["text"] for comment in chunk]
            verdicts = client.moderate_batch(texts, judge="auto", return_errors=True)
            for comment, verdict in zip(chunk, verdicts, strict=True):
                if isinstance(verdict, InvalidInput):
                    row = {**comment, "error": str(verdict)}
                elif isinstance(verdict, TribunalError):
                    # The server is in trouble: end, so that the job can be run again.
                    raise verdict
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
