"""``torch.nn.TransformerEncoderLayer`` and ``TransformerEncoder`` with today's signatures."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Callable, Optional

import torch
from torch import Tensor
from torch.nn.functional import relu

from .. import _moved
from .._shim import SHIMS
from .._torch import at_most, compiling, exporting, find
from ._fast import encode_fused, encode_packed, layer_by_torch, packs
from ._masks import MINUS_INF, additive, additive_pair
from ._multihead import HAS_FACTORY_KEYWORDS, HAS_NESTED
from ._scripting import causal_hint as scripted_hint
from ._scripting import clear_padding, is_scripting
from ._states import activation_of, kernel_of, refuse_too_old, restore, state_of


def layer_norm(width: int, eps: float, bias: bool, factory: dict[str, Any]) -> Any:
    norm = torch.nn.LayerNorm(width, eps=eps, **factory)
    if not bias:
        # LayerNorm takes bias=False since 2.1, https://github.com/pytorch/pytorch/pull/101683
        norm.bias = None
    return norm


class TransformerEncoderLayerBase(torch.nn.TransformerEncoderLayer):  # type: ignore[misc]
    """What :class:`torchcompat.nn.TransformerEncoderLayer` does."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        # The constructor of this torch's class may lack keywords.
        torch.nn.Module.__init__(self)
        factory = {"device": device, "dtype": dtype} if HAS_FACTORY_KEYWORDS else {}
        linear, drop = torch.nn.Linear, torch.nn.Dropout
        attention = SHIMS["nn.MultiheadAttention"].fallback
        self.self_attn = attention(d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **factory)
        self.linear1 = linear(d_model, dim_feedforward, bias=bias, **factory)
        self.dropout = drop(dropout)
        self.linear2 = linear(dim_feedforward, d_model, bias=bias, **factory)
        self.norm_first = norm_first
        self.norm1 = layer_norm(d_model, layer_norm_eps, bias, factory)
        self.norm2 = layer_norm(d_model, layer_norm_eps, bias, factory)
        self.dropout1 = drop(dropout)
        self.dropout2 = drop(dropout)
        self.activation = activation_of(activation)
        self.activation_relu_or_gelu = kernel_of(self.activation)  # read by torch's own classes
        if not HAS_FACTORY_KEYWORDS:
            self.to(device=device, dtype=dtype)

    def __getstate__(self) -> dict[str, Any]:
        return state_of(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state, {"activation": relu, "norm_first": False})
        self.activation_relu_or_gelu = kernel_of(self.activation)

    # Torch.jit.script reads these annotations, in the form that torch 1.8 knows.
    def forward(
        self,
        src: Tensor,
        src_mask: Optional[Tensor] = None,
        src_key_padding_mask: Optional[Tensor] = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Encode *src*.

        Args:
            src: (S, B, d_model), (B, S, d_model) with batch_first, or (S, d_model).
            src_mask: (S, S) or (B * nhead, S, S): bool, True for pairs to ignore, or float, added to the scores.
            src_key_padding_mask: (B, S), or (S,) without a batch: bool, True for positions to ignore, or float.
            is_causal: a promise that *src_mask* is the causal mask, so that it need not be read.

        Returns:
            A tensor shaped like *src*.

        Raises:
            AssertionError, RuntimeError: as ``MultiheadAttention.forward`` does.
        """
        if is_scripting():
            return self._by_modules(src, src_mask, src_key_padding_mask, is_causal)
        else:  # noqa: RET505 - the compiler skips what is in here
            return self._encode(src, src_mask, src_key_padding_mask, is_causal)

    def _encode(self, src: Any, src_mask: Any, src_key_padding_mask: Any, is_causal: bool) -> Any:
        if HAS_NESTED and src.is_nested:
            return super().forward(src, src_mask, src_key_padding_mask)
        if not (self.training or compiling()):
            out = layer_by_torch(self, src, src_mask, src_key_padding_mask, is_causal)
            if out is not None:
                return out
        padding, mask = additive_pair("src_key_padding_mask", src_key_padding_mask, "src_mask", src_mask, src.dtype)
        return self._by_modules(src, mask, padding, is_causal)

    def _by_modules(self, src: Tensor, mask: Optional[Tensor], padding: Optional[Tensor], is_causal: bool) -> Tensor:
        if self.norm_first:
            x = src + self._sa_block(self.norm1(src), mask, padding, is_causal=is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(src + self._sa_block(src, mask, padding, is_causal=is_causal))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(
        self, x: Tensor, attn_mask: Optional[Tensor], key_padding_mask: Optional[Tensor], is_causal: bool = False
    ) -> Tensor:
        attended = self.self_attn(
            x,
            x,
            x,
            key_padding_mask=key_padding_mask,
            need_weights=False,
            attn_mask=attn_mask,
            is_causal=is_causal,
        )[0]
        return self.dropout1(attended)

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def _why_not_packed(layer: Any) -> str:
    """Why torch 2.15 would not pack padded batches for encoder layers like this one; empty if it would."""
    if not isinstance(layer, torch.nn.TransformerEncoderLayer):
        return "encoder_layer is no TransformerEncoderLayer"
    attention = layer.self_attn
    reasons = (
        (layer.norm_first, "encoder_layer has norm_first=True"),
        (not attention.batch_first, "encoder_layer has batch_first=False"),
        (not attention._qkv_same_embed_dim, "encoder_layer.self_attn has a kdim or vdim of its own"),
        (attention.in_proj_bias is None, "encoder_layer has bias=False"),
        (not layer.activation_relu_or_gelu, "encoder_layer.activation is neither relu nor gelu"),
        (layer.norm1.eps != layer.norm2.eps, "encoder_layer's norms differ in eps"),
        (attention.num_heads % 2 == 1, "encoder_layer has an odd number of heads"),
    )
    return next((reason for applies, reason in reasons if applies), "")


def causal_hint(mask: Any, is_causal: bool | None, length: int) -> bool:
    """The promise to hand to the layers: what the caller said or, where nothing was said, whether it is true."""
    if is_causal is not None or mask is None:
        return is_causal is True
    if tuple(mask.size()) != (length, length):
        return False
    later = torch.ones(length, length, device=mask.device).triu(1) > 0
    if mask.dtype != torch.bool:
        mask = mask.double()  # what old CPUs cannot do to half
        later = torch.zeros_like(mask).masked_fill(later, MINUS_INF)
    return bool((mask == later).all())


_fast_path_enabled = find("torch.backends.mha.get_fastpath_enabled") or (lambda: True)


class TransformerEncoderBase(torch.nn.TransformerEncoder):  # type: ignore[misc]
    """What :class:`torchcompat.nn.TransformerEncoder` does."""

    __constants__ = ("norm", "use_nested_tensor")

    def __init__(
        self,
        encoder_layer: Any,
        num_layers: int,
        norm: Any = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        refuse_too_old("encoder_layer", encoder_layer)
        torch.nn.Module.__init__(self)
        self.layers = torch.nn.ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        reason = _why_not_packed(encoder_layer)
        self.use_nested_tensor = enable_nested_tensor and not reason
        if enable_nested_tensor and reason:
            message = f"enable_nested_tensor=True has no effect: {reason}"
            warnings.warn(message, UserWarning, stacklevel=2)

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state, {"enable_nested_tensor": False, "use_nested_tensor": False, "mask_check": True})

    # Torch.jit.script reads these annotations, in the form that torch 1.8 knows.
    def forward(
        self,
        src: Tensor,
        mask: Optional[Tensor] = None,
        src_key_padding_mask: Optional[Tensor] = None,
        is_causal: Optional[bool] = None,
    ) -> Tensor:
        """Encode *src*.

        Args:
            src: (S, B, d_model), (B, S, d_model) if the layers have batch_first, or (S, d_model).
            mask: (S, S) or (B * nhead, S, S): bool, True for pairs to ignore, or float, added to the scores.
            src_key_padding_mask: (B, S), or (S,) without a batch: bool, True for positions to ignore, or float.
            is_causal: a promise that *mask* is the causal mask; None to find out.

        Returns:
            A tensor shaped like *src*.

        Raises:
            AssertionError, RuntimeError: as ``MultiheadAttention.forward`` does.
        """
        if is_scripting():
            return self._scripted(src, mask, src_key_padding_mask, is_causal)
        else:  # noqa: RET505 - the compiler skips what is in here
            return self._encode(src, mask, src_key_padding_mask, is_causal)

    def _scripted(
        self, src: Tensor, mask: Optional[Tensor], padding: Optional[Tensor], is_causal: Optional[bool]
    ) -> Tensor:
        batch_first = self.layers[0].self_attn.batch_first
        hint = scripted_hint(mask, is_causal, src.size(1 if src.dim() == 3 and batch_first else 0))
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, src_key_padding_mask=padding, is_causal=hint)
        if self.use_nested_tensor and padding is not None:
            first = self.layers[0]
            grad = src.requires_grad or first.linear1.weight.requires_grad or first.norm1.weight.requires_grad
            plain = mask is None and src.dim() == 3 and not first.training
            if plain and not (grad and torch.is_grad_enabled()):
                output = clear_padding(output, padding, self.mask_check)
        if self.norm is not None:
            output = self.norm(output)
        return output

    def _encode(self, src: Any, mask: Any, src_key_padding_mask: Any, is_causal: bool | None) -> Any:
        padding, mask = additive_pair("src_key_padding_mask", src_key_padding_mask, "mask", mask, src.dtype)
        batch_first = self.layers[0].self_attn.batch_first
        length = 0
        if mask is not None:
            length = src.size(1 if src.dim() == 3 and batch_first else 0)
        is_causal = causal_hint(mask, is_causal, length)
        kept = self._kept(src, mask, padding)
        if kept is not None:
            output = self._without_padding(src, padding, kept)
        else:
            output = self._by_layers(src, mask, padding, is_causal)
        return output if self.norm is None else self.norm(output)

    def _by_layers(self, src: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        return src

    def _without_padding(self, src: Any, padding: Any, kept: Any) -> Any:
        """The layers' output with 0 at padded positions."""
        if packs(self.layers, src, kept):
            return encode_packed(self.layers, src, kept)
        output = encode_fused(self.layers, src, ~kept)
        if output is None:
            output = self._by_layers(src, None, padding, False)
        return output.masked_fill(~kept.unsqueeze(-1), 0.0)

    def _packs(self, src: Any, mask: Any, padding: Any) -> bool:
        """Whether this call leaves out the computation of padded positions."""
        kept = self._kept(src, mask, additive("src_key_padding_mask", padding, src.dtype))
        return kept is not None and packs(self.layers, src, kept)

    def _kept(self, src: Any, mask: Any, padding: Any) -> Any:
        """The positions that are not padded, where torch 2.15 would pack this batch, which leaves 0 at the others."""
        if not self.use_nested_tensor or padding is None or mask is not None or src.dim() != 3:
            return None
        first = self.layers[0]
        if first.training or not _fast_path_enabled() or compiling() or (at_most(1, 4) and exporting()):
            return None
        if torch.is_grad_enabled() and (src.requires_grad or any(p.requires_grad for p in first.parameters())):
            return None
        kept, padded = padding == 0, padding == MINUS_INF
        if not bool((kept | padded).all()):
            return None
        return None if self.mask_check and bool((kept[:, 1:] & padded[:, :-1]).any()) else kept


_moved.attach(globals())
