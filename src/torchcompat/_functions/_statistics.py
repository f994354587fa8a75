"""Covariance, correlation and histograms."""

from __future__ import annotations

import warnings
from collections import namedtuple
from typing import Any, Sequence

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from ._arguments import as_int, check_tensor
from ._promote import as_float, is_complex, refuse_out

Histogram = namedtuple("Histogram", "hist bin_edges")


def _weights(name: str, value: Any, count: int, floating: bool) -> Any:
    check_tensor(name, value)
    if value.dim() > 1 or value.numel() != count:
        raise RuntimeError(f"{name} must have a value for each of the {count} observations, got {tuple(value.shape)}")
    if value.dtype.is_floating_point != floating or value.dtype is torch.bool:
        kind = "a floating-point" if floating else "an integer"
        raise RuntimeError(f"{name} must be of {kind} dtype, got {value.dtype}")
    if value.numel() and bool((value < 0).any()):
        raise RuntimeError(f"{name} must not have negative values")
    return value


def _covariance(name: str, input: Any, correction: int, fweights: Any, aweights: Any) -> Any:
    check_tensor("input", input)
    if input.dim() > 2:
        raise RuntimeError(f"{name}: input must have at most two dimensions, got shape {tuple(input.shape)}")
    if input.dtype is torch.bool:
        raise NotImplementedError("input must not be of dtype torch.bool")
    (value,) = as_float(input.reshape(1, -1) if input.dim() < 2 else input)
    count = value.size(1)
    weight = None
    if fweights is not None:
        weight = _weights("fweights", fweights, count, False).reshape(-1).to(value.dtype)
    if aweights is not None:
        given = _weights("aweights", aweights, count, True).reshape(-1).to(value.dtype)
        weight = given if weight is None else weight * given
    if weight is None:
        total: Any = torch.full([], float(count), dtype=value.dtype, device=value.device)
        centred, norm = value - value.sum(1, keepdim=True) / total, total - correction
        scaled = centred
    else:
        total = weight.sum()
        if float(total) == 0:
            raise RuntimeError("fweights and aweights sum to zero")
        centred = value - (value * weight).sum(1, keepdim=True) / total
        squares = total if aweights is None else (weight * aweights.reshape(-1).to(value.dtype)).sum() / total
        norm = total - correction * (torch.ones_like(total) if aweights is None else squares)
        scaled = centred * weight
    if count and float(norm) <= 0:
        warnings.warn(f"{name}(): {float(total):g} observations leave no degree of freedom", UserWarning, stacklevel=3)
    conjugate = scaled.conj() if is_complex(value.dtype) else scaled
    result = torch.matmul(centred, conjugate.t()) / norm.clamp(min=0)
    return result[0, 0] if input.dim() < 2 else result


@polyfill("torch.cov", since="1.10", link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L1744")
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """Estimate the covariance matrix of variables.

    In torch since 1.10. Fallback: a product of the centred matrix with itself.
    https://docs.pytorch.org/docs/stable/generated/torch.cov.html

    Args:
        input: shape ``(variables, observations)``, or ``(observations,)`` of one variable.
        correction: what is subtracted from the number of observations.
        fweights: integers, how often each observation counts.
        aweights: floats, the importance of each observation.

    Returns:
        Shape ``(variables, variables)``; without dimensions for one variable.

    Raises:
        RuntimeError: *input* has more than two dimensions; weights of another dtype or shape, negative ones, or such as
            sum to zero.
    """
    result: Tensor = _covariance("cov", input, as_int("correction", correction), fweights, aweights)
    return result


@polyfill(
    "torch.corrcoef", since="1.10", link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L1700"
)
def corrcoef(input: Tensor) -> Tensor:
    """Estimate the correlation coefficients of variables.

    In torch since 1.10. Fallback: the covariances by the deviations.
    https://docs.pytorch.org/docs/stable/generated/torch.corrcoef.html

    Args:
        input: shape ``(variables, observations)``, or ``(observations,)`` of one variable.

    Returns:
        Shape ``(variables, variables)``, from -1 to 1; without dimensions for one variable.

    Raises:
        RuntimeError: *input* has more than two dimensions.
    """
    found = _covariance("corrcoef", input, 1, None, None)
    if not found.dim():
        return found / found
    deviations = found.diagonal().sqrt()
    result: Tensor = found / deviations.unsqueeze(1) / deviations.unsqueeze(0)
    return result if is_complex(result.dtype) else result.clamp(-1, 1)


# --- histograms


def _range(name: str, values: Any, given: Any) -> tuple[float, float]:
    if given is not None:
        low, high = float(given[0]), float(given[1])
    elif values.numel():
        low, high = float(values.min()), float(values.max())
    else:
        low, high = 0.0, 1.0
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise RuntimeError(f"{name}: the range must be finite, got {low} to {high}")
    if low > high:
        raise RuntimeError(f"{name}: the range must not end before it starts, got {low} to {high}")
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _edges(name: str, bins: Any, values: Any, given: Any) -> Any:
    if isinstance(bins, Tensor):
        if bins.dim() != 1 or bins.numel() < 2:
            raise RuntimeError(f"{name}: bins must have one dimension and two edges at least, got {tuple(bins.shape)}")
        if bins.dtype != values.dtype:
            raise RuntimeError(f"{name}: bins must be of the dtype of input, {values.dtype}, got {bins.dtype}")
        return bins.detach().clone()
    count = as_int("bins", bins)
    if count <= 0:
        raise RuntimeError(f"{name}: bins must be positive, got {count}")
    low, high = _range(name, values, given)
    return torch.linspace(low, high, count + 1, dtype=values.dtype, device=values.device)


def _bin_of(values: Any, edges: Any) -> tuple[Any, Any]:
    """The bin of every value, and which values are in one."""
    from ._order import _bisected

    last = edges.numel() - 2
    bins = _bisected(edges, values, True) - 1
    bins = torch.where(values == edges[-1], torch.full_like(bins, last), bins)
    inside = (values >= edges[0]) & (values <= edges[-1])
    return bins.clamp(min=0, max=last), inside


def _counted(name: str, samples: Any, edges: Sequence[Any], weight: Any, density: bool) -> Any:
    """The histogram of *samples*, shape ``(n, len(edges))``."""
    shape = [each.numel() - 1 for each in edges]
    places = torch.zeros(samples.size(0), dtype=torch.int64, device=samples.device)
    inside = torch.ones(samples.size(0), dtype=torch.bool, device=samples.device)
    for column, each in enumerate(edges):
        bins, within = _bin_of(samples[:, column].contiguous(), each)
        places, inside = places * shape[column] + bins, inside & within
    weights = torch.ones_like(samples[:, 0]) if weight is None else weight.detach().reshape(-1)
    weights = torch.where(inside, weights, torch.zeros_like(weights))
    size = 1
    for count in shape:
        size *= count
    found = torch.zeros(size, dtype=samples.dtype, device=samples.device).scatter_add(0, places, weights).view(shape)
    if density:
        found = found / found.sum()
        for axis, each in enumerate(edges):
            found = found / (each[1:] - each[:-1]).view([-1 if axis == other else 1 for other in range(len(shape))])
    return found


def _checked(name: str, input: Any, weight: Any, shape: Sequence[int]) -> None:
    check_tensor("input", input)
    if input.dtype not in (torch.float32, torch.float64):
        raise NotImplementedError(f"{name}: input must be of dtype torch.float32 or torch.float64, got {input.dtype}")
    if weight is not None:
        check_tensor("weight", weight)
        if weight.shape != torch.Size(shape):
            raise RuntimeError(f"{name}: weight must have the shape {tuple(shape)}, got {tuple(weight.shape)}")
        if weight.dtype != input.dtype:
            raise RuntimeError(f"{name}: weight must be of the dtype of input, {input.dtype}, got {weight.dtype}")


@polyfill(
    "torch.histogram", since="1.10", link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L4259"
)
def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """Count how many elements lie in each bin.

    In torch since 1.10. Fallback: a search for the bin of every element, on every device; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.histogram.html

    Args:
        input: a tensor of float32 or float64; all its elements are counted.
        bins: the number of bins of one width, or a tensor of their edges, which grow.
        range: the least and the largest edge, where *bins* is a number. None: the least and the largest element.
        weight: what each element counts, of the shape and dtype of *input*.
        density: give a density, whose integral is 1.
        out: None.

    Returns:
        A named tuple: *hist*, the counts, of the dtype of *input*; and *bin_edges*. A bin has its left edge, the last
        one the right edge, too.

    Raises:
        RuntimeError: *bins*, *range* or *weight* do not fit.
        NotImplementedError: *input* is of another dtype.
    """
    refuse_out("histogram", out)
    _checked("histogram", input, weight, input.shape if isinstance(input, Tensor) else ())
    if isinstance(bins, Tensor) and range is not None:
        raise TypeError("histogram() takes range with a number of bins only")
    values = input.detach().reshape(-1)
    edges = _edges("histogram", bins, values, range)
    hist = _counted("histogram", values.unsqueeze(1), [edges], weight, density)
    return Histogram(hist, edges)


@polyfill(
    "torch.histogramdd",
    since="1.11",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L4480",
    limits=[Limit("edges", "gives a list of edges, not a tuple, where *bins* are tensors", "native", "1.11", "1.11")],
)
def histogramdd(
    input: Tensor,
    bins: Any,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """Count how many points lie in each bin of a grid.

    In torch since 1.11. Fallback: as of :func:`histogram`.
    https://docs.pytorch.org/docs/stable/generated/torch.histogramdd.html

    Args:
        input: shape ``(..., n)``, points of n coordinates, float32 or float64.
        bins: a number, or n numbers of bins, or n tensors of edges.
        range: the least and the largest edge of each coordinate, 2 n numbers.
        weight: what each point counts, of shape ``input.shape[:-1]``.
        density: give a density, whose integral is 1.

    Returns:
        A named tuple: *hist* of n dimensions, and *bin_edges*, a tuple of n tensors.

    Raises:
        RuntimeError: *input* has fewer than two dimensions, or *bins*, *range* or *weight* do not fit.
    """
    _checked("histogramdd", input, weight, input.shape[:-1] if isinstance(input, Tensor) else ())
    if input.dim() < 2:
        raise RuntimeError(f"input must have at least two dimensions, got shape {tuple(input.shape)}")
    count = input.size(-1)
    each = list(bins) if isinstance(bins, (list, tuple)) else [bins] * count
    if len(each) != count:
        raise RuntimeError(f"bins must have a number or edges for each of the {count} coordinates, got {len(each)}")
    if range is not None and len(range) != 2 * count:
        raise RuntimeError(f"range must have two numbers for each of the {count} coordinates, got {len(range)}")
    points = input.detach().reshape(-1, count)
    edges = []
    for column, bin in enumerate(each):
        given = None if range is None else range[2 * column : 2 * column + 2]
        edges.append(_edges("histogramdd", bin, points[:, column], given))
    return Histogram(_counted("histogramdd", points, edges, weight, density), tuple(edges))
