"""Autocast's state on any torch: which device types have one, and how to read and set it."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import torch

from .._shim import SHIMS, Limit, polyfill
from .._torch import at_least, find
from .._torchscript import script_as

# The device types for which torch 2.15 has autocast, with the dtype that it casts to unless told otherwise.
DEFAULTS = {
    "cpu": torch.bfloat16,
    "cuda": torch.float16,
    "hpu": torch.bfloat16,
    "ipu": torch.float16,
    "maia": torch.bfloat16,
    "mps": torch.float16,
    "mtia": torch.float16,
    "privateuseone": torch.float16,
    "xla": torch.bfloat16,
    "xpu": torch.float16,
}

# The minor that brought autocast for a type; 2.4 for those not listed.
ADDED = {"cpu": "1.10", "cuda": "1.6", "maia": "2.8", "mps": "2.5", "mtia": "2.7"}


class Switch(NamedTuple):
    """Autocast's state for one device type, in this thread."""

    enabled: Callable[[], bool]
    set_enabled: Callable[[bool], None]
    dtype: Callable[[], Any]
    set_dtype: Callable[[Any], None]


def _generic(kind: str) -> Switch:
    return Switch(
        lambda: torch.is_autocast_enabled(kind),
        lambda enabled: torch.set_autocast_enabled(kind, enabled),
        lambda: torch.get_autocast_dtype(kind),
        lambda dtype: torch.set_autocast_dtype(kind, dtype),
    )


_FUNCTIONS = (("is", "enabled"), ("set", "enabled"), ("get", "dtype"), ("set", "dtype"))


def _own_functions(kind: str) -> Switch | None:
    # Before 2.4 every type has four functions of its own: in torch, or in the module of a vendor, long or short.
    for owner, middle in (("torch", f"_{kind}"), (f"torch.{kind}", f"_{kind}"), (f"torch.{kind}", "")):
        found = [find(f"{owner}.{verb}_autocast{middle}_{noun}") for verb, noun in _FUNCTIONS]
        if all(found):
            return Switch(*found)
    return None


def _float16_only(dtype: Any) -> None:
    """Torch 1.6 to 1.9 cast to float16 and to nothing else; who asks for more is refused before it comes to this."""


def _set_cpu_dtype(dtype: Any) -> None:  # torchcompat: needs torch >= 1.10
    # Torch 1.10 to 2.1 raise for another dtype, also where autocast is off. Where it is on, none other gets here.
    if dtype == torch.bfloat16:
        torch.set_autocast_cpu_dtype(dtype)


def _cpu() -> Switch | None:
    switch = _own_functions("cpu")
    return switch._replace(set_dtype=_set_cpu_dtype) if switch and not at_least(2, 2) else switch


def _cuda() -> Switch | None:
    if not at_least(1, 6):
        return None
    if at_least(1, 10):
        dtypes = torch.get_autocast_gpu_dtype, torch.set_autocast_gpu_dtype
    else:
        dtypes = (lambda: torch.float16), _float16_only
    return Switch(torch.is_autocast_enabled, torch.set_autocast_enabled, *dtypes)


def _switches() -> dict[str, Switch | None]:
    if at_least(2, 4):
        return {kind: _generic(kind) for kind in DEFAULTS if torch.amp.is_autocast_available(kind)}
    return {"cpu": _cpu(), "cuda": _cuda()}


_SWITCHES = _switches()


def backend_name() -> str | None:
    """What ``privateuseone`` is called in this process: the name of a vendor's backend, such as "npu"."""
    ask = find("torch._C._get_privateuse1_backend_name")
    return str(ask()) if ask else None


def switch_of(kind: str) -> Switch | None:
    """Autocast's state for a device type, or None where the installed torch has no autocast for it."""
    if kind in _SWITCHES:
        return _SWITCHES[kind]
    if at_least(2, 4):
        return _generic(kind) if kind == backend_name() else None
    return _own_functions(kind) if kind not in ADDED else None


def kind_of(device_type: Any) -> str:
    """The type of a device type's string, which may carry an index, as in torch.

    Raises:
        TypeError: *device_type* is not a string.
        RuntimeError: torch 2.15 knows no such device.
    """
    if not isinstance(device_type, str):
        raise TypeError(f"device_type must be a string such as 'cuda', got {device_type!r}")
    kind, _, index = device_type.partition(":")
    known = kind in DEFAULTS or kind == "meta"
    if known and (kind == device_type or index.isdigit()):
        return kind  # also where the installed torch is too old to know the type
    return str(torch.device(device_type).type)


def castable(device_type: Any) -> str:
    """As :func:`kind_of`, for a type that autocast is for: others are a RuntimeError."""
    kind = kind_of(device_type)
    if kind not in DEFAULTS and kind != backend_name():
        raise RuntimeError(f"device_type must be one that autocast is for ({', '.join(DEFAULTS)}), got {device_type!r}")
    return kind


def is_on(device_type: Any) -> bool:
    """The answer of :func:`is_autocast_enabled`, also for devices that are newer than the installed torch."""
    switch = switch_of(castable(device_type))
    return switch is not None and switch.enabled()


def dtype_now(device_type: Any) -> Any:
    """The answer of :func:`get_autocast_dtype`, also for devices that are newer than the installed torch."""
    kind = castable(device_type)
    switch = switch_of(kind)
    return switch.dtype() if switch else DEFAULTS[kind]


_GENERIC = "https://github.com/pytorch/pytorch/pull/124359"
_LATER = [
    # https://github.com/pytorch/pytorch/pull/99272
    Limit("mps", "raises RuntimeError for 'mps'", "native", "2.4", "2.4"),
    Limit("mtia", "raises RuntimeError for 'mtia'", "native", "2.4", "2.6"),
    Limit("maia", "raises RuntimeError for 'maia'", "native", "2.4", "2.7"),
]


@polyfill("torch.is_autocast_enabled", since="2.4", link=_GENERIC, limits=_LATER, reason="no `device_type`")
def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for a type of device, in this thread.

    In torch since 2.4. Fallback: asks what the installed torch has, which takes no *device_type* up to 2.3. Where
    there is no autocast for a device, it is off.
    https://docs.pytorch.org/docs/stable/generated/torch.is_autocast_enabled.html

    Args:
        device_type: a device's type, such as ``tensor.device.type``. Left out: ``"cuda"``, whatever the device in use.

    Raises:
        RuntimeError: torch 2.15 knows no such device, or has no autocast for it (``"meta"``).
        TypeError: *device_type* is not a string.
    """
    return is_on(device_type)


@polyfill(
    "torch.get_autocast_dtype",
    since="2.4",
    link=_GENERIC,
    limits=[*_LATER, Limit("off", "a disabled block for the CPU leaves the dtype alone", "fallback", "1.2", "2.1")],
)
def get_autocast_dtype(device_type: str) -> torch.dtype:
    """The dtype that autocast casts to on a type of device, now and in this thread.

    In torch since 2.4. Fallback: asks what the installed torch has, which up to 2.3 is one function for each device.
    Where there is no autocast for a device, it is the dtype that torch 2.15 starts with.
    https://docs.pytorch.org/docs/stable/amp.html

    Args:
        device_type: a device's type, such as ``tensor.device.type``.

    Returns:
        At first float16, but bfloat16 for ``"cpu"``, ``"hpu"``, ``"xla"`` and ``"maia"``. It need not be on.

    Raises:
        RuntimeError: torch 2.15 knows no such device, or has no autocast for it (``"meta"``).
        TypeError: *device_type* is not a string.
    """
    return dtype_now(device_type)


script_as(SHIMS["get_autocast_dtype"].fallback, "aten::get_autocast_dtype")
