"""The layers of networks that look at neighbours: convolutions, pools, resizing, patches, and embeddings.

All but the convolutions and embeddings have no weights: the samples are more rows of the batch dimension they have.
Looped: what draws (fractional pools), embedding_bag, conv_tbc and torch.convolution, which networks rarely call.
"""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F

from ..._torch import find
from .._batched import count, each, fold, levels_of, physical_of, rank, register, rule, shape, unfold, wrap
from .._shared import Convolution, convolve

POOLS = (
    [f"{kind}_pool{dims}d" for kind in ("max", "avg", "adaptive_max", "adaptive_avg", "lp") for dims in (1, 2, 3)]
    + [f"{kind}_pool{dims}d_with_indices" for kind in ("max", "adaptive_max") for dims in (1, 2, 3)]
    + ["mkldnn_max_pool2d", "mkldnn_max_pool3d"]
)


# Layers without weights.


def by_rows(func: Any, full: int, tensors: Any, *args: Any, **kwargs: Any) -> Any:
    """A layer without weights, of *tensors* with a batch dimension and ``full - 1`` others, or without the former."""
    levels, dims = levels_of(*tensors), rank(tensors[0])
    flat = [fold(tensor, levels) for tensor in tensors]
    if dims == full - 1:
        return unfold(func(*flat, *args, **kwargs), levels)
    if dims != full or any(rank(tensor) != dims for tensor in tensors):
        return NotImplemented
    result = func(*[_together(tensor) for tensor in flat], *args, **kwargs)
    return unfold(each(result, lambda tensor: _apart(tensor, flat[0])), levels)


def _together(x: Any) -> Any:
    """``[B, N, ...]`` as ``[B * N, ...]``."""
    return x.reshape((x.shape[0] * x.shape[1],) + x.shape[2:])


def _apart(y: Any, x: Any) -> Any:
    """``[B * N, ...]`` as ``[B, N, ...]``, as *x* is."""
    return y.reshape(x.shape[:2] + y.shape[1:])


def _spatial(func: Any) -> int:
    """The 2 of ``max_pool2d``."""
    found = re.search(r"(\d)d", func.__name__)
    assert found, func
    return int(found.group(1))


@rule(*POOLS)
def pool(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return by_rows(func, 2 + _spatial(func), [input], *args, **kwargs)


@rule("max_unpool1d", "max_unpool2d", "max_unpool3d")
def unpool(func: Any, input: Any, indices: Any, *args: Any, **kwargs: Any) -> Any:
    return by_rows(func, 2 + _spatial(func), [input, indices], *args, **kwargs)


def of_rows(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """A layer whose input always has a batch dimension, and any number of others."""
    return by_rows(func, max(rank(input), 3), [input], *args, **kwargs)


register(of_rows, ["interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "local_response_norm"])


@rule("grid_sample", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sample(func: Any, input: Any, grid: Any, *args: Any, **kwargs: Any) -> Any:
    return by_rows(func, max(rank(input), 4), [input, grid], *args, **kwargs)


@rule("affine_grid", "affine_grid_generator")
def affine_grid(func: Any, theta: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
    if rank(theta) != 3 or len(size) < 4 or size[0] != shape(theta)[0]:
        return NotImplemented
    rows = [size[0] * count(levels_of(theta))] + list(size[1:])
    return by_rows(func, 3, [theta], rows, *args, **kwargs)


@rule(F.unfold, find("torch._C._nn.im2col"))  # Tensor.unfold is another operation
def unfold_patches(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return by_rows(func, 4, [input], *args, **kwargs)


@rule(F.fold, find("torch._C._nn.col2im"))
def fold_patches(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return by_rows(func, 3, [input], *args, **kwargs)


# Convolutions. From torch 1.11 on they take one image without a batch dimension too, here on any torch.


@rule("conv1d", "conv2d", "conv3d")
def conv(
    func: Any,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    dims = _spatial(func)

    def own(x: Any, w: Any) -> Any:
        x, sizes = _padded(x, w, padding, dilation, dims)
        return convolve(
            x, w, Convolution(False, _ints(stride, dims), sizes, _ints(dilation, dims), (0,) * dims, groups)
        )

    if padding == "same" and any(size != 1 for size in _ints(stride, dims)):
        return NotImplemented  # an error
    rest = (stride, padding, dilation, groups)
    if groups == 1 and not levels_of(input) and levels_of(weight):
        return _many_weights(func, input, weight, bias, rest)
    return _convolution(func, input, weight, bias, rest, own)


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv_transpose(
    func: Any,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    def own(x: Any, w: Any) -> Any:
        steps, sizes, spread, ends = (
            _ints(value, _spatial(func)) for value in (stride, padding, dilation, output_padding)
        )
        return convolve(x, w, Convolution(True, steps, sizes, spread, ends, groups))

    return _convolution(func, input, weight, bias, (stride, padding, output_padding, groups, dilation), own)


def _ints(value: Any, dims: int) -> Any:
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * dims if len(sizes) == 1 else sizes


def _padded(x: Any, w: Any, padding: Any, dilation: Any, dims: int) -> Any:
    """The input, and its padding in numbers; where "same" is one more on the right, that one is put on the input."""
    if not isinstance(padding, str):
        return x, _ints(padding, dims)
    if padding == "valid":
        return x, (0,) * dims
    totals = [step * (size - 1) for step, size in zip(_ints(dilation, dims), w.shape[3:])]
    if any(total % 2 for total in totals):
        x = F.pad(x, [end for total in reversed(totals) for end in (0, total % 2)])
    return x, tuple(total // 2 for total in totals)


def _convolution(func: Any, input: Any, weight: Any, bias: Any, rest: Any, own: Any) -> Any:
    """A convolution; ``own(x[B, N, C, ...], w[B, ...])`` is the one with a weight for each sample."""
    dims, extra = _spatial(func), rank(input) - _spatial(func)
    if extra not in (1, 2) or rank(weight) != dims + 2 or (bias is not None and rank(bias) != 1):
        return NotImplemented
    levels = levels_of(input, weight, bias)
    x = fold(input, levels)
    x = x if extra == 2 else x.unsqueeze(1)
    if levels_of(weight):
        if not count(levels):
            return NotImplemented
        y = own(x, fold(weight, levels))
    else:
        inside, bias = (None, bias) if levels_of(bias) else (bias, None)
        y = _apart(func(_together(x), weight, inside, *rest), x)
    if bias is not None:
        y = y + fold(bias, levels).reshape([len(x), 1, -1] + [1] * dims).to(y.dtype)
    return unfold(y if extra == 2 else y.squeeze(1), levels)


def _many_weights(func: Any, input: Any, weight: Any, bias: Any, rest: Any) -> Any:
    """One input for all samples: the weights of all of them are more output channels."""
    dims, extra = _spatial(func), rank(input) - _spatial(func)
    if extra not in (1, 2) or rank(weight) != dims + 2:
        return NotImplemented
    levels = levels_of(weight)
    x = input if extra == 2 else input.unsqueeze(0)
    y = func(x, _together(fold(weight, levels)), None, *rest)
    y = y.reshape((len(x), count(levels), -1) + y.shape[2:]).transpose(0, 1)
    y = unfold(y if extra == 2 else y.squeeze(1), levels)
    return y if bias is None else y + per_channel(bias, dims)


def per_channel(bias: Any, dims: int) -> Any:
    """A logical tensor of one dimension, with *dims* of size 1 behind it."""
    levels = levels_of(bias)
    bias = fold(bias, levels) if levels else bias
    bias = bias.reshape(tuple(bias.shape) + (1,) * dims)
    return unfold(bias, levels) if levels else bias


# Embeddings.


@rule(F.embedding)
def embedding(
    func: Any,
    input: Any,
    weight: Any,
    padding_idx: Any = None,
    max_norm: Any = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    if levels_of(weight):
        plain = max_norm is None and not (scale_grad_by_freq or sparse)
        return _own_rows(input, weight, padding_idx) if plain else NotImplemented
    if scale_grad_by_freq:
        return NotImplemented  # by the frequency in each sample
    levels = levels_of(input)
    return wrap(func(physical_of(input), weight, padding_idx, max_norm, norm_type, False, sparse), levels)


@rule(torch.embedding)
def torch_embedding(
    func: Any,
    weight: Any,
    indices: Any,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    if scale_grad_by_freq or (sparse and levels_of(weight)):
        return NotImplemented
    if levels_of(weight):
        return _own_rows(indices, weight, None if padding_idx == -1 else padding_idx)
    return wrap(func(weight, physical_of(indices), padding_idx, False, sparse), levels_of(indices))


def _own_rows(indices: Any, weight: Any, padding_idx: Any) -> Any:
    """The rows of each sample's own table. Indexing takes them from a table of stride 0 without a copy."""
    levels = levels_of(indices, weight)
    table, index = fold(weight, levels), fold(indices, levels)
    size = table.shape[1]
    if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < size):
        raise IndexError("index out of range in self")
    number = torch.arange(len(table), device=index.device).reshape([-1] + [1] * (index.dim() - 1))
    rows = table[number, index]
    if padding_idx is not None:
        # The row of the padding has no gradient.
        rows = torch.where((index == padding_idx % size).unsqueeze(-1), rows.detach(), rows)
    return unfold(rows, levels)
