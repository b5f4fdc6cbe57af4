"""The contract of client and server: models, tensors, values and the size of a request."""

from typing import Literal

# When the judge is asked; `auto` asks it if the encoders are undecided.
JudgeMode = Literal["always", "auto", "never"]
# The outcome of asking the judge.
ToxicityStatus = Literal["answered", "skipped", "unavailable", "unparsed"]
ToxicityLabel = Literal["toxic", "non-toxic"]

# Every Tribunal server accepts at least this many texts in one request.
MAX_BATCH_SIZE = 32

# The ensemble that gives verdicts.
MODERATION = "moderation"
TEXT = "text"
JUDGE_MODE = "judge"
EXPLAIN = "explain"
SPANS = "spans"
VERDICT = "verdict"

# The model that streams the judge's answer on one text.
JUDGE = "judge"
STREAM = "stream"
JUDGEMENT = "text_output"

# The model that tells which weights the server runs; its tensor has the same name.
MANIFEST = "manifest"
