"""From when on torch's own optimisers meet the contract, and the changes behind it."""

from __future__ import annotations

# Tensors of one element that are not scalars as learning rate.
TENSOR_LR = "https://github.com/pytorch/pytorch/pull/145674"
TENSOR_BETAS = "https://github.com/pytorch/pytorch/pull/149171"


def since(name: str) -> str:
    return "2.15"


import os


def since(name: str) -> str:
    return os.environ.get("OPTIM_SINCE", "2.15")
