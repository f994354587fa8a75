"""The state of the accelerator's random numbers (torch.accelerator.random)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .._shim import polyfill, positional_only
from ..device import _accelerator as this

if TYPE_CHECKING:
    from .._types import Device

__all__ = ["get_rng_state", "get_rng_state_all", "initial_seed"]

_ADDED = "https://github.com/pytorch/pytorch/pull/186597"


@polyfill("torch.accelerator.random.initial_seed", since="2.14", link=_ADDED)
@positional_only
def initial_seed(__device: Device = None) -> int:
    """The seed from which a device's random numbers started. This starts the device.

    In torch since 2.14. Fallback: asks the module of the accelerator; for a device that is not the current one
    from torch 1.5 on.

    Args:
        device: None for the current one, an int, or a device of the accelerator's type.

    Raises:
        ValueError: *device* is of another type.
        RuntimeError: there is no such device.
    """
    index = this.index_of(__device, "device")
    return this.present().initial_seed(index)


@polyfill("torch.accelerator.random.get_rng_state", since="2.14", link=_ADDED)
@positional_only
def get_rng_state(__device: Device = None) -> torch.Tensor:
    """The state of a device's random number generator. This starts the device.

    In torch since 2.14. Fallback: asks the module of the accelerator.

    Args:
        device: None for the current one, an int, or a device of the accelerator's type.

    Returns:
        A uint8 tensor on the CPU.

    Raises:
        ValueError: *device* is of another type.
        RuntimeError: there is no such device.
    """
    index = this.index_of(__device, "device")
    return this.present().get_rng_state(index)


@polyfill("torch.accelerator.random.get_rng_state_all", since="2.14", link=_ADDED)
def get_rng_state_all() -> list[torch.Tensor]:
    """The states of all devices' generators; an empty list where there is no device.

    In torch since 2.14. Fallback: asks the module of the accelerator.
    """
    found = this.functions()
    return [] if found is None else [found.get_rng_state(index) for index in range(found.device_count())]
