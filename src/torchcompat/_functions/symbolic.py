"""Arithmetic of numbers that a compiler may not know yet; plain numbers where there is no compiler."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import torch

from .._shim import Limit, polyfill
from .._torch import find

__all__ = ["sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not", "sym_sqrt", "sym_sum"]

_SOURCE = "https://github.com/pytorch/pytorch/blob/{}/torch/__init__.py#L{}"
# torch 2.0 has no SymFloat and no SymBool yet where 2.1 has them.
_SYMBOLS: Any = tuple(filter(None, map(find, ("torch.SymInt", "torch.SymFloat", "torch.SymBool"))))


def _is_symbol(value: Any) -> bool:
    return isinstance(value, _SYMBOLS)


_TRACED = Limit("trace", "refuses what torch.jit.trace makes of a size", "fallback")


@polyfill("torch.sym_int", since="2.0", link=_SOURCE.format("v2.0.1", 402))
def sym_int(a: Any) -> Any:
    """An int from a number, or from a string, as ``int()`` makes it; a number that a compiler does not know stays such.

    In torch since 2.0. Fallback: `int`, since older torch has plain numbers alone.

    Args:
        a: what ``int()`` takes. A float is cut off towards zero.
    """
    if _is_symbol(a):  # torchcompat: needs torch >= 2.0
        return a if isinstance(a, torch.SymInt) else math.trunc(a)
    return int(a)


@polyfill("torch.sym_float", since="2.0", link=_SOURCE.format("v2.0.1", 389))
def sym_float(a: Any) -> Any:
    """A float from a number, or from a string; a number that a compiler does not know stays such.

    In torch since 2.0. Fallback: `float`, since older torch has plain numbers alone.

    Args:
        a: what ``float()`` takes.
    """
    return a.__sym_float__() if hasattr(a, "__sym_float__") else float(a)


@polyfill("torch.sym_not", since="2.0", link=_SOURCE.format("v2.0.1", 379))
def sym_not(a: Any) -> Any:
    """The opposite of a condition.

    In torch since 2.0. Fallback: `not`, since older torch has plain conditions alone.

    Args:
        a: anything that is true or false.
    """
    return a.__sym_not__() if hasattr(a, "__sym_not__") else not a


def _extreme(name: str, choose: Any, a: Any, b: Any) -> Any:
    for one, other in ((a, b), (b, a)):
        if _is_symbol(one):
            return getattr(one, name)(other)
    for value in (a, b):
        if not isinstance(value, Real):
            raise AssertionError(f"expected an int or a float, got {type(value)}")
    found = choose(a, b)
    return found if isinstance(a, Integral) and isinstance(b, Integral) else float(found)


_NO_FLOAT = "an int and a float do not always give a float"
_NUMPY = Limit("numpy", "a number of NumPy is an AssertionError", on="native", first="2.4", last="2.4")


@polyfill(
    "torch.sym_max",
    since="2.4",
    link=_SOURCE.format("v2.4.1", 660),
    limits=[_NUMPY, _TRACED],
    reason=_NO_FLOAT,
)
def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers: a float if one of them is, an int if both are.

    In torch since 2.4. Fallback: compares the two, and asks a number that a compiler does not know yet.

    Args:
        a, b: ints or floats, NumPy's included.

    Raises:
        AssertionError: one is something else.
    """
    return _extreme("__sym_max__", max, a, b)


@polyfill(
    "torch.sym_min",
    since="2.4",
    link=_SOURCE.format("v2.4.1", 685),
    limits=[_NUMPY, _TRACED],
    reason=_NO_FLOAT,
)
def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers: a float if one of them is, an int if both are.

    In torch since 2.4. Fallback: compares the two, and asks a number that a compiler does not know yet.

    Args:
        a, b: ints or floats, NumPy's included.

    Raises:
        AssertionError: one is something else.
    """
    return _extreme("__sym_min__", min, a, b)


@polyfill("torch.sym_ite", since="2.2", link=_SOURCE.format("v2.2.2", 499))
def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """One of two numbers of one type: ``t if b else f``.

    In torch since 2.2. Fallback: a conditional expression, since older torch has plain conditions alone.

    Args:
        b: a bool.
        t: what is returned for True.
        f: what is returned for False.

    Raises:
        AssertionError: *b* is no bool, or *t* and *f* are of different types.
    """
    if hasattr(b, "__sym_ite__"):
        return b.__sym_ite__(t, f)
    if not isinstance(b, bool):
        raise AssertionError(f"b must be a bool, got {type(b)}")
    if type(t) is not type(f):
        raise AssertionError(f"t and f must be of one type, got {type(t)} and {type(f)}")
    return t if b else f


@polyfill("torch.sym_sum", since="2.12", link=_SOURCE.format("v2.12.1", 958), reason="takes one list alone")
def sym_sum(*args: Any) -> Any:
    """The sum of numbers.

    In torch since 2.12. Fallback: adds them; torch 2.6 to 2.11 take a list or a tuple, and are asked with one.

    Args:
        args: the numbers, or one list or tuple of them.
    """
    items = args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
    native = find("torch.sym_sum")
    if native is not None and any(map(_is_symbol, items)):
        return native(items)
    return sum(items)


@polyfill("torch.sym_sqrt", since="2.2", link=_SOURCE.format("v2.2.2", 490))
def sym_sqrt(a: Any) -> Any:
    """The square root of a number, as a float.

    In torch since 2.2. Fallback: `math.sqrt`, since older torch has plain numbers alone.

    Args:
        a: a number.

    Raises:
        ValueError: *a* is negative.
    """
    if _is_symbol(a):
        a = sym_float(a)
    return a.__sym_sqrt__() if hasattr(a, "__sym_sqrt__") else math.sqrt(a)
