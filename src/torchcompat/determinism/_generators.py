"""The generators of random numbers that a seed reaches: Python's, NumPy's and torch's global ones.

The state of a generator is whatever it gives out, or an int: as it is just after being seeded with that int.
"""

from __future__ import annotations

import random
import sys
from importlib import import_module
from numbers import Integral
from typing import Any, Iterator

import torch

from .._scope import Switch
from .._torch import at_least, find


def check_seed(seed: Any) -> int:
    """*seed* as an int that every generator takes.

    Raises:
        TypeError: if it is not an int or a NumPy integer.
        ValueError: if it is outside 0 to 2**32 - 1, NumPy's range.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"seed must be an int from 0 to 2**32 - 1, got {seed!r}")
    number = int(seed)
    if not 0 <= number < 2**32:
        raise ValueError(f"seed must be an int from 0 to 2**32 - 1, got {seed!r}")
    return number


def _write_python(state: Any) -> None:
    if isinstance(state, int):
        random.seed(state)
    else:
        random.setstate(state)


def numpy_random() -> Any:
    """``numpy.random`` if somebody imported NumPy, else None."""
    return getattr(sys.modules.get("numpy"), "random", None)


def _read_numpy() -> Any:
    generator = numpy_random()
    return None if generator is None else generator.get_state()


def _write_numpy(state: Any) -> None:
    generator = numpy_random()
    if generator is None or state is None:
        return
    if isinstance(state, int):
        generator.seed(state)
    else:
        generator.set_state(state)


def _read_cpu() -> Any:
    return torch.default_generator.get_state()


def _write_cpu(state: Any) -> None:
    if isinstance(state, int):
        torch.default_generator.manual_seed(state)
    else:
        torch.default_generator.set_state(state)


class _Mps:
    """``torch.mps`` with the functions of the other devices; it has one device and nothing to initialise."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.manual_seed_all = module.manual_seed

    def device_count(self) -> int:
        return 1

    def get_rng_state(self, device: int) -> Any:
        return self._module.get_rng_state()

    def set_rng_state(self, state: Any, device: int) -> None:
        self._module.set_rng_state(state)


# What torch.random asks of a backend's module: https://github.com/pytorch/pytorch/blob/main/torch/random.py
_NEEDED = ("manual_seed_all", "device_count", "get_rng_state", "set_rng_state")


def _says(module: Any, question: str, default: bool) -> bool:
    """The answer of a function that only some modules have."""
    function = getattr(module, question, None)
    return bool(function()) if function else default


def _devices() -> Iterator[tuple[str, Any]]:
    """The modules of the kinds of device whose generators this torch lets us save, in use or not."""
    backend_name = find("torch._C._get_privateuse1_backend_name")
    for name in ("cuda", "xpu", "mtia", backend_name() if backend_name else "privateuseone"):
        module = getattr(torch, name, None)
        if not all(hasattr(module, function) for function in _NEEDED) or _says(module, "_is_in_bad_fork", False):
            continue
        # A seed for later is noted together with the whole stack, which takes long: not for what is not even built in.
        if _says(module, "_is_compiled", True):
            yield name, module
    if at_least(2, 0) and torch.backends.mps.is_available():
        yield "mps", _Mps(import_module("torch.mps"))


def _in_use(module: Any) -> bool:
    # A function of torch.cuda since 1.4; a backend of somebody else's need not have it.
    return _says(module, "is_initialized", bool(getattr(module, "_initialized", True)))


def _read_devices() -> dict[str, Any]:
    # Reading the state of a device starts it, and a process that has started CUDA can no longer fork. One that is not
    # in use will start from the seed of the last torch.manual_seed, the same that the CPU's generator has.
    seed = torch.default_generator.initial_seed()
    unused = seed - 2**64 if seed >= 2**63 else seed  # torch takes no seed over 2**63 before 1.7, but negative ones
    return {
        name: [module.get_rng_state(index) for index in range(module.device_count())] if _in_use(module) else unused
        for name, module in _devices()
    }


def _write_devices(states: Any) -> None:
    for name, module in _devices():
        state = states if isinstance(states, int) else states.get(name)
        if isinstance(state, int):
            module.manual_seed_all(state)  # of a device not in use: noted by torch for when it starts
        elif state is not None:
            for index, one in enumerate(state):
                module.set_rng_state(one, index)


# A body that stops and goes on draws on where it stopped.
GENERATORS = {
    "python": Switch(random.getstate, _write_python, goes_on=True),
    "numpy": Switch(_read_numpy, _write_numpy, goes_on=True),
    "cpu": Switch(_read_cpu, _write_cpu, goes_on=True),
    "devices": Switch(_read_devices, _write_devices, goes_on=True),
}
