"""Normalisation: layer, group, instance, batch and RMS norms.

A weight or bias that differs between the samples is applied after the operation. Looped: the ``native_`` forms, and
running statistics that differ between the samples where they are updated.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from .._batched import fold, levels_of, physical_of, rank, rule, shape, unfold, wrap
from ._layers import by_rows, per_channel


def _affine(y: Any, weight: Any, bias: Any, dims: int = 0) -> Any:
    """Logical ``y * weight + bias``, which have their place *dims* dimensions before y's last, in the dtype of y."""
    dtype = y.dtype
    if weight is not None:
        y = y * per_channel(weight, dims)
    if bias is not None:
        y = y + per_channel(bias, dims)
    return y if y.dtype == dtype else y.to(dtype)


def _misfit(sizes: Any, *tensors: Any) -> bool:
    return any(tensor is not None and tuple(shape(tensor)) != sizes for tensor in tensors)


@rule("layer_norm")
def layer_norm(
    func: Any,
    input: Any,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
    **named: Any,
) -> Any:
    sizes, levels = tuple(normalized_shape), levels_of(input)
    if not sizes or tuple(shape(input))[-len(sizes) :] != sizes or _misfit(sizes, weight, bias):
        return NotImplemented
    if not levels_of(weight, bias):
        return wrap(func(physical_of(input), sizes, weight, bias, eps, *rest, **named), levels)
    return _affine(wrap(func(physical_of(input), sizes, None, None, eps, *rest, **named), levels), weight, bias)


@rule("rms_norm")
def rms_norm(func: Any, input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    sizes, levels = tuple(normalized_shape), levels_of(input)
    if not sizes or tuple(shape(input))[-len(sizes) :] != sizes or _misfit(sizes, weight):
        return NotImplemented
    if not levels_of(weight):
        return wrap(func(physical_of(input), sizes, weight, eps), levels)
    return _affine(wrap(func(physical_of(input), sizes, None, eps), levels), weight, None)


@rule("group_norm")
def group_norm(
    func: Any,
    input: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
    **named: Any,
) -> Any:
    if rank(input) < 2 or _misfit((shape(input)[1],), weight, bias) or num_groups < 1:
        return NotImplemented
    if input.numel() <= num_groups:
        return NotImplemented  # an error: one value has no variance. More rows would hide that

    def apply(x: Any, *affine: Any) -> Any:
        return func(x, num_groups, *affine, eps, *rest, **named)

    if not levels_of(weight, bias):
        return by_rows(apply, rank(input), [input], weight, bias)
    y = by_rows(apply, rank(input), [input], None, None) if levels_of(input) else apply(input, None, None)
    return _affine(y, weight, bias, rank(input) - 2)


@rule(F.batch_norm)
def batch_norm(
    func: Any,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    def apply(x: Any, mean: Any, var: Any) -> Any:
        return func(x, mean, var, None, None, training, momentum, eps)

    return _by_statistics(apply, input, (running_mean, running_var), (weight, bias), training, eps, False)


@rule(torch.batch_norm)
def torch_batch_norm(
    func: Any,
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    def apply(x: Any, mean: Any, var: Any) -> Any:
        return func(x, None, None, mean, var, training, momentum, eps, cudnn_enabled)

    return _by_statistics(apply, input, (running_mean, running_var), (weight, bias), training, eps, False)


@rule(F.instance_norm)
def instance_norm(
    func: Any,
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    def apply(x: Any, mean: Any, var: Any) -> Any:
        return func(x, mean, var, None, None, use_input_stats, momentum, eps)

    return _by_statistics(apply, input, (running_mean, running_var), (weight, bias), use_input_stats, eps, True)


@rule(torch.instance_norm)
def torch_instance_norm(
    func: Any,
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    def apply(x: Any, mean: Any, var: Any) -> Any:
        return func(x, None, None, mean, var, use_input_stats, momentum, eps, cudnn_enabled)

    return _by_statistics(apply, input, (running_mean, running_var), (weight, bias), use_input_stats, eps, True)


def _by_statistics(
    apply: Any, input: Any, running: Any, affine: Any, of_input: bool, eps: float, instances: bool
) -> Any:
    """A batch norm, or with *instances* an instance norm; ``apply(x, running mean, running variance)`` is torch's."""
    least = 3 if instances else 2
    if rank(input) < least or _misfit((shape(input)[1],), *running) or _misfit((shape(input)[1],), *affine):
        return NotImplemented
    if not levels_of(input) and not levels_of(running):
        y = apply(input, *running)
    elif of_input:
        y = _by_own(apply, input, running, instances)
    else:
        y = _by_running(apply, input, running, eps)
    return y if y is NotImplemented else _affine(y, affine[0], affine[1], rank(input) - 2)


def _by_own(apply: Any, input: Any, running: Any, instances: bool) -> Any:
    """By each sample's own mean and variance."""
    if levels_of(running):
        return NotImplemented
    if any(tensor is not None for tensor in running):
        raise RuntimeError(
            "vmap: a norm in training writes in-place to running statistics that are not batched, with an input that "
            "is: there is one mean to write to and a different one for each sample. Use track_running_stats=False, or "
            "torchcompat.func.replace_all_batch_norm_modules_."
        )
    if instances:
        return by_rows(apply, rank(input), [input], None, None)
    levels = levels_of(input)
    x = fold(input, levels).transpose(0, 1)
    y = apply(x.reshape((x.shape[0], x.shape[1] * x.shape[2]) + x.shape[3:]), None, None)
    return unfold(y.reshape(x.shape).transpose(0, 1), levels)


def _by_running(apply: Any, input: Any, running: Any, eps: float) -> Any:
    """By the running mean and variance."""
    if any(tensor is None for tensor in running):
        return NotImplemented
    if not levels_of(running):
        return by_rows(apply, rank(input), [input], *running)
    mean, var = (per_channel(tensor, rank(input) - 2) for tensor in running)
    y = (input - mean) * (var + eps).rsqrt()
    return y if y.dtype == input.dtype else y.to(input.dtype)
