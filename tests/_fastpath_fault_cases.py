"""Calls that meet the faults of torch's fused path, and the same calls on the ordinary path.

A case builds a module in evaluation mode and its inputs. What the call must give is what the same module gives where
grad mode is on and its weights require grad, which keeps every torch from the fused path.
"""

import contextlib
import copy
import warnings

import torch
from _fastpath_cases import an_encoder

from torchcompat import at_least

SIZE, HEADS, HIDDEN, LENGTH = 8, 2, 16, 5
INF = float("inf")


def layer(dropout=0.0, **options):
    return torch.nn.TransformerEncoderLayer(SIZE, HEADS, HIDDEN, dropout, batch_first=True, **options).eval()


def attention(**options):
    return torch.nn.MultiheadAttention(SIZE, HEADS, batch_first=True, **options).eval()


def packing(one=None, count=2):
    return an_encoder(one or layer(), count, enable_nested_tensor=True)


def padded(one=None, count=2):
    return an_encoder(one or layer(), count, enable_nested_tensor=False)


def x(batch=3):
    return torch.randn(batch, LENGTH, SIZE)


def rows(*lengths, **options):
    """Padding: how many positions of each sequence are kept, counted from the end if *left*."""
    mask = torch.arange(LENGTH)[None, :] >= torch.tensor(lengths)[:, None]
    return mask.flip(1) if options.get("left") else mask


def floats(mask, value=-INF):
    return torch.zeros(mask.shape).masked_fill(mask, value)


DISTANCE = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)[None, :]
CAUSAL = DISTANCE < 0
BAND = DISTANCE.abs() > 1
ALIBI = -0.5 * DISTANCE.abs().float()
BIAS = ALIBI.masked_fill(BAND, -INF)


class Call:
    """A module and what it gets; *context* is entered around the call, *kept* says which positions count."""

    def __init__(self, module, *inputs, **kwargs):
        self.context = kwargs.pop("context", contextlib.suppress)
        self.kept = kwargs.pop("kept", None)
        self.tolerance = kwargs.pop("tolerance", 1e-5)
        self.ordinary = kwargs.pop("ordinary", None)
        self.strict = False  # whether torch's warning about masks is an error
        self.module, self.inputs, self.kwargs = module, inputs, kwargs

    def run(self, function=None, grad=False):
        """The result, or the error; called twice in a row it draws the same random numbers."""
        torch.manual_seed(1)
        function = function or (lambda module, *inputs, **kwargs: module(*inputs, **kwargs))
        try:
            with self.context(), torch.set_grad_enabled(grad), warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*nested tensors is in prototype", UserWarning)
                warnings.filterwarnings("ignore", ".*torch.jit.script", Warning)  # 2.15, of its own derivatives
                if not self.strict:
                    warnings.filterwarnings("ignore", "Converting mask", UserWarning)
                out = function(self.module, *self.inputs, **self.kwargs)
        except Exception as error:
            return error
        return out[0] if isinstance(out, tuple) else out

    def expected(self):
        return self.ordinary() if self.ordinary is not None else self.run(grad=True)

    def agrees(self, one, two):
        """Whether two results are alike: errors of one type, or values, at the positions that count."""
        if isinstance(one, Exception) or isinstance(two, Exception):
            return type(one) is type(two)
        if one.shape != two.shape:
            return False
        one, two = one.detach().float(), two.detach().float()
        if self.kept is not None:
            one, two = one[self.kept], two[self.kept]
        return torch.allclose(one, two, atol=self.tolerance, rtol=1e-4, equal_nan=True)


CASES = []


def case(code, *since, **options):
    """Register a case of the fault *code*, on torch *since* on."""

    def register(build):
        if not since or at_least(*since):
            CASES.append((f"{code}-{build.__name__}", code, build, options.get("also", ())))
        return build

    return register


# Packing.


def with_padding(module, mask, **options):
    return Call(module, x(len(mask)), src_key_padding_mask=mask, kept=~mask, **options)


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
