"""The device that tensors are made on where none is given, on every torch."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from .. import _scope
from .. import cpu as cpu_module
from .._shim import Limit, facade, polyfill
from .._torch import UnsupportedError, at_least, find
from ._accelerator import accelerator, functions
from ._module import DeviceModule, of

if TYPE_CHECKING:
    from .._types import Device

__all__ = ["default_device", "device_module", "get_default_device", "get_device_module", "set_default_device"]

# From here on torch has the default device itself, and torch.device is a context.
_HAS_DEFAULT = at_least(2, 0)
_OLD = Limit(
    "old torch",
    'knows only "cpu", and "cuda" without an index, there for the whole process: others raise UnsupportedError',
    "fallback",
    last="1.13",
)


@polyfill(
    "torch.get_default_device",
    since="2.10",
    link="https://github.com/pytorch/pytorch/pull/148621",
    limits=[Limit("started", "starts the default device, where torch only names it", "fallback")],
    reason="raises after `set_default_device(None)`; up to 2.7 it ignores `with torch.device(...)`",
)
def get_default_device() -> torch.device:
    """The device that factory functions such as ``torch.zeros`` use where none is given.

    In torch since 2.10. Fallback: makes a tensor without elements and looks, so it follows ``with torch.device(...)``,
    which torch 2.3 to 2.7 ignore, and ``torch.set_default_tensor_type``, which torch still ignores. torch 2.3 to 2.9
    also raise after ``set_default_device(None)``.
    https://docs.pytorch.org/docs/stable/generated/torch.get_default_device.html

    Returns:
        A device; with an index, if it is one of several.
    """
    return torch.empty(0).device


_TENSORS = {torch.float16: "HalfTensor", torch.float32: "FloatTensor", torch.float64: "DoubleTensor"}


class _TensorType:
    """The default device of torch before 2.0, which has a default type of tensors: a dtype and a device in one."""

    @staticmethod
    def is_cuda() -> bool:
        # Not by a tensor, which could not be made where there is no driver.
        return str(torch._C._get_default_device()) == "cuda"

    @classmethod
    def set_cuda(cls, wanted: bool) -> None:
        if wanted != cls.is_cuda():
            name = _TENSORS.get(torch.get_default_dtype(), "BFloat16Tensor")
            torch.set_default_tensor_type("torch.cuda." + name if wanted else "torch." + name)


def _checked(device: Any) -> torch.device | None:
    """The device that *device* means, if the installed torch can have it as its default."""
    if device is None:
        return None
    found = torch.device(device)
    if not _HAS_DEFAULT and found.type != "cpu" and (found.type != "cuda" or found.index is not None):
        raise UnsupportedError(
            f"device={str(found)!r} cannot be the default on torch {torch.__version__}, where it is 'cpu', or 'cuda' "
            f"without an index; torch 2.0 and later take any. Pass device= to the functions that make tensors"
        )
    return found


@polyfill(
    "torch.set_default_device",
    since="2.0",
    link="https://github.com/pytorch/pytorch/pull/91525",
    limits=[_OLD],
)
def set_default_device(device: Device) -> None:
    """Make factory functions such as ``torch.zeros`` use a device where none is given.

    In torch since 2.0. Fallback: on torch before 2.0 "cpu" and None always work, and "cuda" sets the default type of
    tensors, which holds in every thread; other devices raise UnsupportedError, since nothing there can redirect a call
    of ``torch.zeros``. https://docs.pytorch.org/docs/stable/generated/torch.set_default_device.html

    On torch 2.0 and later it holds in this thread only, and costs each call of torch a little.

    Args:
        device: a device, a string or an int; None for the CPU.

    Raises:
        RuntimeError: a string that is no device. Nothing has changed.
        TypeError: something else. Nothing has changed.
        UnsupportedError: this torch cannot. Nothing has changed.
    """
    checked = _checked(device)
    if _HAS_DEFAULT:
        torch.set_default_device(checked)
    else:
        _TensorType.set_cuda(checked is not None and checked.type == "cuda")


_count_modes: Any = find("torch._C._len_torch_function_stack")
_mode_at: Any = find("torch._C._get_function_stack_at")
_pop_mode: Any = find("torch._C._pop_torch_function_stack")


class _Entered(threading.local):
    """The devices that blocks have entered in this thread: since torch 2.0 each is a torch-function mode."""

    def __init__(self) -> None:
        self.modes: list[Any] = []

    def read(self) -> int:
        return len(self.modes)

    def write(self, value: Any) -> None:  # torchcompat: needs torch >= 2.0
        """Enter a device, or leave those that were entered after *value* was read."""
        modes = self.modes
        if isinstance(value, torch.device):
            value.__enter__()
            modes.append(_mode_at(_count_modes() - 1))
            return
        while len(modes) > value:
            _take_out(modes.pop())


def _take_out(mode: Any) -> None:  # torchcompat: needs torch >= 2.0
    """Take *mode* out of the stack of this thread, at any height, since blocks may end in any order.

    Where somebody else did, it takes what is on top, as torch's own block does.
    """
    count = _count_modes()
    if count and _mode_at(count - 1) is mode:
        _pop_mode()
        return
    stack = [_mode_at(place) for place in range(count)]
    place = next((place for place, other in enumerate(stack) if other is mode), count - 1)
    for _ in stack[place:]:
        _pop_mode()
    for other in stack[place + 1 :]:
        torch.overrides._push_mode(other)


def _write_type(value: Any) -> None:
    _TensorType.set_cuda(value.type == "cuda" if isinstance(value, torch.device) else value)


_entered = _Entered()
_SWITCH = (
    _scope.Switch(_entered.read, _entered.write, of_thread=True)
    if _HAS_DEFAULT
    else _scope.Switch(_TensorType.is_cuda, _write_type)
)


@facade("device.default_device")
class default_device(_scope.Context):
    """Make factory functions such as ``torch.zeros`` use a device for a block or a function, where none is given.

    Not in torch before 2.0; from there on it is ``with torch.device(device)``. Before, "cpu" works, and "cuda" without
    an index works by the default type of tensors, in every thread; other devices raise UnsupportedError.

    Use it as ``with default_device("cuda"):`` or ``@default_device("cuda")``. One object can be used again, also inside
    itself. Blocks may overlap and end in any order: the one that was opened last decides.

    Args:
        device: a device, a string or an int.

    Raises:
        RuntimeError: a string that is no device.
        TypeError: something else; or what is decorated is a class.
        UnsupportedError: this torch cannot.
    """

    def __init__(self, device: Any) -> None:
        checked = _checked(device)
        if checked is None:
            raise TypeError("device must be a device, a string or an int, got None")
        super().__init__()
        self.device: torch.device = checked

    def _settings(self) -> _scope.Settings:
        return {_SWITCH: self.device}


def _type_of(device: Any) -> str:
    if device is None:
        return accelerator() or "cpu"
    if not isinstance(device, (str, torch.device)):
        raise RuntimeError(f"device must be None, a string or a torch.device, got {device!r}")
    return str(torch.device(device).type)


@polyfill(
    "torch.get_device_module",
    since="2.14",
    link="https://github.com/pytorch/pytorch/pull/132204",
    reason="without an argument it gives `torch.cpu` where the accelerator has no device",
)
def get_device_module(device: torch.device | str | None = None) -> ModuleType:
    """The module of torch for a device, such as ``torch.cuda``.

    In torch since 2.14. Fallback: the attribute of ``torch`` that has the name of the device's type; for the CPU on
    torch below 2.2 ``torchcompat.cpu``.
    https://docs.pytorch.org/docs/stable/generated/torch.get_device_module.html

    What a module has differs between devices and versions of torch: :func:`torchcompat.device.device_module` has the
    same functions for all.

    Args:
        device: a device or a string; None for the accelerator that torch was built for, there or not, else the CPU.

    Raises:
        RuntimeError: no such device, a device without a module (meta), or something else.
    """
    type = _type_of(device)
    if type == "cpu" and not at_least(2, 2):
        return cpu_module
    module = find(f"torch.{type}")
    if not isinstance(module, ModuleType):
        raise RuntimeError(f"device {type!r} has no module torch.{type} on torch {torch.__version__}")
    return module


@facade("device.device_module")
def device_module(device: Any = None) -> DeviceModule:
    """The functions of a device's backend that training loops call: the same ones for every device and every torch.

    Not in torch: ``torch.get_device_module`` gives ``torch.cpu``, ``torch.cuda`` and so on, whose functions
    differ between devices and versions (``torch.cpu.empty_cache`` in none).

    >>> device_module("cpu").empty_cache()

    Args:
        device: a device or a string; None for the accelerator, if this process can use it, else the CPU.

    Returns:
        A :class:`torchcompat.device.DeviceModule`. It can be had for devices that are not there, too.

    Raises:
        RuntimeError: no such device.
        ValueError: the meta device, on which nothing runs.
        TypeError: something else.
    """
    if device is None:
        found = functions()
        return found if found is not None and found.is_available() else of("cpu")
    if not isinstance(device, (str, torch.device)):
        raise TypeError(f"device must be None, a string or a torch.device, got {device!r}")
    type = torch.device(device).type
    if type == "meta":
        raise ValueError("device 'meta' runs nothing, so it has no functions")
    return of(type)
