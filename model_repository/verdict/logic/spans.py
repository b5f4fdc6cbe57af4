"""Which sentences of a text cross a threshold, from the probabilities of their windows."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .policy import Policy

Floats = npt.NDArray[np.float32]


def rows_with_spans(places: npt.NDArray[np.int32]) -> list[int]:
    """Rows of the texts with requested spans, by the first of `places` INT32 [batch, sentences, 2]."""
    rows: list[int] = np.flatnonzero(places[:, 0, 0] >= 0).tolist()
    return rows


def spans_of(
    places: npt.NDArray[np.int32], rejection: Floats, categories: Floats, policy: Policy
) -> list[dict[str, Any]]:
    """The verdict's field `spans` of one text, in order.

    places: INT32 [sentences, 2], start and end of each sentence in code points; negative after the last one.
    A sentence in two forms is listed twice, and its highest scores count.
    rejection: FP32 [windows], categories: FP32 [windows, categories]; the window of each sentence first.
    """
    count = int((places[:, 0] >= 0).sum())
    read, first = np.unique(places[:count], axis=0, return_index=True)
    highest_rejection = np.maximum.reduceat(rejection[:count], first).tolist()
    highest_categories = np.maximum.reduceat(categories[:count], first, axis=0).tolist()
    spans = []
    for (start, end), *scores in zip(read.tolist(), highest_rejection, highest_categories, strict=True):
        decided = policy.decide_encoders(*scores)
        if decided["refusal"]["detected"] or decided["categories"]["flagged"]:
            spans.append({"start": start, "end": end, **decided})
    return spans
