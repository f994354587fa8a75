"""Tensors that stand for one sample of a batch: what vmap's fallback passes to the function it maps.

A :class:`BatchedTensor` holds the whole batch, its *physical* tensor, with one leading dimension for each vmap *level*
that it is batched over, outermost first. To the function it looks like one sample. Torch hands every operation on it to
``__torch_function__``, which looks up the batching rule of that operation (the modules of ``_rules``); an operation
without a rule is looped over the batch.

Torch calls ``__torch_function__`` for the methods of a subclass from 1.7 on
(https://github.com/pytorch/pytorch/pull/37091); below, vmap loops over the whole function.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Iterable, Tuple

import torch

from .._torch import UnsupportedError, at_least
from . import _draws

VECTORISES = at_least(1, 7)
ESCAPED = "a tensor that vmap passed to its function is used after vmap has returned"
Rule = Callable[..., Any]


class Level:
    """One vmap that is running: how many samples it has, and what random operations are to do."""

    __slots__ = ("alive", "depth", "randomness", "size")

    def __init__(self, size: int, randomness: str, depth: int) -> None:
        self.size = size
        self.randomness = randomness
        self.depth = depth
        self.alive = True


Levels = Tuple[Level, ...]


class _Stack(threading.local):
    def __init__(self) -> None:
        self.levels: Levels = ()


_stack = _Stack()


def active_levels() -> Levels:
    """The vmaps that are running in this thread, outermost first."""
    return _stack.levels


class entered:
    """A context in which a new level is active."""

    def __init__(self, size: int, randomness: str) -> None:
        self.level = Level(size, randomness, len(_stack.levels))

    def __enter__(self) -> Level:
        _stack.levels += (self.level,)
        return self.level

    def __exit__(self, *exception: Any) -> None:
        _stack.levels = _stack.levels[:-1]
        self.level.alive = False


class BatchedTensor(torch.Tensor):  # type: ignore[misc]
    """One sample of a batch; see the module's docstring. Made by :func:`wrap`."""

    _physical: Any
    _levels: Levels
    _quiet = False  # whether it was made where no gradients are recorded

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if kwargs and "out" in kwargs:
            kwargs = without_out(func, kwargs)
        rule = _rule_of.get(func) or _resolve(func)
        result = rule(func, *args, **(kwargs or {}))
        return loop(func, *args, **(kwargs or {})) if result is NotImplemented else result


def without_out(func: Any, kwargs: Any) -> dict[str, Any]:
    """*kwargs* without ``out=None``, which torch's Python functions pass on."""
    if kwargs["out"] is not None:
        raise RuntimeError(f"vmap: {name_of(func)} with out=: use the operation's result")
    return {name: value for name, value in kwargs.items() if name != "out"}


# An empty tensor behind every BatchedTensor: code that reads memory behind torch's back fails at once instead of
# reading some sample. A sparse one cannot be viewed either: up to 2.3 that is how a torch.autograd.Function that
# returns its input fails, where it would give an empty plain tensor.
_SHELL = torch.empty(0) if at_least(2, 4) else torch.sparse_coo_tensor(torch.zeros(1, 0).long(), torch.zeros(0), (1,))


def wrap(physical: Any, levels: Levels) -> Any:
    """The tensor whose batch, over *levels*, is *physical*."""
    if not levels:
        return physical
    if not levels[-1].alive:  # the innermost one ends first
        raise RuntimeError(ESCAPED)
    batched = torch.Tensor._make_subclass(BatchedTensor, _SHELL, physical.requires_grad)  # type: ignore[attr-defined]
    if not torch.is_grad_enabled():
        batched._quiet = True
    batched._physical = physical
    batched._levels = levels
    return batched


def physical_of(tensor: Any) -> Any:
    """The whole batch behind a tensor, with a leading dimension for each of its levels."""
    return tensor._physical if type(tensor) is BatchedTensor else tensor


def levels_of(*values: Any) -> Levels:
    """The levels that any of the tensors in *values*, which may hold lists, tuples and dicts, is batched over."""
    found: Levels = ()
    for value in values:
        if type(value) is BatchedTensor:
            levels = value._levels
            if value._quiet:
                _refuse_function(value)
        elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
            levels = levels_of(*value)
        elif isinstance(value, dict):
            levels = levels_of(*value.values())
        else:
            continue
        if levels != found:
            found = _union(found, levels) if found else levels
    for level in found:
        if not level.alive:
            raise RuntimeError(ESCAPED)
    return found


def _refuse_function(tensor: Any) -> None:  # torchcompat: needs torch >= 1.7
    """Raise if a torch.autograd.Function has made *tensor*, of which autograd saw only the shell.

    The forward of a Function runs where no gradients are recorded. Autograd then notes its backward on the shell of the
    result, where the gradients of the physical tensors never come by: they would be silently wrong.
    """
    with torch._C.DisableTorchFunction():
        function = tensor.grad_fn
    if function is not None:
        raise UnsupportedError(
            f"vmap: the torch.autograd.Function {type(function).__name__.replace('Backward', '')} was applied to a "
            "tensor that is mapped over and requires a gradient, which its backward would not reach. Use operations "
            "that torch differentiates by itself, or torch 2.0 or later, where a Function can have a vmap method."
        )


def _union(first: Levels, second: Levels) -> Levels:
    both = {level.depth: level for level in first + second}
    return tuple(both[depth] for depth in sorted(both))


def rank(tensor: Any) -> int:
    """The number of dimensions of one sample."""
    if type(tensor) is BatchedTensor:
        return int(tensor._physical.dim()) - len(tensor._levels)
    return int(tensor.dim())


def shape(tensor: Any) -> Any:
    """The shape of one sample."""
    return tensor._physical.shape[len(tensor._levels) :] if type(tensor) is BatchedTensor else tensor.shape


def lift(tensor: Any, levels: Levels, ndim: int | None = None) -> Any:
    """The physical tensor with a leading dimension for each of *levels*, of size 1 where it is not batched over it.

    With *ndim*, sizes of 1 bring the sample to that many dimensions.
    """
    own: Levels = ()
    if type(tensor) is BatchedTensor:
        if tensor._quiet:
            _refuse_function(tensor)
        own, tensor = tensor._levels, tensor._physical
    extra = 0 if ndim is None else ndim - (tensor.dim() - len(own))
    if own == levels and extra <= 0:
        return tensor
    sizes = [level.size if level in own else 1 for level in levels]
    return tensor.reshape(sizes + [1] * extra + list(tensor.shape[len(own) :]))


def spread(tensor: Any, levels: Levels) -> Any:
    """The physical tensor with a leading dimension of full size for each of *levels* (a view, of stride 0 if new)."""
    lifted = lift(tensor, levels)
    sizes = [level.size for level in levels]
    if list(lifted.shape[: len(levels)]) == sizes:
        return lifted
    return lifted.expand(sizes + list(lifted.shape[len(levels) :]))


def fold(tensor: Any, levels: Levels) -> Any:
    """The physical tensor with one leading dimension for all *levels* together."""
    whole = spread(tensor, levels)
    return whole if len(levels) == 1 else whole.reshape([count(levels)] + list(whole.shape[len(levels) :]))


def unfold(value: Any, levels: Levels) -> Any:
    """The inverse of :func:`fold`: a BatchedTensor again, or whatever *value* holds of them in lists and tuples."""
    if isinstance(value, torch.Tensor):
        if len(levels) > 1:
            value = value.reshape([level.size for level in levels] + list(value.shape[1:]))
        return wrap(value, levels)
    return each(value, lambda tensor: unfold(tensor, levels))


def count(levels: Levels) -> int:
    """The number of samples over *levels* together."""
    total = 1
    for level in levels:
        total *= level.size
    return total


def move_dim(tensor: Any, source: int, destination: int) -> Any:
    """``torch.movedim``, which is in torch since 1.7; *tensor* itself where nothing moves."""
    if source == destination:
        return tensor
    order = [dim for dim in range(tensor.dim()) if dim != source]
    order.insert(destination, source)
    return tensor.permute(order)


def each(values: Any, function: Callable[[Any], Any]) -> Any:
    """*values*, a list, tuple, named tuple or result of an operation, with *function* applied to the tensors in it."""
    if isinstance(values, torch.Tensor):
        return function(values)
    if isinstance(values, torch.Size) or not isinstance(values, (list, tuple)):
        return values
    mapped = [each(value, function) for value in values]
    return type(values)(*mapped) if hasattr(values, "_fields") else type(values)(mapped)  # type: ignore[call-arg]


# Rules. A rule is called as rule(operation, *arguments of the operation) with logical tensors, and returns logical
# tensors, or NotImplemented for what it cannot do: then the operation is looped.
_rule_by_name: dict[str, Rule] = {}
_rule_by_function: dict[Any, Rule] = {}
_rule_of: dict[Any, Rule] = {}  # of the operations met so far


def rule(*operations: Any) -> Callable[[Rule], Rule]:
    """Declare the batching rule of these operations: names, or, where two operations share a name, the functions."""

    def declare(function: Rule) -> Rule:
        register(function, operations)
        return function

    return declare


def register(function: Rule, operations: Iterable[Any]) -> None:
    """Make *function* the rule of these operations; see :func:`rule`."""
    for operation in operations:
        if isinstance(operation, str):
            assert operation not in _rule_by_name, operation
            _rule_by_name[operation] = function
        elif operation is not None:
            _rule_by_function[operation] = function


def rules() -> dict[str, Rule]:
    """The rules declared so far, by the names of their operations."""
    return _rule_by_name


def name_of(operation: Any) -> str:
    """``"add"`` for all of ``torch.add``, ``Tensor.add``; ``".shape"`` for the attribute."""
    name = str(getattr(operation, "__name__", ""))
    if name == "__get__":
        return "." + str(operation.__self__.__name__)
    return "=" + str(operation.__self__.__name__) if name == "__set__" else name


def _resolve(operation: Any) -> Rule:
    from . import _rules  # noqa: F401  # They need this module; and where vmap is torch's own, nobody needs them.

    found = _rule_by_function.get(operation) or _rule_by_name.get(name_of(operation), loop)
    _rule_of[operation] = found
    return found


def is_in_place(operation: Any) -> bool:
    """Whether an operation writes to its first argument: ``add_``."""
    name = name_of(operation)
    return name.endswith("_") and not name.endswith("__")


def refuse_wider(name: str, target: Any, levels: Levels) -> None:
    """Raise RuntimeError unless *target*, about to be written to, is batched over all *levels*."""
    own = target._levels if type(target) is BatchedTensor else ()
    if own != levels:
        raise RuntimeError(
            f"vmap: {name}: in-place on a tensor that is not batched, with an argument that is: there is one tensor to "
            "write to and a different result for each sample. Use an operation that is not in-place."
        )


def _samples(value: Any, levels: Levels) -> list[Any]:
    """*value*, an argument of an operation, for each of the samples."""
    if type(value) is BatchedTensor:
        return list(fold(value, levels).unbind(0))
    if isinstance(value, (list, tuple)) and levels_of(value):
        columns = zip(*[_samples(item, levels) for item in value])
        return [type(value)(column) for column in columns]
    return [value] * count(levels)


def _restack(results: list[Any], levels: Levels) -> Any:
    first = results[0]
    if isinstance(first, torch.Tensor):
        if any(result.shape != first.shape for result in results):
            raise RuntimeError("vmap: the result of an operation has another shape for each sample")
        return unfold(torch.stack(results), levels)
    if isinstance(first, (list, tuple)) and not isinstance(first, torch.Size):
        mapped = [_restack(list(column), levels) for column in zip(*results)]
        return type(first)(*mapped) if hasattr(first, "_fields") else type(first)(mapped)
    if any(result != first for result in results):
        raise RuntimeError("vmap: the result of an operation is a Python value that differs between the samples")
    return first


def loop(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Any operation at all: once for each sample."""
    levels = levels_of(args, kwargs)
    if not count(levels):
        raise RuntimeError(f"vmap: {name_of(func)} has no batching rule and cannot be looped over 0 samples")
    if is_in_place(func):
        return _loop_in_place(func, args, kwargs, levels)
    names = list(kwargs)
    columns = [_samples(value, levels) for value in list(args) + list(kwargs.values())]
    with _drawing_loop(func, levels, args, kwargs) as restart:
        results = []
        for values in zip(*columns):
            restart()
            results.append(func(*values[: len(args)], **dict(zip(names, values[len(args) :]))))
    return _restack(results, levels)


def _drawing_loop(func: Any, levels: Levels, args: Any, kwargs: Any) -> Any:
    return _draws.looped(name_of(func), levels, active_levels(), _draws.generators_among(args, kwargs))


def _loop_in_place(func: Any, args: Any, kwargs: Any, levels: Levels) -> Any:
    refuse_wider(name_of(func), args[0], levels)
    target = physical_of(args[0])
    names = list(kwargs)
    columns = [_samples(value, levels) for value in list(args[1:]) + list(kwargs.values())]
    sizes = [level.size for level in levels]
    with _drawing_loop(func, levels, args, kwargs) as restart:
        for number, values in enumerate(zip(*columns) if columns else [()] * count(levels)):
            restart()
            view = target
            for position in _position(number, sizes):
                view = view.select(0, position)
            func(view, *values[: len(args) - 1], **dict(zip(names, values[len(args) - 1 :])))
    return args[0]


def _position(number: int, sizes: list[int]) -> list[int]:
    position = []
    for size in reversed(sizes):
        position.append(number % size)
        number //= size
    return position[::-1]
