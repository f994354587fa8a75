"""Which way torch's attention layers go: the fused path of their evaluation mode, or the ordinary one.

Since 1.12 torch runs an encoder layer or a self-attention as one fused operator where a dozen conditions hold, and an
encoder drops the padding by packing the batch into a nested tensor; since 2.0 scaled_dot_product_attention chooses
among kernels. Where the conditions do not hold torch says nothing. The functions here do; docs/attention.md has the
conditions of every torch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .._shim import facade
from .._torch import at_least, torch_version
from ._kinds import KINDS, bind, kind_of
from ._safe import can_pack, fastpath_faults, safe_forward
from ._switch import fastpath

__all__ = [
    "SafeFastpath",
    "can_pack",
    "fastpath",
    "fastpath_faults",
    "safe_forward",
    "sdpa_backend",
    "why_not_fastpath",
    "why_not_nested_tensor",
]


class SdpaChoice(NamedTuple):
    """What :func:`sdpa_backend` gives.

    Attributes:
        backend: the name of the ``torch.nn.attention.SDPBackend`` that will run; ``"ERROR"`` if the call raises since
            none is allowed that can.
        reasons: for each other backend the reasons against it.
    """

    backend: str
    reasons: dict[str, list[str]]


def _no_fused_path() -> list[str]:
    if at_least(1, 12):
        return []
    from ._conditions import SINCE  # as in why_not_fastpath

    here = f"{torch_version[0]}.{torch_version[1]}"
    return [f"version: torch {here} has no fused encoder path; torch has one since {SINCE}."]


@facade("attention.why_not_fastpath")
def why_not_fastpath(module: torch.nn.Module, *inputs: Any, **kwargs: Any) -> list[str]:
    """Every reason for which this torch will not take its fused path for this call; empty: it will.

    Not in torch. The fused path of a module is one operator (``torch._transformer_encoder_layer_fwd``, or
    ``torch._native_multi_head_attention`` for an attention) in place of a layer's submodules; that of
    ``scaled_dot_product_attention`` is a kernel that makes no matrix of scores. Nothing is run and nothing changes; one
    condition reads values (the padding of an encoder, to see whether it can be packed).

    "Takes it" means that torch calls the operator, now, in this grad mode and under this autocast. It does not mean
    that the result is right or that the call succeeds: docs/attention.md lists the known faults of the path. An
    encoder layer that does not take its own path may still take that of its ``self_attn``.

    A decoder layer has no fused operator of its own; that of its ``self_attn`` is the question. No torch has one for
    its ``multihead_attn``, so that the list of a decoder or a Transformer always has ``"cross_attention"``.

    Args:
        module: a ``torch.nn.MultiheadAttention``, ``TransformerEncoderLayer``, ``TransformerEncoder``,
            ``TransformerDecoderLayer``, ``TransformerDecoder`` or ``Transformer``. Of a subclass with a forward of its
            own the answer is what torch's forward would do. Or ``scaled_dot_product_attention``, torch's or
            torchcompat's.
        *inputs: what the forward of that class of this torch, or the function, takes.
        **kwargs: the same, by name.

    Returns:
        Sentences that start with a stable code and a colon: ``"training: The module is in training mode; ..."``. Where
        a module has parts, the code is followed by those that it holds for: ``"training: layers[1]: ..."``,
        ``"training: every layer: ..."``, ``"training: encoder.layers[0]: ..."``, ``"dims: self_attn of every layer of
        decoder: ..."``. The list of an encoder is empty if every layer takes the path. Whether it packs its input
        beforehand is the question of :func:`why_not_nested_tensor`. Before torch 1.12, which had no fused path, the
        only reason is ``"version"``; for torchcompat's own classes and function it is ``"fallback"``, unless the input
        is nested, which the classes leave to torch's forward. :func:`sdpa_backend` tells the kernels apart.

    Raises:
        TypeError: if *module* is none of these, or the inputs do not fit it.
        UnsupportedError: if torch has to be asked about ``scaled_dot_product_attention``, but cannot be (see
            :func:`sdpa_backend`).
    """
    from . import _sdpa  # Tables and what reads them: an import of torchcompat does without.
    from ._why_not import reasons_of

    function = _sdpa.function_of(module)
    if function is not None:
        return _sdpa.why_not_fused(function, _sdpa.bind(function, inputs, kwargs))
    kind = kind_of(module, KINDS)
    given = bind(kind, module, inputs, kwargs)
    return _no_fused_path() or reasons_of(kind, module, given)


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
    from ._why_not import packing  # as in why_not_fastpath

    given = bind(kind_of(encoder, ("TransformerEncoder",)), encoder, inputs, kwargs)
    masks = given.get("mask"), given.get("src_key_padding_mask")
    return _no_fused_path() or packing(encoder, given["src"], *masks)


@facade("attention.sdpa_backend")
def sdpa_backend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> SdpaChoice:
    """Which backend ``torchcompat.nn.functional.scaled_dot_product_attention`` will run for these arguments.

    Not in torch. Nothing is run and nothing changes. The answer holds for now: for this grad mode, this autocast and
    the backends that are switched on. It does not mean that the call succeeds.

    On a CPU the answer follows from conditions that were found by running every torch; docs/attention.md has them. On
    another device torch is asked, and says itself why its kernels refuse (since 2.2, cuDNN since 2.5); that has not
    been tried on a CUDA device.

    Args:
        query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa: as the function takes them.

    Returns:
        A named tuple. ``backend`` is the name of a ``torch.nn.attention.SDPBackend``: ``"MATH"``,
        ``"FLASH_ATTENTION"``, ``"EFFICIENT_ATTENTION"``, ``"CUDNN_ATTENTION"``, ``"OVERRIDEABLE"``, or ``"ERROR"`` if
        none that is switched on can run. ``reasons`` has for every other name but ``"ERROR"`` the list of reasons
        against it; each starts with a stable code and a colon. Where the public function is torchcompat's own the
        backend is ``"MATH"`` and the reason ``"fallback"``, but for the calls that it leaves to torch 2.1 to 2.4.

    Raises:
        TypeError: an argument is not of the type that the function takes.
        UnsupportedError: query is on another device and torch cannot be asked: an argument is no plain tensor, or a
            transform, a tracer or a mode is at work.
    """
    from . import _sdpa  # as in why_not_fastpath

    options = {"scale": scale, "enable_gqa": enable_gqa}
    given = _sdpa.bind("fallback", (query, key, value, attn_mask, dropout_p, is_causal), options)
    return _sdpa.choose(_sdpa.public(), given)


@facade("attention.SafeFastpath")
class SafeFastpath(torch.nn.Module):  # type: ignore[misc]
    """Stands in for an attention module inside a model, and calls it by :func:`safe_forward`.

    Not in torch. ``model.encoder = SafeFastpath(model.encoder)`` leaves the names of parameters, buffers and submodules
    as they are, and so the state dict: the wrapper has the module's own, and its attributes.

    It is of none of torch's classes. What asks for one (``isinstance``, the functions of this module, an encoder that
    is to pack) wants the module itself, which is the wrapper's attribute ``wrapped``; hence wrap the outermost of the
    six classes, not the layers inside. Put hooks on the wrapper or on submodules.

    Args:
        module: one of the six classes of :func:`fastpath_faults`.

    Raises:
        TypeError: if *module* is none of these.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        kind_of(module, list(KINDS))
        self.training = module.training
        # Not registered as a submodule, which would prefix all names: what it has registered is shared instead.
        self.__dict__["wrapped"] = module
        for name in ("_parameters", "_buffers", "_modules"):
            self.__dict__[name] = module.__dict__[name]

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What :func:`safe_forward` gives."""
        return safe_forward(self.wrapped, *inputs, **kwargs)

    def train(self, mode: bool = True) -> SafeFastpath:
        """Set the mode of the module, too."""
        self.wrapped.train(mode)
        self.training = mode
        return self

    def __getattr__(self, name: str) -> Any:
        if "wrapped" not in self.__dict__:  # while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def extra_repr(self) -> str:
        """The class of the module; its submodules are shown as the wrapper's."""
        return type(self.wrapped).__name__
