"""Operations that treat every element by itself: the batch is just more elements.

One trap: a sample without dimensions weighs less in type promotion than one with dimensions, and the batch of such
samples has dimensions. Left to the loop: what has no place in networks, as the orthogonal polynomials of torch.special.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ..._torch import at_least
from .._batched import (
    BatchedTensor,
    each,
    levels_of,
    lift,
    physical_of,
    rank,
    refuse_wider,
    register,
    rule,
    wrap,
)

ARITHMETIC = ["add", "sub", "mul", "truediv", "div", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"]
OPERATORS = ["__neg__", "__pos__", "__abs__", "__invert__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"]
OPERATORS += [f"__{kind}{name}__" for name in ARITHMETIC for kind in ("", "r")]

UNARY = """
    abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bitwise_not
    ceil conj conj_physical cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac i0 imag
    isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit mvlgamma
    nan_to_num neg negative polygamma positive rad2deg real reciprocal relu resolve_conj resolve_neg round rsqrt
    sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc detach view_as_real .real .imag .data

    celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid logsigmoid mish relu6 selu silu
    softplus softshrink softsign tanhshrink threshold _threshold

    special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 special_digamma
    special_entr special_erf special_erfc special_erfcx special_erfinv special_exp2 special_expit special_expm1
    special_gammaln special_i0 special_i0e special_i1 special_i1e special_log1p special_log_ndtr special_logit
    special_multigammaln special_ndtr special_ndtri special_polygamma special_psi special_round special_sinc
"""

# These may ask for a memory format. One of channels only decides how fast what follows is, and may not fit the batch.
COPIES = """
    clone contiguous float double half bfloat16 int long short char byte bool cfloat cdouble chalf cuda cpu
    zeros_like ones_like full_like empty_like
"""

BINARY = """
    add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power rsub addcmul
    addcdiv atan2 arctan2 hypot copysign nextafter ldexp gcd lcm heaviside logaddexp logaddexp2 xlogy igamma
    igammac lerp complex polar eq ne lt le gt ge not_equal less less_equal greater greater_equal isclose maximum
    minimum fmax fmin clamp clip clamp_min clamp_max logical_and logical_or logical_xor bitwise_and bitwise_or
    bitwise_xor bitwise_left_shift bitwise_right_shift special_gammainc special_gammaincc special_xlog1py
    special_xlogy special_zeta
"""

IN_PLACE = [f"__i{name}__" for name in ARITHMETIC] + ["zero_", "copy_"]
IN_PLACE += [
    name + "_"
    for name in (UNARY + BINARY).split()
    if any(hasattr(where, name + "_") for where in (torch, torch.Tensor, F))
]


def _tensors(args: Any, kwargs: Any) -> list[Any]:
    return [value for value in list(args) + list(kwargs.values()) if isinstance(value, torch.Tensor)]


def _logical_dtype(tensors: Any) -> Any:  # torchcompat: needs torch >= 1.7
    """The dtype of the operation on one sample, in which a tensor without dimensions weighs less than others."""
    samples = [torch.empty([1] * min(rank(tensor), 1), dtype=tensor.dtype) for tensor in tensors]
    result = samples[0]
    for sample in samples[1:]:
        dtype = torch.result_type(result, sample)
        result = torch.empty([1] * max(result.dim(), sample.dim()), dtype=dtype)
    return result.dtype


def _promoted(tensors: Any) -> Any:
    """The dtype that samples without dimensions are to have for torch to find the right one; None: as they are."""
    if len({tensor.dtype for tensor in tensors}) > 1 and min(map(rank, tensors)) == 0:
        return _logical_dtype(tensors)
    return None


def align(args: Any, kwargs: Any, promote: bool = True) -> tuple[list[Any], dict[str, Any], Any]:
    """The arguments of a pointwise operation as physical tensors that broadcast, and their levels."""
    tensors = _tensors(args, kwargs)
    levels = levels_of(*tensors)
    ndim = max(map(rank, tensors))
    cast = _promoted(tensors) if promote else None

    def physical(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        result = lift(value, levels, ndim) if type(value) is BatchedTensor else value
        return result.to(cast) if cast is not None and not rank(value) else result

    return [physical(value) for value in args], {name: physical(value) for name, value in kwargs.items()}, levels


# x == None: the wrapped operators of torch 1.x leave the answer to Python.
UNEQUAL = {"eq": False, "__eq__": False, "ne": True, "__ne__": True}


def pointwise(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Any pointwise operation of tensors that broadcast."""
    aligned, named, levels = align(args, kwargs)
    result = func(*aligned, **named)
    if isinstance(result, torch.Tensor):
        return wrap(result, levels)
    return UNEQUAL.get(func.__name__, result) if result is NotImplemented else result


def unary(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """A pointwise operation of one tensor; other arguments are no tensors that are mapped over."""
    if type(input) is not BatchedTensor or levels_of(args, kwargs):
        return pointwise(func, input, *args, **kwargs)
    return _same_or_wrapped(func(input._physical, *args, **kwargs), input)


def _same_or_wrapped(result: Any, input: Any) -> Any:
    """*input* itself if that is what the operation returned: contiguous(), relu(inplace=True)."""
    return input if result is input._physical else wrap(result, input._levels)


def in_place(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """A pointwise operation that writes to its first argument."""
    others = _tensors(args, kwargs)
    refuse_wider(func.__name__, input, levels_of(input, others))
    if any(rank(other) > rank(input) for other in others):
        return NotImplemented  # which torch refuses, even where the sizes are 1
    physical, named, _ = align((input, *args), kwargs, promote=False)
    func(*physical, **named)
    return input


register(unary, UNARY.split())
register(pointwise, BINARY.split() + OPERATORS)
register(in_place, IN_PLACE)


FORMATS = (torch.contiguous_format, torch.preserve_format)  # those that are the sample's if they are the batch's


def _of_channels(value: Any) -> bool:
    return isinstance(value, torch.memory_format) and value not in FORMATS


def _without_channels(args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    named = {name: value for name, value in kwargs.items() if not _of_channels(value)}
    return tuple(value for value in args if not _of_channels(value)), named


@rule(*COPIES.split())
def copy(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    args, kwargs = _without_channels(args, kwargs)
    return unary(func, input, *args, **kwargs)


@rule("to", "type_as")
def to(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    args, kwargs = _without_channels(args, kwargs)
    args = tuple(physical_of(value) for value in args)
    kwargs = {name: physical_of(value) for name, value in kwargs.items()}
    if type(input) is not BatchedTensor:
        return func(input, *args, **kwargs)
    return _same_or_wrapped(func(input._physical, *args, **kwargs), input) if args or kwargs else input


@rule("frexp")
def frexp(func: Any, input: Any) -> Any:
    return each(func(physical_of(input)), lambda tensor: wrap(tensor, levels_of(input)))


@rule("isin")
def among_plain(func: Any, input: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
    """Pointwise, as long as the *values* to look among are the same for all samples."""
    if type(input) is not BatchedTensor or levels_of(values):
        return NotImplemented
    return wrap(func(input._physical, values, *args, **kwargs), input._levels)


@rule("result_type")
def result_type(func: Any, tensor1: Any, tensor2: Any) -> Any:
    samples = [
        torch.empty([1] * min(rank(value), 1), dtype=value.dtype) if isinstance(value, torch.Tensor) else value
        for value in (tensor1, tensor2)
    ]
    return func(*samples)


WHERE_PROMOTES = at_least(1, 12)


@rule("where")
def where(func: Any, *args: Any, **kwargs: Any) -> Any:
    if len(args) + len(kwargs) == 1:
        raise RuntimeError("vmap: torch.where(condition) has another number of results for each sample")
    values = [args[0] if func is torch.Tensor.where else args[1], args[2]] if len(args) == 3 else list(args[1:])
    values += [value for name, value in kwargs.items() if name != "condition"]
    cast = _promoted(_tensors(values, {})) if WHERE_PROMOTES and _tensors(values, {}) else None
    if cast is not None:
        low = [id(value) for value in values if isinstance(value, torch.Tensor) and not rank(value)]
        args = tuple(value.to(cast) if id(value) in low else value for value in args)
        kwargs = {name: value.to(cast) if id(value) in low else value for name, value in kwargs.items()}
    aligned, named, levels = align(args, kwargs, promote=False)
    return wrap(func(*aligned, **named), levels)


@rule("masked_fill")
def masked_fill(func: Any, input: Any, mask: Any, value: Any) -> Any:
    (first, second, third), _, levels = align((input, mask, value), {}, promote=False)
    if levels_of(value):
        if rank(value):
            return NotImplemented
        return wrap(torch.where(second, third.to(first.dtype), first), levels)
    return wrap(func(first, second, third), levels)


@rule("masked_fill_")
def masked_fill_in_place(func: Any, input: Any, mask: Any, value: Any) -> Any:
    if not levels_of(value):
        return in_place(func, input, mask, value)
    refuse_wider("masked_fill_", input, levels_of(input, mask, value))
    if rank(mask) > rank(input) or rank(value):
        return NotImplemented
    physical_of(input).copy_(physical_of(masked_fill(None, input, mask, value)))
    return input


@rule("fill_")
def fill_in_place(func: Any, input: Any, value: Any) -> Any:
    if not levels_of(value):
        func(physical_of(input), value)
        return input
    refuse_wider("fill_", input, levels_of(input, value))
    if rank(value):
        return NotImplemented
    physical_of(input).copy_(lift(value, levels_of(input), rank(input)))
    return input


@rule("fill")
def fill(func: Any, input: Any, value: Any) -> Any:
    if type(input) is not BatchedTensor or levels_of(value):
        return NotImplemented
    return wrap(func(input._physical, value), input._levels)
