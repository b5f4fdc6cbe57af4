"""What a client and its server agree on: the models, their tensors, the words and the size of a request."""

from typing import Literal

# When the judge is asked; `auto` asks it where the encoders are undecided.
JudgeMode = Literal["always", "auto", "never"]
# What became of the question to the judge.
ToxicityStatus = Literal["answered", "skipped", "unavailable", "unparsed"]
ToxicityLabel = Literal["toxic", "non-toxic"]

# Every Tribunal server takes at least this many texts in one request.
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

# The model that says which weights the server runs; its tensor has its name.
MANIFEST = "manifest"
