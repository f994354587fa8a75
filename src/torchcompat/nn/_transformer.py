"""``torch.nn.TransformerEncoderLayer`` and ``TransformerEncoder`` with today's signatures."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Callable

import torch
from torch.nn.functional import relu

from .. import _moved
from .._shim import SHIMS
from .._torch import compiling, find
from ._masks import MINUS_INF, additive_pair
from ._multihead import HAS_FACTORY_KEYWORDS, HAS_NESTED
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

    def forward(
        self,
        src: Any,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:
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
        if HAS_NESTED and src.is_nested:
            return super().forward(src, src_mask, src_key_padding_mask)
        padding, mask = additive_pair("src_key_padding_mask", src_key_padding_mask, "src_mask", src_mask, src.dtype)
        if self.norm_first:
            x = src + self._sa_block(self.norm1(src), mask, padding, is_causal=is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(src + self._sa_block(src, mask, padding, is_causal=is_causal))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask, "is_causal": is_causal}
        return self.dropout1(self.self_attn(x, x, x, need_weights=False, **masks)[0])

    def _ff_block(self, x: Any) -> Any:
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

    def forward(
        self,
        src: Any,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
    ) -> Any:
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
        padding, mask = additive_pair("src_key_padding_mask", src_key_padding_mask, "mask", mask, src.dtype)
        batch_first = self.layers[0].self_attn.batch_first
        length = 0
        if mask is not None:
            length = src.size(1 if src.dim() == 3 and batch_first else 0)
        is_causal = causal_hint(mask, is_causal, length)
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        if self._clears_padding(src, mask, padding):
            output = output.masked_fill((padding == MINUS_INF).unsqueeze(-1), 0.0)
        return output if self.norm is None else self.norm(output)

    def _clears_padding(self, src: Any, mask: Any, padding: Any) -> bool:
        """Whether torch 2.15 would pack this batch, which leaves 0 at padded positions."""
        if not self.use_nested_tensor or padding is None or mask is not None or src.dim() != 3:
            return False
        first = self.layers[0]
        if first.training or not _fast_path_enabled() or compiling():
            return False
        if torch.is_grad_enabled() and (src.requires_grad or any(p.requires_grad for p in first.parameters())):
            return False
        kept, padded = padding == 0, padding == MINUS_INF
        if not bool((kept | padded).all()):
            return False
        return not (self.mask_check and bool((kept[:, 1:] & padded[:, :-1]).any()))


_moved.attach(globals())
