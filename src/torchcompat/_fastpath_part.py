"""The parts of a call that may take torch's fused path, and what its faults look at in them."""

from __future__ import annotations

from typing import Any, Iterator

import torch
import torch.nn.functional as F

from ._fastpath import ATTENTION, LAYER, PACKING, violated
from ._fastpath_call import Call, any_overrides, get, given
from ._fastpath_kinds import KINDS
from ._shim import SHIMS
from ._torch import at_least, find, torch_version

_TABLES = {"attention": ATTENTION, "layer": LAYER, "packing": PACKING}


class Part:
    """One fused operation that a call may come to.

    Attributes:
        kind: ``"attention"``, ``"layer"`` or ``"packing"``.
        call: what torch's conditions look at.
        blocked: the codes of the conditions for which torch does not take it.
        is_causal: the hint.
        need_weights: whether the attention weights are asked for.
        others: for packing, the parts of the layers.
    """

    def __init__(self, kind: str, call: Call, is_causal: Any = False, need_weights: bool = False) -> None:
        self.kind, self.call = kind, call
        self.is_causal, self.need_weights = bool(is_causal), need_weights
        self.blocked = {"fallback"} if _is_ours(call) else {row.code for row in violated(_TABLES[kind], call)}
        self.others: list[list[Part]] = []


def _is_ours(call: Call) -> bool:
    """Whether torchcompat's own class runs it, which leaves nested tensors alone to torch."""
    module = call.module if call.encoder is None else call.encoder
    classes = tuple(SHIMS["nn." + kind].fallback for kind in KINDS if "nn." + kind in SHIMS)
    return isinstance(module, classes) and not call.nested


def parts(module: Any, kind: str, call: dict[str, Any]) -> Iterator[Part]:
    """Everything in a call that torch may run as one fused operation, from the outside to the inside."""
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
    elif kind in ("TransformerDecoderLayer", "TransformerDecoder"):
        masks = call.get("tgt_mask"), call.get("tgt_key_padding_mask")
        layers = [module] if kind == "TransformerDecoderLayer" else list(module.layers)
        yield from _decoder(layers, call["tgt"], *masks, call.get("tgt_is_causal"))
    else:
        yield from _transformer(module, call)


def _transformer(module: Any, call: dict[str, Any]) -> Iterator[Part]:
    if isinstance(module.encoder, torch.nn.TransformerEncoder):
        masks = call.get("src_mask"), call.get("src_key_padding_mask")
        yield from _encoder(module.encoder, call["src"], *masks, call.get("src_is_causal"))
    if isinstance(module.decoder, torch.nn.TransformerDecoder):
        masks = call.get("tgt_mask"), call.get("tgt_key_padding_mask")
        yield from _decoder(list(module.decoder.layers), call["tgt"], *masks, call.get("tgt_is_causal"))


def _layer(call: Call, is_causal: Any) -> Iterator[Part]:
    part = Part("layer", call, is_causal)
    yield part
    if part.blocked and isinstance(call.attention, torch.nn.MultiheadAttention):
        masks = _as_passed_on(call.mask), _as_passed_on(call.padding)
        inside = Call(call.attention, call.inputs * 3, *masks, packed=call.nested)
        norm = get(call.module, "norm1") if getattr(call.module, "norm_first", False) else None
        _inherit(inside, norm, call.requires_grad, call.overridden)
        yield Part("attention", inside, is_causal)


def _as_passed_on(mask: Any) -> Any:
    """A mask as a layer hands it to its attention: from 2.0 on as floats."""
    if mask is None or mask.dtype != torch.bool or not at_least(2, 0):
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill(mask, float("-inf"))


def _inherit(call: Call, norm: Any, requires_grad: bool, overridden: bool) -> None:
    """The attention gets what the layer gets, perhaps through a norm."""
    through = list(norm.parameters()) if norm is not None else []
    call.requires_grad = requires_grad or (torch.is_grad_enabled() and any(x.requires_grad for x in through))
    call.overridden = call.overridden or overridden or any_overrides(tuple(through))


def _encoder(encoder: Any, src: Any, mask: Any, padding: Any, is_causal: Any) -> Iterator[Part]:
    layers = list(encoder.layers)
    if not layers:
        return
    packing = Part("packing", Call(layers[0], (src,), mask, padding, encoder=encoder))
    packed = not packing.blocked
    call = None
    for layer in layers:
        call = Call(layer, (src,), mask, None if packed else padding, previous=call, packed=packed)
        if isinstance(layer, torch.nn.TransformerEncoderLayer):
            packing.others.append(list(_layer(call, is_causal)))
    yield packing
    for found in packing.others:
        yield from found


def _decoder(layers: list[Any], tgt: Any, mask: Any, padding: Any, is_causal: Any) -> Iterator[Part]:
    requires_grad, overridden = tgt.requires_grad, False
    for layer in layers:
        attention = getattr(layer, "self_attn", None)
        if isinstance(attention, torch.nn.MultiheadAttention):
            call = Call(attention, (tgt, tgt, tgt), mask, padding)
            norm = get(layer, "norm1") if getattr(layer, "norm_first", False) else None
            _inherit(call, norm, requires_grad, overridden)
            yield Part("attention", call, is_causal)
            overridden = call.output_overridden()
        requires_grad = requires_grad or any(p.requires_grad for p in layer.parameters())


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
    return any(layer[0].blocked and not _goes_around(layer) for layer in part.others)


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


def _hooked(module: Any) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def hooked_inside(part: Part) -> bool:
    """Whether a module that the ordinary path calls inside the layer has a hook. It does not call ``out_proj``."""
    layer = part.call.module
    uncalled = {id(m) for m in getattr(part.call.attention, "out_proj", layer).modules()} | {id(layer)}
    return any(_hooked(m) for m in layer.modules() if id(m) not in uncalled)


def hooked_globally(part: Part) -> bool:  # torchcompat: needs torch >= 1.12
    hooks = torch.nn.modules.module
    return bool(hooks._global_forward_hooks or hooks._global_forward_pre_hooks)


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
