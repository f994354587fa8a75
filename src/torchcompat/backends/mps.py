"""Whether Apple's GPU can be used (torch.backends.mps)."""

from __future__ import annotations

from .._lazy import attach as _attach
from .._shim import polyfill
from .._torch import find

__all__ = ["is_available", "is_built"]

_LINK = "https://github.com/pytorch/pytorch/blob/v1.12.1/torch/backends/mps/__init__.py#L{}"


@polyfill("torch.backends.mps.is_built", since="1.12", link=_LINK.format(4))
def is_built() -> bool:
    """Whether torch was built with MPS.

    In torch since 1.12. Fallback: False before, since no older torch has it.
    https://docs.pytorch.org/docs/stable/backends.html
    """
    native = find("torch.backends.mps.is_built")
    return bool(native and native())


@polyfill("torch.backends.mps.is_available", since="1.12", link=_LINK.format(12))
def is_available() -> bool:
    """Whether this process can use the device.

    In torch since 1.12. Fallback: False before, since no older torch has it.
    https://docs.pytorch.org/docs/stable/backends.html
    """
    native = find("torch.backends.mps.is_available")
    return bool(native and native())


_attach(globals())
