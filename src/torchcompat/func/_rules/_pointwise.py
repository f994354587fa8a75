"""Operations that treat every element by itself: the batch is just more elements."""

from __future__ import annotations

from typing import Any

import torch

from .._batched import BatchedTensor, levels_of, lift, physical_of, rank, refuse_wider, register, rule, wrap

OPERATORS = (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __div__ __rdiv__ __floordiv__ "
    "__rfloordiv__ __mod__ __rmod__ __pow__ __rpow__ __neg__ __pos__ __abs__ __invert__ __and__ __rand__ __or__ __ror__ "
    "__xor__ __rxor__ __lshift__ __rshift__ __rlshift__ __rrshift__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__"
)
UNARY = (
    "abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bitwise_not ceil "
    "conj conj_physical resolve_conj resolve_neg cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac "
    "i0 imag real isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit mvlgamma "
    "nan_to_num neg negative polygamma positive rad2deg reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc "
    "sinh sqrt square tan tanh trunc relu6 leaky_relu selu celu elu gelu silu mish hardswish hardsigmoid hardtanh "
    "hardshrink softshrink tanhshrink softsign softplus logsigmoid log_sigmoid threshold erfcx special_erf special_expit "
    "special_log1p special_expm1 special_gammaln special_digamma special_entr special_i0e special_i1 special_i1e special_ndtr "
    "view_as_real_ clone detach contiguous float double half bfloat16 int long short char byte bool cfloat cdouble cuda cpu "
    "to alias zeros_like ones_like full_like rand_like_ empty_like fill frexp_ .real .imag .data"
)
BINARY = (
    "add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power atan2 arctan2 eq ne lt "
    "le gt ge not_equal less less_equal greater greater_equal maximum minimum fmax fmin logical_and logical_or logical_xor "
    "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift rsub heaviside hypot copysign nextafter "
    "logaddexp logaddexp2 xlogy special_xlogy special_xlog1py special_zeta isclose ldexp gcd lcm prelu_ dist_ type_as "
    "lerp addcmul addcdiv clamp clip clamp_min clamp_max masked_fill where_ "
)


def _tensors(args: Any, kwargs: Any) -> list[Any]:
    return [value for value in list(args) + list(kwargs.values()) if isinstance(value, torch.Tensor)]


def _logical_dtype(tensors: Any) -> Any:
    """The dtype of the operation on one sample, in which a tensor without dimensions weighs less than others."""
    samples = [torch.empty([1] * min(rank(tensor), 1), dtype=tensor.dtype) for tensor in tensors]
    result = samples[0]
    for sample in samples[1:]:
        dtype = torch.result_type(result, sample)
        result = torch.empty([1] * max(result.dim(), sample.dim()), dtype=dtype)
    return result.dtype


def align(args: Any, kwargs: Any, promote: bool = True) -> tuple[list[Any], dict[str, Any], Any]:
    """The arguments of a pointwise operation as physical tensors that broadcast, and their levels."""
    tensors = _tensors(args, kwargs)
    levels = levels_of(*tensors)
    ndim = max(map(rank, tensors))
    cast = None
    if promote and len({tensor.dtype for tensor in tensors}) > 1 and min(map(rank, tensors)) == 0:
        cast = _logical_dtype(tensors)

    def physical(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        result = lift(value, levels, ndim) if type(value) is BatchedTensor else value
        return result.to(cast) if cast is not None and not rank(value) else result

    return [physical(value) for value in args], {name: physical(value) for name, value in kwargs.items()}, levels


def pointwise(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Any pointwise operation of tensors that broadcast."""
    args, kwargs, levels = align(args, kwargs)
    return wrap(func(*args, **kwargs), levels)


def unary(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """A pointwise operation of one tensor; other arguments are no tensors that are mapped over."""
    if type(input) is not BatchedTensor or levels_of(args, kwargs):
        return pointwise(func, input, *args, **kwargs)
    return wrap(func(input._physical, *args, **kwargs), levels_of(input))


def in_place(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """A pointwise operation that writes to its first argument."""
    refuse_wider(func.__name__, input, levels_of(input, args, kwargs))
    physical, named, _ = align((input,) + args, kwargs, promote=False)
    func(*physical, **named)
    return input


register(unary, UNARY.split())
register(pointwise, BINARY.split() + OPERATORS.split())


@rule("where")
def where(func: Any, condition: Any, *args: Any, **kwargs: Any) -> Any:
    if not (args or kwargs):
        raise RuntimeError("vmap: torch.where(condition) has another number of results for each sample")
    (condition, *rest), named, levels = align((condition,) + args, kwargs, promote=False)
    return wrap(func(condition, *rest, **named), levels)
