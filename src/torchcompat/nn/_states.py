"""What lets a pickled attention module of one torch come back under another.

A pickle names a class by its public name. Where torch's own class is the public one, that name leads to torch's own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import gelu, relu

from .._shim import SHIMS, at_home
from .._torch import at_least, find

ACTIVATIONS = {"relu": relu, "gelu": gelu}

# From when on torch's own forward takes the causal hints that ours pass on: https://github.com/pytorch/pytorch/pull/90508
# and, for the decoder, https://github.com/pytorch/pytorch/pull/97166
TAKES_HINTS = {
    "MultiheadAttention": (2, 0),
    "TransformerEncoderLayer": (2, 0),
    "TransformerDecoderLayer": (2, 0),
    "TransformerEncoder": (2, 0),
    "TransformerDecoder": (2, 1),
}
TOO_OLD = {name: getattr(torch.nn, name) for name, since in TAKES_HINTS.items() if not at_least(*since)}


def activation_of(activation: Any) -> Any:
    """The function that a layer's argument *activation* stands for."""
    if not isinstance(activation, str):
        return activation
    if activation not in ACTIVATIONS:
        raise RuntimeError(f"activation must be 'relu', 'gelu' or a callable, got {activation!r}")
    return ACTIVATIONS[activation]


def kernel_of(activation: Any) -> int:
    """Which of its activations torch's fused kernel is to use for this one: 1 is relu, 2 is gelu, 0 none."""
    if activation is relu or isinstance(activation, torch.nn.ReLU):
        return 1
    return 2 if activation is gelu or isinstance(activation, find("torch.nn.GELU") or ()) else 0


class _ByName:
    """An activation that is pickled, and copied, as its name.

    Since torch 1.12 gelu is a builtin, whose pickle torch below 1.12 cannot resolve:
    https://github.com/pytorch/pytorch/pull/61439
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return _activation, (self.name,)


def _activation(name: str) -> Any:
    """The activation that a pickle gives by its *name*."""
    return ACTIVATIONS[name]


at_home(_activation, "torchcompat.nn")


def state_of(module: Any) -> dict[str, Any]:
    """What to pickle of a layer."""
    inherited = getattr(torch.nn.Module, "__getstate__", None)
    state = dict(inherited(module) if inherited else module.__dict__)
    # Torch's own decoder layer replaces an activation that it does not find here by relu. A module is elsewhere:
    # https://github.com/pytorch/pytorch/pull/81832 , which mended the encoder layer alone.
    state["activation"] = module.activation
    for name, function in ACTIVATIONS.items():
        if module.activation is function:
            state["activation"] = _ByName(name)
    return state


def refuse_too_old(argument: str, module: Any) -> None:
    """Refuse a *module* whose forward is torch's own and takes no causal hints."""
    for name, own in TOO_OLD.items():
        if getattr(type(module), "forward", None) is own.forward:
            since = "{}.{}".format(*TAKES_HINTS[name])
            raise TypeError(
                f"{argument} must be a torchcompat.nn.{name} or take is_causal as one does, "
                f"got torch.nn.{name}, whose forward does not before torch {since}"
            )


def _adopt(module: Any) -> None:
    """Turn torch's own modules inside *module* into ours, where those of this torch take no causal hints.

    They are there if a user's class, based on ours, was pickled where ours is torch's own, or before it was ours.
    """
    for part in module.modules():
        for name, own in TOO_OLD.items():
            if type(part) is own:
                part.__class__ = SHIMS["nn." + name].fallback
                part.__setstate__({})


def restore(module: Any, state: dict[str, Any], absent: dict[str, Any]) -> None:
    """Give *module* its pickled *state*, and what is *absent* from a state of older torch."""
    # Not by torch's own class: 1.3 to 1.9 replace an activation that is a module by relu, and 1.4 takes every copy for
    # one without widths of its own for keys and values.
    torch.nn.Module.__setstate__(module, state)
    if "activation" in module._modules:
        module.__dict__.pop("activation", None)
    for name, value in absent.items():
        if not hasattr(module, name):
            setattr(module, name, value)
    _adopt(module)
