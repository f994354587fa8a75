"""Which way a call of the fallback of scaled_dot_product_attention goes: decided here, run by :mod:`_kernels`."""

from __future__ import annotations

from typing import Any, Sequence

import torch

from ...._shim import is_forced
from ...._torch import at_least, compiling, find
from ....amp._state import switch_of
from ...attention._backends import allowed
from ._arguments import shape_of
from ._call import Call, tensors_of
from ._formula import MINUS_INF
from ._fused import needs_grad, plain_call

NAME = "nn.functional.scaled_dot_product_attention"

# The ways: torch's own function, blocks of queries and keys, the plain formula, and none, where no backend may run.
NATIVE, BLOCKS, FORMULA, NONE = "native", "blocks", "formula", "none"

# From so many scores on they are made in blocks, which is faster there, and keeps memory linear in the lengths: on CPU
# as measured (docs/attention.md); on other devices, where a block costs more launches of kernels, not measured.
MANY_SCORES = 2**22
MANY_ON_DEVICE = 2**26
# Of causal attention blocks leave out half: they pay from so many scores of one batch element on.
MANY_CAUSAL = 2**20

# Torch 2.0 to 2.4 have a function that falls short of the contract, yet is right and faster for some calls.
native: Any = find("torch." + NAME) if not at_least(2, 5) and not is_forced(NAME) else None


def plan(call: Call) -> str:
    """The way that *call* goes."""
    math_allowed, fused_allowed = allowed(call.query.device.type)
    if not (math_allowed or fused_allowed or 0 in call.scores):
        return NONE
    if _native_serves(call):
        return NATIVE
    if not fused_allowed or 0 in call.scores or (math_allowed and not _many(call)):
        return FORMULA
    return BLOCKS if plain_call(tensors_of(call)) else FORMULA


def _many(call: Call) -> bool:
    of_element, total = 1, 1
    for size in call.scores[-3:]:
        of_element *= size
    for size in call.scores:
        total *= size
    if call.query.device.type != "cpu":
        return total >= MANY_ON_DEVICE
    return total >= MANY_SCORES or (call.options.causal_offset is not None and of_element >= MANY_CAUSAL)


def _native_may(tensors: Sequence[Any]) -> bool:
    """Whether nothing is asked of a kernel that has a first derivative only, and no vmap."""
    return not needs_grad(tensors) if compiling() else plain_call(tensors)


def _native_serves(call: Call) -> bool:
    """Whether torch's own function is there, right and faster for this call."""
    query, key, value, mask = call.query, call.key, call.value, call.mask
    if native is None or 0 in (query.numel(), key.numel(), value.numel()) or not _native_may(tensors_of(call)):
        return False
    causal_offset = call.options.causal_offset
    if query.device.type != "cpu":
        return mask is None and causal_offset in (None, 0)
    # The CPU has a fused kernel since 2.1, which takes masks since 2.3. In 2.3 and 2.4 half overflows, and the causal
    # triangle is made before the scale is applied.
    shape = shape_of(query)
    return (
        not HAS_NO_KERNEL
        and call.options.dropout_p == 0.0
        and query.dtype != torch.float16
        and (causal_offset is None or (causal_offset == 0 and call.options.scale > 0.0))
        and len(shape) == 4
        and shape_of(key) == shape_of(value) == (*shape[:2], key.size(-2), shape[-1])
        and (mask is None or (_TAKES_MASKS and mask.dtype in (torch.bool, query.dtype)))
    )


# Torch 2.0 has no kernel for the CPU: its function is the formula, in C++, and has derivatives of every order.
HAS_NO_KERNEL = not at_least(2, 1)
_cpu_autocast: Any = switch_of("cpu")


def is_plain_self_attention(query: Any, key: Any, value: Any) -> bool:
    """Whether these are tensors on the CPU that torch's own kernel takes: asked first, as it is cheap."""
    if native is None or compiling():
        return False
    if not (type(query) is type(key) is type(value) is torch.Tensor):
        return False
    if query.is_nested or key.is_nested or value.is_nested or query.dim() != 4:
        return False
    dtype, shape = query.dtype, query.shape
    return (
        (dtype is torch.float32 or dtype is torch.float64)
        and shape == key.shape == value.shape
        and dtype is key.dtype is value.dtype
        and query.is_cpu
        and key.is_cpu
        and value.is_cpu
        and 0 not in shape
        and (not HAS_NO_KERNEL or _few(shape))
        and not _cpu_autocast.enabled()
        and all(allowed("cpu"))
        and plain_call((query,))
    )


def _few(shape: Any) -> bool:
    """Whether the formula has few enough scores for all of them at once, causal or not."""
    of_element = shape[1] * shape[2] ** 2
    return bool(of_element < MANY_CAUSAL and shape[0] * of_element < MANY_SCORES)


_TAKES_MASKS = HAS_NO_KERNEL or at_least(2, 3)


def is_plain_mask(mask: Any, query: Any) -> bool:
    """Whether torch's own kernel takes the mask as it is, and every query may see the first key.

    That all may see some key, which is to be known, nearly all masks show by the first one.
    """
    if not _TAKES_MASKS or type(mask) is not torch.Tensor or mask.requires_grad or not mask.is_cpu:
        return False
    batch, heads, length, _ = query.shape
    shape = mask.shape
    if shape[-2:] != (length, length) or mask.stride(-1) != 1 or mask.is_nested:
        return False
    if len(shape) != 2 and not (len(shape) == 4 and shape[0] in (1, batch) and shape[1] in (1, heads)):
        return False
    if mask.dtype is torch.bool:
        return bool(mask[..., 0].all())
    return mask.dtype is query.dtype and bool((mask[..., 0] > MINUS_INF).all())


def has_dense_rows(query: Any, key: Any, value: Any) -> bool:
    """Whether the last dimensions of the three lie side by side in memory, as the kernel itself wants them."""
    return bool(query.stride(-1) == key.stride(-1) == value.stride(-1) == 1)
