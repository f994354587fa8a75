"""What is called without a mapped tensor, and yet has to know of a transform: draws, ``torch.autograd.grad``, writes.

From torch 1.13 on a torch-function mode sees every call; below, see :class:`torchcompat.func._draws.Unseen` and
:mod:`torchcompat.func._captured`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Iterator

import torch

from .._scope import Nothing
from .._torch import at_least, at_most
from . import _captured, _draws
from ._batched import BatchedTensor, Rule, active_levels, without_out

# TorchFunctionMode as a context: https://github.com/pytorch/pytorch/pull/82772
SEES_ALL = at_least(1, 13)


class _Here(threading.local):
    listening = False  # whether a mode is active; one for all levels


_here = _Here()
_rules: dict[Any, Rule] = {}  # of functions that are called without a mapped tensor


def _load() -> None:
    from ._rules import _autograd, _random

    for space in (torch, torch.Tensor, torch.nn.functional):
        _rules.update((getattr(space, name), rule) for name, rule in _random.RULES.items() if hasattr(space, name))
    for name, function in vars(torch.nn.init).items():
        if name.endswith("_") and callable(function):
            _rules[function] = _initialised
    _rules[torch.autograd.grad] = _autograd.grad
    _rules[torch.tensor] = _copied
    _rules[torch.Tensor.backward] = _autograd.backward


def _copied(func: Any, data: Any, **kwargs: Any) -> Any:
    """``torch.tensor`` of a mapped tensor."""
    if type(data) is not BatchedTensor:
        return NotImplemented
    requires_grad = kwargs.pop("requires_grad", False)
    kwargs.pop("pin_memory", None)
    copy = data.detach().to(**kwargs).clone() if kwargs else data.detach().clone()
    return copy.requires_grad_() if requires_grad else copy


def _initialised(func: Any, *args: Any, **kwargs: Any) -> Any:
    """``torch.nn.init.uniform_`` and so on, whose draws the mode does not see."""
    with _draws.unmapped(func.__name__, active_levels(), _draws.generators_among(args, kwargs)):
        return func(*args, **kwargs)


def pass_on(func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """What the mode does with a call."""
    if BatchedTensor in types and func is not torch.tensor:
        return BatchedTensor.__torch_function__(func, types, args, kwargs)
    rule = _rules.get(func)
    if rule is not None and "out" in kwargs:
        kwargs = without_out(func, kwargs)
    result = NotImplemented if rule is None else rule(func, *args, **kwargs)
    return func(*args, **kwargs) if result is NotImplemented else result


if SEES_ALL:

    class _Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if _captured.calling():
                _captured.refuse(func, args, kwargs)
            if (types or func in _rules) and active_levels():
                return pass_on(func, types, args, kwargs or {})
            return func(*args, **kwargs) if kwargs else func(*args)


class _Stack:
    """As ``torch.overrides._TorchFunctionStackMode``, by which torch 1.13 calls a mode, and a fourth of its time."""

    def __torch_function__(  # torchcompat: needs torch >= 1.13, < 2.0
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        mode = torch.overrides._pop_torch_function_stack()  # type: ignore[attr-defined]
        if torch.overrides._len_torch_function_stack():
            torch._C._set_torch_function_mode(self)  # type: ignore[attr-defined]
        try:
            return mode.__torch_function__(func, types, args, kwargs)
        finally:
            torch.overrides._push_on_torch_function_stack(mode)  # type: ignore[attr-defined]


class _Unseen:
    """A context in which no mode sees a call, nor costs its time."""

    __slots__ = ("active",)

    def __enter__(self) -> None:  # torchcompat: needs torch >= 1.13, < 2.0
        self.active = torch._C._is_torch_function_mode_enabled()  # type: ignore[attr-defined]
        if self.active:
            torch._C._set_torch_function_mode(None)  # type: ignore[attr-defined]

    def __exit__(self, *exception: Any) -> None:  # torchcompat: needs torch >= 1.13, < 2.0
        if self.active:
            torch._C._set_torch_function_mode(_STACK)  # type: ignore[attr-defined]


_STACK = _Stack()
_HAS_STACK = SEES_ALL and at_most(1, 13)
# For our own work on whole batches, between calls of the user's: it draws nothing. A mode makes each call, even to ask
# for a dtype, microseconds longer on torch 1.13, the one version that has modes and lacks torch.func; 2.0 has none of
# what this pauses it with.
unseen = _Unseen if _HAS_STACK else _captured.paused if SEES_ALL else Nothing


@contextmanager
def _entered() -> Iterator[None]:  # torchcompat: needs torch >= 1.13
    _here.listening = True
    try:
        with _Mode():
            if _HAS_STACK:
                torch._C._set_torch_function_mode(_STACK)  # type: ignore[attr-defined]
            yield
    finally:
        _here.listening = False


def listening() -> Any:
    """A context in which writes to captured tensors are seen before they are made, from torch 1.13 on."""
    return _entered() if SEES_ALL and not _here.listening else Nothing()


def seeing() -> Any:
    """A context in which rules see what is called without a mapped tensor, from torch 1.13 on."""
    if SEES_ALL and not _rules:
        _load()
    return listening()
