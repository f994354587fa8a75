"""Calls that meet the faults of packing, and those that a layer and an attention have in common."""

import contextlib

import torch
from _fastpath_calls import (
    HEADS,
    HIDDEN,
    INF,
    LENGTH,
    SIZE,
    Call,
    Cases,
    attention,
    floats,
    layer,
    packing,
    padded,
    rows,
    with_padding,
    x,
)

from torchcompat import at_least

CASES = Cases()
case = CASES.of

DISTANCE = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)[None, :]


CAUSAL = DISTANCE < 0


BAND = DISTANCE.abs() > 1


ALIBI = -0.5 * DISTANCE.abs().float()


BIAS = ALIBI.masked_fill(BAND, -INF)


@case("short_output")
def no_sequence_is_full():
    return with_padding(packing(), rows(2, 4, 3))


@case("short_output")
def in_a_transformer():
    model = torch.nn.Transformer(SIZE, HEADS, 1, 1, HIDDEN, 0.0, batch_first=True).eval()
    model.encoder.enable_nested_tensor = True  # since 1.13 it is
    mask = rows(2, 4, 3)
    return Call(model, x(), x(), src_key_padding_mask=mask, memory_key_padding_mask=mask)


@case("unchecked_padding", 1, 13)
def padding_comes_first_unchecked():
    encoder = packing()
    encoder.mask_check = False
    return with_padding(encoder, rows(5, 4, 3, left=True))


@case("left_padding", also=["mask_warning"])
def padding_comes_first():
    return with_padding(packing(), rows(5, 4, 3, left=True))


@case("all_padded", also=["short_output"])
def nothing_is_kept():
    return with_padding(packing(), rows(0, 0))


@case("float_padding", also=["short_output", "mask_warning"])
def a_bias_on_keys():
    call = with_padding(packing(), rows(5, 5, 4))
    call.kwargs["src_key_padding_mask"] = floats(rows(5, 3, 4), 0.5)
    call.kept = None
    return call


@case("mixed_layers")
def the_second_layer_trains():
    encoder = packing()
    encoder.layers[1].train()
    return with_padding(encoder, rows(5, 4, 3))


@case("mixed_layers")
def the_second_layer_takes_no_fused_path():
    encoder = packing()
    encoder.layers[1].self_attn.add_zero_attn = True
    encoder.layers[1].norm1.eps = 1e-3
    return with_padding(encoder, rows(5, 4, 3))


# Of the layer and of the attention.


def formula():
    """The plain formula of the attention, which has forward-mode derivatives; fused kernels, since 2.1, have none."""
    if at_least(2, 3):
        return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    if at_least(2, 1):
        return torch.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False)
    return contextlib.ExitStack()


class Derivative(Call):
    """The derivative of a call in a direction."""

    def run(self, function=None, grad=False):
        function = function or (lambda module, *inputs, **kwargs: module(*inputs, **kwargs))
        forward_ad = torch.autograd.forward_ad

        def derivative(module, value, direction):
            with forward_ad.dual_level(), formula():
                dual = forward_ad.make_dual(value, direction)
                inputs = (dual,) * (3 if isinstance(module, torch.nn.MultiheadAttention) else 1)
                out = function(module, *inputs)
                if isinstance(out, list):
                    return out
                return forward_ad.unpack_dual(out[0] if isinstance(out, tuple) else out).tangent

        return super().run(derivative, grad)


@case("forward_ad")
def derivative_of_a_layer():
    return Derivative(layer(), x(), x())


@case("forward_ad")
def derivative_of_an_attention():
    return Derivative(attention(), x(), x())


@case("causal_hint", 2, 0)
def hint_of_a_layer():
    return Call(layer(), x(), is_causal=True)


@case("causal_hint", 2, 0)
def hint_of_an_encoder():
    return Call(padded(), x(), is_causal=True)


@case("causal_hint", 2, 0)
def hint_of_a_packed_encoder():
    return Call(packing(), x(), src_key_padding_mask=rows(5, 4, 3), is_causal=True)


@case("causal_hint", 2, 0)
def hint_of_an_attention():
    value = x()
    return Call(attention(), value, value, value, is_causal=True, need_weights=False)


@case("causal_hint", 2, 1)
def hint_of_a_decoder():
    return Call(decoder(), x(), x(), tgt_is_causal=True)


@case("causal_hint_mask", 2, 0, also=["mask_warning"])
def another_mask_for_a_layer():
    return Call(layer(), x(), src_mask=floats(BAND), is_causal=True)


@case("causal_hint_mask", 2, 0, also=["mask_warning"])
def another_mask_for_an_encoder():
    return Call(padded(), x(), mask=BAND, is_causal=True)


@case("causal_hint_mask", 2, 0, also=["mask_warning"])
def another_mask_for_an_attention():
    value = x()
    return Call(attention(), value, value, value, attn_mask=BAND, is_causal=True, need_weights=False)


@case("masked_row", also=["mask_warning"])
def a_padded_sequence_for_a_layer():
    return Call(layer(), x(2), src_key_padding_mask=rows(5, 0))


@case("masked_row", also=["mask_warning"])
def a_padded_sequence_for_an_encoder():
    return Call(padded(), x(2), src_key_padding_mask=rows(5, 0))


@case("masked_row", 2, 0, also=["mask_warning"])
def causal_with_padding_in_front():
    return Call(padded(), x(2), mask=CAUSAL, src_key_padding_mask=rows(5, 3, left=True))


@case("masked_row", also=["mask_warning"])
def a_padded_sequence_for_an_attention():
    value = x(2)
    return Call(attention(), value, value, value, key_padding_mask=rows(5, 0), need_weights=False)


@case("float_mask", 2, 0, also=["mask_warning"])
def alibi_for_a_layer():
    return Call(layer(), x(), src_mask=ALIBI)


@case("float_mask", 2, 0, also=["mask_warning"])
def bias_for_an_encoder():
    return Call(packing(), x(), mask=BIAS)


@case("float_mask", 2, 0, also=["mask_warning"])
def bias_by_head_for_a_layer():
    return Call(layer(), x(), src_mask=BIAS.repeat(3 * HEADS, 1, 1))


@case("float_mask", also=["mask_warning"])
def padding_bias_for_a_layer():
    return Call(layer(), x(), src_key_padding_mask=floats(rows(5, 3, 4), 0.5))


@case("float_mask", 2, 0, also=["mask_warning"])
def alibi_for_an_attention():
    value = x()
    return Call(attention(), value, value, value, attn_mask=ALIBI)


@case("float_mask", also=["mask_warning"])
def padding_bias_for_an_attention():
    value = x()
    return Call(attention(), value, value, value, key_padding_mask=floats(rows(5, 3, 4), 0.5))


def decoder(count=None):
    one = torch.nn.TransformerDecoderLayer(SIZE, HEADS, HIDDEN, 0.0, batch_first=True).eval()
    return one if count is None else torch.nn.TransformerDecoder(one, count).eval()


@case("float_mask", 2, 0, also=["mask_warning"])
def alibi_for_a_decoder():
    return Call(decoder(2), x(), x(), tgt_mask=ALIBI)


@case("masked_row", also=["mask_warning"])
def a_padded_sequence_for_a_decoder():
    return Call(decoder(), x(2), x(2), tgt_key_padding_mask=rows(5, 0))


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


@case("autocast", also=["mask_warning"])
def autocast_of_a_layer():
    return Call(layer(), x(), context=autocast, tolerance=0.1)


@case("autocast", also=["mask_warning"])
def autocast_of_an_attention():
    value = x()
    return Call(attention(), value, value, value, context=autocast, tolerance=0.1)


@case("autocast_packed", also=["autocast"])
def autocast_of_a_packed_encoder():
    return with_padding(packing(), rows(5, 4, 3), context=autocast, tolerance=0.1)
