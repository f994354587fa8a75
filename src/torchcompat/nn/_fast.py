"""The fast ways through attention in inference: torch's fused operators, where they are right, and without the padding.

Torch has the operators since 1.12 (https://github.com/pytorch/pytorch/pull/75809) and takes them in more cases than
those in which they are right (docs/attention.md lists the others). Here they are taken only where they compute what
the modules would: what :func:`torchcompat.attention.fastpath_faults` finds in a call is refused below, too.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

import torch
from torch.nn.functional import linear

from .._hooks import is_hooked, is_hooked_globally
from .._shim import SHIMS
from .._torch import at_least, find
from ..amp._state import switch_of
from ._masks import MINUS_INF
from ._states import kernel_of
from .functional._sdpa._fused import plain_call

_fused_layer: Any = at_least(1, 12) and find("torch._transformer_encoder_layer_fwd")
_fused_attention: Any = at_least(1, 12) and find("torch._native_multi_head_attention")
_flag: Callable[[], bool] = find("torch.backends.mha.get_fastpath_enabled") or (lambda: True)
# Torch 1.12 takes no norm_first; its operators do not take the type of a mask.
_since_1_13, _since_2_0, _since_2_1, _since_2_5 = (at_least(*minor) for minor in ((1, 13), (2, 0), (2, 1), (2, 5)))
_overridden: Any = find("torch.overrides.has_torch_function")
_AUTOCASTS = [switch for switch in map(switch_of, ("cpu", "cuda")) if switch]

_Linear, _LayerNorm = torch.nn.Linear, torch.nn.LayerNorm
_Dropouts = (torch.nn.Dropout, find("torch.nn.Identity") or torch.nn.Dropout)
# Activations of these kinds compute what the fused operator does; a subclass may not.
_MODULES = (torch.nn.ReLU, find("torch.nn.GELU"))
# What a subclass may override, and what the fast ways leave out.
_STEPS = ("_sa_block", "_ff_block", "_by_modules", "_encode", "forward")

# From so much left out on packing pays: positions times the square of the width (measured by benchmarks/encoder.py).
WORTH_PACKING = 2**17
# From so many scores of a sequence on each attends on its own instead of all of them, padded, in one call.
MANY_SCORES = 2**15


def _autocast() -> bool:
    return any(switch.enabled() for switch in _AUTOCASTS)


def _tensors(*weights: Any) -> bool:
    return all(isinstance(weight, torch.Tensor) for weight in weights)


def plain_attention(attention: Any) -> bool:
    """Whether nothing of an attention module in inference is other than torch's operators take it."""
    ours = SHIMS["nn.MultiheadAttention"].fallback
    return (
        type(attention) is ours
        and attention.batch_first
        and attention._qkv_same_embed_dim
        and attention.bias_k is None
        and attention.bias_v is None
        and not attention.add_zero_attn
        and not attention.training
        and "forward" not in attention.__dict__
        and _tensors(attention.in_proj_weight, attention.in_proj_bias)
        and _tensors(attention.out_proj.weight, attention.out_proj.bias)
    )


def _runs_as_made(layer: Any) -> bool:
    """Whether the steps of a layer are those of our class."""
    ours, kind = SHIMS["nn.TransformerEncoderLayer"].fallback, type(layer)
    if kind is not ours and not all(getattr(kind, name) is getattr(ours, name) for name in _STEPS):
        return False
    return not any(name in layer.__dict__ for name in _STEPS)


def _plain_activation(layer: Any) -> bool:
    activation, kernel = layer.activation, kernel_of(layer.activation)
    if not kernel or kernel != layer.activation_relu_or_gelu:
        return False
    if isinstance(activation, torch.nn.Module):
        right = type(activation) in _MODULES and "forward" not in activation.__dict__ and not is_hooked(activation)
        return right and getattr(activation, "approximate", "none") == "none"
    return True


def plain_layer(layer: Any) -> bool:
    """Whether nothing of an encoder layer is changed, and nothing in it wants to see what its modules compute."""
    if layer.training or not _runs_as_made(layer) or not _plain_activation(layer):
        return False
    parts = layer._modules
    get = parts.get
    linear1, linear2, norm1, norm2, attention = (
        get(name) for name in ("linear1", "linear2", "norm1", "norm2", "self_attn")
    )
    if not (type(linear1) is type(linear2) is _Linear and type(norm1) is type(norm2) is _LayerNorm):
        return False
    if norm1.eps != norm2.eps or not plain_attention(attention):
        return False
    for name in ("dropout", "dropout1", "dropout2"):
        dropout = get(name)
        if type(dropout) not in _Dropouts or (dropout.training and getattr(dropout, "p", 0.0)):
            return False
    if any(is_hooked(part) or "forward" in part.__dict__ for part in parts.values()):
        return False
    weights = (linear1.weight, linear1.bias, linear2.weight, linear2.bias)
    return _tensors(*weights, norm1.weight, norm1.bias, norm2.weight, norm2.bias) and not is_hooked_globally()


def _operands(attention: Any) -> tuple[Any, ...]:
    out = attention.out_proj
    return attention.in_proj_weight, attention.in_proj_bias, out.weight, out.bias


def _layer_operands(layer: Any) -> tuple[Any, ...]:
    first, second, one, two = layer.norm1, layer.norm2, layer.linear1, layer.linear2
    norms = first.weight, first.bias, second.weight, second.bias
    return (*norms, one.weight, one.bias, two.weight, two.bias)


def _allowed(src: Any, operands: Sequence[Any], masks: Sequence[Any]) -> bool:
    """Whether torch would take its operators for these tensors, and nothing but them looks at the call."""
    if src.dim() != 3 or src.device.type not in ("cpu", "cuda") or not _flag() or _autocast():
        return False
    tensors = [src, *operands]
    if _overridden(tensors) or any(x.dtype != src.dtype or x.device != src.device for x in operands):
        return False
    if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
        return False
    return plain_call([*tensors, *(mask for mask in masks if mask is not None)])


def _left_out(mask: Any) -> Any:
    """*mask* as bool, True where it leaves out; None where it does more than that."""
    if mask.dtype == torch.bool:
        return mask
    if not mask.is_floating_point():
        return None
    left_out = mask == MINUS_INF
    return left_out if bool((left_out | (mask == 0)).all()) else None


def _causal(mask: Any) -> bool:
    length = mask.size(-1)
    return bool((mask == torch.ones(length, length, dtype=torch.bool, device=mask.device).triu(1)).all())


def masks_for(src: Any, heads: int, mask: Any, padding: Any, is_causal: bool) -> Any:
    """The mask that the fused operators take, and its type; None where they would compute something else."""
    batch, length = src.size(0), src.size(1)
    if 0 in src.shape:
        return None
    if mask is None and padding is None:
        return None if is_causal else (None, None)
    if padding is not None:
        padding = _left_out(padding) if tuple(padding.shape) == (batch, length) else None
        if padding is None:
            return None
    if mask is None:
        return None if is_causal or bool(padding.all(-1).any()) else (padding, 1)
    if not _since_2_0 or tuple(mask.shape) != (length, length):
        return None
    mask = _left_out(mask)
    if mask is None or (is_causal and not _causal(mask)):
        return None
    mask = mask.view(1, 1, length, length).expand(batch, heads, length, length)
    if padding is not None:
        mask = mask | padding.view(batch, 1, 1, length)
    return None if bool(mask.all(-1).any()) else (mask, 2)


def _even_heads(attention: Any) -> bool:
    # Torch does not take its operators with an odd number of heads: https://github.com/pytorch/pytorch/pull/83483
    return bool(attention.num_heads % 2 == 0)


def _takes_layer(layer: Any, src: Any, *masks: Any) -> bool:
    """Whether torch's operator computes what the layer does, and may be taken."""
    if not _fused_layer or (layer.norm_first and not _since_1_13) or not plain_layer(layer):
        return False
    if (_since_2_5 and is_hooked(layer)) or not _even_heads(layer.self_attn):
        return False
    return _allowed(src, (*_operands(layer.self_attn), *_layer_operands(layer)), masks)


def _fused(layer: Any, src: Any, found: Any) -> Any:  # torchcompat: needs torch >= 1.12
    """The operator's output; *found* is what :func:`masks_for` gave."""
    attention, operands = layer.self_attn, _layer_operands(layer)
    options = layer.activation_relu_or_gelu == 2, layer.norm_first, layer.norm1.eps
    sizes = attention.embed_dim, attention.num_heads
    found = found if _since_1_13 else found[:1]
    return torch._transformer_encoder_layer_fwd(src, *sizes, *_operands(attention), *options, *operands, *found)


def layer_by_torch(layer: Any, src: Any, mask: Any, padding: Any, is_causal: bool, only_ask: bool = False) -> Any:
    """What torch's fused operator makes of a call of an encoder layer; None where it must not be taken."""
    if not _takes_layer(layer, src, mask, padding):
        return None
    found = masks_for(src, layer.self_attn.num_heads, mask, padding, is_causal)
    return found if found is None or only_ask else _fused(layer, src, found)


def encode_fused(layers: Sequence[Any], src: Any, padding: Any) -> Any:
    """What the layers make of a padded batch by torch's operators; None where they must not be taken."""
    ours = SHIMS["nn.TransformerEncoderLayer"].fallback
    for layer in layers:
        if not isinstance(layer, ours) or is_hooked(layer) or not _takes_layer(layer, src, padding):
            return None
    found = masks_for(src, layers[0].self_attn.num_heads, None, padding, False)
    if found is None:
        return None
    for layer in layers:
        src = _fused(layer, src, found)
    return src


def attention_by_torch(
    attention: Any,
    inputs: Sequence[Any],
    mask: Any,
    padding: Any,
    need_weights: bool,
    average_attn_weights: bool,
    is_causal: bool,
    only_ask: bool = False,
) -> Any:
    """What torch's fused operator makes of a call of an attention module; None where it must not be taken."""
    src = inputs[0]
    if not _fused_attention or inputs[1] is not src or inputs[2] is not src:
        return None
    if not plain_attention(attention) or not _even_heads(attention) or (attention.dropout and not _since_2_0):
        return None
    operands = _operands(attention)
    if not _allowed(src, operands, (mask, padding)) or src.size(-1) != attention.embed_dim:
        return None
    if _since_2_1 and any(x is not None and x.is_floating_point() for x in (mask, padding)):
        return None  # where torch does not take it either
    found = masks_for(src, attention.num_heads, mask, padding, is_causal)
    if found is None or only_ask:
        return found
    found = (found[0], need_weights, average_attn_weights, found[1])
    sizes = attention.embed_dim, attention.num_heads
    return torch._native_multi_head_attention(src, src, src, *sizes, *operands, *(found if _since_1_13 else found[:-1]))


# ---------------------------------------------------------------------------------------------------------------------
# Without the padding


class Packed:
    """The positions of a batch that are not padded, one after the other.

    Attributes:
        shape: (batch, length) of the batch.
        rows: the numbers of the positions that are kept.
        bias: 0 for keys that a query may look at and -inf for padded ones, (batch, 1, 1, length); a sequence of nothing
            but padding has one. None where each sequence attends on its own.
        starts: then the number of kept positions before each sequence, and of all.
    """

    def __init__(self, kept: Any, heads: int, dtype: Any) -> None:
        self.shape = batch, length = kept.size(0), kept.size(1)
        self.rows = kept.reshape(-1).nonzero().squeeze(1)
        self.bias: Any = None
        if heads * length**2 < MANY_SCORES:
            padded = ~kept
            padded[:, 0] &= kept.any(1)
            self.bias = torch.zeros(batch, length, dtype=dtype, device=kept.device).masked_fill_(padded, MINUS_INF)
            self.bias = self.bias.view(batch, 1, 1, length)
        else:
            lengths = kept.long().sum(1).tolist()
            self.starts = [sum(lengths[:index]) for index in range(batch + 1)]

    def pack(self, batch: Any) -> Any:
        return batch.reshape(-1, batch.size(-1)).index_select(0, self.rows)

    def unpack(self, rows: Any) -> Any:
        """The batch, with zeros where it is padded."""
        batch = rows.new_zeros(self.shape[0] * self.shape[1], rows.size(-1))
        return batch.index_copy_(0, self.rows, rows).view(*self.shape, rows.size(-1))

    def attend(self, projected: Any, heads: int) -> Any:
        """Attention of (positions, 3 * width) in each sequence: (positions, width)."""
        width = projected.size(-1) // 3
        if self.bias is None:
            return self._one_by_one(projected, heads, width)
        batch = self.unpack(projected).view(*self.shape, 3, heads, width // heads)
        query, key, value = batch.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.matmul(query * (width // heads) ** -0.5, key.transpose(-2, -1))
        out = torch.matmul(torch.softmax(scores + self.bias, -1), value)
        return self.pack(out.transpose(1, 2).reshape(*self.shape, width))

    def _one_by_one(self, projected: Any, heads: int, width: int) -> Any:
        attention = SHIMS["nn.functional.scaled_dot_product_attention"].fallback
        found = []
        for start, end in zip(self.starts, self.starts[1:]):
            if end > start:
                rows = projected[start:end].view(1, end - start, 3, heads, width // heads)
                query, key, value = rows.permute(2, 0, 3, 1, 4).unbind(0)
                found.append(attention(query, key, value).transpose(1, 2).reshape(end - start, width))
        return torch.cat(found)


def packs(layers: Sequence[Any], src: Any, kept: Any) -> bool:
    """Whether leaving out the padding gives what the layers give at the other positions, and pays."""
    total = src.size(0) * src.size(1)
    positions = int(kept.sum())
    if not 0 < positions < total or (total - positions) * src.size(-1) ** 2 < WORTH_PACKING:
        return False
    ours = SHIMS["nn.TransformerEncoderLayer"].fallback
    return all(
        isinstance(layer, ours) and not layer.norm_first and not is_hooked(layer) and plain_layer(layer)
        for layer in layers
    ) and plain_call([src, *(weight for layer in layers for weight in layer.parameters())])


def encode_packed(layers: Sequence[Any], src: Any, kept: Any) -> Any:
    """What the layers make of the batch, with zeros at padded positions."""
    packed = Packed(kept, layers[0].self_attn.num_heads, src.dtype)
    x = packed.pack(src)
    for layer in layers:
        attention = layer.self_attn
        projected = linear(x, attention.in_proj_weight, attention.in_proj_bias)
        attended = packed.attend(projected, attention.num_heads)
        x = layer.norm1(x + linear(attended, attention.out_proj.weight, attention.out_proj.bias))
        x = layer.norm2(x + layer.linear2(layer.activation(layer.linear1(x))))
    return packed.unpack(x)
