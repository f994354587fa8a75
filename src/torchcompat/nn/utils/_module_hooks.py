"""Backward hooks of a module by identity functions around its inputs and outputs, put in by two forward hooks.

Torch up to 1.7 has none that are right for a module of more than one operation; those of 1.8 stay silent where no input
needs a gradient, and where the output is written to.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any, Callable, Sequence

import torch

from ..._torch import at_least

# Up to 1.8 the graph of a view that a Function returns goes lost, silently, when it is written to: those are copied.
_COPIES = not at_least(1, 9)
_CALL = "_torchcompat_backward_hooks"  # what leads from the inputs of a call to the call


class _Identity(torch.autograd.Function):  # type: ignore[misc]
    """Tensors as they are; *seen* gets their gradients, and gives those to go on with."""

    @staticmethod
    def forward(ctx: Any, seen: Any, *tensors: Any) -> Any:
        ctx.seen = seen
        if hasattr(ctx, "set_materialize_grads"):  # 1.7: an output that is not used has None
            ctx.set_materialize_grads(False)
        outs = tuple(tensor.clone() for tensor in tensors) if _COPIES else tensors
        ctx.mark_non_differentiable(*[out for out, given in zip(outs, tensors) if not given.requires_grad])
        return outs

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.seen(grads))


def _wrap(values: Any, seen: Callable[[Sequence[Any]], Sequence[Any]]) -> tuple[Any, list[int] | None]:
    """The tuple with its tensors behind one :class:`_Identity`, and where they are; None if none needs a gradient."""
    places = [place for place, value in enumerate(values) if isinstance(value, torch.Tensor)]
    if not torch.is_grad_enabled() or not any(values[place].requires_grad for place in places):
        return values, None
    found = list(values)
    for place, tensor in zip(places, _Identity.apply(seen, *[values[place] for place in places])):
        found[place] = tensor
    return (tuple(found) if type(values) is tuple else type(values)(*found)), places


def _spread(gradients: Sequence[Any], places: Sequence[int], count: int) -> tuple[Any, ...]:
    """The gradients at their places among *count* values, None for a value that is not a tensor."""
    found: list[Any] = [None] * count
    for place, gradient in zip(places, gradients):
        found[place] = gradient
    return tuple(found)


class _Call:
    """One call of a module: from its outputs' gradients to its inputs'."""

    def __init__(self, module: Any, hooks: Hooks, count: int) -> None:
        self.module, self.count = module, count
        self.full, self.pre = list(hooks.full.values()), list(hooks.pre.values())
        self.inputs: list[int] | None = None
        self.outputs: list[int] = []
        self.outs = 0
        self.grad_output: Any = None

    def at_outputs(self, gradients: Sequence[Any]) -> Sequence[Any]:
        grads = _spread(gradients, self.outputs, self.outs)
        for hook in self.pre:
            grads = _replaced(hook(self.module, grads), grads, "grad_output", "pre-hook")
        if self.inputs is None:
            self._without_inputs(grads)
        else:
            self.grad_output = grads
        return [grads[place] for place in self.outputs]

    def _without_inputs(self, grad_output: Any) -> None:
        for hook in self.full:
            found = hook(self.module, (None,) * self.count, grad_output)
            if found is not None and not (isinstance(found, tuple) and all(one is None for one in found)):
                raise RuntimeError(
                    "a backward hook must return None, or a tuple of None, where no input needs a gradient"
                )

    def at_inputs(self, gradients: Sequence[Any]) -> Sequence[Any]:
        assert self.inputs is not None
        if self.grad_output is None:  # the gradient came past the outputs, as in a second derivative
            return gradients
        grad_output, self.grad_output = self.grad_output, None
        grads = _spread(gradients, self.inputs, self.count)
        for hook in self.full:
            grads = _replaced(hook(self.module, grads, grad_output), grads, "grad_input", "hook")
        return [grads[place] for place in self.inputs]


def _replaced(found: Any, grads: Any, name: str, kind: str) -> Any:
    if found is None:
        return grads
    if len(found) != len(grads):
        raise RuntimeError(f"a backward {kind} must return {len(grads)} of {name}, got {len(found)}")
    return found


class Hooks:
    """The backward hooks of a module, by the numbers of their handles: what its two forward hooks look up."""

    def __init__(self) -> None:
        self.full: OrderedDict[int, Any] = OrderedDict()
        self.pre: OrderedDict[int, Any] = OrderedDict()

    def enter(self, module: Any, inputs: Any) -> Any:
        """The forward pre-hook."""
        if not self.full and not self.pre:
            return None
        call = _Call(module, self, len(inputs))
        wrapped, call.inputs = _wrap(inputs, call.at_inputs)
        for place in call.inputs or ():
            setattr(wrapped[place], _CALL, call)
        return wrapped

    def leave(self, module: Any, inputs: Any, output: Any) -> Any:
        """The forward hook."""
        if not self.full and not self.pre:
            return None
        if not isinstance(output, (torch.Tensor, tuple)):
            warnings.warn(
                "backward hooks are called for a module that returns a tensor or a tuple of tensors, not for one that "
                f"returns {type(output).__name__}",
                stacklevel=4,
            )
            return None
        calls = (getattr(value, _CALL, None) for value in inputs)
        ours = (call for call in calls if call is not None and call.module is module)
        call = next(ours, None) or _Call(module, self, len(inputs))
        outputs = output if isinstance(output, tuple) else (output,)
        wrapped, places = _wrap(outputs, call.at_outputs)
        call.outputs, call.outs = places or [], len(outputs)
        return wrapped if isinstance(output, tuple) else wrapped[0]


def hooks_of(module: Any) -> Hooks:
    """The backward hooks of *module*, which has two more forward hooks from the first time on."""
    if module._backward_hooks and not getattr(module, "_is_full_backward_hook", False):
        raise RuntimeError("a module has either hooks of register_backward_hook or full backward hooks, not both")
    for hook in module._forward_pre_hooks.values():
        found = getattr(hook, "__self__", None)
        if isinstance(found, Hooks):
            return found
    hooks = Hooks()
    module.register_forward_pre_hook(hooks.enter)
    module.register_forward_hook(hooks.leave)
    return hooks


def register(hooks: OrderedDict[int, Any], hook: Any, prepend: bool) -> Any:
    """A handle whose ``remove()`` takes *hook* out of *hooks* again."""
    handle = torch.utils.hooks.RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
