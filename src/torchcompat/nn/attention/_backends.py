"""Which attention kernels may run: torch's own flags where torch has them, a record of ours elsewhere."""

from __future__ import annotations

import enum
from typing import Any, Sequence

from ..._scope import Settings, Switch
from ..._shim import SHIMS, Limit, polyfill
from ..._torch import compiling, find


@polyfill(
    "torch.nn.attention.SDPBackend",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/126392",  # OVERRIDEABLE; the class: pull/114689
    limits=[Limit("pickle", "a member cannot be pickled", "native", "2.5")],
)
class SDPBackend(enum.Enum):
    """The kernels of scaled dot product attention, by name, for :func:`sdpa_kernel`.

    In torch since 2.5. Fallback: an enumeration with torch's members and values. Torch has the name since 2.3, without
    ``OVERRIDEABLE`` before 2.5.

    ``MATH`` is the plain formula. ``FLASH_ATTENTION``, ``EFFICIENT_ATTENTION`` and ``CUDNN_ATTENTION`` are fused
    kernels, ``OVERRIDEABLE`` is that of a device from outside torch, and ``ERROR`` is none. A CPU has ``MATH`` and
    ``FLASH_ATTENTION``. A member converts to its number with ``int()`` and is not equal to it.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.SDPBackend.html
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        return int(self.value)


# Members of any of these are accepted: code may have torch's own from a torch whose class is too old for the contract.
_CLASSES: Any = tuple(
    kind
    for kind in (
        SHIMS["nn.attention.SDPBackend"].fallback,
        find("torch.nn.attention.SDPBackend"),
        find("torch.backends.cuda.SDPBackend"),
    )
    if kind is not None
)

MATH, FLASH, EFFICIENT, CUDNN, OVERRIDEABLE = range(5)
_TORCH_NAMES = {MATH: "math", FLASH: "flash", EFFICIENT: "mem_efficient", CUDNN: "cudnn", OVERRIDEABLE: "overrideable"}


_recorded = dict.fromkeys(_TORCH_NAMES, True)
_recorded_order = [FLASH, EFFICIENT, MATH, CUDNN, OVERRIDEABLE]


def _flag(number: int) -> Switch:
    # torch has flags for MATH and FLASH since 1.13, EFFICIENT since 2.0, CUDNN since 2.3, OVERRIDEABLE since 2.5. They
    # belong to the process, whichever thread sets them, and so do the recorded ones.
    # torch.backends.cuda.sdp_kernel sets the same flags, warns that it is deprecated and lacks the newer ones.
    name = _TORCH_NAMES[number]
    read, write = find(f"torch._C._get_{name}_sdp_enabled"), find(f"torch._C._set_sdp_use_{name}")
    if read is not None and write is not None:
        return Switch(read, write)
    return Switch(lambda: _recorded[number], lambda value: _recorded.__setitem__(number, value))


_FLAGS = {number: _flag(number) for number in _TORCH_NAMES}

# In torch since 2.6: https://github.com/pytorch/pytorch/pull/140467
_read_order: Any = find("torch._C._get_sdp_priority_order") or (lambda: list(_recorded_order))
_write_order: Any = find("torch._C._set_sdp_priority_order") or (
    lambda order: _recorded_order.__setitem__(slice(None), order)
)

# The fused kernels that torch 2.15 has for a kind of device; where it is not named it may have any.
_FUSED = {"cpu": (FLASH,), "cuda": (FLASH, EFFICIENT, CUDNN)}


def allowed(device: str) -> tuple[bool, bool]:
    """Whether the plain formula may run on this kind of device, and whether a fused kernel may.

    While torch.compile traces both may: it cannot trace the question on every torch, and results do not depend on it.
    """
    if compiling():
        return True, True
    fused = _FUSED.get(device, (FLASH, EFFICIENT, CUDNN, OVERRIDEABLE))
    return _FLAGS[MATH].read(), any(_FLAGS[number].read() for number in fused)


def numbers(backends: Any) -> list[int]:
    """The numbers of one backend or of a list of them, each once, in their order."""
    if isinstance(backends, _CLASSES):
        backends = [backends]
    if not isinstance(backends, list):
        raise AssertionError(f"backends must be an SDPBackend or a list of them, got {type(backends).__name__}")
    for backend in backends:
        if not isinstance(backend, _CLASSES):
            raise TypeError(f"backends must be a list of SDPBackend, got an item of type {type(backend).__name__}")
    return list(dict.fromkeys(int(backend) for backend in backends))


def enabled() -> list[int]:
    """The numbers of the backends that may run."""
    return [number for number, flag in _FLAGS.items() if flag.read()]


def enable(chosen: Sequence[int]) -> None:
    """Let these backends run and no other."""
    for number, flag in _FLAGS.items():
        flag.write(number in chosen)


def order() -> list[int]:
    """All backends by priority. Only torch's choice among CUDA kernels goes by it, since 2.6."""
    return list(_read_order())


def set_order(wanted: Sequence[int]) -> None:
    """Set what :func:`order` gave."""
    _write_order(list(wanted))


def _preferred(chosen: Sequence[int]) -> list[int]:
    """The order that puts these backends before the others."""
    # ERROR is no kernel, and torch writes beyond its table for a number that is not in it. The table of 2.6 lists MATH
    # twice and OVERRIDEABLE never.
    return list(dict.fromkeys(number for number in [*chosen, *order(), *_FLAGS] if number in _FLAGS))


_ENABLED, _ORDER = Switch(enabled, enable), Switch(order, set_order)


def settings(chosen: Sequence[int], set_priority: bool) -> Settings:
    """What a block sets in which these backends may run, and no other."""
    return {_ENABLED: chosen, _ORDER: _preferred(chosen)} if set_priority else {_ENABLED: chosen}
