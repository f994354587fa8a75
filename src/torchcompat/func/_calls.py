"""Modules as functions of their parameters and buffers."""

from __future__ import annotations

from typing import Any, Sequence

import torch

from .._shim import Limit, facade, polyfill
from ._functional_call import FunctionalModule, call_once

_NATIVE_FAULTS = [
    Limit("args", "`args` must be given, and None is passed on to the forward.", on="native", first="2.0", last="2.5"),
    Limit("data_parallel", "A DataParallel is not refused.", on="native", first="2.0", last="2.0"),
    Limit(
        "alias",
        "A submodule that is registered under two names keeps the tensor that was passed for ever "
        "(https://github.com/pytorch/pytorch/issues/164759).",
        on="native",
        first="2.0",
    ),
    Limit("three_ties", "Two names of a tensor that has three: KeyError.", on="native", first="2.0"),
    Limit("cycle", "A module that contains itself: RecursionError with `tie_weights`.", on="native", first="2.0"),
    Limit(
        "tuple_of_dicts",
        "With several dicts, a tensor that the forward assigns anew is not written back to its dict.",
        on="native",
        first="2.0",
    ),
    Limit("flat_weights", "A recurrent module keeps the tensors alive until its next call.", on="native", first="2.0"),
    Limit(
        "weight_norm",
        "The weight that torch.nn.utils.weight_norm computed from the tensors passed stays in the module.",
        on="native",
        first="2.0",
    ),
    Limit(
        "parametrized",
        "A parametrized tensor under its plain name goes through right_inverse: without one, RuntimeError; with one, "
        "no gradient reaches it.",
        on="native",
        first="2.0",
    ),
    Limit("lazy", "A lazy module that was never called is left half initialized.", on="native", first="2.0"),
    Limit(
        "forwarded",
        "KeyError or TypeError for a name that a wrapper forwards to its child with __getattr__.",
        on="native",
        first="2.0",
    ),
    Limit("threads", "Two threads in one module corrupt it.", on="native", first="2.0"),
    Limit(
        "compile",
        "In compiled code, or on a compiled module, the parameters of the first call are silently used for ever.",
        on="native",
        first="2.0",
        last="2.3",
    ),
]
_FULLGRAPH = [
    Limit("fullgraph", "torch.compile(fullgraph=True) cannot trace it.", on=on, first="2.0", last="2.4")
    for on in ("native", "fallback")
]


@polyfill(
    "torch.func.functional_call",
    since="2.0",
    link="https://github.com/pytorch/pytorch/pull/89213",
    limits=_NATIVE_FAULTS + _FULLGRAPH,
)
def functional_call(
    module: torch.nn.Module,
    parameter_and_buffer_dicts: dict[str, torch.Tensor] | Sequence[dict[str, torch.Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call *module* with other parameters and buffers, and leave it as it was.

    In torch since 2.0. Fallback: swaps the tensors in and the very same objects back out, whatever happens in between.
    Gradients of any order flow to the tensors that are passed; ``vmap`` and ``grad`` of functorch may go over it. It
    is several times faster than torch's own, and right where that is wrong: see the table of limits. From torch 2.5 it
    hands over to torch's own inside ``torch.compile``; before, it runs outside of the compiled graph.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html

    Args:
        module: the module to call. Where its tensors are parametrized, the plain name of one bypasses the
            parametrization, and ``"parametrizations.<name>.original"`` goes through it.
        parameter_and_buffer_dicts: tensors by name, as in ``named_parameters()`` and ``named_buffers()``, of any shape,
            dtype and device; None takes a parameter away. Or a list or tuple of such dicts without a common name. What
            is not named keeps the module's own tensor. A name that the module does not have is ignored if the module
            that it points into exists. A tensor that the forward assigns in place of one that was passed
            (``self.steps = self.steps + 1``) is written back to the dict that it came from.
        args: the positional arguments; what is no tuple is the only one; None is none.
        kwargs: the keyword arguments.
        tie_weights: pass a tensor that the module has under several names under all of them, if one is given.
        strict: require that every parameter and buffer is named, and nothing else. One name of a tied tensor is enough.

    Returns:
        What the module returns.

    Raises:
        ValueError: if the dicts are no dicts or have a name in common, or if tied names got different tensors.
        TypeError: for a value that is neither a tensor nor None, and a name that points to something else.
        AttributeError: for a name that points into a submodule that does not exist.
        RuntimeError: under *strict*, with both lists; for a scripted or traced module or a ``DataParallel``; under
            ``torch.jit.trace``; for a lazy module that was never called (fallback).
        UnsupportedError: on torch 2.0 to 2.3, for a module that is compiled (fallback): its graph would not see the
            tensors.

    Activation checkpointing inside the module runs the forward again in the backward, after the call: it then sees the
    module's own tensors, and the gradients are wrong. Torch's own functional call has the same trap.
    """
    return call_once(module, parameter_and_buffer_dicts, args, kwargs, tie_weights, strict)


@facade("func.functional_module")
def functional_module(module: torch.nn.Module, *, tie_weights: bool = True, strict: bool = False) -> FunctionalModule:
    """Prepare *module* to be called with other parameters and buffers, often, cheaply and from several threads.

    Not in torch, where :func:`functional_call` searches the module anew in every call.

    >>> call = functional_module(model)                                                     # doctest: +SKIP
    >>> output = call(parameters, inputs, mask=mask)                                        # doctest: +SKIP

    ``call(params_and_buffers, *args, **kwargs)`` means
    ``functional_call(module, params_and_buffers, args, kwargs)``, but:

    - It is right where torch's own is wrong (the limits of :func:`functional_call`), and accepts the ``state_dict()``
      of a module with tied weights: tensors that share their memory and need no gradient count as one.
    - Where each tensor goes is worked out once for each set of names. Every call looks whether the module still has
      the submodules, names and tensors that it had, and works it out anew if not. So the module may change between
      calls. Only a ``_parameters``, ``_buffers`` or ``_modules`` dict that is itself replaced goes unnoticed. What was
      replaced in the module is released at the next call.
    - Calls of several threads wait for each other where their modules overlap, and run at the same time where not.
      This covers prepared callables and the fallback of :func:`functional_call`; an ordinary call of the module in
      another thread sees the swapped tensors. A forward must not wait for a thread that calls the same module.
    - Inside ``torch.compile`` it is torch's own functional call from 2.5, limits included, and breaks the graph before.

    It can be pickled and copied with its module, and holds it as ``call.module``.

    Args:
        module: the module.
        tie_weights: as in :func:`functional_call`.
        strict: as in :func:`functional_call`.

    Returns:
        The callable. It raises what :func:`functional_call` raises, and RuntimeError where two threads wait for each
        other.

    Raises:
        TypeError: *module* is not a ``torch.nn.Module``.
        RuntimeError: for a scripted or traced module or a ``DataParallel``.
        UnsupportedError: on torch 2.0 to 2.3, for a module that is compiled.
    """
    return FunctionalModule(module, tie_weights, strict)
