"""What clips gradients: the norm of a list of tensors, and how a gradient of any kind is scaled."""

from __future__ import annotations

import math
from typing import Any, Iterable

import torch

from ..._torch import at_least, at_most, exporting, find

HALVES = (torch.float16, torch.bfloat16)
PLAIN = (torch.float32, torch.float64)
COMPLEX = tuple(filter(None, map(find, ("torch.complex32", "torch.complex64", "torch.complex128"))))
_EXPORTS_FEW_NORMS = at_most(1, 13)  # of order 1 and 2 to ONNX, and none of all elements up to 1.6
_NATIVE = find("torch.nn.utils.clip_grad_norm_")


def as_list(tensors: Any) -> list[Any]:
    """What torch takes as one tensor or an iterable of tensors."""
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)


def gradients(parameters: Iterable[Any]) -> list[Any]:
    """The gradients of those that have one."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _dense(tensor: Any) -> Any:
    """The values of a sparse tensor, as many as it has; another tensor as it is."""
    return tensor.coalesce()._values() if tensor.is_sparse else tensor


def _norm(tensor: Any, order: float) -> Any:
    """The norm of all elements, 0-dimensional, of *tensor*'s dtype or, if that is complex, of its real dtype."""
    dense = _dense(tensor)
    if dense.dtype in COMPLEX:
        dense = dense.abs()
    if not dense.dtype.is_floating_point:
        raise NotImplementedError(f"a norm is of floating point or complex tensors, got {dense.dtype}")
    if dense.numel() == 0:
        if order < 0 or math.isinf(order):
            raise RuntimeError(f"the norm of order {order} of an empty tensor is not defined")
        return dense.new_zeros(())
    if dense.dtype in HALVES:  # On the CPU torch up to 2.0 computes little with float16.
        return _norm_of_values(dense.float(), order).to(dense.dtype)
    return _norm_of_values(dense, order)


def _norm_of_values(values: Any, order: float) -> Any:
    if math.isinf(order):
        sizes = values.abs()
        return sizes.max() if order > 0 else sizes.min()
    if order == 0:
        return (values != 0).to(values.dtype).sum()
    if _EXPORTS_FEW_NORMS and exporting():
        return values.abs().pow(order).sum().pow(1.0 / order)
    return torch.norm(values, order)


def _common(dtypes: set[Any]) -> Any:
    """The dtype that tensors of these have together."""
    if len(dtypes) == 1:
        return next(iter(dtypes))
    return torch.float64 if torch.float64 in dtypes else torch.float32


def total_norm(tensors: list[Any], order: Any, error_if_nonfinite: bool) -> Any:
    """The norm of the norms of *tensors*, on the first one's device."""
    order = float(order)
    if not tensors:
        return torch.tensor(0.0)
    norms = [_norm(tensor, order) for tensor in tensors]
    dtypes, device = {norm.dtype for norm in norms}, tensors[0].device
    if len(dtypes) > 1 or any(norm.device != device for norm in norms):
        dtype = _common(dtypes)
        norms = [norm.to(device=device, dtype=dtype) for norm in norms]
    total = _norm(torch.stack(norms), order)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise RuntimeError(
            f"the norm of order {order} of all gradients is {float(total)}, and nothing has been clipped; "
            "error_if_nonfinite=False scales by it anyway"
        )
    return total


def _scale(gradient: Any, factor: Any) -> None:
    target = gradient._values() if gradient.is_sparse else gradient
    if target.dtype in HALVES and not target.is_cuda:
        target.copy_(target.float() * factor.to(target.device).float())
    elif target.dtype in COMPLEX:
        target.mul_(factor.to(target.device))
    else:
        same = target.dtype == factor.dtype and target.device == factor.device
        target.mul_(factor if same else factor.to(target))


def scale_to(tensors: list[Any], max_norm: Any, total: Any) -> None:
    """Scale *tensors* by ``max_norm / total``, or not at all if that is more than 1, without looking at it."""
    max_norm = float(max_norm)
    if not tensors:
        return
    if not isinstance(total, torch.Tensor):
        raise TypeError(f"total_norm must be a tensor, got {type(total).__name__}")
    wide = total.float() if total.dtype in HALVES else total
    factor = (max_norm / (wide + 1e-6)).clamp(max=1.0).to(total.dtype)
    for tensor in tensors:
        _scale(tensor, factor)


def native_is_right(tensors: list[Any]) -> bool:
    """Whether torch's own ``clip_grad_norm_`` does the same for these gradients, a device at a time.

    It need not for sparse and empty ones, nor on the CPU for half precision; before 2.0 it is no faster.
    """
    return at_least(2, 0) and all(
        not tensor.is_sparse and tensor.numel() and (tensor.is_cuda or tensor.dtype in PLAIN) for tensor in tensors
    )


def clip_natively(
    parameters: list[Any], max_norm: Any, order: Any, error_if_nonfinite: bool, foreach: Any
) -> Any:  # torchcompat: needs torch >= 2.0
    """Torch's own, of 2.0 or later."""
    return _NATIVE(parameters, max_norm, order, error_if_nonfinite, foreach)


def check_can_be_clamped(tensors: list[Any]) -> None:
    """Raise NotImplementedError for gradients that have no order, before any is changed."""
    for tensor in tensors:
        if tensor.is_sparse:
            raise NotImplementedError("clip_grad_value_ takes no sparse gradients")
        if tensor.dtype in COMPLEX:
            raise NotImplementedError("clip_grad_value_ takes no complex gradients")


def clamp(tensor: Any, limit: float) -> None:
    """Clamp to ``[-limit, limit]`` in place; the upper end wins where *limit* is negative."""
    wide = tensor.float() if tensor.dtype in HALVES and not tensor.is_cuda else tensor
    if limit >= 0:
        wide.clamp_(-limit, limit)
    else:
        wide.clamp_(min=-limit)
        wide.clamp_(max=limit)
    if wide is not tensor:
        tensor.copy_(wide)
