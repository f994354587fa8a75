"""What the tests of the attention modules share."""

import numpy as np
import torch
from attention_reference import as_numpy
from hypothesis import settings

INF = float("inf")
DOUBLE = torch.float64

law = settings(
    max_examples=20,
    deadline=None,
    database=None,
    derandomize=True,
)


def double(*shape):
    return torch.randn(*shape, dtype=DOUBLE)


def causal(length, source=None):
    """The bool mask that hides later keys."""
    return torch.ones(length, source or length).triu(1) > 0


def as_float(mask):
    """A bool mask as the float mask that says the same."""
    return torch.zeros(mask.shape, dtype=DOUBLE).masked_fill(mask, -INF)


def close(actual, expected, tolerance=1e-9):
    actual = as_numpy(actual) if isinstance(actual, torch.Tensor) else actual
    expected = as_numpy(expected) if isinstance(expected, torch.Tensor) else expected
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
