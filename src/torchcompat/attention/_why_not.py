"""Which parts of a module torch does not run as one fused operator, and why; derived without running the module."""

from __future__ import annotations

from typing import Any, Sequence

from ._parts import Part, packing_of, parts


def packing(encoder: Any, src: Any, mask: Any, padding: Any) -> list[str]:
    """Why torch's encoder does not pack the batch."""
    return packing_of(encoder, src, mask, padding).reasons


def reasons_of(kind: str, module: Any, given: dict[str, Any]) -> list[str]:
    """Why torch does not take the fused operators for this call, each with the part it holds for.

    Packing is no reason of its own, nor is what is left of a layer that is not fused as a whole.
    """
    found = [part for part in parts(module, kind, given) if part.kind != "packing" and not part.inside]
    owners = list(dict.fromkeys(part.owner for part in found))
    return [reason for owner in owners for reason in _of_owner(owner, [x for x in found if x.owner == owner])]


def _of_owner(owner: str, found: Sequence[Part]) -> list[str]:
    """The reasons of an encoder, of a decoder, or of all there is; first those of layers as a whole."""
    layers = len({part.index for part in found})
    reasons = []
    for place in ("", "self_attn", "multihead_attn"):
        reasons += _grouped([part for part in found if part.place == place], layers, owner, place)
    return reasons


def _grouped(found: Sequence[Part], layers: int, owner: str, place: str) -> list[str]:
    """The reasons of the parts, each once, with the layers for which it holds."""
    held: dict[str, list[int | None]] = {}
    for part in found:
        for reason in part.reasons:
            held.setdefault(reason, []).append(part.index)
    return [_named(reason, _where(indices, layers, owner, place)) for reason, indices in held.items()]


def _where(indices: Sequence[int | None], layers: int, owner: str, place: str) -> str:
    if indices[0] is None:
        return owner or place
    if len(indices) == layers:
        return (f"{place} of " if place else "") + "every layer" + (f" of {owner}" if owner else "")
    return (f"{owner}." if owner else "") + f"layers{indices}" + (f".{place}" if place else "")


def _named(reason: str, where: str) -> str:
    """The reason with the part that it holds for."""
    code, _, sentence = reason.partition(": ")
    return f"{code}: {where}: {sentence}" if where else reason
