"""The CPU as a device like any other, so that code for streams and events runs without an accelerator (torch.cpu).

Everything here does nothing, as in torch: operations on the CPU have ended when their call returns.
"""

from __future__ import annotations

import platform
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ContextManager, Mapping

from ._shim import Limit, lacks, polyfill
from ._torch import at_least, at_most

if TYPE_CHECKING:
    from ._types import Device

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "get_capabilities",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]

_BEGINNING = "https://github.com/pytorch/pytorch/pull/103172"
_STREAM = "https://github.com/pytorch/pytorch/pull/145935"
# There :func:`current_stream` is ours, and does not see what torch's own select.
_UNSEEN = _STREAM if at_least(2, 1) and at_most(2, 6) else None


@polyfill("torch.cpu.is_available", since="2.1", link=_BEGINNING)
def is_available() -> bool:
    """Whether there is a CPU: True.

    In torch since 2.1. Fallback: a function that returns True.
    """
    return True


@polyfill(
    "torch.cpu.is_initialized", since="2.8", link="https://github.com/pytorch/pytorch/blob/v2.8.0/torch/cpu/__init__.py"
)
def is_initialized() -> bool:
    """Whether the CPU can be used at once: True.

    In torch since 2.8. Fallback: a function that returns True.
    """
    return True


@polyfill("torch.cpu.device_count", since="2.1", link=_BEGINNING)
def device_count() -> int:
    """The number of CPU devices, which is not that of cores: 1.

    In torch since 2.1. Fallback: a function that returns 1.
    """
    return 1


@polyfill("torch.cpu.current_device", since="2.2", link="https://github.com/pytorch/pytorch/pull/110987")
def current_device() -> str:
    """The current device: the string "cpu", where other backends have a number.

    In torch since 2.2. Fallback: a function that returns "cpu".
    """
    return "cpu"


@polyfill("torch.cpu.set_device", since="2.2", link="https://github.com/pytorch/pytorch/pull/110716")
def set_device(device: Device) -> None:
    """Do nothing: there is one CPU device.

    In torch since 2.2. Fallback: a function without effect.

    Args:
        device: anything; it is not looked at.
    """


@polyfill("torch.cpu.synchronize", since="2.1", link=_BEGINNING, limits=[lacks("script")])
def synchronize(device: Device = None) -> None:
    """Do nothing: what was called has ended.

    In torch since 2.1. Fallback: a function without effect.

    Args:
        device: anything; it is not looked at.
    """


@polyfill(
    "torch.cpu.Stream",
    since="2.7",
    link=_STREAM,
    limits=[lacks("isinstance", last="2.6")],
    reason="has no `wait_event` and no `record_event`",
)
class Stream:
    """A stand-in for a stream of another backend, of which every method does nothing.

    In torch since 2.7. Fallback: a class whose methods have no effect.

    Args:
        priority: not looked at.
    """

    def __init__(self, priority: int = -1) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        """Do nothing."""

    def record_event(self) -> None:
        """Do nothing."""

    def wait_event(self, event: Any) -> None:
        """Do nothing."""


@polyfill("torch.cpu.Event", since="2.2", link="https://github.com/pytorch/pytorch/pull/112145")
class Event:
    """A stand-in for an event of another backend: it has always happened.

    In torch since 2.2. Fallback: a class whose methods have no effect.
    """

    def query(self) -> bool:
        """Whether what was recorded has ended: True."""
        return True

    def record(self, stream: Any = None) -> None:
        """Do nothing."""

    def synchronize(self) -> None:
        """Do nothing."""

    def wait(self, stream: Any = None) -> None:
        """Do nothing."""


class _Selected:
    """The selected stream. It belongs to the process, as in torch."""

    stream: Any = Stream()


@polyfill(
    "torch.cpu.current_stream",
    since="2.7",
    link=_STREAM,
    reason="gives a stream that has no `wait_event` and no `record_event`",
)
def current_stream(device: Device = None) -> Stream:
    """The selected stream.

    In torch since 2.7. Fallback: the stream that was selected through this module.

    Args:
        device: anything; it is not looked at.

    Returns:
        A :class:`Stream`.
    """
    selected: Stream = _Selected.stream
    return selected


@polyfill(
    "torch.cpu.StreamContext",
    since="2.1",
    link=_BEGINNING,
    limits=[lacks("isinstance", last="2.6")],
    wrong=_UNSEEN,
)
class StreamContext:
    """Select a stream for a block.

    In torch since 2.1. Fallback: keeps the selected stream in this module.

    Args:
        stream: a :class:`Stream`; None selects nothing.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._found: Any = None

    def __enter__(self) -> None:
        if self.stream is not None:
            self._found, _Selected.stream = _Selected.stream, self.stream

    def __exit__(self, *exc_info: Any) -> None:
        if self.stream is not None:
            _Selected.stream = self._found


@polyfill("torch.cpu.stream", since="2.1", link=_BEGINNING, wrong=_UNSEEN)
def stream(stream: Stream) -> ContextManager[None]:
    """A context that selects *stream*.

    In torch since 2.1. Fallback: an object of our :class:`StreamContext`.

    Args:
        stream: a :class:`Stream`; None selects nothing.
    """
    context: ContextManager[None] = StreamContext(stream)
    return context


@polyfill(
    "torch.cpu.get_capabilities",
    since="2.11",
    link="https://github.com/pytorch/pytorch/pull/171095",
    limits=[Limit("instructions", "names the architecture only, no set of instructions", "fallback")],
)
def get_capabilities() -> Mapping[str, Any]:
    """What the processor can do.

    In torch since 2.11. Fallback: names the architecture, and nothing else, so ``get("avx2", False)`` is False.

    Returns:
        A mapping that cannot be changed, from names of sets of instructions to whether they are there;
        "architecture" is a string such as "x86_64".
    """
    return MappingProxyType({"architecture": platform.machine()})
