"""Probabilities from logits, compared with PyTorch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model_repository.verdict.logic.scores import category_probabilities, rejection_probabilities


def logits(labels: int) -> st.SearchStrategy[npt.NDArray[Any]]:
    shapes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.just(labels))
    return arrays(np.float32, shapes, elements=st.floats(-1000, 1000, width=32))


@given(logits(2))
def test_rejection_is_the_softmax_of_each_window(values: npt.NDArray[Any]) -> None:
    expected = torch.softmax(torch.from_numpy(values), dim=2)[:, :, 1]
    probabilities = rejection_probabilities(values)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


@given(logits(14))
def test_categories_are_the_sigmoids_of_each_window(values: npt.NDArray[Any]) -> None:
    expected = torch.sigmoid(torch.from_numpy(values))
    probabilities = category_probabilities(values)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_an_error_not_a_score(bad: float) -> None:
    values = np.zeros((2, 1, 14), dtype=np.float32)
    values[1, 0, 3] = bad
    with pytest.raises(ArithmeticError, match="aegis_logits"):
        category_probabilities(values)
    with pytest.raises(ArithmeticError, match="rejection_logits"):
        rejection_probabilities(values[:, :, 2:4])
