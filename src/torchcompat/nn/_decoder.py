"""``torch.nn.TransformerDecoderLayer`` and ``TransformerDecoder`` with today's signatures."""

from __future__ import annotations

import copy
from typing import Any, Callable

import torch
from torch.nn.functional import relu

from .. import _moved
from .._shim import SHIMS
from ._masks import check_kind
from ._multihead import HAS_FACTORY_KEYWORDS, HAS_NESTED
from ._states import activation_of, refuse_too_old, restore, state_of
from ._transformer import causal_hint, layer_norm


class TransformerDecoderLayerBase(torch.nn.TransformerDecoderLayer):  # type: ignore[misc]
    """What :class:`torchcompat.nn.TransformerDecoderLayer` does."""

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
        heads = {"dropout": dropout, "bias": bias, "batch_first": batch_first, **factory}
        self.self_attn = attention(d_model, nhead, **heads)
        self.multihead_attn = attention(d_model, nhead, **heads)
        self.linear1 = linear(d_model, dim_feedforward, bias=bias, **factory)
        self.dropout = drop(dropout)
        self.linear2 = linear(dim_feedforward, d_model, bias=bias, **factory)
        self.norm_first = norm_first
        self.norm1 = layer_norm(d_model, layer_norm_eps, bias, factory)
        self.norm2 = layer_norm(d_model, layer_norm_eps, bias, factory)
        self.norm3 = layer_norm(d_model, layer_norm_eps, bias, factory)
        self.dropout1 = drop(dropout)
        self.dropout2 = drop(dropout)
        self.dropout3 = drop(dropout)
        self.activation = activation_of(activation)
        if not HAS_FACTORY_KEYWORDS:
            self.to(device=device, dtype=dtype)

    def __getstate__(self) -> dict[str, Any]:
        return state_of(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state, {"activation": relu, "norm_first": False})

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        """Decode *tgt*, looking at *memory*.

        Args:
            tgt: (T, B, d_model), (B, T, d_model) with batch_first, or (T, d_model).
            memory: (S, B, d_model), (B, S, d_model) with batch_first, or (S, d_model).
            tgt_mask: (T, T) or (B * nhead, T, T): bool, True for pairs to ignore, or float, added to the scores.
            memory_mask: (T, S) or (B * nhead, T, S), likewise.
            tgt_key_padding_mask: (B, T), or (T,) without a batch: bool, True for positions to ignore, or float.
            memory_key_padding_mask: (B, S), or (S,) without a batch, likewise.
            tgt_is_causal: a promise that *tgt_mask* is the causal mask, so that it need not be read.
            memory_is_causal: a promise that *memory_mask* is the causal mask, likewise.

        Returns:
            A tensor shaped like *tgt*.

        Raises:
            AssertionError: a mask is neither bool nor floating point; *tgt* or *memory* is a nested tensor.
            AssertionError, RuntimeError: as ``MultiheadAttention.forward`` does.
        """
        if HAS_NESTED and (tgt.is_nested or memory.is_nested):
            raise AssertionError("tgt and memory must not be nested tensors: pad them, and pass their padding masks")
        check_kind("tgt_mask", tgt_mask)
        check_kind("memory_mask", memory_mask)
        check_kind("tgt_key_padding_mask", tgt_key_padding_mask)
        check_kind("memory_key_padding_mask", memory_key_padding_mask)
        of_self = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        of_memory = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = tgt + self._sa_block(self.norm1(tgt), *of_self)
            x = x + self._mha_block(self.norm2(x), *of_memory)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(tgt + self._sa_block(tgt, *of_self))
        x = self.norm2(x + self._mha_block(x, *of_memory))
        return self.norm3(x + self._ff_block(x))

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask, "is_causal": is_causal}
        return self.dropout1(self.self_attn(x, x, x, need_weights=False, **masks)[0])

    def _mha_block(self, x: Any, mem: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask, "is_causal": is_causal}
        return self.dropout2(self.multihead_attn(x, mem, mem, need_weights=False, **masks)[0])

    def _ff_block(self, x: Any) -> Any:
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerDecoderBase(torch.nn.TransformerDecoder):  # type: ignore[misc]
    """What :class:`torchcompat.nn.TransformerDecoder` does."""

    def __init__(self, decoder_layer: Any, num_layers: int, norm: Any = None) -> None:
        refuse_too_old("decoder_layer", decoder_layer)
        torch.nn.Module.__init__(self)
        self.layers = torch.nn.ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state, {})

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """Decode *tgt*, looking at *memory*.

        Args:
            tgt: (T, B, d_model), (B, T, d_model) if the layers have batch_first, or (T, d_model).
            memory: (S, B, d_model), (B, S, d_model) if the layers have batch_first, or (S, d_model).
            tgt_mask: (T, T) or (B * nhead, T, T): bool, True for pairs to ignore, or float, added to the scores.
            memory_mask: (T, S) or (B * nhead, T, S), likewise.
            tgt_key_padding_mask: (B, T), or (T,) without a batch: bool, True for positions to ignore, or float.
            memory_key_padding_mask: (B, S), or (S,) without a batch, likewise.
            tgt_is_causal: a promise that *tgt_mask* is the causal mask; None to find out.
            memory_is_causal: a promise that *memory_mask* is the causal mask.

        Returns:
            A tensor shaped like *tgt*.

        Raises:
            AssertionError, RuntimeError: as the layers do.
        """
        check_kind("tgt_mask", tgt_mask)
        batch_first = self.layers[0].self_attn.batch_first
        length = 0
        if tgt_mask is not None:
            length = tgt.size(1 if tgt.dim() == 3 and batch_first else 0)
        tgt_is_causal = causal_hint(tgt_mask, tgt_is_causal, length)
        output = tgt
        for layer in self.layers:
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


_moved.attach(globals())
