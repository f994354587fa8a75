"""What the tests of the attention modules share."""

import torch
from hypothesis import settings

INF = float("inf")
DOUBLE = torch.float64

law = settings(max_examples=20)


def double(*shape):
    return torch.randn(*shape, dtype=DOUBLE)


def causal(length, source=None):
    """The bool mask that hides later keys."""
    return torch.ones(length, source or length).triu(1) > 0


def as_float(mask):
    """A bool mask as the float mask that says the same."""
    return torch.zeros(mask.shape, dtype=DOUBLE).masked_fill(mask, -INF)
