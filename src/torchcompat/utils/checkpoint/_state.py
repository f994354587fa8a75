"""What a recomputation must find as the forward pass found it: random numbers and autocast."""

from __future__ import annotations

from typing import Any, Iterator

import torch

from ..._torch import at_least, find

_AUTOCAST = find("torch.autocast")
_CUDA_AUTOCAST = find("torch.cuda.amp.autocast")
_ASKS_BY_KIND = at_least(2, 4)


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
    if _ASKS_BY_KIND:
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

    def again(self) -> _Again:
        """For a block, the state as it was; afterwards that from before the block, also if the block raises."""
        return _Again(self._devices, self._random, self._autocast, self._outermost)


class _Again:
    """What :meth:`Surroundings.again` gives: written by hand, as every recomputation enters and leaves one."""

    def __init__(
        self, devices: set[torch.device], random: Any, autocast: list[tuple[Any, ...]], outermost: bool
    ) -> None:
        self._devices, self._random, self._autocast, self._outermost = devices, random, autocast, outermost
        self._before: Any = None
        self._entered: list[Any] = []
        self._closed_blocks = 0

    def __enter__(self) -> None:
        if self._random:
            self._before = _RandomState(self._devices)
        try:
            if self._random:
                self._random.put_back()
            # Mostly autocast is off, then and now.
            if _autocast_states(self._devices) != self._autocast:
                for state in self._autocast:
                    block = _autocast(state)
                    block.__enter__()
                    self._entered.append(block)
            if self._outermost:
                self._leave_blocks()
        except BaseException:
            self.__exit__()
            raise

    def _leave_blocks(self) -> None:
        """Count no autocast block as open, so that each one that opens now forgets the weights when it closes."""
        for _ in range(_nesting()):  # 0 where torch has no autocast
            torch.autocast_decrement_nesting()  # type: ignore[no-untyped-call]  # torchcompat: ignore
            self._closed_blocks += 1

    def __exit__(self, *error: Any) -> None:
        for _ in range(self._closed_blocks):
            torch.autocast_increment_nesting()  # type: ignore[no-untyped-call]  # torchcompat: ignore
        error = error or (None, None, None)
        while self._entered:
            self._entered.pop().__exit__(*error)
        if self._before:
            self._before.put_back()
