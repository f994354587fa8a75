"""Reductions, and what else works along dimensions of one tensor: softmax, cumsum, sort.

The dimensions of the sample come after those of the batch, so a rule shifts the ``dim`` that it gets. A reduction of
the whole sample becomes one over the last dimension of the flattened sample. Left to the loop: unique, histc, renorm,
gradient, cov, corrcoef, vander, searchsorted and the like, trapz and diff with a second tensor.
"""

from __future__ import annotations

from typing import Any, Sequence

import torch

from .._batched import BatchedTensor, each, levels_of, physical_of, rank, register, rule, shape, wrap

# Torch takes NumPy's names for these too.
ALIASES = {"axis": "dim", "keepdims": "keepdim"}


def named(names: str, args: Sequence[Any], kwargs: Any) -> dict[str, Any]:
    """The arguments of an operation after the first, by name."""
    given = dict(zip(names.split(), args))
    given.update((ALIASES.get(name, name), value) for name, value in kwargs.items())
    return given


def shift(dim: Any, ndim: int, by: int) -> Any:
    """*dim*, one or several, of a sample of *ndim* dimensions as that of the batch; None if it is no dimension."""
    if isinstance(dim, (list, tuple)):
        dims = [shift(one, ndim, by) for one in dim]
        return None if None in dims else dims
    if isinstance(dim, bool) or not isinstance(dim, int) or not -ndim <= dim < ndim:
        return None  # a wrong dimension, for which the loop raises, or a named one, which the loop reduces
    return dim % ndim + by


def opened(input: Any) -> tuple[Any, int, int]:
    """The physical tensor, the rank of the sample, at least 1, and how many levels are before it."""
    physical, count = physical_of(input), len(levels_of(input))
    if physical.dim() == count:
        return physical.unsqueeze(-1), 1, count
    return physical, physical.dim() - count, count


def flat(input: Any) -> Any:
    """The physical tensor with the samples flattened."""
    physical, ndim, count = opened(input)
    if ndim == 1:
        return physical
    return physical.reshape(list(physical.shape[:count]) + [shape(input).numel()])


def again(result: Any, input: Any, closed: bool = False) -> Any:
    """The logical result; *closed* drops the dimension that :func:`opened` gave to a sample without dimensions."""
    levels = levels_of(input)
    if closed and not rank(input):
        return each(result, lambda tensor: wrap(tensor.squeeze(-1), levels))
    return each(result, lambda tensor: wrap(tensor, levels))


def keep(result: Any, input: Any, count: int) -> Any:
    """*result* of a whole sample, physical, with a size of 1 for each of its dimensions."""
    ones = [1] * rank(input)
    return each(result, lambda tensor: tensor.reshape(list(tensor.shape[:count]) + ones))


def is_whole(dim: Any) -> bool:
    """Whether a reduction that got *dim* is one of the whole sample."""
    return dim is None or (isinstance(dim, (list, tuple)) and not dim)


def reduce_along(func: Any, input: Any, given: dict[str, Any]) -> Any:
    """A reduction along ``given["dim"]``."""
    physical, ndim, count = opened(input)
    given["dim"] = shift(given["dim"], ndim, count)
    if given["dim"] is None:
        return NotImplemented
    if not rank(input):
        given.pop("keepdim", None)
    return again(func(physical, **given), input)


def whole(func: Any, input: Any, given: dict[str, Any]) -> Any:
    """A reduction of the whole sample, as one along the last dimension of the flattened sample."""
    kept = given.pop("keepdim", False)
    given["dim"] = -1
    result = func(flat(input), **given)
    return again(keep(result, input, len(levels_of(input))) if kept else result, input)


def _only(input: Any, *others: Any) -> bool:
    """Whether *input* is the one tensor of an operation that is batched."""
    return type(input) is BatchedTensor and not levels_of(*others)


REDUCTIONS = ["sum", "nansum", "mean", "nanmean", "amax", "amin", "aminmax", "_aminmax", "logsumexp", "prod", "argmax"]
REDUCTIONS += ["argmin", "all", "any", "count_nonzero"]


@rule(*REDUCTIONS)
def reduction(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    positional = "dim keepdim"
    if args and isinstance(args[0], torch.dtype):
        positional = "dtype"  # x.sum(torch.float64)
    given = named(positional, args, kwargs)
    if is_whole(given.get("dim")) and not (func.__name__ == "logsumexp" and given.get("dim") is None):
        return whole(func, input, given)
    return reduce_along(func, input, given)


def _extreme(func: Any, physical: Any) -> Any:
    """The greatest or least along the last dimension; equal ones share the gradient, as torch has it."""
    if physical.requires_grad:
        return physical.amax(-1) if func.__name__ == "max" else physical.amin(-1)
    return func(physical, -1)[0]


@rule("max", "min")
def extreme(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(args[0] if args else kwargs.get("other"), torch.Tensor):
        from ._pointwise import pointwise

        return pointwise(func, input, *args, **kwargs)
    given = named("dim keepdim", args, kwargs)
    if given.get("dim") is None:
        return again(_extreme(func, flat(input)), input)
    return reduce_along(func, input, given)


@rule("median", "nanmedian")
def median(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = named("dim keepdim", args, kwargs)
    if given.get("dim") is not None:
        return reduce_along(func, input, given)
    physical = flat(input)
    if not physical.requires_grad:
        return again(func(physical, -1)[0], input)
    # Those equal to the median share the gradient, as in torch's of a whole tensor.
    middle = func(physical.detach(), -1, keepdim=True)[0]
    at = (physical == middle) | (torch.isnan(physical) & torch.isnan(middle))
    return again(physical.masked_fill(~at, -float("inf")).amax(-1), input)


@rule("mode")
def mode(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return reduce_along(func, input, {"dim": -1, **named("dim keepdim", args, kwargs)})


@rule("kthvalue")
def kthvalue(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    return reduce_along(func, input, {"dim": -1, **named("k dim keepdim", args, kwargs)})


@rule("std", "var", "std_mean", "var_mean")
def spread_of_values(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    positional = "unbiased" if args and isinstance(args[0], bool) else "dim unbiased keepdim"
    given = named(positional, args, kwargs)
    if is_whole(given.get("dim")):
        return whole(func, input, given)
    return reduce_along(func, input, given)


@rule("quantile", "nanquantile")
def quantile(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = named("q dim keepdim", args, kwargs)
    if not _only(input, given):
        return NotImplemented
    physical, ndim, count = opened(input)
    kept = given.pop("keepdim", False) and rank(input) > 0
    if given.get("dim") is None:
        given["dim"] = -1
        result = func(flat(input), **given)
    else:
        given["dim"] = shift(given["dim"], ndim, count)
        if given["dim"] is None:
            return NotImplemented
        result = func(physical, keepdim=kept, **given)
        kept = False
    if isinstance(given["q"], torch.Tensor) and given["q"].dim():  # one result for each of q, in front
        result = result.permute(list(range(1, count + 1)) + [0] + list(range(count + 1, result.dim())))
        count += 1
    return again(keep(result, input, count) if kept else result, input)


# What keeps the dimension, and the names and defaults of the arguments.
ALONG = {
    "cumsum": "dim",
    "cumprod": "dim",
    "cummax": "dim",
    "cummin": "dim",
    "logcumsumexp": "dim",
    "sort": "dim descending",
    "argsort": "dim descending",
    "topk": "k dim largest sorted",
    "glu": "dim",
    "normalize": "p dim eps",
}
DEFAULT_DIM = {"sort": -1, "argsort": -1, "topk": -1, "glu": -1, "normalize": 1}


def along(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """An operation along a dimension that stays."""
    given = named(ALONG[func.__name__], args, kwargs)
    if "dim" not in given and func.__name__ in DEFAULT_DIM:
        given["dim"] = DEFAULT_DIM[func.__name__]
    return _keeping(func, input, given)


def _keeping(func: Any, input: Any, given: dict[str, Any]) -> Any:
    physical, ndim, count = opened(input)
    given["dim"] = shift(given.get("dim"), ndim, count)
    if given["dim"] is None or given.get("k") == 0:
        return NotImplemented
    return again(func(physical, **given), input, closed=True)


register(along, ALONG)


@rule("softmax", "log_softmax", "softmin")
def softmax(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    third = "_stacklevel dtype" if len(args) > 1 and isinstance(args[1], int) else "dtype"
    return _keeping(func, input, named("dim " + third, args, kwargs))


@rule("cumsum_", "cumprod_")
def along_in_place(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    result = _keeping(func, input, named("dim", args, kwargs))
    return result if result is NotImplemented else input


@rule("msort")
def msort(func: Any, input: Any) -> Any:
    physical, _, count = opened(input)
    return again(physical.sort(count)[0], input, closed=True)


@rule("diff")
def diff(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    given = named("n dim prepend append", args, kwargs)
    if given.get("prepend") is not None or given.get("append") is not None or not rank(input):
        return NotImplemented
    return _keeping(func, input, {"dim": -1, **given})


@rule("trapz", "trapezoid", "cumulative_trapezoid")
def trapezoids(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    if args or kwargs.get("x") is not None or not rank(input):
        return NotImplemented
    return reduce_along(func, input, {"dim": -1, **kwargs})
