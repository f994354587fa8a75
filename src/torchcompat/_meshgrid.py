"""``meshgrid`` with both orders of the axes, on every torch."""

from __future__ import annotations

import warnings
from typing import Any, Sequence

import torch

from ._shim import SHIMS, Limit, polyfill
from ._torchscript import script_as

__all__ = ["meshgrid"]


def _checked(tensors: Sequence[Any]) -> Sequence[torch.Tensor]:
    if not tensors:
        raise RuntimeError("tensors must not be empty: a grid needs at least one tensor")
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"tensors[{position}] must be a Tensor, got {type(tensor).__name__}")
        if tensor.dim() > 1:
            raise RuntimeError(f"tensors[{position}] must have no or one dimension, got shape {tuple(tensor.shape)}")
        for what in ("dtype", "device"):
            first, other = getattr(tensors[0], what), getattr(tensor, what)
            if first != other:
                raise RuntimeError(f"tensors must have one {what}: tensors[0] has {first}, tensors[{position}] {other}")
    return tensors


def _checked_indexing(indexing: str | None) -> str:
    if indexing is None:
        warnings.warn(
            'meshgrid() without indexing: "ij" is taken, as torch does today and numpy.meshgrid does not',
            UserWarning,
            stacklevel=3,
        )
        return "ij"
    if not isinstance(indexing, str):
        raise TypeError(f'indexing must be "ij" or "xy", got {indexing!r}')
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'indexing must be "ij" or "xy", got {indexing!r}')
    return indexing


@polyfill(
    "torch.meshgrid",
    since="1.10",
    link="https://github.com/pytorch/pytorch/issues/50276",
    limits=[Limit("warns", "warns again at every call without indexing, not once in a process", "fallback")],
    reason="no `indexing`",
)
def meshgrid(*tensors: torch.Tensor | list[torch.Tensor], indexing: str | None = None) -> tuple[torch.Tensor, ...]:
    """Grids of coordinates from one-dimensional tensors.

    In torch since 1.10. Fallback: views of the given tensors, in both orders of the axes; before, torch had only "ij",
    and no keyword. https://docs.pytorch.org/docs/stable/generated/torch.meshgrid.html

    Args:
        tensors: N tensors of shape ``(S_i,)`` or ``()``, which counts as ``(1,)``, of one dtype on one device; or one
            list or tuple of them.
        indexing: "ij": the grids have shape ``(S_0, S_1, S_2, ...)``, as from ``numpy.meshgrid(indexing="ij")``.
            "xy": the first two axes are exchanged, ``(S_1, S_0, S_2, ...)``, which is NumPy's default; with one tensor
            it means the same. None: "ij", with a UserWarning, since torch intends to change its default.

    Returns:
        A tuple of N tensors of that shape, of the dtype and on the device of the arguments. They are views of the
        arguments with repeated elements: clone them before writing to them.

    Raises:
        RuntimeError: no tensor at all, a tensor of two or more dimensions, tensors of different dtypes or devices, or
            another string for *indexing*.
        TypeError: something is no tensor, or *indexing* is no string.
    """
    given: Any = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    axes = list(range(len(_checked(given))))
    if _checked_indexing(indexing) == "xy" and len(axes) > 1:
        axes[:2] = 1, 0
    # Not numel(), which a trace of torch before 1.6 keeps as a constant.
    shape = [given[axis].reshape(-1).size(0) for axis in axes]
    shapes = [[shape[i] if axis == own else 1 for i, axis in enumerate(axes)] for own in range(len(given))]
    return tuple(tensor.view(own).expand(shape) for tensor, own in zip(given, shapes))


script_as(SHIMS["meshgrid"].fallback, "aten::meshgrid")
