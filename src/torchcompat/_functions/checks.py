"""Checks that a compiled or exported program can reason about: ``torch._check`` and its kin."""

from __future__ import annotations

from typing import Any

import torch

from .. import _torchscript
from .._shim import SHIMS, Limit, polyfill
from .._torch import find

__all__ = [
    "_assert",
    "_check",
    "_check_index",
    "_check_is_size",
    "_check_not_implemented",
    "_check_tensor_all",
    "_check_type",
    "_check_value",
    "_check_with",
]

_LINK = "https://github.com/pytorch/pytorch/pull/88725"
_LIMITS = [Limit("text", "a message that is a string is a TypeError", on="native", first="2.1", last="2.13")]
_SYMBOLIC = tuple(filter(None, [find("torch.SymBool")]))


def _fail(error_type: Any, message: Any) -> None:
    if not issubclass(error_type, Exception) or issubclass(error_type, Warning):
        raise AssertionError(f"error_type must be an Exception and no Warning, got {error_type}")
    if message is None:
        raise error_type("Expected cond to be True, but got False")
    raise error_type(str(message() if callable(message) else message))


def _require(error_type: Any, cond: Any, message: Any) -> None:
    if not isinstance(cond, (bool, *_SYMBOLIC)):
        hint = "; for tensors there is _check_tensor_all" if isinstance(cond, torch.Tensor) else ""
        raise TypeError(f"cond must be a bool, but got {type(cond)}{hint}")
    if not cond:
        _fail(error_type, message)


@polyfill("torch._check", since="2.1", link=_LINK, limits=_LIMITS)
def _check(cond: Any, message: Any = None) -> None:
    """Raise RuntimeError unless a condition holds.

    In torch since 2.1. Fallback: tests the condition; a compiler that learns from it, no older torch has.
    https://docs.pytorch.org/docs/stable/compile/programming_model.html

    Args:
        cond: a bool.
        message: of the error: a string, or a function without arguments that returns one.

    Raises:
        RuntimeError: *cond* is False.
        TypeError: *cond* is no bool.
    """
    _require(RuntimeError, cond, message)


@polyfill("torch._check_index", since="2.1", link=_LINK, limits=_LIMITS)
def _check_index(cond: Any, message: Any = None) -> None:
    """Raise IndexError unless a condition holds.

    In torch since 2.1. Fallback: tests the condition.

    Args:
        cond, message: as for ``_check``.

    Raises:
        IndexError: *cond* is False.
        TypeError: *cond* is no bool.
    """
    _require(IndexError, cond, message)


@polyfill("torch._check_value", since="2.1", link=_LINK, limits=_LIMITS)
def _check_value(cond: Any, message: Any = None) -> None:
    """Raise ValueError unless a condition holds.

    In torch since 2.1. Fallback: tests the condition.

    Args:
        cond, message: as for ``_check``.

    Raises:
        ValueError: *cond* is False.
        TypeError: *cond* is no bool.
    """
    _require(ValueError, cond, message)


@polyfill("torch._check_type", since="2.1", link=_LINK, limits=_LIMITS)
def _check_type(cond: Any, message: Any = None) -> None:
    """Raise TypeError unless a condition holds.

    In torch since 2.1. Fallback: tests the condition.

    Args:
        cond, message: as for ``_check``.

    Raises:
        TypeError: *cond* is False, or no bool.
    """
    _require(TypeError, cond, message)


@polyfill("torch._check_not_implemented", since="2.1", link=_LINK, limits=_LIMITS)
def _check_not_implemented(cond: Any, message: Any = None) -> None:
    """Raise NotImplementedError unless a condition holds.

    In torch since 2.1. Fallback: tests the condition.

    Args:
        cond, message: as for ``_check``.

    Raises:
        NotImplementedError: *cond* is False.
        TypeError: *cond* is no bool.
    """
    _require(NotImplementedError, cond, message)


@polyfill("torch._check_with", since="2.1", link=_LINK, limits=_LIMITS)
def _check_with(error_type: Any, cond: Any, message: Any) -> None:
    """Raise an error of a given type unless a condition holds.

    In torch since 2.1. Fallback: tests the condition.

    Args:
        error_type: a subclass of Exception, and none of Warning.
        cond, message: as for ``_check``.

    Raises:
        error_type: *cond* is False.
        TypeError: *cond* is no bool.
        AssertionError: *cond* is False, and *error_type* is something else.
    """
    _require(error_type, cond, message)


@polyfill("torch._check_tensor_all", since="2.1", link=_LINK, limits=_LIMITS)
def _check_tensor_all(cond: Any, message: Any = None) -> None:
    """Raise RuntimeError unless all elements of a tensor are True.

    In torch since 2.1. Fallback: tests the elements, which waits for the tensor's device, as torch's own does.

    Args:
        cond: a tensor of bools.
        message: as for ``_check``.

    Raises:
        RuntimeError: an element is False.
        TypeError: *cond* is something else.
    """
    if not isinstance(cond, torch.Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype != torch.bool:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond.dtype}")
    # Torch 1.2 has no all() of bools without elements.
    _require(RuntimeError, bool(cond.all()) if cond.numel() else True, message)


@polyfill(
    "torch._check_is_size",
    since="2.7",
    link="https://github.com/pytorch/pytorch/pull/144471",
    limits=[
        Limit("text", "a message that is a string is a TypeError", on="native", first="2.7", last="2.13"),
    ],
    reason="no `max`",
)
def _check_is_size(i: Any, message: Any = None, *, max: Any = None) -> None:
    """Raise RuntimeError unless a number can be a size.

    In torch since 2.7. Fallback: compares the number; torch 2.2 to 2.6 tell their compiler that it is a size.

    Args:
        i: an int.
        message: as for ``_check``.
        max: the largest int that is accepted. None: any.

    Raises:
        RuntimeError: *i* is negative, or larger than *max*.
    """
    _require(RuntimeError, i >= 0, message)
    # What the compiler can learn is of numbers that it does not know yet.
    if type(i) is not int and _torchs_is_size is not None:
        _torchs_is_size(i)
    if max is not None:
        _require(RuntimeError, i <= max, message)


_torchs_is_size: Any = find("torch._check_is_size")


@polyfill(
    "torch._assert",
    since="1.8",
    link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/__init__.py#L587",
)
def _assert(condition: Any, message: Any) -> None:
    """Assert a condition in a way that a symbolic trace keeps.

    In torch since 1.8. Fallback: an assertion; symbolic traces came with 1.8, too.

    Args:
        condition: anything that is true or false.
        message: of the error.

    Raises:
        AssertionError: *condition* is false.
    """
    if not condition:
        raise AssertionError(message)


_torchscript.compile_instead(SHIMS["_assert"].fallback, _torchscript.assert_bool)
