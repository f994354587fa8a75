"""The two diagnoses, `why_not_fastpath` and `fastpath_faults`, agree with each other and with what torch does.

A call has a fault of the fused path only if torch takes that path somewhere in it: where the profiler sees no fused
operator, and nothing is raised, there is none. And where there is no reason against the path torch takes it.
"""

import torch
from _fastpath_cases import ATTENTION_OP, LAYER_OP, PACKING_OP, Observed, Subclass, fused
from hypothesis import example, given, settings
from hypothesis import strategies as st

from torchcompat.attention import fastpath_faults, why_not_fastpath

pytestmark = fused
KINDS = ("TransformerEncoder", "TransformerDecoder", "Transformer")
CHANGES = ("attention trains", "layer trains", "layer needs grad", "other layer", "other attention", "dropout trains")
INPUTS = ("plain", "grad", "subclass")


class Other(torch.nn.Module):
    """A layer of another class, for an encoder and for a decoder."""

    def __init__(self):
        super().__init__()
        self.self_attn = torch.nn.MultiheadAttention(4, 2, batch_first=True)
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x, memory=None, *masks, **named):
        return self.linear(x) if memory is None or memory.dim() != 3 else self.linear(x) + memory.sum()


class OtherAttention(torch.nn.Module):
    batch_first = True

    def forward(self, x, *inputs, **masks):
        return x, None


def change(layers, index, what):
    layer = layers[index]
    if what == "other layer":
        layers[index] = Other().eval().requires_grad_(False)
    elif isinstance(layer, Other):
        return
    elif what == "other attention":
        layer.self_attn = OtherAttention()
    elif what == "attention trains":
        layer.self_attn.train()
    elif what == "layer trains":
        layer.train()
    elif what == "layer needs grad":
        layer.requires_grad_(True)
    else:
        layer.dropout1.train()


def made(kind, norm_first):
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first}
    if kind == "Transformer":
        options["custom_encoder"] = made("TransformerEncoder", norm_first)
        return torch.nn.Transformer(4, 2, 1, 2, 4, **options)
    layer = getattr(torch.nn, kind + "Layer")(4, 2, 4, **options)
    packs = {"enable_nested_tensor": False} if kind == "TransformerEncoder" else {}
    return getattr(torch.nn, kind)(layer, 2, **packs)


def tensor(how):
    x = torch.linspace(-1, 1, 24).view(2, 3, 4)
    if how == "grad":
        return x.requires_grad_()
    return x.as_subclass(Subclass) if how == "subclass" else x


# Faults of torch before it decides, of packing, and of its warnings only are of no fused operator.
ELSEWHERE = ("no_bias", "missing_weight", "quantized")


@settings(max_examples=150)
@example("TransformerDecoder", False, [("decoder", 0, "attention trains")], "plain", "grad", "row")
@example("TransformerDecoder", False, [], "plain", "subclass", "row")
@example("TransformerDecoder", False, [("decoder", 0, "other layer")], "plain", "grad", "row")
@example("Transformer", False, [("decoder", 0, "attention trains")], "plain", "grad", "row")
@given(
    st.sampled_from(KINDS),
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from(["encoder", "decoder"]), st.integers(0, 1), st.sampled_from(CHANGES)), max_size=3
    ),
    st.sampled_from(INPUTS),
    st.sampled_from(INPUTS),
    st.sampled_from([None, "row", "bias"]),
)
def test_both_agree_with_torch(kind, norm_first, changes, first, second, mask):
    module = made(kind, norm_first).eval().requires_grad_(False)
    stacks = {"TransformerEncoder": "encoder", "TransformerDecoder": "decoder"}
    for stack, index, what in changes:
        owner = getattr(module, stack, None) if kind == "Transformer" else module
        if owner is not None and stacks.get(kind, stack) == stack:
            change(owner.layers, index, what)
    inputs = (tensor(first),) if kind == "TransformerEncoder" else (tensor(first), tensor(second))
    given_mask = None if mask is None else torch.zeros(3, 3)
    if mask == "row":
        given_mask = torch.zeros(3, 3, dtype=torch.bool)
        given_mask[0] = True
    elif mask == "bias":
        given_mask[0, 1] = 0.5
    named = {} if given_mask is None else {"mask" if kind == "TransformerEncoder" else "tgt_mask": given_mask}
    faults = {fault.partition(":")[0] for fault in fastpath_faults(module, *inputs, **named)} - set(ELSEWHERE)
    reasons = [reason for reason in why_not_fastpath(module, *inputs, **named) if "cross_attention" not in reason]
    seen = Observed(lambda: module(*inputs, **named))
    taken = seen.called[LAYER_OP] + seen.called[ATTENTION_OP] + seen.called[PACKING_OP]
    if seen.error is None:
        assert taken or not faults, (faults, reasons)
        assert taken or reasons, faults
