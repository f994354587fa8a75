"""The masks of the attention modules, where True and -inf mean "ignore"."""

from __future__ import annotations

import warnings
from typing import Any

import torch

MINUS_INF = float("-inf")


def check_kind(name: str, mask: Any) -> None:
    """Refuse what is no mask.

    Raises:
        TypeError: *mask* is neither None nor a tensor.
        AssertionError: *mask* is neither bool nor floating point; a uint8 mask has meant two opposite things.
    """
    if mask is None:
        return
    if not isinstance(mask, torch.Tensor):
        raise TypeError(f"{name} must be a Tensor or None, got {type(mask).__name__}")
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise AssertionError(f"{name} must be bool or floating point, got {mask.dtype}")


def additive(name: str, mask: Any, dtype: Any) -> Any:
    """*mask* as what is to be added to the scores: a bool mask becomes 0 and -inf, a float mask stays what it is.

    Raises:
        TypeError, AssertionError: as :func:`check_kind`.
    """
    check_kind(name, mask)
    if mask is None or mask.is_floating_point():
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, MINUS_INF)


def additive_pair(padding_name: str, padding: Any, mask_name: str, mask: Any, dtype: Any) -> tuple[Any, Any]:
    """The padding mask and the attention mask of one call, both :func:`additive`.

    Warns:
        UserWarning: when one is bool and the other is not, as torch does since 2.0.
    """
    both = additive(padding_name, padding, dtype), additive(mask_name, mask, dtype)
    if padding is not None and mask is not None and padding.dtype != mask.dtype:
        warnings.warn(
            f"mismatched {padding_name} and {mask_name}: {padding.dtype} and {mask.dtype}; give both one dtype",
            UserWarning,
            stacklevel=3,
        )
    return both
