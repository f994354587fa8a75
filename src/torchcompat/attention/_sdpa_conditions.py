"""When torch's CPU runs its fused attention kernel: one row per condition, with the minors it holds on.

Learned by running every minor from 2.0 to 2.15 under the profiler (tests/test_sdpa_choice.py). The kernel came with
https://github.com/pytorch/pytorch/pull/103826, the choice with https://github.com/pytorch/pytorch/pull/105131.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import torch

from ._conditions import Condition

SINCE = "2.1"


class View(NamedTuple):
    """What the conditions look at in a tensor. Of a nested one there is neither a shape nor a stride."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: Any
    requires_grad: bool
    nested: bool

    @property
    def empty(self) -> bool:
        return 0 in self.shape


class SdpaCall(NamedTuple):
    """A call of scaled_dot_product_attention, its tensors as autocast hands them on."""

    query: View
    key: View
    value: View
    mask: View | None
    dropout_p: float
    enable_gqa: bool

    def qkv(self) -> tuple[View, View, View]:
        return self.query, self.key, self.value

    def nested(self) -> bool:
        return any(x.nested for x in self.qkv())

    def differ(self, dim: int) -> bool:
        """Whether query, key and value differ in the size of a dimension that they all have."""
        return len({x.shape[dim] for x in self.qkv() if len(x.shape) >= abs(dim)}) > 1

    def batched(self) -> bool:
        """Whether query, key and value are all 4-D: torch asks about batch, heads and mask only then."""
        return all(len(x.shape) == 4 for x in self.qkv())


def promoted(call: SdpaCall) -> SdpaCall:
    """A 3-D call as torch 2.14 on makes it: https://github.com/pytorch/pytorch/pull/192271."""
    if call.nested() or any(len(x.shape) != 3 for x in call.qkv()):
        return call
    query, key, value = (_unsqueezed(x) for x in call.qkv())
    mask = _unsqueezed(call.mask) if call.mask is not None and len(call.mask.shape) == 3 else call.mask
    return call._replace(query=query, key=key, value=value, mask=mask)


def _unsqueezed(x: View) -> View:
    return x._replace(shape=(1, *x.shape), stride=(x.shape[0] * x.stride[0], *x.stride))


def _other_heads(call: SdpaCall, *, grouped: bool, single: bool) -> bool:
    query, key, value = (x.shape[1] for x in call.qkv())
    if grouped and call.enable_gqa:
        return key != value or key == 0 or query % key != 0
    return not query == key == value and not (single and key == value == 1)


def _bad_mask(call: SdpaCall) -> bool:
    if call.mask is None:
        return False
    shape, query, key = call.mask.shape, call.query.shape, call.key.shape
    if len(shape) not in (2, 4) or shape[-2] not in (1, query[2]) or shape[-1] not in (1, key[2]):
        return True
    return len(shape) == 4 and (shape[0] not in (1, query[0]) or shape[1] not in (1, query[1]))


def _strided(x: View) -> bool:
    return bool(x.stride) and x.stride[-1] != 1


def _other_dtype(call: SdpaCall, *accepted: Any) -> bool:
    return len({x.dtype for x in call.qkv()}) > 1 or call.query.dtype not in accepted


def _if_batched(blocks: Callable[[SdpaCall], bool]) -> Callable[[SdpaCall], bool]:
    return lambda call: call.batched() and blocks(call)


def _row(code: str, text: str, blocks: Callable[[Any], bool], first: str = SINCE, last: str = "") -> Condition:
    return Condition(code, text, blocks, first, last)


_FLOATS = (torch.float32, torch.float64, torch.bfloat16)
_HEADS = "query, key and value differ in their number of heads"

FLASH_ON_CPU = (  # torchcompat: needs torch >= 2.0
    _row(
        "version", "This torch has no fused kernel for the CPU; torch has one since 2.1.", lambda c: True, "2.0", "2.0"
    ),
    _row(
        "flag",
        "FLASH_ATTENTION is switched off; leave the sdpa_kernel block that excludes it, or call "
        "torch.backends.cuda.enable_flash_sdp(True).",
        lambda c: not torch.backends.cuda.flash_sdp_enabled(),
    ),
    _row("nested", "query, key or value is a nested tensor; pad them and pass attn_mask.", lambda c: c.nested()),
    _row("dropout", "dropout_p is not 0; set it to 0.", lambda c: c.dropout_p > 0.0),
    _row(
        "dims",
        "query, key and value are not all 4-D; give them the shape (batch, heads, length, width).",
        lambda c: not c.nested() and not c.batched(),
        last="2.13",
    ),
    _row(
        "dims",
        "query, key and value are neither all 4-D nor all 3-D; give them the shape (batch, heads, length, width).",
        lambda c: not c.nested() and not c.batched(),
        first="2.14",  # https://github.com/pytorch/pytorch/pull/192271
    ),
    _row(
        "batch",
        "query, key and value differ in their batch size; expand them.",
        _if_batched(lambda c: c.differ(0)),
    ),
    _row(
        "heads",
        _HEADS + "; expand key and value, also where enable_gqa=True.",
        _if_batched(lambda c: _other_heads(c, grouped=False, single=False)),
        last="2.8",
    ),
    _row(
        "heads",
        _HEADS + "; expand key and value, or pass enable_gqa=True where theirs are equal and divide the query's.",
        _if_batched(lambda c: _other_heads(c, grouped=True, single=False)),
        first="2.9",  # https://github.com/pytorch/pytorch/pull/157893
        last="2.13",
    ),
    _row(
        "heads",
        _HEADS + "; expand key and value, or pass enable_gqa=True where theirs are equal and divide the query's "
        "(a single head needs neither).",
        _if_batched(lambda c: _other_heads(c, grouped=True, single=True)),
        first="2.14",  # https://github.com/pytorch/pytorch/pull/191085
    ),
    _row("attn_mask", "There is an attn_mask; leave it out.", lambda c: c.mask is not None, last="2.2"),
    _row(
        "mask_grad",
        "attn_mask requires grad; detach it.",
        lambda c: c.mask is not None and c.mask.requires_grad,
        first="2.3",  # https://github.com/pytorch/pytorch/pull/115913
    ),
    _row(
        "mask_shape",
        "attn_mask is neither (L, S) nor (batch, heads, L, S), each of them perhaps 1; give it such a shape.",
        _if_batched(_bad_mask),
        first="2.3",
    ),
    _row(
        "mask_stride",
        "The last dimension of attn_mask is not contiguous; call contiguous() on it.",
        lambda c: c.mask is not None and _strided(c.mask),
        first="2.3",
        last="2.7",
    ),
    _row("width", "query, key and value differ in their last dimension; pad them.", lambda c: c.differ(-1)),
    _row(
        "length",
        "query or key has length 0, so that there is nothing to attend to.",
        lambda c: any(x.shape[-2:-1] == (0,) for x in (c.query, c.key)),
        last="2.11",
    ),
    _row(
        "empty",
        "query, key or value has no elements, so that torch answers without any kernel.",
        lambda c: any(x.empty for x in c.qkv()),
        first="2.12",
    ),
    _row(
        "stride",
        "The last dimension of query, key or value is not contiguous; call contiguous() on it.",
        lambda c: any(_strided(x) for x in c.qkv()),
    ),
    _row(
        "dtype",
        "query, key and value are not all float32, all float64 or all bfloat16; convert them.",
        lambda c: _other_dtype(c, *_FLOATS),
        last="2.2",
    ),
    _row(
        "dtype",
        "query, key and value are not all float32, all float64, all bfloat16 or all float16; convert them.",
        lambda c: _other_dtype(c, *_FLOATS, torch.float16),
        first="2.3",  # https://github.com/pytorch/pytorch/pull/119247
    ),
)
