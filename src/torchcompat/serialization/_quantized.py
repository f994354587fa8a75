"""Quantized tensors before they are given their storage, with scales and zero points checked and their own."""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any

import torch

from .._torch import UnsupportedError, find
from . import _sparse
from ._budget import Budget
from ._storages import Loaded

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_torch: Any = torch


def empty(budget: Budget, size: Any, loaded: Loaded, parameters: Any) -> Any:
    """A quantized tensor with the quantizer that *parameters* describe, and hardly any elements.

    It has as many channels as one of *size*, and is of the dtype and on the device of the storage *loaded*.
    """
    if type(parameters) is not tuple or not parameters:
        raise UnpicklingError("the parameters of a quantized tensor are not a tuple")
    scheme, options = parameters[0], {"dtype": loaded.kind.dtype, "device": loaded.device}
    if scheme == torch.per_tensor_affine:
        _, scale, zero_point = parameters
        if type(scale) is not float or type(zero_point) is not int or not -(2**63) <= zero_point < 2**63:
            raise UnpicklingError("the scale of a quantized tensor is no float, or its zero point no int of 64 bits")
        return _torch._empty_affine_quantized((0,), scale=scale, zero_point=zero_point, **options)
    if scheme not in (torch.per_channel_affine, find("torch.per_channel_affine_float_qparams")):
        raise UnpicklingError("a quantized tensor is of a scheme that torch.save does not write")
    _, scales, zero_points, axis = parameters
    if type(axis) is not int or not 0 <= axis < len(size):
        raise UnpicklingError("the axis of a quantized tensor is none of its dimensions")
    make = find("torch._empty_per_channel_affine_quantized")
    if make is None:
        raise UnsupportedError(f"the file holds a tensor of {scheme}, which torch {torch.__version__} lacks")
    floats = scheme != torch.per_channel_affine
    count = size[axis]
    scales = _per_channel(budget, scales, torch.float if floats else torch.double, count, loaded.device)
    zero_points = _per_channel(budget, zero_points, torch.float if floats else torch.long, count, loaded.device)
    few = tuple(length if at == axis else 0 for at, length in enumerate(size))
    budget.spend(4 * count)  # of a tensor with one dimension, which has no fewer elements
    return make(few, scales=scales, zero_points=zero_points, axis=axis, **options)


def _per_channel(budget: Budget, values: Any, dtype: torch.dtype, count: int, device: Any) -> torch.Tensor:
    """*values*, one for each channel, as a tensor on *device* that nobody else has."""
    whole = not dtype.is_floating_point
    if type(values) is list and len(values) == count:
        budget.spend_tensor(1, 8 * count)
        if all(type(value) is int or (type(value) is float and not whole) for value in values):
            try:
                return torch.tensor(values, dtype=dtype, device=device)
            except (RuntimeError, ValueError, OverflowError) as error:
                raise UnpicklingError(f"a scale or zero point of a quantized tensor is no number of {dtype}") from error
    plain = _sparse.is_plain(values) and values.dim() == 1 and values.numel() == count
    if plain and _is_number(values, whole) and values.device.type in ("cpu", str(device).split(":")[0]):
        budget.spend_tensor(1, 8 * count)
        return values.detach().to(device=device, dtype=dtype, copy=True).contiguous()
    raise UnpicklingError("a quantized tensor does not have one scale and one zero point for each channel")


def _is_number(values: torch.Tensor, whole: bool) -> bool:
    """Whether *values* are numbers, and whole ones if they have to be."""
    return values.dtype in _INTEGERS or (values.is_floating_point() and not whole)
