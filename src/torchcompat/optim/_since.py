"""From which torch on torch's own optimisers meet the contract, and what they still lack there."""

from __future__ import annotations

from .._shim import Limit

PULL = "https://github.com/pytorch/pytorch/pull/"
# The keyword `capturable`, of Adadelta and Rprop.
CAPTURABLE = "https://github.com/pytorch/pytorch/issues/115679"
# https://github.com/pytorch/pytorch/issues/53712
LATE_GROUPS = Limit(
    "late groups", "a group that is added later has no state, so that its step raises KeyError", "native", "2.4", "2.11"
)


def tensor_lr(first: str, last: str) -> Limit:
    """Torch's own takes a learning rate that is a tensor without dimensions only.

    https://github.com/pytorch/pytorch/pull/145674
    """
    text = "a learning rate that is a tensor of one dimension raises an error in the first step"
    return Limit("tensor lr", text, "native", first, last)


def names(first: str) -> Limit:
    """Torch's own takes no parameters with names: https://github.com/pytorch/pytorch/pull/134107."""
    return Limit("names", "(name, tensor) pairs are a TypeError", "native", first, "2.5")


def two_steps(first: str, options: str = "") -> Limit:
    """Torch's own cannot be differentiated through two steps; with which *options*."""
    text = f"with `differentiable=True`{options}, a backward pass through two steps is a RuntimeError"
    return Limit("two steps", text, "native", first)
