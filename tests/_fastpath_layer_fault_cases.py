"""Calls that meet the faults of torch's fused layer, and errors on the way."""

import contextlib
import copy
import warnings

import torch
from _fastpath_calls import (
    HEADS,
    HIDDEN,
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

CASES = Cases()
case = CASES.of


# Of the layer.


def hooked(module, name, pre=False):
    def double(module, inputs, output=None):
        return tuple(2 * value for value in inputs) if pre else 2 * output

    found = dict(module.named_modules())[name]
    (found.register_forward_pre_hook if pre else found.register_forward_hook)(double)
    return module


@case("hooks")
def a_hook_on_a_linear():
    return Call(hooked(layer(), "linear1"), x())


@case("hooks")
def a_pre_hook_on_a_norm():
    return Call(hooked(layer(), "linear2", pre=True), x())


@case("hooks")
def a_hook_inside_a_packed_encoder():
    return with_padding(hooked(packing(), "layers.1.dropout1"), rows(5, 4, 3))


@contextlib.contextmanager
def global_hook():
    def double(module, inputs, output):
        return 2 * output if isinstance(module, torch.nn.Linear) else None

    handle = torch.nn.modules.module.register_module_forward_hook(double)
    try:
        yield
    finally:
        handle.remove()


@case("global_hooks")
def a_hook_on_all_modules():
    return Call(layer(), x(), context=global_hook)


class TwiceFed(torch.nn.TransformerEncoderLayer):
    def _ff_block(self, x):
        return 2 * super()._ff_block(x)


@case("overridden")
def a_subclass():
    return Call(TwiceFed(SIZE, HEADS, HIDDEN, 0.0, batch_first=True).eval(), x())


@case("overridden")
def an_attribute():
    one = layer()
    one._sa_block = lambda x, *masks, **hint: 2 * x
    return Call(one, x())


class Adapted(torch.nn.Linear):
    def forward(self, value):
        return super().forward(value) + 1


class Wrapped(torch.nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base
        self.weight, self.bias = base.weight, base.bias

    def forward(self, value):
        return self.base(value) * 2


@case("replaced")
def an_adapted_linear():
    one = layer()
    one.linear1 = Adapted(SIZE, HIDDEN)
    return Call(one, x())


@case("replaced")
def a_wrapped_linear():
    one = layer()
    one.linear2 = Wrapped(one.linear2)
    return Call(one, x())


@case("replaced")
def a_forward_of_its_own():
    one = layer()
    one.linear1.forward = lambda value: torch.nn.functional.linear(value, 2 * one.linear1.weight)
    return Call(one, x())


@case("replaced")
def a_wrapped_norm():
    one = layer()
    eps, one.norm1 = one.norm1.eps, Wrapped(one.norm1)
    one.norm1.eps = eps
    return Call(one, x())


class Reversed(torch.nn.MultiheadAttention):
    def forward(self, *inputs, **kwargs):
        out, weights = super().forward(*inputs, **kwargs)
        return out.flip(1), weights


@case("replaced")
def an_attention_of_its_own():
    one = layer()
    one.self_attn = Reversed(SIZE, HEADS, batch_first=True).eval()
    return Call(one, x())


class Halved(torch.nn.Module):
    def forward(self, value):
        return value / 2


@case("replaced")
def something_for_a_dropout():
    one = layer()
    one.dropout1 = Halved()
    return Call(one, x())


@case("dropout")
def monte_carlo_dropout():
    one = layer(0.5)
    one.dropout2.train()
    return Call(one, x())


@case("dropout")
def an_attention_that_trains():
    one = layer(0.5)
    one.self_attn.train()
    return Call(one, x())


@case("activation")
def relu_changed_to_gelu():
    one = layer()
    one.activation = torch.nn.functional.gelu
    return Call(one, x())


@case("activation")
def gelu_changed_to_tanh():
    one = layer(activation="gelu")
    one.activation = torch.tanh
    return Call(one, x())


class Shifted(torch.nn.ReLU):
    def forward(self, value):
        return super().forward(value) + 1


@case("activation_subclass", 1, 13)
def a_subclass_of_relu():
    return Call(layer(activation=Shifted()), x())


class Quick(getattr(torch.nn, "GELU", torch.nn.Module)):  # in torch since 1.4
    def forward(self, value):
        return value * torch.sigmoid(1.702 * value)


@case("activation_subclass", 1, 13)
def a_subclass_of_gelu():
    return Call(padded(layer(activation=Quick())), x())


@case("tanh_gelu", 1, 13)
def gelu_by_tanh():
    return Call(layer(activation=torch.nn.GELU("tanh")), 2 * x(), tolerance=1e-6)


@case("added_keys")
def a_key_and_value():
    one = layer()
    one.self_attn = attention(add_bias_kv=True)
    return Call(one, x())


@case("added_keys")
def a_zero_key():
    one = layer()
    one.self_attn = attention(add_zero_attn=True)
    return Call(one, x())


@case("mask_warning")
def a_mask_for_a_layer():
    return Call(layer(), x(), src_key_padding_mask=rows(5, 4, 3))


@case("mask_warning")
def a_float_mask_for_a_layer():
    return Call(layer(), x(), src_key_padding_mask=floats(rows(5, 4, 3)))


@case("mask_warning")
def a_float_mask_for_an_attention():
    value = x()
    return Call(attention(), value, value, value, key_padding_mask=floats(rows(5, 4, 3)))


# Errors on the way.


def trained(call):
    """The ordinary path is that of training mode; there is no dropout."""

    def ordinary():
        call.module.train()
        try:
            return call.run(grad=True)
        finally:
            call.module.eval()

    call.ordinary = ordinary
    return call


@case("no_bias", 2, 1)
def a_layer_without_bias():
    return trained(Call(layer(bias=False), x()))


@case("missing_weight")
def a_norm_without_weight():
    one = layer()
    one.norm1 = torch.nn.LayerNorm(SIZE, elementwise_affine=False)
    return trained(Call(one, x()))


@case("no_bias")
def an_attention_without_bias():
    value = x()
    return trained(Call(attention(bias=False), value, value, value))


@case("missing_weight")
def an_attention_without_output_bias():
    one, value = attention(), x()
    one.out_proj.register_parameter("bias", None)
    return trained(Call(one, value, value, value))


@case("mixed_layers", 2, 7)
def a_norm_without_weight_behind_a_hook():
    one = hooked(layer(), "dropout")
    one.norm1 = torch.nn.LayerNorm(SIZE, elementwise_affine=False)
    return trained(with_padding(packing(one), rows(5, 4, 3)))


@case("quantized")
def dynamic_quantization():
    one, value = layer(), x()
    float_one = copy.deepcopy(one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        one = torch.quantization.quantize_dynamic(one, {torch.nn.Linear})
    return Call(one, value, tolerance=0.1, ordinary=lambda: float_one(value).detach())
