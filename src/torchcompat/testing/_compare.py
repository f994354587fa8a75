"""Comparison of tensors and of what holds them, with words for what differs."""

from __future__ import annotations

import math
from collections import abc
from typing import Any, NamedTuple

import torch

# (relative, absolute) tolerances. What is not listed is compared exactly.
_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
    **dict.fromkeys(("quint8", "quint4x2", "quint2x4", "qint8", "qint32"), (1.3e-6, 1e-5)),
}


class How(NamedTuple):
    """The keywords of ``assert_close``."""

    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _tolerances(how: How, *dtypes: Any) -> tuple[float, float]:
    if how.rtol is not None and how.atol is not None:
        return how.rtol, how.atol
    found = [_TOLERANCES.get(_name(dtype), (0.0, 0.0)) for dtype in dtypes]
    return max(pair[0] for pair in found), max(pair[1] for pair in found)


def difference(actual: Any, expected: Any, how: How, where: str = "") -> str | None:
    """What differs, or None."""
    found = _difference(actual, expected, how, where)
    if found is None or "\x00" in found:
        return found if where else found and found.replace("\x00", "")
    return found + (f"\n\nThe failure occurred for item {where}\x00" if where else "")


def _difference(actual: Any, expected: Any, how: How, where: str) -> str | None:
    if actual is None or expected is None:
        return None if actual is expected else f"None mismatch: {actual} is not {expected}"
    if isinstance(actual, torch.Tensor) and isinstance(expected, torch.Tensor):
        related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
        if type(actual) is type(expected) or (how.allow_subclasses and related):
            return _tensors(actual, expected, how)
    elif _is_number(actual) and _is_number(expected):
        return _numbers(actual, expected, how)
    elif _is_array(actual) and _is_array(expected):
        return _tensors(torch.as_tensor(actual), torch.as_tensor(expected), how)
    elif isinstance(actual, abc.Mapping) and isinstance(expected, abc.Mapping):
        return _mappings(actual, expected, how, where)
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
        pairs = ((f"[{i}]", one, other) for i, (one, other) in enumerate(zip(actual, expected)))
        return _first(pairs, how, where)
    raise TypeError(f"{type(actual)} and {type(expected)} are not compared{f' (item {where})' if where else ''}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, complex))


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "__array__")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, abc.Sequence) and not isinstance(value, (str, bytes))


def _mappings(actual: Any, expected: Any, how: How, where: str) -> str | None:
    missing, more = set(expected) - set(actual), set(actual) - set(expected)
    if missing or more:
        words = "The keys of the mappings do not match:"
        words += f"\nMissing keys in the actual mapping: {sorted(missing, key=str)}" if missing else ""
        return words + (f"\nAdditional keys in the actual mapping: {sorted(more, key=str)}" if more else "")
    return _first(((f"[{key!r}]", actual[key], expected[key]) for key in actual), how, where)


def _first(pairs: Any, how: How, where: str) -> str | None:
    found = (difference(one, other, how, where + step) for step, one, other in pairs)
    return next((each for each in found if each is not None), None)


def _numbers(actual: Any, expected: Any, how: How) -> str | None:
    if how.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    dtypes = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}
    rtol, atol = _tolerances(how, *(dtypes.get(type(each), "float64") for each in (actual, expected)))
    gap = abs(actual - expected)
    if actual == expected or gap <= atol + rtol * abs(expected) < math.inf:
        return None
    if how.equal_nan and actual != actual and expected != expected:
        return None
    word, allowed = _words(rtol, atol)
    relative = gap / abs(expected) if expected else math.inf
    return (
        f"Scalars are not {word}!\n\nExpected {expected} but got {actual}.\n"
        f"Absolute difference: {gap}{allowed(atol)}\nRelative difference: {relative}{allowed(rtol)}"
    )


def _words(rtol: float, atol: float) -> Any:
    exact = rtol == 0 and atol == 0
    return ("equal" if exact else "close"), (lambda number: "" if exact else f" (up to {number} allowed)")


def _tensors(actual: Any, expected: Any, how: How) -> str | None:
    checks = [("shape", True), ("layout", how.check_layout), ("device", how.check_device), ("dtype", how.check_dtype)]
    for name, wanted in checks:
        one, other = getattr(actual, name), getattr(expected, name)
        if wanted and one != other:
            return f"The values for attribute {name!r} do not match: {one} != {other}."
    if how.check_stride and actual.stride() != expected.stride():
        return f"The values for attribute 'stride()' do not match: {actual.stride()} != {expected.stride()}."
    rtol, atol = _tolerances(how, actual.dtype, expected.dtype)
    one, other = _plain(actual), _plain(expected)
    # Integers as such, since float64 does not tell those above 2**53 apart.
    same = one == other
    gap, size = (one - other).abs().double(), other.abs().double()
    close = same | ((gap <= atol + rtol * size) & (size < math.inf) & (gap < math.inf))
    if how.equal_nan:
        close = close | ((one != one) & (other != other))
    return None if bool(close.all()) else _table(gap, size, ~close, rtol, atol)


def _plain(tensor: Any) -> Any:
    """A dense tensor on the CPU, of a dtype in which differences are exact enough."""
    tensor = tensor.detach()
    if getattr(tensor, "is_quantized", False):
        tensor = tensor.dequantize()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.cpu()
    if "complex" in str(tensor.dtype):
        return tensor.to(torch.complex128)
    return tensor.to(torch.float64 if tensor.is_floating_point() else torch.int64).reshape(tensor.shape)


def _table(gap: Any, size: Any, wrong: Any, rtol: float, atol: float) -> str:
    word, allowed = _words(rtol, atol)
    number, total = int(wrong.sum()), wrong.numel()
    lines = [f"Tensor-likes are not {word}!", ""]
    if total and gap.dim():
        lines.append(f"Mismatched elements: {number} / {total} ({number / total:.1%})")
    for name, values, limit in (("absolute", gap, atol), ("relative", gap / size, rtol)):
        # Those that match are left out: a difference of zero from zero would be NaN.
        chosen = torch.where(wrong, values, torch.full_like(values, -1.0)).reshape(-1)
        at = int(torch.where(chosen != chosen, torch.full_like(chosen, math.inf), chosen).argmax())
        place = _index(at, gap.shape)
        lines.append(f"Greatest {name} difference: {float(chosen[at])} at index {place}{allowed(limit)}")
    return "\n".join(lines)


def _index(flat: int, shape: Any) -> tuple[int, ...]:
    found: list[int] = []
    for length in reversed(shape):
        found.insert(0, flat % length)
        flat //= length
    return tuple(found)
