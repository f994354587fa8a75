"""Which way torch's attention layers go: the fused path of their evaluation mode, or the ordinary one.

Since 1.12 torch runs an encoder layer or a self-attention as one fused operator where a dozen conditions hold, and an
encoder drops the padding by packing the batch into a nested tensor. Where they do not hold torch says nothing. The two
functions here do; docs/attention.md has the conditions of every torch.
"""

from __future__ import annotations

import inspect
from typing import Any, Sequence

import torch

from ._fastpath import ATTENTION, LAYER, PACKING, SINCE, Condition, violated
from ._fastpath_call import Call
from ._fastpath_safe import can_pack, fastpath_faults, safe_forward
from ._fastpath_switch import fastpath
from ._shim import SHIMS, facade
from ._torch import at_least, torch_version

__all__ = [
    "can_pack",
    "fastpath",
    "fastpath_faults",
    "safe_forward",
    "why_not_fastpath",
    "why_not_nested_tensor",
]

_KINDS = ("MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder")


def _fallback(module: Any) -> str | None:
    """The name of torchcompat's own class that *module* is of; None if it is not."""
    for kind in _KINDS:
        shim = SHIMS.get("nn." + kind)
        if shim is not None and isinstance(module, shim.fallback):
            return kind
    return None


def _bind(kind: str, module: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The inputs by the names that forward has for them."""
    ours = _fallback(module)
    owner = SHIMS["nn." + ours].fallback if ours else getattr(torch.nn, kind)
    try:
        given = inspect.signature(owner.forward).bind(module, *inputs, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"inputs do not fit the forward of {kind} on torch {torch.__version__}: {error}") from None
    for name in ("src", "query", "key", "value"):
        if name in given and not isinstance(given[name], torch.Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(given[name]).__name__}")
    for name in ("mask", "attn_mask", "src_mask", "key_padding_mask", "src_key_padding_mask"):
        if not isinstance(given.get(name), (torch.Tensor, type(None))):
            raise TypeError(f"{name} must be a tensor or None, got {type(given[name]).__name__}")
    return given


def _kind(module: Any, accepted: tuple[str, ...]) -> str:
    for kind in accepted:
        if isinstance(module, getattr(torch.nn, kind)):
            return kind
    names = " or ".join("torch.nn." + kind for kind in accepted)
    raise TypeError(f"module must be a {names}, got {type(module).__name__}")


def _no_fused_path() -> list[str]:
    if at_least(1, 12):
        return []
    here = f"{torch_version[0]}.{torch_version[1]}"
    return [f"version: torch {here} has no fused encoder path; torch has one since {SINCE}."]


def _ours(module: Any) -> list[str]:
    kind = _fallback(module)
    return [f"fallback: torchcompat's own {kind} has no fused path; construct a torch.nn.{kind}."] if kind else []


def _reasons(table: Sequence[Condition], call: Call) -> list[str]:
    if not call.nested:  # torchcompat's own classes leave nested tensors to torch's forward
        ours = _ours(call.module)
        if ours:
            return ours
    return [str(condition) for condition in violated(table, call)]


def _layer_reasons(call: Call) -> list[str]:
    if not isinstance(call.module, torch.nn.TransformerEncoderLayer):
        found = type(call.module).__name__
        return [f"layer_type: The layer is a {found}, which is no torch.nn.TransformerEncoderLayer; use one."]
    return _reasons(LAYER, call)


def _packing_reasons(encoder: Any, src: Any, mask: Any, padding: Any) -> list[str]:
    if not len(encoder.layers):
        return ["no_layers: The encoder has no layers, so that the call raises; construct it with at least one."]
    call = Call(encoder.layers[0], (src,), mask, padding, encoder=encoder)
    return _ours(encoder) or [str(condition) for condition in violated(PACKING, call)]


def _encoder_reasons(encoder: Any, src: Any, mask: Any, padding: Any) -> list[str]:
    """The reasons of every layer, each with the layers it holds for."""
    packing = _packing_reasons(encoder, src, mask, padding)
    layers = list(encoder.layers)
    if not layers:
        return packing
    if not packing:
        padding = None
    found: dict[str, list[int]] = {}
    call = None
    for index, layer in enumerate(layers):
        call = Call(layer, (src,), mask, padding, previous=call, packed=not packing)
        for reason in _layer_reasons(call):
            found.setdefault(reason, []).append(index)
    return [_placed(reason, indices, len(layers)) for reason, indices in found.items()]


def _placed(reason: str, indices: list[int], count: int) -> str:
    code, _, sentence = reason.partition(": ")
    return f"{code}: {'every layer' if len(indices) == count else f'layers{indices}'}: {sentence}"


@facade("attention.why_not_fastpath")
def why_not_fastpath(module: torch.nn.Module, *inputs: Any, **kwargs: Any) -> list[str]:
    """Every reason for which this torch will not take its fused encoder path for this call; empty: it will.

    Not in torch. The fused path is one operator (``torch._transformer_encoder_layer_fwd``, or
    ``torch._native_multi_head_attention`` for an attention) in place of a layer's submodules. The module is not run and
    nothing changes; one condition reads values (the padding of an encoder, to see whether it can be packed).

    "Takes it" means that torch calls the operator, now, in this grad mode and under this autocast. It does not mean
    that the result is right or that the call succeeds: docs/attention.md lists the known faults of the path. An
    encoder layer that does not take its own path may still take that of its ``self_attn``.

    Args:
        module: a ``torch.nn.MultiheadAttention``, ``TransformerEncoderLayer`` or ``TransformerEncoder``. Of a subclass
            with a forward of its own the answer is what torch's forward would do.
        *inputs: what the forward of that class of this torch takes.
        **kwargs: the same, by name.

    Returns:
        Sentences that start with a stable code and a colon: ``"training: The module is in training mode; ..."``. For an
        encoder the code is followed by the layers it holds for, as in ``"training: layers[1]: ..."`` or
        ``"training: every layer: ..."``, and the list is empty if every layer takes the path. Whether the encoder packs
        its input beforehand is the question of :func:`why_not_nested_tensor`. Before torch 1.12, which had no fused
        path, the only reason is ``"version"``; for torchcompat's own classes it is ``"fallback"``, unless the input is
        nested, which they leave to torch's forward.

    Raises:
        TypeError: if *module* is none of the three, or the inputs do not fit its forward.
    """
    kind = _kind(module, _KINDS)
    given = _bind(kind, module, inputs, kwargs)
    too_old = _no_fused_path()
    if too_old:
        return too_old
    if kind == "MultiheadAttention":
        projected = (given["query"], given["key"], given["value"])
        return _reasons(ATTENTION, Call(module, projected, given.get("attn_mask"), given.get("key_padding_mask")))
    padding = given.get("src_key_padding_mask")
    if kind == "TransformerEncoder":
        return _encoder_reasons(module, given["src"], given.get("mask"), padding)
    return _layer_reasons(Call(module, (given["src"],), given.get("src_mask"), padding))


@facade("attention.why_not_nested_tensor")
def why_not_nested_tensor(encoder: torch.nn.TransformerEncoder, *inputs: Any, **kwargs: Any) -> list[str]:
    """Every reason for which this torch's encoder will not pack this padded batch into a nested tensor; empty: it will.

    Not in torch. Packing (``torch._nested_tensor_from_mask``) drops the padded positions before the first layer and
    gives zeros for them at the end. It is what makes the fused path fast on a CPU. torch looks at the first layer only:
    if another one cannot take the fused path (:func:`why_not_fastpath`), the packed call raises.

    Args:
        encoder: a ``torch.nn.TransformerEncoder``.
        *inputs: what its forward takes.
        **kwargs: the same, by name.

    Returns:
        Sentences that start with a stable code and a colon, as those of :func:`why_not_fastpath`.

    Raises:
        TypeError: if *encoder* is no ``TransformerEncoder``, or the inputs do not fit its forward.
    """
    given = _bind(_kind(encoder, _KINDS[2:]), encoder, inputs, kwargs)
    masks = given.get("mask"), given.get("src_key_padding_mask")
    return _no_fused_path() or _packing_reasons(encoder, given["src"], *masks)
