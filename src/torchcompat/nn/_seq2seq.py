"""``torch.nn.Transformer`` with today's signature."""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch.nn.functional import relu

from .. import _moved
from .._shim import SHIMS
from ._masks import MINUS_INF
from ._multihead import HAS_FACTORY_KEYWORDS
from ._states import refuse_too_old, restore
from ._transformer import layer_norm


def _check_inputs(src: Any, tgt: Any, d_model: int, batch_first: bool) -> None:
    batch = 0 if batch_first else 1
    if src.dim() == 3 and (tgt.dim() < 2 or src.size(batch) != tgt.size(batch)):
        raise RuntimeError(f"tgt must have src's batch size {src.size(batch)}, got shape {tuple(tgt.size())}")
    for name, tensor in (("src", src), ("tgt", tgt)):
        if tensor.size(-1) != d_model:
            raise RuntimeError(f"{name} must have width d_model={d_model}, got shape {tuple(tensor.size())}")


class TransformerBase(torch.nn.Transformer):  # type: ignore[misc]
    """What :class:`torchcompat.nn.Transformer` does."""

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        refuse_too_old("custom_encoder", custom_encoder)
        refuse_too_old("custom_decoder", custom_decoder)
        # The constructor of this torch's class may lack keywords.
        torch.nn.Module.__init__(self)
        factory = {"device": device, "dtype": dtype} if HAS_FACTORY_KEYWORDS else {}
        of_layer = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def stack(kind: str, number: int) -> Any:
            layer = SHIMS[f"nn.Transformer{kind}Layer"].fallback(d_model, nhead, *of_layer, **factory)
            norm = layer_norm(d_model, layer_norm_eps, bias, factory)
            return SHIMS[f"nn.Transformer{kind}"].fallback(layer, number, norm)

        self.encoder = stack("Encoder", num_encoder_layers) if custom_encoder is None else custom_encoder
        self.decoder = stack("Decoder", num_decoder_layers) if custom_decoder is None else custom_decoder
        self._reset_parameters()
        if not HAS_FACTORY_KEYWORDS:
            for part, custom in ((self.encoder, custom_encoder), (self.decoder, custom_decoder)):
                if part is not custom:
                    part.to(device=device, dtype=dtype)
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state, {"batch_first": False})

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.dim() > 1:
                torch.nn.init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """Encode *src* and decode *tgt*, looking at what was encoded: the memory.

        Args:
            src: (S, B, d_model), (B, S, d_model) with batch_first, or (S, d_model).
            tgt: (T, B, d_model), (B, T, d_model) with batch_first, or (T, d_model).
            src_mask: (S, S) or (B * nhead, S, S): bool, True for pairs to ignore, or float, added to the scores.
            tgt_mask: (T, T) or (B * nhead, T, T), likewise.
            memory_mask: (T, S) or (B * nhead, T, S), likewise.
            src_key_padding_mask: (B, S), or (S,) without a batch: bool, True for positions to ignore, or float.
            tgt_key_padding_mask: (B, T), or (T,) without a batch, likewise.
            memory_key_padding_mask: (B, S), or (S,) without a batch, likewise.
            src_is_causal: a promise that *src_mask* is the causal mask; None to find out.
            tgt_is_causal: a promise that *tgt_mask* is the causal mask; None to find out.
            memory_is_causal: a promise that *memory_mask* is the causal mask.

        Returns:
            A tensor shaped like *tgt*.

        Raises:
            RuntimeError: *src* and *tgt* differ in batch size, or a width is not d_model.
            AssertionError, RuntimeError: as encoder and decoder do.
        """
        _check_inputs(src, tgt, self.d_model, self.batch_first)
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """The causal mask of *sz* positions as floats: ``-inf`` where the key is later than the query, 0 elsewhere.

        Args:
            sz: number of positions.
            device: where to make it; None for the default device.
            dtype: of the mask; None for the default dtype. bool gives True for ``-inf``.

        Returns:
            (sz, sz) of *dtype*.

        Raises:
            RuntimeError: *dtype* is an integer dtype, which has no infinity; *sz* is negative.
        """
        if sz < 0:
            raise RuntimeError(f"sz must not be negative, got {sz}")
        mask = torch.full((sz, sz), MINUS_INF, device=device).triu(1)
        if dtype is None:
            return mask
        if dtype is not torch.bool and not dtype.is_floating_point and not getattr(dtype, "is_complex", False):
            raise RuntimeError(f"dtype must be floating point or bool, got {dtype}")
        return mask.to(dtype)


_moved.attach(globals())
