"""What torch's conditions for its fused encoder path look at (:class:`Call`), and the questions they ask of it."""

from __future__ import annotations

import sys
from typing import Any, Sequence

import torch

from .._hooks import is_hooked
from .._torch import torch_version

ATTENTION_WEIGHTS = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
LAYER_WEIGHTS = tuple("self_attn." + name for name in ATTENTION_WEIGHTS) + (
    "norm1.weight",
    "norm1.bias",
    "norm2.weight",
    "norm2.bias",
    "linear1.weight",
    "linear1.bias",
    "linear2.weight",
    "linear2.bias",
)


def get(owner: Any, path: str) -> Any:
    """The attribute at a dotted *path*, or None."""
    for name in path.split("."):
        owner = getattr(owner, name, None)
    return owner


def _read(module: Any, path: str) -> list[Any]:
    """The tensor at *path*. A parametrized one would be computed by reading it: what it is computed from stands in."""
    parent, _, name = path.rpartition(".")
    owner = get(module, parent) if parent else module
    parametrizations = getattr(owner, "parametrizations", None)
    if isinstance(parametrizations, torch.nn.ModuleDict) and name in parametrizations:
        sources = parametrizations[name]
        return list(sources.parameters()) + list(sources.buffers())
    return [getattr(owner, name, None)]


class Call:
    """One attention or encoder layer and what it is about to get: all that torch's conditions look at.

    Attributes:
        module: the MultiheadAttention or the TransformerEncoderLayer.
        attention: the same MultiheadAttention, or the one inside the layer.
        inputs: query, key and value, or src alone. For a later layer of an encoder, what the first one gets.
        mask: the attention mask.
        padding: the key padding mask.
        weights: the parameters that the fused op would take.
        nested: whether one of the inputs is a nested tensor.
        overridden: whether it gets a tensor with ``__torch_function__``.
        requires_grad: whether it gets a tensor that requires grad.
        encoder: the TransformerEncoder around it, for the conditions of packing.
    """

    def __init__(
        self,
        module: Any,
        inputs: tuple[Any, ...],
        mask: Any = None,
        padding: Any = None,
        previous: Call | None = None,
        packed: bool = False,
        encoder: Any = None,
    ) -> None:
        is_layer = encoder is not None or isinstance(module, torch.nn.TransformerEncoderLayer)
        self.module = module
        self.attention = getattr(module, "self_attn", None) if is_layer else module
        self.inputs, self.mask, self.padding, self.encoder = inputs, mask, padding, encoder
        names = LAYER_WEIGHTS if is_layer else ATTENTION_WEIGHTS
        if not getattr(self.attention, "_qkv_same_embed_dim", True):  # then there is none, which is a reason of its own
            names = tuple(name for name in names if not name.endswith("in_proj_weight"))
        self.weights = tuple(weight for name in names for weight in _read(module, name))
        self.nested = packed or any(x.is_nested for x in inputs)
        self.overridden = any_overrides(inputs) or (previous is not None and previous.output_overridden())
        self.requires_grad = any(x.requires_grad for x in inputs) or (
            previous is not None and previous.output_requires_grad()
        )

    def tensors(self) -> list[Any]:
        """What the fused op would take, less what is no tensor."""
        return [x for x in self.inputs + self.weights if isinstance(x, torch.Tensor)]

    def output_overridden(self) -> bool:
        """Whether the next layer gets a tensor with ``__torch_function__``."""
        return self.overridden or any_overrides(self.weights)

    def output_requires_grad(self) -> bool:
        """Whether the next layer gets a tensor that requires grad."""
        trainable = self.requires_grad or any(p.requires_grad for p in self.module.parameters())
        return torch.is_grad_enabled() and trainable


def any_overrides(values: tuple[Any, ...]) -> bool:  # torchcompat: needs torch >= 1.12
    """Whether torch would dispatch a call with *values* to ``__torch_function__``, of a value or of an active mode."""
    return bool(torch.overrides.has_torch_function(values))


def given(*values: Any) -> bool:
    return any(value is not None for value in values)


def odd_heads(call: Call) -> bool:
    return bool(getattr(call.attention, "num_heads", 0) % 2 == 1)


def different_eps(call: Call) -> bool:
    one, two = get(call.module, "norm1.eps"), get(call.module, "norm2.eps")
    return one is None or one != two


def hooked(call: Call) -> bool:
    # Neither global hooks nor backward hooks keep torch from the fused path.
    return any(is_hooked(m) for m in call.module.modules())


def no_tensor(call: Call) -> bool:
    return not all(isinstance(weight, torch.Tensor) for weight in call.weights)


def overridden(call: Call) -> bool:
    return call.overridden or any_overrides(call.weights)


def needs_grad(call: Call) -> bool:
    return torch.is_grad_enabled() and (call.requires_grad or any(x.requires_grad for x in call.tensors()))


def refused(mask: Any) -> bool:
    return mask is not None and mask.dtype != torch.bool and not mask.is_floating_point()


def floating(mask: Any) -> bool:
    return mask is not None and mask.is_floating_point()


def other_dtype(call: Call) -> bool:
    in_proj = _read(call.module, "in_proj_weight") + _read(call.module, "in_proj_bias")
    return any(isinstance(weight, torch.Tensor) and weight.dtype != call.inputs[0].dtype for weight in in_proj)


def off_cpu_and_cuda(tensors: Sequence[Any]) -> bool:
    return any(not (x.is_cuda or x.device.type == "cpu") for x in tensors)


def off_devices(tensors: Sequence[Any], *more: str) -> bool:  # torchcompat: needs torch >= 2.1
    known = ("cpu", "cuda", torch.utils.backend_registration._privateuse1_backend_name) + more
    return any(x.device.type not in known for x in tensors)


def tracing(exporting_too: bool) -> bool:  # torchcompat: needs torch >= 1.13
    modes = torch.utils._python_dispatch._get_current_dispatch_mode_stack()
    proxy_tensor = sys.modules.get("torch.fx.experimental.proxy_tensor")
    if proxy_tensor is not None and any(type(mode) is proxy_tensor.ProxyTorchDispatchMode for mode in modes):
        return True
    return exporting_too and bool(torch.compiler.is_exporting())  # torchcompat: needs torch >= 2.7


def fastpath_off(call: Call) -> bool:  # torchcompat: needs torch >= 2.3
    return not torch.backends.mha.get_fastpath_enabled()


def checks_mask(call: Call) -> bool:
    return bool(getattr(call.encoder, "mask_check", True))


def compiling() -> bool:
    """Whether torch knows itself to be compiling or exporting; asked since 2.10."""
    return torch_version >= (2, 10) and bool(torch.compiler.is_compiling())


def not_left_aligned(call: Call) -> bool:
    """Whether a padded position stands before one that is not, where that matters and can be seen."""
    padding = call.padding
    if padding is None or padding.device.type == "meta" or not checks_mask(call) or compiling():
        return False
    kept = padding.logical_not()
    return bool((kept[..., 1:] > kept[..., :-1]).any())


def make_counts(call: Call) -> bool:
    """Whether what a layer is made like counts for packing: from 2.1 only the encoder's constructor looks at it."""
    return torch_version < (2, 1) or not getattr(call.encoder, "use_nested_tensor", False)
