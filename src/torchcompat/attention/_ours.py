"""Where torchcompat's own attention classes take torch's fused operators: wherever these have no fault for the call."""

from __future__ import annotations

from typing import Any

from ._call import Call
from ._kinds import fallback_kind

PACKS_ITSELF = "fallback: torchcompat's own TransformerEncoder leaves out the padding by operators of its own."


def is_ours(call: Call) -> bool:
    """Whether torchcompat's own class runs it, which leaves nested tensors alone to torch."""
    return not call.nested and fallback_kind(call.module if call.encoder is None else call.encoder) is not None


def why_not_ours(part: Any) -> list[str]:
    """Why a class of torchcompat's own does not take what torch's class would: it takes nothing that has a fault."""
    from ..nn import _fast  # which needs the classes; an import of torchcompat does without it here

    call = part.call
    if part.kind == "packing":
        return [PACKS_ITSELF]
    if part.kind == "attention":
        how = part.need_weights, True, part.is_causal
        taken = _fast.attention_by_torch(call.module, call.inputs, call.mask, call.padding, *how, only_ask=True)
    else:
        how = call.mask, call.padding, part.is_causal
        taken = _fast.layer_by_torch(call.module, call.inputs[0], *how, only_ask=True)
    kind = fallback_kind(call.module)
    if taken is not None:
        return []
    return [
        f"fallback: torchcompat's own {kind} keeps off the fused path in this call: that has a fault here (ask "
        f"fastpath_faults of a torch.nn.{kind}), or the call is traced or transformed."
    ]


def packs_itself(encoder: Any, src: Any, mask: Any, padding: Any) -> bool:
    return fallback_kind(encoder) is not None and encoder._packs(src, mask, padding)
