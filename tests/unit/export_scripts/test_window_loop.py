"""Which windows share a run, and the run's length, by an encoder that reports its runs."""

import numpy as np
import numpy.typing as npt
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import parser
from onnxruntime import InferenceSession

from export_scripts.window_loop import RunLimits, add_window_loop

Ids = npt.NDArray[np.int32]
# Its logits for each row: the sum of the unmasked ids, and the numbers of rows and tokens of its run.
REPORTER = parser.parse_model(
    """<ir_version: 10, opset_import: ["" : 18]>
    reporter (int64[rows, tokens] input_ids, int64[rows, tokens] attention_mask) => (float[rows, 3] logits) {
        axis_1 = Constant <value_ints = [1]> ()
        rows_axis = Shape <start = 0, end = 1> (input_ids)
        tokens_axis = Shape <start = 1, end = 2> (input_ids)
        shown = Mul(input_ids, attention_mask)
        sums = ReduceSum(shown, axis_1)
        zeros = Sub(sums, sums)
        run_rows = Add(zeros, rows_axis)
        run_tokens = Add(zeros, tokens_axis)
        all = Concat <axis = 1> (sums, run_rows, run_tokens)
        logits = Cast <to = 1> (all)
    }"""
)


def session(max_tokens: int, max_padding_tokens: int) -> InferenceSession:
    model: onnx.ModelProto = add_window_loop(REPORTER, RunLimits(max_tokens, max_padding_tokens))
    return InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


ALONE, SHARED = session(1, 0), session(12, 2)


def batch(*texts: list[list[int]]) -> dict[str, Ids]:
    """Windows of token ids in the tokenizer's layout: padded, and filled with windows without tokens."""
    windows = max(len(text) for text in texts)
    tokens = max(len(window) for text in texts for window in text)
    ids = np.zeros((len(texts), windows, tokens), np.int32)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        for index, window in enumerate(text):
            ids[row, index, : len(window)] = window
            mask[row, index, : len(window)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def run(model: InferenceSession, tensors: dict[str, Ids]) -> npt.NDArray[np.float32]:
    (logits,) = model.run(["logits"], tensors)
    assert isinstance(logits, np.ndarray)
    return logits


def test_a_window_runs_without_its_padding_and_keeps_its_place() -> None:
    logits = run(ALONE, batch([[1, 2], [3, 4]], [[5]], [[6, 7, 8]]))
    assert logits.shape == (3, 2, 3)
    assert logits[:, :, 0].tolist() == [[3, 7], [5, 5], [21, 21]]
    assert logits[:, :, 1].tolist() == [[1, 1]] * 3
    assert logits[:, :, 2].tolist() == [[2, 2], [1, 1], [3, 3]]


def test_windows_of_about_one_length_share_a_run_within_its_tokens() -> None:
    logits = run(SHARED, batch([[1] * 5], [[2] * 4], [[3] * 3], [[4]]))
    # A run of 12 tokens fits 2 rows of 5; then 3 and 1 differ by no more than 2.
    assert logits[:, 0, 1:].tolist() == [[2, 5], [2, 5], [2, 3], [2, 3]]
    assert run(SHARED, batch([[1] * 5], [[2] * 2]))[:, 0, 1:].tolist() == [[1, 5], [1, 2]]


def test_a_window_beyond_the_tokens_of_a_run_runs_alone() -> None:
    assert run(SHARED, batch([[1] * 20], [[2] * 20]))[:, 0, 1:].tolist() == [[1, 20], [1, 20]]


def test_windows_without_tokens_are_not_run() -> None:
    # If the fillers of the short texts were run, a run would have more than 5 rows.
    logits = run(SHARED, batch([[1], [2], [3]], [[4]], [[5]]))
    assert sorted(set(logits[:, :, 1].ravel().tolist())) == [5]
    assert logits[:, :, 0].tolist() == [[1, 2, 3], [4, 4, 4], [5, 5, 5]]


def test_repeated_windows_are_not_run() -> None:
    logits = run(SHARED, batch([[1], [1], [2]]))
    assert logits[0].tolist() == [[1, 2, 1], [1, 2, 1], [2, 2, 1]]


def test_a_first_window_of_nothing_but_padding_counts_as_one_token() -> None:
    zeros = np.zeros((2, 1, 8), np.int32)
    assert run(ALONE, {"input_ids": zeros, "attention_mask": zeros})[:, 0].tolist() == [[0, 1, 1]] * 2


TEXTS = st.lists(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=4),
    min_size=1,
    max_size=5,
)


@given(TEXTS)
@settings(deadline=None)
def test_every_window_gets_its_own_logits(texts: list[list[list[int]]]) -> None:
    for model in (ALONE, SHARED):
        logits = run(model, batch(*texts))
        for row, text in enumerate(texts):
            sums = [sum(window) for window in text]
            wanted = sums + sums[-1:] * (logits.shape[1] - len(sums))
            assert logits[row, :, 0].tolist() == wanted
