"""Type promotion, by the rules of torch 2.15, on every torch. No fallback relies on what the torch below it does.

Torch 1.2 promotes nothing and refuses mixed dtypes; what came after came in pieces, up to 1.13. The rules stand at
https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc.
"""

from __future__ import annotations

import numbers
from typing import Any, Iterable

import torch
from torch import Tensor

from .._shim import SHIMS, Limit, polyfill
from .._torch import UnsupportedError, find
from .._torchscript import script_as

__all__ = ["can_cast", "promote_types", "result_type"]

# Kinds from the weakest to the strongest. Within a kind the wider dtype wins; of these all but uint8 are ordered.
BOOL, INTEGER, FLOATING, COMPLEX = range(4)
_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64)
_PARTS = {torch.complex128: torch.float64, torch.complex64: torch.float32}  # a complex dtype: that of its parts
_COMPLEX_OF = {torch.float16: torch.complex64, torch.bfloat16: torch.complex64}
# Torch 1.11 took the name of the first away for a while, and the second is new in 2.15.
for _name, _part in (("torch.complex32", torch.float16), ("torch.bcomplex32", torch.bfloat16)):
    if find(_name) is not None:
        _PARTS[find(_name)] = _part
_COMPLEX_OF.update((part, whole) for whole, part in _PARTS.items())
_FLOATING = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_KIND = {torch.bool: BOOL, torch.uint8: INTEGER}
_KIND.update(dict.fromkeys(_INTEGERS, INTEGER))
_KIND.update(dict.fromkeys(_FLOATING, FLOATING))
_KIND.update(dict.fromkeys(_PARTS, COMPLEX))
# Torch promotes these, from 2.3 on, to floating point and nothing else.
_UNSIGNED = {find(f"torch.uint{bits}") for bits in (1, 2, 3, 4, 5, 6, 7, 16, 32, 64)} - {None}
_UNSIGNED_AND_WIDE = {find(f"torch.uint{bits}") for bits in (16, 32, 64)} - {None}


def _wider_integer(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    if torch.uint8 in (one, other):
        signed = other if one is torch.uint8 else one
        return torch.int16 if signed is torch.int8 else signed
    return max(one, other, key=_INTEGERS.index)


def _wider_float(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    # Neither half nor bfloat16 holds all values of the other.
    return torch.float64 if torch.float64 in (one, other) else torch.float32


def _wider_complex(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    parts = _PARTS.get(one, one), _PARTS.get(other, other)
    part = parts[0] if parts[0] is parts[1] else _wider_float(*parts)
    return _COMPLEX_OF[part]


def _promoted(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    for unsigned, partner in ((one, other), (other, one)):
        if unsigned in _UNSIGNED and partner in _FLOATING:
            return partner
    if one not in _KIND or other not in _KIND:
        raise RuntimeError(f"type1 and type2 must be dtypes with a common one: torch promotes not {one} with {other}")
    weak, strong = sorted((one, other), key=_KIND.__getitem__)
    if _KIND[weak] == _KIND[strong]:
        return {INTEGER: _wider_integer, FLOATING: _wider_float, COMPLEX: _wider_complex}[_KIND[weak]](one, other)
    return _wider_complex(one, other) if (_KIND[weak], _KIND[strong]) == (FLOATING, COMPLEX) else strong


_known: dict[tuple[torch.dtype, torch.dtype], torch.dtype] = {}


def join(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    """The least dtype that both promote to."""
    if one is other:
        return one
    found = _known.get((one, other))
    if found is None:
        found = _known[one, other] = _promoted(one, other)
    return found


def number_dtype(value: Any) -> torch.dtype:
    """The dtype that a Python or NumPy number promotes as: it weighs less than any tensor."""
    if isinstance(value, bool):
        return torch.bool
    if isinstance(value, numbers.Integral):
        return torch.int64
    if isinstance(value, numbers.Real):
        return torch.get_default_dtype()
    return _COMPLEX_OF[torch.get_default_dtype()]


def is_complex(dtype: torch.dtype) -> bool:
    """Whether *dtype* is a complex one; torch 1.2 has no ``dtype.is_complex``."""
    return dtype in _PARTS


def _under(strong: torch.dtype | None, weak: torch.dtype | None) -> torch.dtype | None:
    """What *strong*, of tensors with dimensions, becomes by *weak*, of what weighs less."""
    if strong is None or weak is None or strong is weak:
        return weak if strong is None else strong
    if is_complex(strong):
        return strong
    if strong.is_floating_point:
        return _wider_complex(strong, strong) if is_complex(weak) else strong
    if is_complex(weak):
        return weak
    return join(strong, weak) if strong is torch.bool or weak.is_floating_point else strong


def dtype_of(values: Iterable[Any]) -> torch.dtype:
    """The dtype in which torch computes with *values*, tensors and numbers of any count."""
    # Tensors with dimensions, those without, and numbers.
    found: list[torch.dtype | None] = [None, None, None]
    for value in values:
        tensor = isinstance(value, Tensor)
        at = (0 if value.dim() else 1) if tensor else 2
        dtype = value.dtype if tensor else number_dtype(value)
        before = found[at]
        found[at] = dtype if before is None else join(before, dtype)
    result = _under(found[0], _under(found[1], found[2]))
    assert result is not None, "no value to find the dtype of"
    return result


def as_tensor(value: Any, dtype: torch.dtype, device: Any) -> Tensor:
    """*value* as a tensor of *dtype*; a number becomes one without dimensions on *device*."""
    if isinstance(value, Tensor):
        return value if value.dtype is dtype else value.to(dtype)
    return torch.tensor(value, dtype=dtype, device=device)


def _device_of(values: Iterable[Any]) -> Any:
    """Where to put a number: beside the first tensor with dimensions, or else the first tensor."""
    found = None
    for value in values:
        if isinstance(value, Tensor):
            if value.dim():
                return value.device
            found = found or value.device
    return found


def _cast(values: tuple[Any, ...], dtype: torch.dtype) -> list[Tensor]:
    device = _device_of(values)
    return [as_tensor(value, dtype, device) for value in values]


def _common(values: tuple[Any, ...]) -> torch.dtype | None:
    """The dtype of *values* if they are tensors of one dtype, which is what they mostly are."""
    dtype = None
    for value in values:
        if not isinstance(value, Tensor) or (dtype is not None and value.dtype is not dtype):
            return None
        dtype = value.dtype
    return dtype


def promote(*values: Any) -> list[Tensor]:
    """*values*, tensors and numbers, as tensors of the dtype in which torch computes with them.

    What has that dtype already is returned as it is. Shapes are left alone.
    """
    return list(values) if _common(values) is not None else _cast(values, dtype_of(values))


def as_float(*values: Any) -> list[Tensor]:
    """As :func:`promote`, and integers and bools become tensors of the default dtype, as where torch divides."""
    dtype = _common(values) or dtype_of(values)
    if dtype not in _FLOATING and not is_complex(dtype):
        dtype = torch.get_default_dtype()
    return _cast(values, dtype)


def check_tensors(function: str, **arguments: Any) -> None:
    """Raise TypeError, as torch does, if one of the *arguments* of the *function* is no tensor."""
    for name, value in arguments.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{function}(): {name} must be a Tensor, got {type(value).__name__}")


def check_numbers(function: str, **arguments: Any) -> None:
    """Raise TypeError if one of the *arguments* of the *function* is neither a tensor nor a number."""
    for name, value in arguments.items():
        if not isinstance(value, (Tensor, numbers.Number)):
            raise TypeError(f"{function}(): {name} must be a Tensor or a number, got {type(value).__name__}")


def refuse_out(function: str, out: Any) -> None:
    """Raise UnsupportedError if a fallback of *function* was asked to write to *out*."""
    if out is not None:
        raise UnsupportedError(
            f"{function}(): out= is not supported on torch {torch.__version__}: leave it out, and copy the result "
            "with out.copy_(...)"
        )


def _check_dtypes(function: str, **arguments: Any) -> None:
    for name, value in arguments.items():
        if not isinstance(value, torch.dtype):
            raise TypeError(f"{function}(): {name} must be a torch.dtype, got {type(value).__name__}")


@polyfill(
    "torch.promote_types",
    since="1.3",
    link="https://github.com/pytorch/pytorch/blob/v1.3.1/torch/_torch_docs.py#L4049",
    limits=[
        Limit(
            "young_dtypes",
            "`bfloat16` with another dtype, and complex dtypes with `bool` or, on the first, integers: RuntimeError.",
            on="native",
            first="1.3",
            last="1.6",
        ),
        Limit("float8", "8-bit floating-point dtypes: RuntimeError, two of a kind as well.", "native", "2.1", "2.1"),
        Limit("unsigned", "`uint16` and its like with a floating-point dtype: RuntimeError.", "native", "2.3", "2.3"),
        Limit("complex32", "`complex32` with another dtype: RuntimeError.", on="native", first="1.3", last="1.10"),
    ],
)
def promote_types(type1: torch.dtype, type2: torch.dtype) -> torch.dtype:
    """Find the least dtype that two dtypes both promote to.

    In torch since 1.3. Fallback: the rules of torch 2.15, written down.
    https://docs.pytorch.org/docs/stable/generated/torch.promote_types.html

    Args:
        type1: a dtype.
        type2: a dtype.

    Returns:
        A dtype: of the stronger kind, of bool, integer, floating point and complex, and there the smallest that holds
        the values of both. ``uint8`` and ``int8`` give ``int16``; ``float16`` and ``bfloat16`` give ``float32``.

    Raises:
        RuntimeError: torch promotes the two not, such as quantized and 8-bit floating-point dtypes.
        TypeError: something is no dtype.
    """
    _check_dtypes("promote_types", type1=type1, type2=type2)
    return join(type1, type2)


@polyfill(
    "torch.result_type",
    since="1.12",
    link="https://github.com/pytorch/pytorch/blob/v1.12.1/torch/_torch_docs.py#L8479",
    limits=[
        Limit("scripted", "A scripted function calls torch's own, with what it lacks.", "fallback", "1.3", "1.11"),
    ],
    reason="a `complex128` without dimensions makes a `float32` with dimensions `complex128`",
)
def result_type(tensor: Any, other: Any) -> torch.dtype:
    """Find the dtype of the result of an arithmetic operation on two tensors or numbers.

    In torch since 1.12. Fallback: the rules of torch 2.15, written down.
    https://docs.pytorch.org/docs/stable/generated/torch.result_type.html

    Args:
        tensor: a tensor or number.
        other: a tensor or number.

    Returns:
        A dtype. What weighs less decides only if it is of a stronger kind: a number weighs less than a tensor without
        dimensions, and that less than a tensor with dimensions.

    Raises:
        RuntimeError: torch promotes the two dtypes not.
        TypeError: something is neither a tensor nor a number.
    """
    check_numbers("result_type", tensor=tensor, other=other)
    return dtype_of((tensor, other))


@polyfill(
    "torch.can_cast",
    since="2.4",
    link="https://github.com/pytorch/pytorch/blob/v2.4.1/torch/_torch_docs.py#L2196",
    reason="its parameter is named from, which no call can spell",
)
def can_cast(from_: torch.dtype, to: torch.dtype) -> bool:
    """Whether torch casts from one dtype to another where it writes a result.

    In torch since 2.4. Fallback: compares the kinds of the two.
    https://docs.pytorch.org/docs/stable/generated/torch.can_cast.html

    Args:
        from_: the dtype of the result.
        to: the dtype of the tensor that it is written to.

    Returns:
        False from complex to anything else, from floating point to integers and bool, and from integers to bool; else
        True, even where values are lost.

    Raises:
        TypeError: something is no dtype.
    """
    _check_dtypes("can_cast", from_=from_, to=to)
    if is_complex(from_) and not is_complex(to):
        return False
    if from_.is_floating_point and (_KIND.get(to) == INTEGER or to in _UNSIGNED_AND_WIDE):
        return False
    return to is not torch.bool or from_ is torch.bool


# Up to torch 2.2 its own differs in the name of a parameter alone.
script_as(SHIMS["can_cast"].fallback, "aten::can_cast")
script_as(SHIMS["result_type"].fallback, "aten::result_type")
