"""Writes to tensors that a function captured: a transform that differentiates the function refuses them, as torch does.

A captured tensor is one that the function did not get as an argument and did not make. What the function leads to is
looked at before the call. From torch 1.13 on a torch-function mode sees each write before it is made. Below, and where
the mode does not see a write, a tensor that has got a graph shows it after the call; it is told by its version, which
counts the writes. Without an error it would hold that graph, and all that the graph holds, for ever.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterable

import torch

from .._shim import Limit, lacks
from .._torch import at_least
from . import _pytree, _reachable
from ._batched import BatchedTensor, name_of, physical_of
from ._derive import is_inference

LIMITS = [
    lacks("fullgraph", "2.0"),
    Limit(
        "captured",
        "A write to a tensor that the function captured is refused after it was made, and only if what was written "
        "depends on the argument; a write of a constant, such as the count of batches of a batch norm in training, is "
        "not refused.",
        on="fallback",
        last="1.12",
    ),
    Limit(
        "subscript",
        "A write of a tensor by a subscript, `captured[:] = tensor`, is refused after it was made, and only if the "
        "tensor written depends on the argument.",
        on="fallback",
        last="2.3",
    ),
    Limit(
        "hidden",
        "A write to a captured tensor is not refused if the tensor is not found from the function: from its closure, "
        "the names that it uses, and the attributes and items of the objects there.",
        on="fallback",
    ),
]


class _Here(threading.local):
    def __init__(self) -> None:
        self.calls: list[Captured] = []  # of the functions that are being called, outermost first


_here = _Here()


class Captured:
    """A context for the call of a function that may write to its arguments *given*, and to no other tensor outside it.

    *roots* are the function and what else leads to tensors of the caller's.
    """

    def __init__(self, name: str, roots: Iterable[Any], given: Any) -> None:
        self.name = name
        self.given = [physical_of(leaf) for leaf in _pytree.flatten(given)[0] if isinstance(leaf, torch.Tensor)]
        own = {id(tensor) for tensor in self.given}
        found = {id(tensor): tensor for tensor in map(physical_of, _reachable.tensors({BatchedTensor}, *roots))}
        self.tensors = [tensor for key, tensor in found.items() if key not in own and not is_inference(tensor)]
        self.before = [(tensor._version, tensor.grad_fn if tensor.requires_grad else None) for tensor in self.tensors]
        self.memory: set[int] | None = None  # of the tensors; asked for at the first write

    def __enter__(self) -> None:
        _here.calls.append(self)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        _here.calls.pop()
        if self._graph_gained() and kind is None:
            raise RuntimeError(
                f"{self.name}: the function has written to a captured Tensor in place what depends on its own "
                f"arguments. {_REWRITE} The Tensor keeps the numbers that were written."
            )

    def _graph_gained(self) -> bool:
        """Whether any of the tensors has got a graph; it is taken off, where there was none before."""
        gained = False
        for tensor, (version, node) in zip(self.tensors, self.before):
            if tensor._version != version and tensor.requires_grad and tensor.grad_fn is not node:
                gained = True
                if node is None and tensor._base is None:
                    tensor.detach_()
        return gained

    def holds(self, tensor: Any) -> bool:
        """Whether *tensor* is a captured one, or shares its memory."""
        if self.memory is None:
            self.memory = {_memory(other) for other in self.tensors} - {_memory(other) for other in self.given}
        return _memory(tensor) in self.memory


_REWRITE = (
    "This is not supported: write the function so that it takes the Tensor as an argument, or returns the new value."
)


def _memory(tensor: Any) -> int:
    """What tensors have in common that share their memory."""
    try:
        if at_least(2, 0):
            return int(tensor.untyped_storage()._cdata)
        return int(tensor.storage()._storage._cdata)
    except (RuntimeError, NotImplementedError):  # of a sparse tensor, which has none
        return id(tensor)


def calling() -> bool:
    """Whether a function is being called whose captured tensors must not be written to."""
    return bool(_here.calls)


class paused:
    """A context in which no write is refused, for our own work, on tensors that share memory with the caller's."""

    __slots__ = ("calls",)

    def __enter__(self) -> None:
        self.calls = _here.calls
        if self.calls:
            _here.calls = []

    def __exit__(self, *exception: Any) -> None:
        _here.calls = self.calls


# By function: where its arguments have the tensor that it writes to; -1 if it writes to none.
_written: dict[Any, int] = {}
_SUBSCRIPTS = {"__setitem__", "__delitem__"}
_ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]
_OPERATORS = {f"__i{name}__" for name in [*_ARITHMETIC, "and", "or", "xor", "lshift", "rshift"]}


def _position(func: Any) -> int:
    name = name_of(func)
    in_place = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
    return 0 if in_place or name in _SUBSCRIPTS or name in _OPERATORS else -1


def refuse(func: Any, args: Any, kwargs: Any) -> None:
    """Raise if *func* is about to write to a captured tensor."""
    position = _written.get(func)
    if position is None:
        position = _written[func] = _position(func)
    if position < 0:
        if not kwargs:
            return
        if kwargs.get("inplace") is not True:
            if kwargs.get("max_norm") is None:
                return
            args, kwargs = args[1:], {"tensor": kwargs.get("weight")}  # of an embedding, which norms its rows in place
    targets = args[:1] or [kwargs.get(name) for name in ("tensor", "input", "self") if name in kwargs]
    for target in _pytree.flatten(targets)[0]:
        if isinstance(target, torch.Tensor):
            _refuse_write(name_of(func), physical_of(target))


def _refuse_write(operation: str, target: Any) -> None:
    for call in _here.calls:
        if call.holds(target):
            raise RuntimeError(
                f"{call.name}: the function attempted to call the in-place operation {operation}, which would write to "
                f"a captured Tensor. {_REWRITE}"
            )


def called(name: str, func: Callable[..., Any], args: Any, kwargs: Any, others: Any = ()) -> Any:
    """``func(*args, **kwargs)``, which must not write to what it captured; *others* are arguments that it has already.

    *name* is that of the transform.
    """
    from ._mode import listening, unseen  # it needs this module

    with unseen():
        captured = Captured(name, (func, args, kwargs), (args, kwargs, others))
    with captured, listening():
        return func(*args, **kwargs)
