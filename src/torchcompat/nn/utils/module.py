"""Methods that ``torch.nn.Module`` got after torch 1.2, as functions of a module.

A method cannot be added to torch's class without patching it, so these are torch's own methods taken from the class
(``torch.nn.Module.register_full_backward_hook(module, hook)``), or functions of ours that take the module first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..._shim import Limit, lacks, polyfill
from ._module_hooks import hooks_of, register

if TYPE_CHECKING:
    from ..._types import BackwardHook, BackwardPreHook

__all__ = ["register_full_backward_hook", "register_full_backward_pre_hook"]

# Up to 2.2 what a pre-hook returns is ignored where no input needs a gradient. Both kinds of hooks work together, so
# that both are torch's or both are ours.
_LINK = "https://github.com/pytorch/pytorch/pull/116454"
_PRE_HOOKS = "its pre-hooks are missing, or ignored where no input needs a gradient"
_LIMITS = [
    lacks("script"),
    Limit(
        "later forward hooks",
        "A forward hook that is registered later and replaces the module's output is not seen: grad_output is that of "
        "the output before it.",
        on="fallback",
    ),
    Limit(
        "in place",
        "The module gets and returns copies, so that they can be written to, where torch's raises RuntimeError.",
        on="fallback",
        last="1.8",
    ),
    Limit(
        "unused outputs",
        "grad_output is zeros, not None, for an output that is not used.",
        on="fallback",
        last="1.6",
    ),
]


@polyfill(
    "torch.nn.Module.register_full_backward_hook",
    since="2.3",
    link=_LINK,
    limits=_LIMITS,
    name="nn.utils.module.register_full_backward_hook",
    reason=_PRE_HOOKS,
)
def register_full_backward_hook(
    self: torch.nn.Module, hook: BackwardHook, prepend: bool = False
) -> torch.utils.hooks.RemovableHandle:
    """Have a function called with the gradients of a module's inputs and outputs: ``f(module, hook)``.

    In torch since 2.3. Fallback: identity functions around the module's inputs and outputs, put in by a forward
    pre-hook and a forward hook. Torch has the method since 1.8, without *prepend* before 2.0; that of 1.8 is silent
    where no input needs a gradient, and where the output is written to; up to 2.1 a named tuple becomes a tuple.

    As with torch's method the module gets, and its caller gets, views of the tensors, which must not be written to.
    Where no input needs a gradient the hook is called when those of the outputs are there; torch 2.15 also warns.

    Args:
        self: the module.
        hook: ``hook(module, grad_input, grad_output)`` with tuples of gradients: of the positional arguments and of the
            outputs, None for a value that is not a tensor. It returns None, or a tuple to use in place of *grad_input*.
        prepend: call it before the hooks that are there.

    Returns:
        A handle; ``handle.remove()`` removes the hook.

    Raises:
        RuntimeError: the module has hooks of ``register_backward_hook``. In the backward pass: a hook returns a tuple
            of another length, or gradients where no input needs one.

    Warns:
        UserWarning: when the module returns neither a tensor nor a tuple: then no hook is called.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """
    return register(hooks_of(self).full, hook, prepend)


@polyfill(
    "torch.nn.Module.register_full_backward_pre_hook",
    since="2.3",
    link=_LINK,
    limits=_LIMITS,
    name="nn.utils.module.register_full_backward_pre_hook",
    reason="what the hook returns is ignored where no input needs a gradient",
)
def register_full_backward_pre_hook(
    self: torch.nn.Module, hook: BackwardPreHook, prepend: bool = False
) -> torch.utils.hooks.RemovableHandle:
    """Have a function called with the gradients of a module's outputs, before they go through it: ``f(module, hook)``.

    In torch since 2.3. Fallback: as that of :func:`register_full_backward_hook`. Torch has the method since 2.0; what
    its hook returns is ignored up to 2.2 where no input of the module needs a gradient, and always on 2.0.0.

    Args:
        self: the module.
        hook: ``hook(module, grad_output)`` with the tuple of gradients of the outputs. It returns None, or a tuple to
            go on with in its place.
        prepend: call it before the pre-hooks that are there.

    Returns:
        A handle; ``handle.remove()`` removes the hook.

    Raises:
        RuntimeError: in the backward pass: a hook returns a tuple of another length.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """
    return register(hooks_of(self).pre, hook, prepend)
