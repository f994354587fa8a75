"""``torch.autograd.grad`` for cotangents that are mapped, of a graph that is not; other calls of autograd are refused.

Up to torch 1.12 ``torch.autograd.grad`` does not ask its cotangents for ``__torch_function__``. There, they notice that
their shape is asked for by it, and have the whole function looped over the samples.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from .._batched import Levels, count, levels_of, rank, rule, shape, spread, wrap
from .._derive import batched_backward
from .._draws import Unseen
from .._mode import pass_on

_MAKES_GRADS = torch.autograd._make_grads.__code__  # type: ignore[attr-defined]
_GRAD = torch.autograd.grad.__code__
_PASSES_ON = pass_on.__code__


def refuse_engine(tensor: Any) -> None:
    """Raise if torch is about to pass *tensor*, whose memory is elsewhere, to the engine of autograd as a cotangent.

    For a rule that is called by ``__torch_function__``.
    """
    caller: Any = sys._getframe(3)
    if caller.f_code is _PASSES_ON:  # the mode's own functions are in between, and on 1.13 one of torch's
        caller = caller.f_back.f_back
        caller = caller if caller.f_code is _MAKES_GRADS else caller.f_back
    if caller.f_code is not _MAKES_GRADS:
        return
    if caller.f_back.f_code is _GRAD:
        raise Unseen(
            "torch.autograd.grad was called for cotangents that are mapped over, of outputs", levels_of(tensor)
        )
    _refuse("backward")


def _refuse(name: str) -> None:
    raise RuntimeError(
        f"vmap: {name} of a tensor that is mapped over; use torchcompat.func.grad or vjp instead. A graph that was "
        "made outside of vmap can be differentiated for many cotangents at once with torch.autograd.grad."
    )


@rule("backward", "requires_grad_", "retain_grad", "register_hook", "=.requires_grad", "=.grad", "=.data")
def backward(func: Any, *args: Any, **kwargs: Any) -> Any:
    _refuse(getattr(func, "__name__", "autograd"))


@rule("grad")
def grad(
    func: Any,
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: Any = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: Any = False,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    if levels_of(outputs, inputs):
        _refuse("torch.autograd.grad")
    levels = levels_of(grad_outputs)
    if not levels:
        return NotImplemented
    outputs, inputs = _tuple(outputs), _tuple(inputs)
    given = (grad_outputs,) if isinstance(grad_outputs, torch.Tensor) else tuple(grad_outputs)
    if len(given) != len(outputs):
        raise RuntimeError(f"vmap: torch.autograd.grad got {len(outputs)} outputs and {len(given)} grad_outputs")
    rows = len(given[0]) if is_grads_batched else None
    cotangents = [_rows(output, cotangent, levels, rows) for output, cotangent in zip(outputs, given)]
    found = _found(outputs, inputs, cotangents, create_graph)
    if materialize_grads:
        found = [torch.zeros_like(input) if one is None else one for one, input in zip(found, inputs)]
    elif not allow_unused and any(one is None for one in found):
        raise RuntimeError(
            "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if "
            "this is the desired behavior."
        )
    sizes = [level.size for level in levels] + ([] if rows is None else [rows])
    return tuple([_result(one, input, levels, sizes) for one, input in zip(found, inputs)])


def _tuple(tensors: Any) -> Any:
    return (tensors,) if isinstance(tensors, torch.Tensor) else tuple(tensors)


def _rows(output: Any, cotangent: Any, levels: Levels, rows: int | None) -> Any:
    """The cotangents of *output*, with one dimension in front for the samples, and the *rows* of each."""
    if not output.requires_grad:
        raise RuntimeError("vmap: torch.autograd.grad: an output does not require grad and does not have a grad_fn")
    if cotangent is None:
        if output.numel() != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        cotangent = torch.ones_like(output)
        if rows is not None:
            cotangent = cotangent.expand([rows] + list(output.shape))
    wanted = ([] if rows is None else [rows]) + list(output.shape)
    if list(shape(cotangent)) != wanted:
        raise RuntimeError(
            f"Mismatch in shape: a grad_output has a shape of {list(shape(cotangent))} and its output of {wanted}"
        )
    return spread(cotangent, levels).reshape([count(levels) * (1 if rows is None else rows)] + list(output.shape))


def _found(outputs: Any, inputs: Any, cotangents: Any, create_graph: bool) -> Any:
    """A gradient for each of the *inputs*, with the samples in front, or None."""
    if len(cotangents[0]):
        return batched_backward(outputs, inputs, cotangents, create_graph)
    zeros = [torch.zeros_like(output) for output in outputs]
    some = torch.autograd.grad(outputs, inputs, zeros, retain_graph=True, allow_unused=True)
    return [None if one is None else one.new_zeros([0] + list(one.shape)) for one in some]


def _result(gradient: Any, input: Any, levels: Levels, sizes: list[int]) -> Any:
    if gradient is None or rank(gradient) == rank(input):  # without influence: None, or zeros for all samples
        return gradient
    return wrap(gradient.reshape(sizes + list(input.shape)), levels)
