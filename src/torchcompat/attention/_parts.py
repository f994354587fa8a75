"""The parts of a call that may take torch's fused path, and what its faults look at in them."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

import torch
import torch.nn.functional as F

from .._hooks import is_hooked, is_hooked_globally
from .._torch import at_least, find, torch_version
from ._call import Call, any_overrides, get, given
from ._conditions import ATTENTION, LAYER, PACKING, violated
from ._ours import PACKS_ITSELF, is_ours, packs_itself, why_not_ours

_TABLES = {"attention": ATTENTION, "layer": LAYER, "packing": PACKING}


class Part:
    """One fused operation that a call may come to, or a place where torch has none.

    Attributes:
        kind: ``"attention"``, ``"layer"`` or ``"packing"``; None where there is no fused operation.
        call: what torch's conditions look at.
        reasons: why torch does not take it: a code, a colon and a sentence each.
        blocked: the codes of these.
        is_causal: the hint.
        need_weights: whether the attention weights are asked for.
        ours: whether a class of torchcompat's own runs it, which keeps off the faults.
        others: for packing, the parts of the layers.
        place: where in its layer it is, ``"self_attn"`` or ``"multihead_attn"``; empty for the layer itself.
        inside: whether it is what is left of a layer that is not fused as a whole.
        owner: the part of a Transformer that it is in, ``"encoder"`` or ``"decoder"``; else empty.
        index: the number of its layer; None outside of layers.
    """

    def __init__(self, kind: str | None, call: Any, is_causal: Any = False, need_weights: bool = False) -> None:
        self.kind, self.call = kind, call
        self.is_causal, self.need_weights = bool(is_causal), need_weights
        self.reasons = [] if kind is None else [str(row) for row in violated(_TABLES[kind], call)]
        self.ours = kind is not None and is_ours(call)
        if self.ours and not self.reasons:
            self.reasons = why_not_ours(self)
        self.others: list[list[Part]] = []
        self.place, self.inside, self.owner = "", False, ""
        self.index: int | None = None

    @classmethod
    def none(cls, reason: str, place: str = "") -> Part:
        """A place without a fused operation."""
        part = cls(None, None)
        part.reasons, part.place = [reason], place
        return part

    @property
    def blocked(self) -> set[str]:
        return {reason.partition(":")[0] for reason in self.reasons}

    def at(self, place: str) -> Part:
        self.place = place
        return self


def _other_class(part: str, module: Any, kind: str) -> Part | None:
    if isinstance(module, getattr(torch.nn, kind)):
        return None
    return Part.none(f"layer_type: The {part} is a {type(module).__name__}, which is no torch.nn.{kind}; use one.")


_CROSS = (
    "cross_attention: The query is the decoder's, key and value are the memory; no torch has a fused operator for that."
)


def parts(module: Any, kind: str, call: dict[str, Any]) -> Iterator[Part]:
    """Everything in a call that torch may run as one fused operation, from the outside to the inside: the one walk."""
    if kind == "MultiheadAttention":
        inputs = (call["query"], call["key"], call["value"])
        masks = call.get("attn_mask"), call.get("key_padding_mask")
        yield Part("attention", Call(module, inputs, *masks), call.get("is_causal"), call.get("need_weights", True))
    elif kind == "TransformerEncoderLayer":
        masks = call.get("src_mask"), call.get("src_key_padding_mask")
        yield from _layer(Call(module, (call["src"],), *masks), call.get("is_causal"))
    elif kind == "TransformerEncoder":
        masks = call.get("mask"), call.get("src_key_padding_mask")
        yield from _encoder(module, call["src"], *masks, call.get("is_causal"))
    elif kind == "TransformerDecoderLayer":
        yield from _decoder_layer(module, _Decoded.of(call))
    elif kind == "TransformerDecoder":
        yield from _decoder(module, _Decoded.of(call))
    else:
        yield from _owned("encoder", _transformer_encoder(module.encoder, call))
        yield from _owned("decoder", _transformer_decoder(module, call))


def _owned(owner: str, found: Iterator[Part]) -> Iterator[Part]:
    for part in found:
        part.owner = owner
        yield part


def _transformer_encoder(encoder: Any, call: dict[str, Any]) -> Iterator[Part]:
    other = _other_class("encoder", encoder, "TransformerEncoder")
    if other:
        yield other
    else:
        masks = call.get("src_mask"), call.get("src_key_padding_mask")
        yield from _encoder(encoder, call["src"], *masks, call.get("src_is_causal"))


def _transformer_decoder(module: Any, call: dict[str, Any]) -> Iterator[Part]:
    other = _other_class("decoder", module.decoder, "TransformerDecoder")
    if other:
        yield other
    else:
        # The memory: what the encoder makes of these.
        names = ("src", "src_mask", "src_key_padding_mask")
        decoded = _Decoded.of(call)
        memory = (*(call[x] for x in names if call.get(x) is not None), *module.encoder.parameters())
        yield from _decoder(module.decoder, decoded._replace(others=(*decoded.others, *memory)))


def _layer(call: Call, is_causal: Any) -> Iterator[Part]:
    part = Part("layer", call, is_causal)
    yield part
    if part.blocked and isinstance(call.attention, torch.nn.MultiheadAttention):
        masks = _as_passed_on(call.mask), _as_passed_on(call.padding)
        inside = Call(call.attention, call.inputs * 3, *masks, packed=call.nested)
        norm = get(call.module, "norm1") if getattr(call.module, "norm_first", False) else None
        through = list(norm.parameters()) if norm is not None else []
        inside.requires_grad = call.requires_grad or (torch.is_grad_enabled() and any(x.requires_grad for x in through))
        inside.overridden = inside.overridden or call.overridden or any_overrides(tuple(through))
        attention = Part("attention", inside, is_causal).at("self_attn")
        attention.inside = True
        yield attention


def _as_passed_on(mask: Any) -> Any:
    """A mask as a layer hands it to its attention: from 2.0 on as floats."""
    if mask is None or mask.dtype != torch.bool or not at_least(2, 0):
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill(mask, float("-inf"))


def packing_of(encoder: Any, src: Any, mask: Any, padding: Any) -> Part:
    """The packing of the batch by an encoder."""
    if not len(encoder.layers):
        return Part.none(
            "no_layers: The encoder has no layers, so that the call raises; construct it with at least one."
        )
    return Part("packing", Call(encoder.layers[0], (src,), mask, padding, encoder=encoder))


def _encoder(encoder: Any, src: Any, mask: Any, padding: Any, is_causal: Any) -> Iterator[Part]:
    packing = packing_of(encoder, src, mask, padding)
    packed, call = not packing.blocked, None
    for index, layer in enumerate(encoder.layers):
        call = Call(layer, (src,), mask, None if packed else padding, previous=call, packed=packed)
        other = _other_class("layer", layer, "TransformerEncoderLayer")
        packing.others.append([other] if other else list(_layer(call, is_causal)))
        for part in packing.others[-1]:
            part.index = index
    if call is not None and packs_itself(encoder, src, mask, padding):
        for part in (part for found in packing.others for part in found):
            part.reasons = [PACKS_ITSELF]
    yield packing
    for found in packing.others:
        yield from found


class _Decoded(NamedTuple):
    """What a decoder layer gets.

    Attributes:
        tgt: what the first layer gets; that of the others is of the same kind.
        mask: the attention mask of the targets.
        padding: their key padding mask.
        is_causal: the hint.
        others: the other tensors that the result depends on.
        requires_grad: whether the layer's own input requires grad.
        overridden: whether it has ``__torch_function__``.
    """

    tgt: Any
    mask: Any
    padding: Any
    is_causal: Any
    others: tuple[Any, ...]
    requires_grad: bool
    overridden: bool

    @classmethod
    def of(cls, call: dict[str, Any]) -> _Decoded:
        """That of the first layer."""
        names = ("memory", "tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask")
        others = tuple(call[name] for name in names if call.get(name) is not None)
        tgt, mask, padding = call["tgt"], call.get("tgt_mask"), call.get("tgt_key_padding_mask")
        hint = call.get("tgt_is_causal")
        return cls(tgt, mask, padding, hint, others, tgt.requires_grad, any_overrides((tgt,)))

    def after(self, module: Any, *others: Any) -> _Decoded:
        """What comes out of *module*, which takes *others* too."""
        used = (*module.parameters(), *others)
        trainable = torch.is_grad_enabled() and (self.requires_grad or any(x.requires_grad for x in used))
        return self._replace(requires_grad=trainable, overridden=self.overridden or any_overrides(used))


def _decoder_layer(layer: Any, decoded: _Decoded) -> Iterator[Part]:
    """The self-attention of a layer, which alone has a fused operator, and the other attention."""
    attention = getattr(layer, "self_attn", None)
    other = _other_class("attention", attention, "MultiheadAttention")
    if other:
        yield other.at("self_attn")
    else:
        if getattr(layer, "norm_first", False):
            decoded = decoded.after(layer.norm1)
        call = Call(attention, (decoded.tgt,) * 3, decoded.mask, decoded.padding)
        call.requires_grad, call.overridden = decoded.requires_grad, decoded.overridden
        yield Part("attention", call, decoded.is_causal).at("self_attn")
    yield Part.none(_CROSS, "multihead_attn")


def _decoder(decoder: Any, decoded: _Decoded) -> Iterator[Part]:
    if not len(decoder.layers):
        yield Part.none("no_layers: The decoder has no layers; construct it with at least one.")
    for index, layer in enumerate(decoder.layers):
        other = _other_class("layer", layer, "TransformerDecoderLayer")
        for part in [other] if other else _decoder_layer(layer, decoded):
            part.index = index
            yield part
        decoded = decoded.after(layer, *decoded.others)


# What the faults ask.


def crashes_on_weights(part: Part) -> bool:
    """Whether a weight that is no tensor is the only thing in the way; grad mode is asked after it."""
    if part.blocked - {"grad"} != {"weights"}:
        return False
    weights = part.call.weights
    if part.kind == "attention" and at_least(1, 13) and all(w is None or isinstance(w, torch.Tensor) for w in weights):
        # One that is None is let through to the operator, which takes none; from 2.1 on not without an in_proj.
        projects = given(part.call.module.in_proj_bias) and given(part.call.module.in_proj_weight)
        return "grad" not in part.blocked and (projects or not at_least(2, 1))
    if part.kind == "attention":
        return True
    # https://github.com/pytorch/pytorch/pull/116760
    return torch_version < (2, 3) or get(part.call.attention, "in_proj_bias") is not None


def has_no_bias(part: Part) -> bool:
    return get(part.call.attention, "in_proj_bias") is None


def no_full_row(part: Part) -> bool:
    padding = part.call.padding
    return bool(padding.numel()) and not bool(padding.logical_not()[:, -1].any())


def all_padded(part: Part) -> bool:
    return not bool(part.call.padding.logical_not().any())


def not_left_aligned(part: Part) -> bool:
    kept = part.call.padding.logical_not()
    return bool((kept[:, 1:] > kept[:, :-1]).any())


def additive(mask: Any) -> bool:
    """Whether *mask* has values that neither leave a position alone nor leave it out."""
    if mask is None or not mask.is_floating_point():
        return False
    return bool(((mask != 0) & (mask != float("-inf"))).any())


def cannot_unpack(part: Part) -> bool:
    """Whether a layer has neither a fused path for the packed batch, nor an ordinary one around its attention's."""
    known = (layer for layer in part.others if layer[0].kind is not None)
    return any(layer[0].blocked and not _goes_around(layer) for layer in known)


def _goes_around(layer: list[Part]) -> bool:
    if layer[-1].blocked or not at_least(2, 0):
        return False
    # Nested tensors have norms without weights up to 2.6.
    weights = (get(layer[0].call.module, norm + ".weight") for norm in ("norm1", "norm2"))
    return all(given(weight) for weight in weights) or not at_least(2, 7)


def has_tangent(part: Part) -> bool:  # torchcompat: needs torch >= 1.12
    """Whether a tensor carries a forward-mode derivative."""
    forward_ad = torch.autograd.forward_ad
    if forward_ad._current_level < 0:
        return False
    return any(not x.is_nested and forward_ad.unpack_dual(x).tangent is not None for x in part.call.tensors())


def _leaves_out(mask: Any) -> Any:
    return mask if mask.dtype == torch.bool else mask == float("-inf")


def other_mask(part: Part) -> bool:
    """Whether the hint and the mask disagree, where the ordinary path goes by the hint."""
    mask = part.call.mask
    if not part.is_causal or mask is None or part.call.padding is not None or part.need_weights:
        return False
    if additive(mask):
        return True
    causal = torch.ones(mask.shape[-2:], dtype=torch.bool, device=mask.device).triu(1)
    return not bool((_leaves_out(mask) == causal).all())


def empty_row(part: Part) -> bool:
    """Whether the masks leave a query nothing; with weights asked for the ordinary path gives NaN as well."""
    mask, padding = part.call.mask, part.call.padding
    if part.need_weights or part.call.nested or not given(mask, padding):
        return False
    left_out = None if mask is None else _leaves_out(mask)
    if left_out is not None and left_out.dim() == 3:
        left_out = left_out.reshape((part.call.inputs[0].shape[0], -1) + tuple(left_out.shape[-2:]))
    if padding is not None:
        keys = _leaves_out(padding)[:, None, None, :]
        left_out = keys if left_out is None else left_out | keys
    return left_out is not None and bool(left_out.all(-1).any())


def cpu_autocast(part: Part) -> bool:  # torchcompat: needs torch >= 1.12
    on = torch.is_autocast_enabled("cpu") if at_least(2, 4) else torch.is_autocast_cpu_enabled()
    return bool(on) and part.call.inputs[0].device.type == "cpu"


def hooked_inside(part: Part) -> bool:
    """Whether a module that the ordinary path calls inside the layer has a hook. It does not call ``out_proj``."""
    layer = part.call.module
    uncalled = {id(m) for m in getattr(part.call.attention, "out_proj", layer).modules()} | {id(layer)}
    return any(is_hooked(m) for m in layer.modules() if id(m) not in uncalled)


def hooked_globally(part: Part) -> bool:
    return is_hooked_globally()


def overridden_blocks(part: Part) -> bool:
    layer, base = part.call.module, torch.nn.TransformerEncoderLayer
    names = ("_sa_block", "_ff_block")
    return any(getattr(type(layer), n) is not getattr(base, n) or n in vars(layer) for n in names)


def _runs(module: Any, expected: Any) -> bool:
    """Whether calling *module* runs the forward of *expected*."""
    same = type(module).forward is expected.forward and type(module).__call__ is torch.nn.Module.__call__
    return same and "forward" not in vars(module)


_DROPOUTS = ("dropout", "dropout1", "dropout2")


def replaced(part: Part) -> bool:
    layer = part.call.module
    expected = {"linear1": torch.nn.Linear, "linear2": torch.nn.Linear, "self_attn": torch.nn.MultiheadAttention}
    expected.update(norm1=torch.nn.LayerNorm, norm2=torch.nn.LayerNorm)
    if not all(_runs(get(layer, name), kind) for name, kind in expected.items()):
        return True
    return not all(any(_runs(get(layer, name), k) for k in (torch.nn.Dropout, torch.nn.Identity)) for name in _DROPOUTS)


def drops(part: Part) -> bool:
    layer = part.call.module
    if layer.self_attn.training and layer.self_attn.dropout:
        return True
    return any(get(layer, name + ".training") and get(layer, name + ".p") for name in _DROPOUTS)


_RELU = (F.relu, torch.relu)
_GELU = tuple(function for function in (F.gelu, find("torch._C._nn.gelu")) if function is not None)


def other_activation(part: Part) -> str | None:  # torchcompat: needs torch >= 1.12
    """How the activation differs from the one that the fused operator computes; None if it does not."""
    layer = part.call.module
    used = layer.activation
    functions, kind = (_GELU, torch.nn.GELU) if layer.activation_relu_or_gelu == 2 else (_RELU, torch.nn.ReLU)
    if any(used is function for function in functions):
        return None
    if not isinstance(used, kind):
        return "changed"
    if not _runs(used, kind):
        return "subclass"
    return "tanh" if getattr(used, "approximate", "none") != "none" else None


def adds_keys(part: Part) -> bool:
    attention: Any = part.call.attention
    return given(attention.bias_k, attention.bias_v) or bool(attention.add_zero_attn)
