"""The upstream changes from which on torch's own optimisers meet the contract, and what these still cannot do."""

from __future__ import annotations

from .._shim import Limit

# Parameters with names.
NAMES = "https://github.com/pytorch/pytorch/pull/134107"
# A learning rate as a tensor of one element that has dimensions.
TENSOR_LR = "https://github.com/pytorch/pytorch/pull/145674"
# Groups that are added to an Adagrad.
LATE_GROUPS = "https://github.com/pytorch/pytorch/issues/53712"


def one_step(options: str = "") -> Limit:
    """That torch's own cannot be differentiated through two steps; with which *options*."""
    return Limit(
        "two_steps",
        f"With `differentiable=True`{options}, a backward pass through two steps: RuntimeError.",
        on="native",
        first="2.8",
    )
