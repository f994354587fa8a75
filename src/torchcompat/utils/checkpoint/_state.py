"""What a recomputation must find as the forward pass found it: random numbers and autocast."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Any, Iterator

import torch

from ..._torch import at_least, find

_AUTOCAST = find("torch.autocast")
_CUDA_AUTOCAST = find("torch.cuda.amp.autocast")


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in tuples, lists and dicts, nested to any depth."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def _generator_of(device: torch.device) -> tuple[Any, tuple[Any, ...]]:
    """The module of torch that has the generator of *device*, and the arguments that name the device to it."""
    module = find(f"torch.{device.type}")
    return module, () if device.type == "mps" else (device,)


class _RandomState:
    """The states of the CPU's generator and of those of *devices*."""

    def __init__(self, devices: set[torch.device]) -> None:
        self._cpu = torch.get_rng_state()
        self._others = []
        for device in devices:
            module, arguments = _generator_of(device)
            if find(f"torch.{device.type}.get_rng_state"):
                self._others.append((module, arguments, module.get_rng_state(*arguments)))

    def put_back(self) -> None:
        torch.set_rng_state(self._cpu)
        for module, arguments, state in self._others:
            module.set_rng_state(state, *arguments)


def _autocast_states(devices: set[torch.device]) -> list[tuple[Any, ...]]:
    """The arguments of the autocast contexts that bring back how autocast is set now."""
    if _AUTOCAST is None:
        return [(bool(torch.is_autocast_enabled()),)] if _CUDA_AUTOCAST and torch.cuda.is_available() else []
    anything: Any = torch
    cache = torch.is_autocast_cache_enabled()
    if at_least(2, 4):
        kinds = {"cpu"} | {device.type for device in devices if anything.amp.is_autocast_available(device.type)}
        kinds |= {"cuda"} if torch.cuda.is_available() else set()
        return [
            (kind, anything.get_autocast_dtype(kind), anything.is_autocast_enabled(kind), cache)
            for kind in sorted(kinds)
        ]
    states = [("cpu", anything.get_autocast_cpu_dtype(), anything.is_autocast_cpu_enabled(), cache)]
    if torch.cuda.is_available():
        states.append(("cuda", anything.get_autocast_gpu_dtype(), torch.is_autocast_enabled(), cache))
    return states


def _autocast(state: tuple[Any, ...]) -> Any:
    if len(state) == 1:
        return _CUDA_AUTOCAST(*state)
    kind, dtype, enabled, cache = state
    return _AUTOCAST(kind, dtype=dtype, enabled=enabled, cache_enabled=cache)


def _nesting() -> int:
    """How many autocast blocks are open. When the last one closes, torch forgets the weights that it has cast."""
    if _CUDA_AUTOCAST is None:
        return 0
    found = int(torch.autocast_increment_nesting()) - 1  # type: ignore[no-untyped-call]
    torch.autocast_decrement_nesting()  # type: ignore[no-untyped-call]
    return found


@contextmanager
def _outside_of_blocks() -> Iterator[None]:
    """For a block, no autocast block counts as open, so that each one in it forgets the weights when it closes."""
    count = _nesting()  # 0 where torch has no autocast
    for _ in range(count):
        torch.autocast_decrement_nesting()  # type: ignore[no-untyped-call]  # torchcompat: ignore
    try:
        yield
    finally:
        for _ in range(count):
            torch.autocast_increment_nesting()  # type: ignore[no-untyped-call]  # torchcompat: ignore


class Surroundings:
    """The random and autocast state at the time of the call, for later.

    Of the generators those of the CPU and of every device that a tensor among *arguments* is on, as in torch; none if
    *preserve_rng_state* is false.
    """

    def __init__(self, arguments: Any, preserve_rng_state: bool) -> None:
        self._devices = {x.device for x in tensors_in(arguments) if x.device.type not in ("cpu", "meta")}
        self._random = _RandomState(self._devices) if preserve_rng_state else None
        self._autocast = _autocast_states(self._devices)
        self._outermost = _nesting() == 0

    @contextmanager
    def again(self) -> Iterator[None]:
        """For a block, the state as it was; afterwards that from before the block, also if the block raises."""
        with ExitStack() as stack:
            if self._random:
                stack.callback(_RandomState(self._devices).put_back)
                self._random.put_back()
            for state in self._autocast:
                stack.enter_context(_autocast(state))
            if self._outermost:  # the contexts just entered were not there
                stack.enter_context(_outside_of_blocks())
            yield
