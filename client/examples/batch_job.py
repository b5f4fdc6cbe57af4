"""A nightly job: moderate a file of comments, and write those that a person should review.

    python batch_job.py comments.jsonl review.jsonl

Each line of the input is `{"id": ..., "text": ...}`. The judge decides texts about which the encoders are
unsure. For a file that takes hours, use `tribunal scan`, which resumes after an interruption.
"""

import json
import os
import sys
from itertools import islice
from pathlib import Path

from tribunal import Client, InvalidInput, TribunalError

URL = os.environ.get("TRIBUNAL_URL", "localhost:8001")
CHUNK_SIZE = 256
# Deadline of a whole chunk; a judge on a CPU is slow.
TIMEOUT_S = 600.0


def main(source: Path, target: Path) -> None:
    """Write the comments of `source` that are flagged, or that the server rejects, to `target`."""
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
                    # The server failed: stop; the job can be run again.
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
