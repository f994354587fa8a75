"""What torch's fused encoder path gets wrong: one row per fault, with the minors that have it.

Found by running every minor from 1.12 to 2.15; tests/test_fastpath_faults.py shows each of them where it is said to be,
and its absence elsewhere. "Wrong" means other than what the same module gives on its ordinary path. Where no issue is
known, the link is the change that brought the path.
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

from .._shim import within
from . import _parts as ask
from ._conditions import SINCE
from ._parts import Part

_ISSUE = "https://github.com/pytorch/pytorch/issues/"
_ORIGIN = "https://github.com/pytorch/pytorch/pull/75809"


class Fault(NamedTuple):
    """One fault: torch *first* to *last* (none: still so) has it where *meets* is true of a part that it is to run."""

    code: str
    text: str
    meets: Callable[[Part], bool]
    link: str
    first: str = SINCE
    last: str = ""

    def holds(self) -> bool:
        """Whether the installed torch is in the range."""
        return within(self.first, self.last)

    def __str__(self) -> str:
        return f"{self.code}: {self.text} {self.link}"


def met(part: Part) -> list[Fault]:
    """The faults that the installed torch has for *part*."""
    if part.kind is not None and part.ours:
        return []
    tables: Sequence[Sequence[Fault]] = (CRASHES,)
    if part.kind is not None and not part.blocked:
        tables = {"packing": (PACKING,), "layer": (LAYER, BOTH), "attention": (ATTENTION, BOTH)}[part.kind]
    return [fault for table in tables for fault in table if fault.holds() and fault.meets(part)]


# Before the path is taken: errors while torch looks whether it can.
CRASHES = (
    Fault(
        "no_bias",
        "The attention has bias=False, and looking for the bias raises an error.",
        lambda part: ask.crashes_on_weights(part) and ask.has_no_bias(part),
        _ISSUE + "116385",
        last="2.2",
    ),
    Fault(
        "missing_weight",
        "A weight or bias is missing, and looking for it raises an error.",
        lambda part: ask.crashes_on_weights(part) and None in part.call.weights and not ask.has_no_bias(part),
        _ISSUE + "125015",
    ),
    Fault(
        "quantized",
        "A weight is no tensor, as in a dynamically quantized layer, and using it as one raises an error.",
        lambda part: ask.crashes_on_weights(part) and None not in part.call.weights,
        _ISSUE + "109987",
    ),
)

PACKING = (
    Fault(
        "short_output",
        "No sequence has the full length, and the output is as long as the longest one instead of as the input.",
        ask.no_full_row,
        _ISSUE + "97111",
        last="2.0",
    ),
    Fault(
        "left_padding",
        "A padded position stands before one that is not, which raises an error.",
        ask.not_left_aligned,
        _ISSUE + "97111",
        last="1.12",
    ),
    Fault(
        "unchecked_padding",
        "A padded position stands before one that is not, and the encoder, which has mask_check=False, drops others.",
        ask.not_left_aligned,  # where the mask is checked, such a batch is not packed
        "https://github.com/pytorch/pytorch/pull/81013",
        first="1.13",
    ),
    Fault(
        "all_padded",
        "All positions are padded, which raises an error.",
        ask.all_padded,
        _ISSUE + "178677",
        first="2.2",
    ),
    Fault(
        "float_padding",
        "The key padding mask has values other than 0 and -inf, which are taken for padding.",
        lambda part: ask.additive(part.call.padding),
        _ISSUE + "118628",
    ),
    Fault(
        "mixed_layers",
        "A later layer does not take the fused path, and raises an error about the packed batch.",
        ask.cannot_unpack,
        _ORIGIN,
    ),
)

BOTH = (
    Fault(
        "forward_ad",
        "Forward-mode derivatives are asked for, which the fused path has not: an error.",
        ask.has_tangent,
        _ORIGIN,
    ),
    Fault(
        "causal_hint",
        "There is is_causal=True and no mask: the hint is ignored, where the ordinary path raises an error.",
        lambda part: part.is_causal and part.call.mask is None,
        _ISSUE + "96941",
        first="2.0",
    ),
    Fault(
        "causal_hint_mask",
        "There is is_causal=True and a mask that is not causal: the fused path goes by the mask, the ordinary one by "
        "the hint.",
        ask.other_mask,
        _ISSUE + "99282",
        first="2.0",
    ),
    Fault(
        "masked_row",
        "A query may attend to nothing: NaN, where the ordinary path gives zeros.",
        ask.empty_row,
        "https://github.com/pytorch/pytorch/pull/133882",
        first="2.5",
    ),
    Fault(
        "mask_warning",
        "The key padding mask is floating point, and torch warns of converting it.",
        lambda part: part.call.padding is not None and part.call.padding.is_floating_point(),
        _ORIGIN,
        last="1.13",
    ),
    Fault(
        "mask_warning",
        "There is a mask, and torch converts it twice and warns of that.",
        lambda part: part.call.mask is not None or part.call.padding is not None,
        "https://github.com/pytorch/pytorch/pull/103362",
        first="2.0",
        last="2.0",
    ),
)

LAYER = (
    Fault(
        "float_mask",
        "A mask has values other than 0 and -inf (a bias, as ALiBi's): they are taken for True; NaN where all are.",
        lambda part: ask.additive(part.call.mask) or ask.additive(part.call.padding),
        _ISSUE + "118628",
    ),
    Fault(
        "autocast",
        "CPU autocast is on, which raises an error about dtypes.",
        ask.cpu_autocast,
        _ISSUE + "132613",
        last="2.5",
    ),
    Fault(
        "autocast_packed",
        "CPU autocast is on and the batch is packed or nested, which raises an error about dtypes.",
        lambda part: ask.cpu_autocast(part) and part.call.nested,
        _ISSUE + "107663",
        first="2.6",
    ),
    Fault(
        "hooks",
        "A forward hook or forward pre-hook is on a submodule, and is not called.",
        ask.hooked_inside,
        _ISSUE + "128413",
        last="2.4",
    ),
    Fault(
        "global_hooks",
        "A forward hook or forward pre-hook is on all modules, and is not called for the submodules.",
        ask.hooked_globally,
        _ISSUE + "82919",
    ),
    Fault(
        "overridden",
        "_sa_block or _ff_block is overridden, and not called.",
        ask.overridden_blocks,
        _ISSUE + "118628",
    ),
    Fault(
        "replaced",
        "A submodule is of another class (an adapter, as LoRA's): its weight is used, its forward is not.",
        ask.replaced,
        _ORIGIN,
    ),
    Fault(
        "dropout",
        "A dropout or the attention is in training mode (as for Monte Carlo dropout), and nothing is dropped.",
        ask.drops,
        _ORIGIN,
    ),
    Fault(
        "activation",
        "The activation was changed after construction, and the one from before is used.",
        lambda part: ask.other_activation(part) == "changed",
        _ORIGIN,
    ),
    Fault(
        "activation_subclass",
        "The activation is of a subclass of nn.ReLU or nn.GELU, whose forward is not used.",
        lambda part: ask.other_activation(part) == "subclass",
        _ORIGIN,
        first="1.13",
    ),
    Fault(
        "tanh_gelu",
        'The activation is nn.GELU("tanh"), and the exact GELU is computed.',
        lambda part: ask.other_activation(part) == "tanh",
        _ORIGIN,
        first="1.13",
    ),
    Fault(
        "added_keys",
        "The attention has add_bias_kv or add_zero_attn, which are ignored.",
        ask.adds_keys,
        _ORIGIN,
    ),
)

ATTENTION = (
    Fault(
        "float_mask",
        "A mask has values other than 0 and -inf (a bias, as ALiBi's): they are taken for True; NaN where all are.",
        lambda part: ask.additive(part.call.mask) or ask.additive(part.call.padding),
        _ISSUE + "107084",
        last="2.0",
    ),
    Fault(
        "autocast",
        "CPU autocast is on, which raises an error about dtypes.",
        ask.cpu_autocast,
        _ISSUE + "132613",
        last="2.1",
    ),
)
