"""What :mod:`torchcompat.func` does to modules before their state can be mapped over."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Sequence

import torch
from torch import nn

from .._shim import polyfill

Named = Callable[[nn.Module], Iterator[Any]]


def _stack(name: str, tensors: Sequence[Any]) -> Any:
    """A leaf with one row for each of the *tensors*, trainable if they all are."""
    trainable = [tensor.requires_grad for tensor in tensors]
    if any(trainable) != all(trainable):
        raise RuntimeError(f"stack_module_state: {name!r} requires a gradient in some of the models but not in all")
    stacked = torch.stack(tensors).detach()
    return stacked.requires_grad_(all(trainable))


def _stacked(models: Sequence[Any], named: Named) -> dict[str, Any]:
    states = [dict(named(model)) for model in models]
    return {name: _stack(name, [state[name] for state in states]) for name in states[0]}


@polyfill(
    "torch.func.stack_module_state",
    since="2.0",
    link="https://github.com/pytorch/pytorch/pull/88850",
)
def stack_module_state(models: Sequence[nn.Module] | nn.ModuleList) -> tuple[dict[str, Any], dict[str, Any]]:
    """Stack the parameters, and the buffers, of modules that are alike, for an ensemble under vmap.

    In torch since 2.0. Fallback: ``torch.stack`` of the tensors of each name.

    Args:
        models: M modules of one class, all in training or all in evaluation mode, with tensors of the same names and
            shapes.

    Returns:
        Two dicts, by name: the parameters and the buffers. Each tensor has the M modules' tensors along a new first
        dimension, keeps their dtype and device, and is a leaf that shares no memory with them. It requires a gradient
        if theirs do, and so can be given to an optimizer. A tensor with several names in a module is there under the
        first.

    Raises:
        RuntimeError: if there is no module, the classes or the modes differ, a tensor requires a gradient in some of
            the modules only, or the shapes of a tensor differ.
        KeyError: if a module lacks a tensor that the first one has.
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: at least one model is needed, got none")
    first = models[0]
    if any(bool(model.training) != bool(first.training) for model in models):
        raise RuntimeError("stack_module_state: some of the models are in training mode, others in evaluation mode")
    if any(type(model) is not type(first) for model in models):
        classes = sorted({type(model).__name__ for model in models})
        raise RuntimeError(f"stack_module_state: the models must be of one class, got {', '.join(classes)}")
    params = _stacked(models, lambda model: model.named_parameters())
    return params, _stacked(models, lambda model: model.named_buffers())


def _is_batch_norm(module: nn.Module) -> bool:
    # Instance norms were a kind of batch norm up to torch 1.3: https://github.com/pytorch/pytorch/pull/29985
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(
        module, nn.modules.instancenorm._InstanceNorm
    )


@polyfill(
    "torch.func.replace_all_batch_norm_modules_",
    since="2.0",
    link="https://github.com/pytorch/pytorch/pull/91412",
)
def replace_all_batch_norm_modules_(root: nn.Module) -> nn.Module:
    """Make every batch norm in a module normalise by the batch at hand, without running statistics.

    Running statistics are written to in each forward pass, which vmap cannot map. Nothing is replaced by another
    module: the batch norms (also synchronised and lazy ones, and *root* itself if it is one) lose their statistics in
    place. Their weights and the mode of training stay. Instance norms are left alone.

    In torch since 2.0. Fallback: sets the same attributes of each batch norm.

    Args:
        root: the module, which is changed.

    Returns:
        *root*.

    Raises:
        AttributeError: if *root* is no module.
    """
    for module in root.modules():
        if _is_batch_norm(module) and module.track_running_stats:
            batch_norm: Any = module
            batch_norm.running_mean = None
            batch_norm.running_var = None
            batch_norm.num_batches_tracked = None
            batch_norm.track_running_stats = False
    return root
