"""Which attention kernels may run: torch's own flags where torch has them, a record of ours elsewhere."""

from __future__ import annotations

from typing import Any, Sequence

from ... import _moved
from ..._scope import Settings, Switch
from ..._shim import SHIMS
from ..._torch import compiling, find

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


_asks_math, _asks_flash = _FLAGS[MATH].read, _FLAGS[FLASH].read


def all_allowed_on_cpu() -> bool:
    """Whether :func:`allowed` says yes twice for the CPU, where nothing is compiled."""
    return bool(_asks_math() and _asks_flash())


def _classes() -> Any:
    """Of which any member is taken: code may have torch's own of a torch whose class is too old for the contract."""
    kinds = (
        SHIMS["nn.attention.SDPBackend"].fallback,
        find("torch.nn.attention.SDPBackend"),
        find("torch.backends.cuda.SDPBackend"),
    )
    return tuple(kind for kind in kinds if kind is not None)


def numbers(backends: Any) -> list[int]:
    """The numbers of one backend or of a list of them, each once, in their order."""
    classes = _classes()
    if isinstance(backends, classes):
        backends = [backends]
    if not isinstance(backends, list):
        raise AssertionError(f"backends must be an SDPBackend or a list of them, got {type(backends).__name__}")
    for backend in backends:
        if not isinstance(backend, classes):
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


_moved.attach(globals())
