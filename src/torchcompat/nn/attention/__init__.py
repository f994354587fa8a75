"""``torch.nn.attention``: which attention kernels may run."""

from __future__ import annotations

import enum
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator

from ..._lazy import attach as _attach
from ..._scope import Step
from ..._shim import Limit, lacks, polyfill
from . import _backends

if TYPE_CHECKING:
    from . import bias as bias
    from . import flex_attention as flex_attention
    from . import varlen as varlen

__all__ = ["SDPBackend", "bias", "flex_attention", "sdpa_kernel", "varlen"]

# Loaded when they are asked for: each imports its part of torch, which `import torch` leaves out.
_attach(globals(), {"": "bias flex_attention varlen"}, later=["bias", "flex_attention", "varlen"])


@polyfill(
    "torch.nn.attention.SDPBackend",
    since="2.5",
    link="https://github.com/pytorch/pytorch/pull/126392",  # OVERRIDEABLE; the class: pull/114689
    limits=[Limit("pickle", "a member cannot be pickled", "native", "2.5"), lacks("isinstance", last="2.4")],
    reason="no member `OVERRIDEABLE`",
)
class SDPBackend(enum.Enum):
    """The kernels of scaled dot product attention, by name, for :func:`sdpa_kernel`.

    In torch since 2.5. Fallback: an enumeration with torch's members and values. Torch has the name since 2.3.

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


@polyfill(
    "torch.nn.attention.sdpa_kernel",
    since="2.6",
    link="https://github.com/pytorch/pytorch/pull/140467",  # set_priority; the name: pull/114689
    limits=[
        Limit("items", "an item that is no SDPBackend is accepted and enables nothing", "native", "2.6"),
        Limit("error", "ERROR with set_priority=True overwrites torch's other settings", "native", "2.8"),
        Limit("overrideable", "OVERRIDEABLE stays enabled whatever is chosen", "native", "2.6", "2.8"),
        Limit("overlap", "a block that ends before one opened within it leaves its choice behind", "native", "2.6"),
        Limit("fullgraph", "torch.compile breaks the graph where it is entered", "fallback", "2.1"),
    ],
    reason="no `set_priority`",
)
@contextmanager
def sdpa_kernel(backends: list[SDPBackend] | SDPBackend, set_priority: bool = False) -> Iterator[dict[Any, Any]]:
    """Choose the kernels that ``scaled_dot_product_attention`` may use, for a block or, as a decorator, for a function.

    In torch since 2.6. Fallback: sets the flags of this torch, which its own attention obeys, and keeps a record of
    those that it does not have, which torchcompat's attention obeys. Torch has the name since 2.3, without
    *set_priority* before 2.6, and ``torch.backends.cuda.sdp_kernel`` since 1.13.

    On leaving the block, by an exception too, the kernels are allowed that were allowed before. The choice belongs to
    the process, not to the thread. A choice that leaves no kernel for a call is no error before that call, which raises
    RuntimeError: an empty list, or on CPU any without ``MATH`` and ``FLASH_ATTENTION``.

    Args:
        backends: a member of :class:`SDPBackend` or a list of them; duplicates count once.
        set_priority: prefer the kernels in the order of *backends*. Only torch's choice among CUDA kernels goes by it.

    Returns:
        A context manager. Nothing is changed or checked before it is entered, once.

    Raises:
        AssertionError: *backends* is neither an SDPBackend nor a list.
        TypeError: an item of *backends* is no SDPBackend.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.sdpa_kernel.html
    """
    with Step(_backends.settings(_backends.numbers(backends), set_priority)):
        yield {}
