"""Calls of torch's attention modules that keep off the faults of the fused path."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from .._shim import facade
from .._torch import compiling, hide_from_compiler, torch_version
from ._kinds import KINDS, bind, kind_of
from ._switch import slow_path

_CLASSES = list(KINDS)


def _faults(module: Any, kind: str, call: dict[str, Any]) -> list[str]:
    from ._faults import met  # Tables and what reads them: an import of torchcompat does without.
    from ._parts import parts

    found = (str(fault) for part in parts(module, kind, call) for fault in met(part))
    return list(dict.fromkeys(found))


@facade("attention.fastpath_faults")
def fastpath_faults(module: torch.nn.Module, *inputs: Any, **kwargs: Any) -> list[str]:
    """What this torch's fused encoder path would get wrong in this call; empty: nothing, or it would not take the path.

    Not in torch. The known faults are the rows of a table (docs/attention.md); "wrong" is an error, or another result
    than the same module gives on its ordinary path. The module is not run and nothing changes. Some faults depend on
    values of the masks, which are read (on a GPU that waits for it).

    Padded positions that come back as zeros from a packed batch are no fault; they mean nothing either way.

    Args:
        module: a ``torch.nn.MultiheadAttention``, ``TransformerEncoderLayer``, ``TransformerEncoder``,
            ``TransformerDecoderLayer``, ``TransformerDecoder`` or ``Transformer``. Of a subclass with a forward of its
            own the answer is what torch's forward would do.
        *inputs: what the forward of that class of this torch takes.
        **kwargs: the same, by name.

    Returns:
        A sentence for each fault that starts with a stable code and a colon and ends with a link:
        ``"float_mask: A mask has values other than 0 and -inf (...) https://github.com/..."``.

    Raises:
        TypeError: if *module* is none of these, or the inputs do not fit its forward.
    """
    kind = kind_of(module, _CLASSES)
    call = bind(kind, module, inputs, kwargs)
    return _faults(module, kind, call) if torch_version >= (1, 12) else []


@facade("attention.safe_forward")
def safe_forward(module: torch.nn.Module, *inputs: Any, **kwargs: Any) -> Any:
    """Run *module* on the inputs, off torch's fused path where that has a fault for this call.

    Not in torch. Where :func:`fastpath_faults` finds something the module, and all in it, runs on its ordinary path,
    without packing, in this thread alone; elsewhere torch decides as ever. So what a model computes in evaluation mode
    is what it learned to compute in training mode.

    What the ordinary path gets wrong itself stays: up to 2.4 a query that may attend to nothing gives NaN. Contracts
    stay too: ``is_causal=True`` without a mask raises ``RuntimeError``, although the fused path does not. Torch's
    warning that nested tensors are a prototype is not shown.

    Within ``torch.compile`` the module runs uncompiled (``fullgraph=True`` is an error).

    Args:
        module: one of the six classes of :func:`fastpath_faults`.
        *inputs: what its forward takes.
        **kwargs: the same, by name.

    Returns:
        What the module returns.

    Raises:
        TypeError: if *module* is none of these; and what the module raises.
    """
    kind = kind_of(module, _CLASSES)
    if torch_version < (1, 12):
        return module(*inputs, **kwargs)
    if compiling():
        return _uncompiled_forward(module, kind, inputs, kwargs)
    return _forward(module, kind, inputs, kwargs)


def _forward(module: Any, kind: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not _endangered(module, kind, inputs, kwargs):
        return module(*inputs, **kwargs)
    with slow_path():
        return module(*inputs, **kwargs)


# A traced mode keeps nothing from the fused path, and masks have no values while torch.compile traces.
_uncompiled_forward = hide_from_compiler(_forward)


def _endangered(module: Any, kind: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    from ._faults import met  # as in _faults
    from ._parts import parts

    try:
        call = bind(kind, module, inputs, kwargs)
    except TypeError:  # a forward of its own takes something else, or the module's own error will tell
        return True
    for part in parts(module, kind, call):
        if met(part):
            return True
        if part.kind == "packing" and not part.blocked:
            _announce_nested_tensors()
    return False


_announced: list[bool] = []


def _announce_nested_tensors() -> None:  # torchcompat: needs torch >= 1.12
    """Have torch say, where nobody hears it, what it says once in a process: that nested tensors are a prototype."""
    if not _announced:
        _announced.append(True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch._nested_tensor_from_mask(torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))


@facade("attention.can_pack")
def can_pack(encoder_layer: torch.nn.Module) -> bool:
    """Whether an encoder made of this layer can pack padded batches: what to pass as its ``enable_nested_tensor``.

    Not in torch. ``torch.nn.TransformerEncoder`` packs by default since 1.13, and since 2.1 its constructor warns where
    the layer cannot take part. ``TransformerEncoder(layer, 6, enable_nested_tensor=can_pack(layer))`` packs on every
    torch where it can, and never warns.

    Args:
        encoder_layer: any module.

    Returns:
        False before torch 1.12, which packs nothing.
    """
    if torch_version < (1, 12) or not isinstance(encoder_layer, torch.nn.TransformerEncoderLayer):
        return False
    from ._call import Call, no_tensor
    from ._conditions import _STATIC, violated  # as in _faults

    call = Call(encoder_layer, (), encoder=False)
    return not violated(_STATIC, call) and not no_tensor(call)
