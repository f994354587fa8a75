"""When torch takes its fused encoder path: one row per condition, with the minors it holds on.

Read from the sources of every minor from 1.12 to 2.15 and checked there by running (tests/test_fastpath.py). The path
came with https://github.com/pytorch/pytorch/pull/76333. "Taken" means that torch calls the fused op; that the op then
gives the right result, or any, is another matter: docs/attention.md lists its faults.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

import torch

from .._shim import within
from . import _call as ask
from ._call import Call

SINCE = "1.12"


class Condition(NamedTuple):
    """One reason: on torch *first* to *last* (none: still so) the fused path is not taken where *blocks* is true."""

    code: str
    text: str
    blocks: Callable[[Any], bool]
    first: str = SINCE
    last: str = ""

    def holds(self) -> bool:
        """Whether the installed torch is in the range."""
        return within(self.first, self.last)

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


def violated(table: Sequence[Condition], call: Any) -> list[Condition]:
    """The rows of *table* for which the installed torch does not take the path."""
    return [condition for condition in table if condition.holds() and condition.blocks(call)]


# The rows. First what the layer and the attention share.

_TRAINING = Condition(
    "training", "The module is in training mode; call eval() on it.", lambda c: bool(c.module.training)
)
_BATCH_FIRST = Condition(
    "batch_first",
    "The attention has batch_first=False; construct it with batch_first=True and pass (batch, length, width).",
    lambda c: not getattr(c.attention, "batch_first", False),
)
_EMBED_DIM = Condition(
    "embed_dim",
    "The attention has a kdim or vdim other than embed_dim; construct it without them.",
    lambda c: not getattr(c.attention, "_qkv_same_embed_dim", False),
)
_DIMS = Condition(
    "dims", "The input is not 3-D; give an unbatched one a batch dimension of 1.", lambda c: c.inputs[0].dim() != 3
)
_AUTOCAST = Condition(  # torchcompat: needs torch >= 1.12
    "autocast",
    "CUDA autocast is on (this torch asks for no other device's); leave the autocast block for this call.",
    lambda c: bool(torch.is_autocast_enabled()),
    first="1.13",  # https://github.com/pytorch/pytorch/pull/84722
)
_FLAG = Condition(
    "flag",
    "The fused path is switched off; call torch.backends.mha.set_fastpath_enabled(True).",
    ask.fastpath_off,
    first="2.3",  # https://github.com/pytorch/pytorch/pull/112212
)
_GRAD = Condition(
    "grad",
    "Grad mode is on and the input or a weight requires grad; call it under torch.no_grad() or "
    "torch.inference_mode(), or freeze the weights.",
    ask.needs_grad,
)
_TORCH_FUNCTION = Condition(
    "torch_function",
    "The input or a weight is a tensor subclass with __torch_function__, or a torch-function mode is active "
    "(`with torch.device(...)` and torch.set_default_device are such modes); use plain tensors, outside of it.",
    ask.overridden,
)
_NO_TENSOR = Condition(
    "weights",
    "A weight or bias is missing or is no tensor (bias=False, a norm without affine parameters, a quantized or "
    "replaced submodule), and this torch may even raise an error for it; give every submodule its weight and bias.",
    ask.no_tensor,
)
_MASK_DTYPE = (
    Condition(
        "mask_dtype",
        "The key padding mask is neither bool nor floating point, so that this torch raises; pass a bool mask.",
        lambda c: ask.refused(c.padding),
        first="1.13",
        last="1.13",
    ),
    Condition(
        "mask_dtype",
        "A mask is neither bool nor floating point, so that this torch raises; pass bool masks.",
        lambda c: ask.refused(c.padding) or ask.refused(c.mask),
        first="2.0",
    ),
)
_NESTED_MASK = (
    Condition(
        "nested_mask",
        "The input is a nested tensor and there is a key padding mask; pass the nested tensor alone.",
        lambda c: c.nested and ask.given(c.padding),
        last="1.13",
    ),
    Condition(
        "nested_mask",
        "The input is a nested tensor and there is a mask; pass the nested tensor alone.",
        lambda c: c.nested and ask.given(c.padding, c.mask),
        first="2.0",
    ),
)
_DEVICE_OLD = Condition(
    "device",
    "The input or a weight is neither on the CPU nor on a CUDA or ROCm device; move them there.",
    lambda c: ask.off_cpu_and_cuda(c.tensors()),
    last="2.0",
)
_DEVICE = Condition(
    "device",
    "The input or a weight is neither on the CPU nor on a CUDA, ROCm or privateuse device; move them there.",
    lambda c: ask.off_devices(c.tensors()),
    first="2.1",
)
_DEVICE_XPU = Condition(
    "device",
    "The input or a weight is neither on the CPU nor on a CUDA, ROCm, XPU or privateuse device; move them there.",
    lambda c: ask.off_devices(c.tensors(), "xpu"),
    first="2.10",  # https://github.com/pytorch/pytorch/pull/168234
)
_NORM_FIRST = Condition(
    "norm_first",
    "The layer has norm_first=True; construct it without.",
    lambda c: bool(ask.get(c.module, "norm_first")),
)
_ACTIVATION = (
    Condition(
        "activation",
        'The activation is neither F.relu nor F.gelu (nor "relu" nor "gelu"); nn.GELU() does not count.',
        lambda c: not getattr(c.module, "activation_relu_or_gelu", 0),
        last="1.12",
    ),
    Condition(
        "activation",
        'The activation was neither ReLU nor GELU when the layer was constructed; construct it with "relu" or "gelu".',
        lambda c: not getattr(c.module, "activation_relu_or_gelu", 0),
        first="1.13",
    ),
)
_EPS = Condition("eps", "norm1.eps and norm2.eps differ; make them equal.", ask.different_eps)
_ODD_HEADS = Condition(
    "odd_heads",
    "The number of heads is odd; construct the attention with an even number.",
    ask.odd_heads,
    first="1.13",  # https://github.com/pytorch/pytorch/pull/83483
)

LAYER = (
    _FLAG,
    _DIMS,
    _TRAINING,
    _BATCH_FIRST,
    _EMBED_DIM,
    *_ACTIVATION,
    _NORM_FIRST._replace(last="1.12"),
    _EPS,
    Condition(
        "attn_mask",
        "There is an attention mask; leave it out.",
        lambda c: ask.given(c.mask),
        last="1.13",
    ),
    *_MASK_DTYPE,
    *_NESTED_MASK,
    _ODD_HEADS,
    _AUTOCAST,
    Condition(
        "hooks",
        "A forward hook or forward pre-hook is on the layer or on a submodule; remove it.",
        ask.hooked,
        first="2.5",  # https://github.com/pytorch/pytorch/pull/128415
    ),
    _NO_TENSOR,
    _TORCH_FUNCTION,
    _DEVICE_OLD,
    _DEVICE._replace(last="2.9"),
    _DEVICE_XPU,
    _GRAD,
)

ATTENTION = (
    _FLAG,
    _DIMS,
    Condition(
        "self_attention",
        "query, key and value are not one and the same tensor object; pass the same one three times.",
        lambda c: not (c.inputs[0] is c.inputs[1] and c.inputs[1] is c.inputs[2]),
    ),
    Condition("dtype", "The input's dtype is not that of the in_proj weights; convert one of them.", ask.other_dtype),
    _TRAINING,
    _BATCH_FIRST,
    Condition(
        "bias_kv",
        "The attention has bias_k or bias_v; construct it without add_bias_kv.",
        lambda c: ask.given(c.module.bias_k, c.module.bias_v),
    ),
    Condition(
        "dropout",
        "The attention has a dropout other than 0, even though it is in eval mode; set its dropout to 0.",
        lambda c: bool(c.module.dropout),
        last="1.13",
    ),
    Condition(
        "add_zero_attn",
        "The attention has add_zero_attn=True; construct it without.",
        lambda c: bool(c.module.add_zero_attn),
    ),
    _EMBED_DIM,
    Condition("attn_mask", "There is an attention mask; leave it out.", lambda c: ask.given(c.mask), last="1.13"),
    Condition(
        "float_mask",
        "A mask is floating point; pass bool masks, where True leaves a position out.",
        lambda c: ask.floating(c.mask) or ask.floating(c.padding),
        first="2.1",  # https://github.com/pytorch/pytorch/issues/107084
    ),
    *_MASK_DTYPE,
    *_NESTED_MASK,
    _ODD_HEADS._replace(last="1.13"),
    _ODD_HEADS._replace(first="2.1"),  # https://github.com/pytorch/pytorch/pull/99672
    _AUTOCAST,
    Condition(
        "tracing",
        "make_fx is tracing the call; run it as it is.",
        lambda c: ask.tracing(False),
        first="2.1",
        last="2.9",
    ),
    Condition(
        "tracing", "make_fx or export is tracing the call; run it as it is.", lambda c: ask.tracing(True), first="2.10"
    ),
    _NO_TENSOR,
    _TORCH_FUNCTION,
    _DEVICE_OLD,
    _DEVICE,
    _GRAD,
)


# Packing looks at the first layer only. Up to 2.0 it does so in every call, from 2.1 the constructor does so once, and
# what is changed afterwards counts no more.
def _of_make(condition: Condition) -> Condition:
    return condition._replace(blocks=lambda call: ask.make_counts(call) and condition.blocks(call))


_STATIC = tuple(
    _of_make(condition)
    for condition in (
        Condition(
            "layer_type",
            "The first layer is no torch.nn.TransformerEncoderLayer; construct the encoder with one.",
            lambda c: not isinstance(c.module, torch.nn.TransformerEncoderLayer),
        ),
        _NORM_FIRST,
        _BATCH_FIRST,
        _EMBED_DIM,
        *_ACTIVATION,
        _EPS,
        _ODD_HEADS,
        Condition(
            "bias",
            "The first layer's attention has no in_proj_bias; construct it with bias=True.",
            lambda c: getattr(c.attention, "in_proj_bias", None) is None,
            first="2.3",
        ),
    )
)


def _decided_by_constructor(call: Call) -> bool:
    return (
        not getattr(call.encoder, "use_nested_tensor", False)
        and getattr(call.encoder, "enable_nested_tensor", False)
        and not violated(_STATIC, call)
    )


PACKING = (
    _FLAG,
    Condition(
        "enable_nested_tensor",
        "The encoder has enable_nested_tensor=False; construct it with enable_nested_tensor=True.",
        lambda c: not getattr(c.encoder, "enable_nested_tensor", False),
    ),
    *_STATIC,
    Condition(
        "use_nested_tensor",
        "The encoder's constructor found a layer that cannot be packed and later changes do not count; construct a "
        "new encoder from the layer as it is now.",
        _decided_by_constructor,
        first="2.1",
    ),
    Condition(
        "training", "The first layer is in training mode; call eval() on the encoder.", lambda c: c.module.training
    ),
    _DIMS,
    Condition(
        "no_padding", "There is no src_key_padding_mask, so nothing to pack.", lambda c: not ask.given(c.padding)
    ),
    Condition("nested", "The input is a nested tensor already.", lambda c: c.nested),
    Condition("attn_mask", "There is an attention mask; leave it out.", lambda c: ask.given(c.mask)),
    *_MASK_DTYPE,
    Condition(
        "alignment",
        "A padded position stands before one that is not; pad at the end of every row only.",
        ask.not_left_aligned,
        first="1.13",
    ),
    Condition(
        "compiling",
        "torch.compile or torch.export is at work; construct the encoder with mask_check=False (and pad at the end).",
        lambda c: ask.checks_mask(c) and ask.compiling(),
        first="2.10",
    ),
    _AUTOCAST,
    Condition(
        "weights",
        "Grad mode is on and a weight or bias of the first layer is missing or is no tensor, so that this torch raises "
        "where it asks whether it requires grad; give every submodule its weight and bias.",
        lambda c: torch.is_grad_enabled() and ask.no_tensor(c),
    ),
    _TORCH_FUNCTION,
    Condition(
        "device",
        "The input is neither on the CPU nor on a CUDA or ROCm device; move it there.",
        lambda c: ask.off_cpu_and_cuda(c.inputs),
        last="2.0",
    ),
    Condition(
        "device",
        "The input is neither on the CPU nor on a CUDA, ROCm or privateuse device; move it there.",
        lambda c: ask.off_devices(c.inputs),
        first="2.1",
        last="2.9",
    ),
    Condition(
        "device",
        "The input is neither on the CPU nor on a CUDA, ROCm, XPU or privateuse device; move it there.",
        lambda c: ask.off_devices(c.inputs, "xpu"),
        first="2.10",  # https://github.com/pytorch/pytorch/pull/168234
    ),
    _GRAD,
)
