"""Which parts of a module torch does not run as one fused operator, and why; derived without running the module."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import torch

from ._fastpath import ATTENTION, LAYER, PACKING, Condition, violated
from ._fastpath_call import Call, any_overrides
from ._fastpath_kinds import fallback_kind

_CROSS = (
    "cross_attention: The query is the decoder's, key and value are the memory; no torch has a fused operator for that."
)


def reasons_of(kind: str, module: Any, given: dict[str, Any]) -> list[str]:
    """Why torch does not take the fused operators for this call, each with the part it holds for."""
    if kind == "MultiheadAttention":
        projected = (given["query"], given["key"], given["value"])
        return _reasons(ATTENTION, Call(module, projected, given.get("attn_mask"), given.get("key_padding_mask")))
    if kind == "TransformerEncoderLayer":
        return _layer(Call(module, (given["src"],), given.get("src_mask"), given.get("src_key_padding_mask")))
    if kind == "TransformerEncoder":
        return _encoder(module, given["src"], given.get("mask"), given.get("src_key_padding_mask"))
    if kind == "TransformerDecoderLayer":
        found = _decoder_layer(module, _Decoded.of(given))
        return [_named(reason, "self_attn") for reason in found] + [_named(_CROSS, "multihead_attn")]
    if kind == "TransformerDecoder":
        return _decoder(module, _Decoded.of(given))
    return _transformer(module, given)


# What all of them share.


def _ours(module: Any) -> list[str]:
    kind = fallback_kind(module)
    return [f"fallback: torchcompat's own {kind} has no fused path; construct a torch.nn.{kind}."] if kind else []


def _reasons(table: Sequence[Condition], call: Call) -> list[str]:
    if not call.nested:  # torchcompat's own classes leave nested tensors to torch's forward
        ours = _ours(call.module)
        if ours:
            return ours
    return [str(condition) for condition in violated(table, call)]


def _other_class(part: str, module: Any, kind: str) -> list[str]:
    if isinstance(module, getattr(torch.nn, kind)):
        return []
    return [f"layer_type: The {part} is a {type(module).__name__}, which is no torch.nn.{kind}; use one."]


def _named(reason: str, place: str) -> str:
    """The reason with the part that it holds for."""
    code, _, sentence = reason.partition(": ")
    return f"{code}: {place}: {sentence}"


def _grouped(layers: Sequence[list[str]], owner: str = "", part: str = "") -> list[str]:
    """The reasons of the layers, each once, with the layers (of the module *owner*) whose *part* it holds for."""
    found: dict[str, list[int]] = {}
    for index, reasons in enumerate(layers):
        for reason in reasons:
            found.setdefault(reason, []).append(index)
    return [_named(reason, _place(places, len(layers), owner, part)) for reason, places in found.items()]


def _place(indices: list[int], count: int, owner: str, part: str) -> str:
    if len(indices) == count:
        return (f"{part} of " if part else "") + "every layer" + (f" of {owner}" if owner else "")
    return (f"{owner}." if owner else "") + f"layers{indices}" + (f".{part}" if part else "")


# The encoder.


def _layer(call: Call) -> list[str]:
    return _other_class("layer", call.module, "TransformerEncoderLayer") or _reasons(LAYER, call)


def packing(encoder: Any, src: Any, mask: Any, padding: Any) -> list[str]:
    """Why torch's encoder does not pack the batch."""
    if not len(encoder.layers):
        return ["no_layers: The encoder has no layers, so that the call raises; construct it with at least one."]
    call = Call(encoder.layers[0], (src,), mask, padding, encoder=encoder)
    return _ours(encoder) or [str(condition) for condition in violated(PACKING, call)]


def _encoder(encoder: Any, src: Any, mask: Any, padding: Any, owner: str = "") -> list[str]:
    """The reasons of every layer, each with the layers it holds for."""
    unpacked = packing(encoder, src, mask, padding)
    if not len(encoder.layers):
        return [_named(reason, owner) for reason in unpacked] if owner else unpacked
    found, call = [], None
    for layer in encoder.layers:
        call = Call(layer, (src,), mask, padding if unpacked else None, previous=call, packed=not unpacked)
        found.append(_layer(call))
    return _grouped(found, owner)


# The decoder: only the self-attentions of its layers have a fused operator.


class _Decoded(NamedTuple):
    """What a decoder layer gets.

    Attributes:
        tgt: what the first layer gets; that of the others is of the same kind.
        mask: the attention mask of the targets.
        padding: their key padding mask.
        others: the other tensors that the result depends on.
        requires_grad: whether the layer's own input requires grad.
        overridden: whether it has ``__torch_function__``.
    """

    tgt: Any
    mask: Any
    padding: Any
    others: tuple[Any, ...]
    requires_grad: bool
    overridden: bool

    @classmethod
    def of(cls, given: dict[str, Any]) -> _Decoded:
        """That of the first layer."""
        names = ("memory", "tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask")
        others = tuple(given[name] for name in names if given.get(name) is not None)
        tgt, mask, padding = given["tgt"], given.get("tgt_mask"), given.get("tgt_key_padding_mask")
        return cls(tgt, mask, padding, others, tgt.requires_grad, any_overrides((tgt,)))

    def after(self, module: Any, *others: Any) -> _Decoded:
        """What comes out of *module*, which takes *others* too."""
        used = (*module.parameters(), *others)
        trainable = torch.is_grad_enabled() and (self.requires_grad or any(x.requires_grad for x in used))
        return self._replace(requires_grad=trainable, overridden=self.overridden or any_overrides(used))


def _decoder_layer(layer: Any, decoded: _Decoded) -> list[str]:
    """Why the layer's self-attention does not take its fused operator."""
    attention = getattr(layer, "self_attn", None)
    other = _other_class("attention", attention, "MultiheadAttention")
    if other:
        return other
    if getattr(layer, "norm_first", False):
        decoded = decoded.after(layer.norm1)
    call = Call(attention, (decoded.tgt,) * 3, decoded.mask, decoded.padding)
    call.requires_grad, call.overridden = decoded.requires_grad, decoded.overridden
    return _reasons(ATTENTION, call)


def _decoder(decoder: Any, decoded: _Decoded, owner: str = "") -> list[str]:
    layers = list(decoder.layers)
    if not layers:
        reason = "no_layers: The decoder has no layers; construct it with at least one."
        return [_named(reason, owner) if owner else reason]
    found, cross, others = [], [], []
    for layer in layers:
        other = _other_class("layer", layer, "TransformerDecoderLayer")
        others.append(other)
        found.append([] if other else _decoder_layer(layer, decoded))
        cross.append([] if other else [_CROSS])
        decoded = decoded.after(layer, *decoded.others)
    return _grouped(others, owner) + _grouped(found, owner, "self_attn") + _grouped(cross, owner, "multihead_attn")


def _transformer(module: Any, given: dict[str, Any]) -> list[str]:
    encoder, decoder, src = module.encoder, module.decoder, given["src"]
    masks = given.get("src_mask"), given.get("src_key_padding_mask")
    reasons = [_named(reason, "encoder") for reason in _other_class("encoder", encoder, "TransformerEncoder")]
    reasons = reasons or _encoder(encoder, src, *masks, owner="encoder")
    other = _other_class("decoder", decoder, "TransformerDecoder")
    if other:
        return reasons + [_named(reason, "decoder") for reason in other]
    decoded = _Decoded.of(given)
    # The memory: what the encoder makes of these.
    memory = (src, *encoder.parameters(), *(mask for mask in masks if mask is not None))
    return reasons + _decoder(decoder, decoded._replace(others=(*decoded.others, *memory)), "decoder")
