"""States of random numbers that are put back (torch.random)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterable, Iterator

import torch

from ._lazy import attach as _attach
from ._shim import Limit, polyfill
from .accelerator import current_accelerator
from .device import _module

__all__ = ["fork_rng"]


@polyfill(
    "torch.random.fork_rng",
    since="2.1",
    link="https://github.com/pytorch/pytorch/pull/98069",
    limits=[
        Limit(
            "accelerator",
            'device_type is "cuda" by default, not the type of the accelerator, and None is refused',
            on="native",
            first="2.1",
            last="2.12",
        ),
    ],
    reason="no `device_type`",
)
@contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:
    """Put the states of torch's random number generators back at the end of a block.

    In torch since 2.1. Fallback: reads the state of the CPU and of the devices before the block, and writes it after.
    https://docs.pytorch.org/docs/stable/random.html

    Args:
        devices: devices whose generators are put back beside the CPU's. None: all of that type.
        enabled: False does nothing.
        device_type: the type of the devices, ``"cuda"`` or another. None: that of the accelerator. ``"meta"``:
            nothing is put back.

    Raises:
        RuntimeError: torch has no such type of devices.
    """
    if not enabled or device_type == "meta":
        yield
        return
    if device_type is None:
        accelerator = current_accelerator()
        device_type = "cuda" if accelerator is None else accelerator.type
    torch.device(device_type)
    module: Any = _module.of(device_type)
    chosen = list(range(module.device_count())) if devices is None else list(devices)
    states = [(device, module.get_rng_state(device)) for device in chosen]
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
        for device, before in states:
            module.set_rng_state(before, device)


_attach(globals())
