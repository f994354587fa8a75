"""What is called without a mapped tensor, and yet has to know of vmap: draws, and ``torch.autograd.grad``.

From torch 1.13 on a torch-function mode sees every call; below, see :class:`torchcompat.func._draws.Unseen`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Iterator

import torch

from .._torch import at_least
from . import _draws
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
            if types or func in _rules:
                return pass_on(func, types, args, kwargs or {})
            return func(*args, **kwargs) if kwargs else func(*args)


@contextmanager
def seeing() -> Iterator[None]:
    """A context in which rules see what is called without a mapped tensor, from torch 1.13 on."""
    listening = _here.listening
    if listening or not SEES_ALL:
        yield
        return
    if not _rules:
        _load()
    _here.listening = True
    try:
        with _Mode():
            yield
    finally:
        _here.listening = listening
