"""Making a module without initialising it, on torch whose layers take no device."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from ..._torch import at_least

# Torch's own of these take no device on any torch.
_WITHOUT_DEVICE = (
    nn.modules.rnn.RNNBase,
    nn.modules.loss._Loss,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.DataParallel,
)


def _takes_device(module_cls: Any) -> bool:
    """Whether the class takes ``device`` on torch 2.15, as far as this torch can tell."""
    if "device" in inspect.signature(module_cls).parameters:
        return True
    if at_least(1, 9):
        return False
    home = getattr(module_cls.__init__, "__module__", "")
    of_torch = home.startswith("torch.nn.") and not home.startswith("torch.nn.modules.container")
    return of_torch and not issubclass(module_cls, _WITHOUT_DEVICE)


def check(module_cls: Any) -> None:
    """Refuse what torch refuses.

    Raises:
        RuntimeError: for what is no module class, and for one that takes no device.
        TypeError: for what is no class.
    """
    if not issubclass(module_cls, nn.Module):
        raise RuntimeError(f"module_cls must be a subclass of torch.nn.Module, got {module_cls}")
    if not _takes_device(module_cls):
        raise RuntimeError(f"{module_cls.__name__} does not take a 'device', which skip_init needs")


def _keep_values(module: Any) -> None:
    pass


def _without_reset(module_cls: Any) -> Any:
    """A subclass that does not initialise its own parameters. Those of its submodules are, as ever."""
    names = ("reset_parameters", "_reset_parameters")
    return type(module_cls.__name__, (module_cls,), {name: _keep_values for name in names if hasattr(module_cls, name)})


def before_devices(module_cls: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Make the module on the CPU, leave out what initialising can be left out, and draw no random numbers."""
    device, dtype = kwargs.pop("device", "cpu"), kwargs.pop("dtype", None)
    generators = [torch.cuda.current_device()] if torch.empty(0).is_cuda else []
    with torch.random.fork_rng(devices=generators):
        module: Any = _without_reset(module_cls)(*args, **kwargs)
    if not list(module.parameters()) + list(module.buffers()):
        raise RuntimeError(f"{module_cls.__name__} does not take a 'device', which skip_init needs")
    module.__class__ = module_cls
    return module.to(device=device, dtype=dtype)
