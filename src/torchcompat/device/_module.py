"""One set of functions for every backend: what training loops call, whatever torch's modules have."""

from __future__ import annotations

from collections import OrderedDict
from importlib import import_module
from typing import Any, ContextManager

import torch

from .. import cpu
from .._shim import SHIMS
from .._torch import UnsupportedError, find
from . import _probe as probe

# Other spellings of a function, by backend: what torch called it before 1.4, and what MPS calls it.
_SPELLINGS = {
    ("cuda", "memory_reserved"): "memory_cached",
    ("cuda", "max_memory_reserved"): "max_memory_cached",
    ("mps", "memory_allocated"): "current_allocated_memory",
    ("mps", "memory_reserved"): "driver_allocated_memory",
}

# What an allocator without memory_stats can tell (torch.cuda up to 1.3, MPS), sorted.
_STATS = (
    ("allocated_bytes.all.current", "memory_allocated"),
    ("allocated_bytes.all.peak", "max_memory_allocated"),
    ("reserved_bytes.all.current", "memory_reserved"),
    ("reserved_bytes.all.peak", "max_memory_reserved"),
)


def missing(type: str, what: str) -> UnsupportedError:
    """The error for what the backend of the installed torch does not have."""
    return UnsupportedError(f"torch.{type} of torch {torch.__version__} has no {what}, and nothing can stand in for it")


class DeviceModule:
    """The functions of one backend, the same for all: ``device_module("cuda").memory_allocated()``.

    A call that has nothing to do does nothing: it does not raise because the CPU has no streams, or because there is no
    GPU. Asking starts no device. A *device* is None (the current one), a number, or a device of this backend as a
    string or a ``torch.device``. Another backend's raises ``ValueError``; another type, ``TypeError``. The CPU
    and MPS have one device each. ``UnsupportedError``: torch cannot tell (the peaks of MPS, memory of XPU before 2.5).

    Attributes:
        type: the backend, as in ``torch.device(type)``.
    """

    def __init__(self, type: str) -> None:
        self.type = type

    def __repr__(self) -> str:
        return f"device_module({self.type!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return SHIMS["device.device_module"].fallback, (self.type,)

    def _own(self, name: str) -> Any:
        found = find(f"torch.{self.type}.{name}")
        other = _SPELLINGS.get((self.type, name))
        return find(f"torch.{self.type}.{other}") if found is None and other else found

    def _function(self, name: str) -> Any:
        function = self._own(name)
        if function is None:
            raise missing(self.type, name)
        return function

    def index(self, device: Any) -> int | None:
        """The number of *device*, None for the current one."""
        if device is None:
            return None
        if isinstance(device, int) and not isinstance(device, bool):
            return device
        if not isinstance(device, (str, torch.device)):
            raise TypeError(f"device must be None, an int, a string or a torch.device, got {device!r}")
        found = torch.device(device)
        if found.type != self.type:
            raise ValueError(f"device must be of type {self.type}, got {str(found)!r}")
        number: int | None = found.index
        return number

    def is_available(self) -> bool:
        """Whether this process can use a device of this backend."""
        return self.device_count() > 0

    def device_count(self) -> int:
        """The number of devices that this process can use."""
        return probe.look(self.type).number

    def is_initialized(self) -> bool:
        """Whether the backend has been started, so that something may be running on it."""
        asked = self._own("is_initialized")
        if asked is not None:
            return bool(asked())
        flag = self._own("_initialized")  # torch.cuda up to 1.2; a backend that has neither needs no start
        return self.is_available() if flag is None else bool(flag) and self.is_available()

    def current_device(self) -> int | str:
        """The number of the current device; "cpu" on the CPU, as in ``torch.cpu``.

        Raises:
            RuntimeError: there is no device.
        """
        self.require()
        return int(self._function("current_device")())

    def require(self) -> None:
        """Raise RuntimeError where there is no device of this backend."""
        found = probe.look(self.type)
        if not found.number:
            raise RuntimeError(f"no device of type {self.type} is available: {found.why}")

    def set_device(self, device: Any) -> None:
        """Make *device* the current one. None and a negative number change nothing.

        Raises:
            RuntimeError: there is no device.
        """
        index = self.index(device)
        if index is not None and index >= 0:
            self.require()
            self._function("set_device")(index)

    def synchronize(self, device: Any = None) -> None:
        """Wait until everything that was started on *device* has ended; nothing, where nothing was."""
        index = self.index(device)
        if self.is_initialized():
            self._function("synchronize")(index)

    def empty_cache(self) -> None:
        """Give unused memory back to the device."""
        empty_cache = self._own("empty_cache")
        if empty_cache is not None and self.is_initialized():
            empty_cache()

    def _bytes(self, name: str, device: Any) -> int:
        index = self.index(device)
        return int(self._function(name)(index)) if self.is_initialized() else 0

    def memory_allocated(self, device: Any = None) -> int:
        """Bytes that tensors take on *device*. On the CPU torch does not count, and it is 0."""
        return self._bytes("memory_allocated", device)

    def max_memory_allocated(self, device: Any = None) -> int:
        """The most bytes that tensors have taken on *device* since the start or the last reset."""
        return self._bytes("max_memory_allocated", device)

    def memory_reserved(self, device: Any = None) -> int:
        """Bytes that torch holds on *device*, in use or not."""
        return self._bytes("memory_reserved", device)

    def max_memory_reserved(self, device: Any = None) -> int:
        """The most bytes that torch has held on *device* since the start or the last reset."""
        return self._bytes("max_memory_reserved", device)

    def reset_peak_memory_stats(self, device: Any = None) -> None:
        """Let the peaks of *device* start again from what is taken now."""
        index = self.index(device)
        if self.is_initialized():
            reset = self._own("reset_peak_memory_stats")
            resets = ("reset_max_memory_allocated", "reset_max_memory_cached")  # torch.cuda up to 1.3
            for function in (reset,) if reset is not None else tuple(map(self._own, resets)):
                if function is not None:
                    function(index)

    def reset_accumulated_memory_stats(self, device: Any = None) -> None:
        """Let the sums over time of *device* start again from 0, where the backend keeps any."""
        index = self.index(device)
        reset = self._own("reset_accumulated_memory_stats")
        if reset is not None and self.is_initialized():
            reset(index)

    def memory_stats(self, device: Any = None) -> OrderedDict[str, Any]:
        """What the allocator of *device* has counted, by names such as "allocated_bytes.all.peak", sorted."""
        index = self.index(device)
        if not self.is_initialized():
            return OrderedDict()
        stats = self._own("memory_stats")
        if stats is not None:
            return OrderedDict(sorted(stats(index).items()))
        known = [(name, function) for name, function in _STATS if self._own(function) is not None]
        return OrderedDict((name, self._bytes(function, index)) for name, function in known)

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        """Free and total bytes of *device*.

        Raises:
            RuntimeError: there is no device.
            UnsupportedError: torch has no call for it: CUDA before 1.10, XPU before 2.6, MPS before 2.5, the CPU.
        """
        index = self.index(device)
        self.require()
        free, total = self._function("mem_get_info")(index)
        return int(free), int(total)

    def manual_seed(self, seed: int) -> None:
        """Seed the current device. Where the backend has not been started, the seed is kept for when it is."""
        function = self._own("manual_seed")
        if function is not None:
            function(seed)

    def manual_seed_all(self, seed: int) -> None:
        """Seed every device of the backend."""
        function = self._own("manual_seed_all")
        self.manual_seed(seed) if function is None else function(seed)

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        """The state of the random number generator of *device*, as a tensor of bytes on the CPU.

        Raises:
            RuntimeError: there is no device.
        """
        index = self.index(device)
        self.require()
        state: torch.Tensor = self._function("get_rng_state")(self.type if index is None else index)
        return state

    def set_rng_state(self, new_state: torch.Tensor, device: Any = None) -> None:
        """Set the state of the random number generator of *device*.

        Raises:
            RuntimeError: there is no device.
        """
        index = self.index(device)
        self.require()
        self._function("set_rng_state")(new_state, self.type if index is None else index)

    def initial_seed(self, device: Any = None) -> int:
        """The seed from which the random numbers of *device* started.

        Raises:
            RuntimeError: there is no device.
        """
        index, current = self.index(device), self.current_device()
        if index is None or index == current:
            return int(self._function("initial_seed")())
        self.get_rng_state(index)  # starts the backend, which makes its generators
        return int(self._function("default_generators")[index].initial_seed())

    def Stream(self, *args: Any, **kwargs: Any) -> Any:
        """A stream of the backend, by its own arguments; where it has none, one that does nothing.

        Raises:
            RuntimeError: there is no device.
        """
        self.require()
        return (self._own("Stream") or cpu.Stream)(*args, **kwargs)

    def Event(self, *args: Any, **kwargs: Any) -> Any:
        """An event of the backend, by its own arguments.

        Raises:
            RuntimeError: there is no device.
            UnsupportedError: torch has none: MPS before 2.1.
        """
        self.require()
        return self._function("Event")(*args, **kwargs)

    def current_stream(self, device: Any = None) -> Any:
        """The selected stream of *device*.

        Raises:
            RuntimeError: there is no device.
        """
        index = self.index(device)
        self.require()
        function = self._own("current_stream")
        return cpu.current_stream() if function is None else function(index)

    def stream(self, stream: Any) -> ContextManager[Any]:
        """A context that selects *stream*; None selects nothing."""
        function = self._own("stream")
        if stream is None or function is None:
            return cpu.stream(stream)
        context: ContextManager[Any] = function(stream)
        return context

    def set_stream(self, stream: Any) -> None:
        """Select *stream*, and make its device the current one."""
        function = self._own("set_stream")
        if function is None:  # up to 1.8 only the context selects
            self.stream(stream).__enter__()
        else:
            function(stream)


class _Cpu(DeviceModule):
    def is_initialized(self) -> bool:
        return False  # there is never anything to wait for or to give back

    def current_device(self) -> int | str:
        return cpu.current_device()

    def set_device(self, device: Any) -> None:
        self.index(device)

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        self.index(device)
        raise missing("cpu", "mem_get_info")

    def manual_seed(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        self.manual_seed(seed)

    def initial_seed(self, device: Any = None) -> int:
        self.index(device)
        return int(torch.initial_seed())

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        self.index(device)
        return torch.get_rng_state()

    def set_rng_state(self, new_state: torch.Tensor, device: Any = None) -> None:
        self.index(device)
        torch.set_rng_state(new_state)

    def Stream(self, *args: Any, **kwargs: Any) -> Any:
        return cpu.Stream()

    def Event(self, *args: Any, **kwargs: Any) -> Any:
        return cpu.Event()

    def current_stream(self, device: Any = None) -> Any:
        self.index(device)
        return cpu.current_stream()

    def stream(self, stream: Any) -> ContextManager[Any]:
        return cpu.stream(stream)

    def set_stream(self, stream: Any) -> None:
        cpu.stream(stream).__enter__()


class _Mps(DeviceModule):
    """MPS takes no device, counts no peaks, has streams from 2.15 on, and no module of its own on 1.12 and 1.13."""

    def _own(self, name: str) -> Any:
        if find("torch.backends.mps") and not find("torch.mps"):
            try:
                import_module("torch.mps")  # torch 2.0 has it, but does not load it
            except ImportError:
                return None
        return super()._own(name)

    def current_device(self) -> int | str:
        self.require()
        return 0

    def set_device(self, device: Any) -> None:
        if self.index(device) is not None:
            self.require()

    def is_initialized(self) -> bool:
        return self.is_available()

    def synchronize(self, device: Any = None) -> None:
        self.index(device)
        if self.is_initialized():
            # Without the call, a copy to the CPU waits for all that was started before it: MPS has one queue.
            function = self._own("synchronize") or torch.zeros(1, device="mps").cpu
            function()

    def _bytes(self, name: str, device: Any) -> int:
        self.index(device)
        return int(self._function(name)()) if self.is_initialized() else 0

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        self.index(device)
        self.require()
        total = int(self._function("recommended_max_memory")())
        return max(total - self.memory_reserved(), 0), total

    def manual_seed(self, seed: int) -> None:
        if self.is_available():
            self._function("manual_seed")(seed)

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        self.index(device)
        self.require()
        state: torch.Tensor = self._function("get_rng_state")()
        return state

    def set_rng_state(self, new_state: torch.Tensor, device: Any = None) -> None:
        self.index(device)
        self.require()
        self._function("set_rng_state")(new_state)

    def current_stream(self, device: Any = None) -> Any:
        self.index(device)
        self.require()
        return (self._own("current_stream") or cpu.current_stream)()


def of(type: str) -> DeviceModule:
    """The functions of the backend *type*."""
    return {"cpu": _Cpu, "mps": _Mps}.get(type, DeviceModule)(type)
