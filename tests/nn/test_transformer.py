import copy
import warnings

import pytest
import torch
from assertions import close
from attention_reference import ACTIVATIONS, encoder_layer, np_relu, randomised, saved_and_loaded
from attention_tools import DOUBLE, INF, as_float, causal, double, law
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from torchcompat import SHIMS, at_least

LAYER, ENCODER = SHIMS["nn.TransformerEncoderLayer"], SHIMS["nn.TransformerEncoder"]
layers = pytest.mark.shim("nn.TransformerEncoderLayer")
encoders = pytest.mark.shim("nn.TransformerEncoder")
oracle = pytest.mark.skipif(not ENCODER.meets_contract, reason="torch's own classes here are older than the contract")
# Torch's own encoder makes nested tensors of a padded batch, and says this the first time.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype"),
]

PADDING = torch.tensor([[False, False, False, False], [False, False, True, True], [False, False, False, True]])
SMALL = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "dropout": 0.0, "dtype": DOUBLE, "batch_first": True}


def make(impl, **kwargs):
    """A layer without dropout whose parameters are all random."""
    return randomised(impl(**{**SMALL, **kwargs}))


def stack(impl, layer, *args, **kwargs):
    """An encoder around *layer*; not packing, which a layer may not be able to, is no matter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="enable_nested_tensor")
        return impl(layer, *args, **kwargs)


def layer_for(encoder):
    """The layer class that belongs to an encoder class."""
    return LAYER.fallback if encoder is ENCODER.fallback else LAYER.native


# The layer


@layers
@law
@given(data=st.data())
def test_layer_is_the_formula(impl, data):
    draw = data.draw
    activation, expected_activation = draw(st.sampled_from(ACTIVATIONS))
    switch = {name: draw(st.booleans()) for name in ("norm_first", "bias", "batch_first")}
    layer = make(
        impl, d_model=6, nhead=draw(st.sampled_from([1, 2, 3])), activation=activation, layer_norm_eps=0.1, **switch
    )
    layer.train(draw(st.booleans()))
    src = double(3, 4, 6)
    padding = draw(st.sampled_from([None, PADDING]))
    mask = draw(st.sampled_from([None, causal(4)]))
    expected = encoder_layer(layer, src, expected_activation, padding, mask)
    if not switch["batch_first"]:
        src, expected = src.transpose(0, 1), expected.transpose(1, 0, 2)
    close(layer(src, mask, padding), expected)
    close(layer(src, src_mask=mask, src_key_padding_mask=padding, is_causal=mask is not None), expected)
    if not (padding is not None and mask is not None):
        layer.eval()
        with torch.no_grad():
            close(layer(src, mask, padding), expected)


@layers
@oracle
@pytest.mark.parametrize(
    "kwargs", [{}, {"norm_first": True, "activation": "gelu"}, {"bias": False, "batch_first": False}]
)
def test_layer_does_what_native_does(impl, kwargs):
    if impl is LAYER.native:
        pytest.skip("the other half of this comparison")
    results = []
    native = make(LAYER.native, **kwargs)
    fallback = impl(**{**SMALL, **kwargs})
    fallback.load_state_dict(native.state_dict())
    src, mask = double(3, 3, 4), double(3, 3)
    for layer in (native, fallback):
        leaves = [src.clone().requires_grad_(), mask.clone().requires_grad_()]
        out = layer(*leaves, src_key_padding_mask=as_float(PADDING[:, 1:]))
        results.append([out, *torch.autograd.grad((out**3).sum(), leaves + list(layer.parameters()))])
    for theirs, ours in zip(*results):
        close(ours, theirs)


@oracle
@pytest.mark.parametrize("kwargs", [{}, {"bias": False, "norm_first": True}, {"dtype": DOUBLE}])
def test_fallbacks_start_from_natives_numbers(kwargs):
    states = []
    for kind in ((LAYER, ENCODER),):
        for layer, encoder in ((kind[0].native, kind[1].native), (kind[0].fallback, kind[1].fallback)):
            torch.manual_seed(3)
            states.append(stack(encoder, layer(4, 2, 6, **kwargs), 2).state_dict())
    assert list(states[0]) == list(states[1])
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name])


@layers
def test_layer_dropout_of_everything_leaves_the_norms(impl):
    src = double(3, 4, 4)
    layer = make(impl, dropout=1.0)
    close(layer(src), layer.norm2(layer.norm1(src)))
    close(make(impl, dropout=1.0, norm_first=True)(src), src)
    out = layer.eval()(src)
    close(out, encoder_layer(layer, src, np_relu))


@layers
def test_layer_without_a_batch(impl):
    layer, src = make(impl), double(4, 4)
    close(layer(src, causal(4), PADDING[1]), layer(src.unsqueeze(0), causal(4), PADDING[1:2])[0])


@layers
@pytest.mark.parametrize("training", [False, True])
def test_layer_ignores_padding(impl, training):
    layer, src = make(impl).train(training), double(3, 4, 4)
    other = torch.where(PADDING.unsqueeze(-1), double(3, 4, 4), src)
    with torch.no_grad():
        kept = ~PADDING
        close(layer(other, src_key_padding_mask=PADDING)[kept], layer(src, src_key_padding_mask=PADDING)[kept])
        close(layer(src, src_key_padding_mask=PADDING)[1, :2], layer(src[1:2, :2])[0])


@layers
@law
@given(order=st.permutations(range(5)), norm_first=st.booleans())
def test_layer_keeps_the_order(impl, order, norm_first):
    layer, src = make(impl, norm_first=norm_first), double(2, 5, 4)
    close(layer(src[:, list(order)]), layer(src)[:, list(order)])


@layers
@pytest.mark.parametrize("norm_first", [False, True])
def test_layer_gradients(impl, norm_first):
    layer = make(impl, d_model=2, nhead=1, dim_feedforward=3, norm_first=norm_first, activation=torch.tanh)
    mask = double(3, 3).masked_fill(causal(3), -INF).requires_grad_(False)
    src = double(1, 3, 2).requires_grad_()
    assert gradcheck(lambda x, *weights: layer(x, mask), (src, *layer.parameters()))


@layers
@pytest.mark.parametrize("norm_first", [False, True])
def test_layer_calls_its_modules(impl, norm_first):
    layer, src = make(impl, norm_first=norm_first).eval(), double(3, 4, 4)
    called = []
    for name, module in layer.named_modules():
        if name and "out_proj" not in name:
            module.register_forward_hook(lambda module, args, out, name=name: called.append(name))
    with torch.no_grad():
        layer(src)
    order = ["norm1", "self_attn", "dropout1", "norm2", "linear1", "dropout", "linear2", "dropout2"]
    if not norm_first:
        order = ["self_attn", "dropout1", "norm1", "linear1", "dropout", "linear2", "dropout2", "norm2"]
    assert called == order


@layers
@pytest.mark.parametrize("training", [False, True])
def test_layer_with_a_fully_padded_sequence(impl, training):
    layer, src = make(impl).train(training), double(2, 3, 4)
    padding = torch.tensor([[True] * 3, [False] * 3])
    out = layer(src, src_key_padding_mask=padding)
    # Nothing is attended to: what is added is the bias of the output projection.
    attended = layer.norm1(src[0] + layer.self_attn.out_proj.bias)
    close(out[0], layer.norm2(attended + layer._ff_block(attended)))
    close(out[1], layer(src[1:])[0])


@layers
@pytest.mark.parametrize("mask", ["src_mask", "src_key_padding_mask"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_layer_refuses_masks_of_integers(impl, mask, dtype):
    shape = (4, 4) if mask == "src_mask" else (3, 4)
    with pytest.raises(AssertionError, match=mask):
        make(impl)(double(3, 4, 4), **{mask: torch.zeros(shape, dtype=dtype)})


@layers
def test_layer_warns_of_masks_of_two_kinds(impl):
    with pytest.warns(UserWarning, match="mismatched src_key_padding_mask and src_mask"):
        make(impl)(double(3, 4, 4), double(4, 4), PADDING)


@layers
@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"activation": "tanh"}, RuntimeError, "activation"),
        ({"nhead": 3}, AssertionError, "num_heads"),
        ({"nhead": 0}, ValueError, "num_heads"),
        ({"dropout": 2.0}, ValueError, "dropout"),
    ],
)
def test_layer_refused_at_construction(impl, kwargs, error, match):
    with pytest.raises(error, match=match):
        impl(**{"d_model": 4, "nhead": 2, **kwargs})


@layers
@pytest.mark.parametrize("bias", [True, False])
def test_layer_state_dict(impl, bias):
    weights = {
        "self_attn.in_proj_weight": (12, 4),
        "self_attn.out_proj.weight": (4, 4),
        "linear1.weight": (6, 4),
        "linear2.weight": (4, 6),
        "norm1.weight": (4,),
        "norm2.weight": (4,),
    }
    biases = {"self_attn.in_proj_bias": (12,), "self_attn.out_proj.bias": (4,), "linear1.bias": (6,)}
    biases.update(dict.fromkeys(("linear2.bias", "norm1.bias", "norm2.bias"), (4,)))
    expected = {**weights, **biases} if bias else weights
    state = impl(4, 2, 6, bias=bias).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


@layers
def test_layer_dtype(impl):
    layer = impl(4, 2, 6, device="cpu", dtype=torch.float16)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float16}


@layers
@pytest.mark.skipif(not at_least(1, 10), reason="torch has no bfloat16 layer norm on CPU before 1.10")
@pytest.mark.parametrize("training", [False, True])
def test_layer_in_low_precision(impl, training):
    layer, src = make(impl, dtype=torch.float32).train(training), torch.randn(3, 4, 4)
    with torch.no_grad():
        expected = layer(src, causal(4))
        out = layer.to(torch.bfloat16)(src.to(torch.bfloat16), causal(4))
    assert out.dtype == torch.bfloat16
    close(out, expected, 0.15)


@layers
@pytest.mark.parametrize("activation", ["gelu", torch.nn.Tanh()])
def test_layer_copies(impl, activation):
    layer, src = make(impl, activation=activation), double(3, 4, 4)
    close(copy.deepcopy(layer)(src), layer(src))
    if impl is LAYER.public:
        close(saved_and_loaded(layer)(src), layer(src))


# What torch's fused inference gets wrong


@layers
@pytest.mark.limit("fast-path-float-mask")
def test_layer_adds_a_float_mask_in_inference(impl):
    layer, src, mask = make(impl).eval(), double(3, 4, 4), double(4, 4)
    with torch.no_grad():
        close(layer(src, mask), encoder_layer(layer, src, np_relu, mask=mask))


@layers
@pytest.mark.parametrize("training", [True, pytest.param(False, marks=pytest.mark.limit("fast-path-causal-hint"))])
def test_layer_refuses_the_causal_hint_without_the_mask(impl, training):
    layer = make(impl).train(training)
    with torch.no_grad(), pytest.raises(RuntimeError, match="mask"):
        layer(double(3, 4, 4), is_causal=True)


@layers
@pytest.mark.limit("fast-path-fully-masked")
def test_layer_with_a_fully_padded_sequence_in_inference(impl):
    layer, src = make(impl).eval(), double(2, 3, 4)
    padding = torch.tensor([[True] * 3, [False] * 3])
    with torch.no_grad():
        close(layer(src, src_key_padding_mask=padding), layer.train()(src, src_key_padding_mask=padding))


@layers
@pytest.mark.limit("fast-path-tanh-gelu")
@pytest.mark.skipif(not at_least(1, 12), reason="torch has no GELU(approximate=) before 1.12")
def test_layer_with_the_other_gelu_in_inference(impl):
    layer, src = make(impl, activation=torch.nn.GELU(approximate="tanh")).eval(), double(3, 4, 4)
    with torch.no_grad():
        close(layer(src), layer.train()(src))


@layers
@pytest.mark.limit("fast-path-replaced-modules")
@pytest.mark.parametrize("what", ["activation", "linear1", "_ff_block"])
def test_layer_with_a_part_replaced_in_inference(impl, what):
    layer, src = make(impl).eval(), double(3, 4, 4)

    class Doubling(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    replacement = torch.tanh
    if what == "linear1":
        replacement = Doubling(4, 6).to(DOUBLE)
        replacement.load_state_dict(layer.linear1.state_dict())
    setattr(layer, what, replacement)
    with torch.no_grad():
        close(layer(src), layer.train()(src))


@layers
@pytest.mark.skipif(not at_least(1, 10), reason="torch has no autocast on CPU before 1.10")
@pytest.mark.parametrize("training", [True, pytest.param(False, marks=pytest.mark.limit("fast-path-autocast"))])
def test_layer_under_autocast(impl, training):
    layer, src = make(impl, dtype=torch.float32).train(training), torch.randn(3, 4, 4)
    with torch.no_grad():
        expected = layer(src, causal(4))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(src, causal(4))
    close(out, expected, 0.15)


@layers
@pytest.mark.limit("fast-path-quantised")
@pytest.mark.skipif(not at_least(1, 3), reason="torch has no quantisation before 1.3")
def test_layer_quantised_in_inference(impl):
    layer, src = make(impl, d_model=16, dtype=torch.float32).eval(), torch.randn(3, 4, 16)
    with torch.no_grad():
        expected = layer(src)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            small = torch.quantization.quantize_dynamic(layer, {torch.nn.Linear}, torch.qint8)
            out = small(src)
    assert (out - expected).abs().mean().item() < 0.1 * expected.abs().mean().item()


# The encoder


@encoders
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("norm", [None, torch.nn.LayerNorm(4).double()])
def test_encoder_is_its_layers_in_turn(impl, norm, batch_first):
    encoder = stack(impl, make(layer_for(impl), batch_first=batch_first), 3, norm)
    randomised(encoder)
    src = double(3, 4, 4)
    padding = PADDING if batch_first else PADDING.t()
    mask = causal(4 if batch_first else 3)
    expected = src
    for layer in encoder.layers:
        expected = layer(expected, mask, padding)
    expected = expected if norm is None else encoder.norm(expected)
    close(encoder(src, mask, padding), expected)
    close(encoder(src, mask=as_float(mask), src_key_padding_mask=as_float(padding), is_causal=True), expected)


@encoders
def test_encoder_copies_its_layer(impl):
    layer = make(layer_for(impl), activation=torch.nn.Tanh())
    encoder = stack(impl, layer, 2)
    assert isinstance(encoder, torch.nn.TransformerEncoder)
    names = {f"layers.{index}.{name}" for index in range(2) for name in layer.state_dict()}
    assert set(encoder.state_dict()) == names
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, layer.state_dict()[name.split(".", 2)[2]])
        assert tensor.data_ptr() != layer.state_dict()[name.split(".", 2)[2]].data_ptr()
    src = double(2, 3, 4)
    close(encoder(src), layer(layer(src)))


@encoders
def test_encoder_finds_out_whether_the_mask_is_causal(impl):
    seen = []

    class Recording(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.self_attn = layer_for(impl)(4, 2).self_attn

        def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=None):
            seen.append((is_causal, src_mask is None or src_mask.is_floating_point()))
            return src

    encoder, src = stack(impl, Recording(), 1), double(4, 2, 4)
    for mask in (None, causal(4), causal(4).to(DOUBLE), as_float(causal(4)), ~causal(4), causal(4).repeat(4, 1, 1)):
        encoder(src, mask)
    encoder(src, ~causal(4), is_causal=True)
    encoder(src, causal(4), is_causal=False)
    assert [hint for hint, _ in seen] == [False, True, False, True, False, False, True, False]
    assert all(is_float for _, is_float in seen)


def inference(encoder, src, **kwargs):
    with torch.no_grad():
        return encoder.eval()(src, **kwargs)


@encoders
@pytest.mark.parametrize("norm", [None, torch.nn.LayerNorm(4).double()])
def test_padded_positions_are_zero_before_the_norm_in_inference(impl, norm):
    encoder, src = randomised(impl(make(layer_for(impl)), 2, norm)), double(3, 4, 4)
    ordinary = encoder(src, src_key_padding_mask=PADDING)
    out = inference(encoder, src, src_key_padding_mask=PADDING)
    close(out[~PADDING], ordinary[~PADDING])
    nothing = torch.zeros(4, dtype=DOUBLE)
    close(out[PADDING], (nothing if norm is None else norm(nothing)).expand(int(PADDING.sum()), 4))
    assert not bool((ordinary[PADDING] == 0).any())


@encoders
@pytest.mark.parametrize("reason", ["switch", "mask", "left", "gradient", "odd", "norm_first"])
def test_padded_positions_are_ordinary_when_nothing_is_packed(impl, reason):
    kwargs = {"odd": {"nhead": 1}, "norm_first": {"norm_first": True}}.get(reason, {})
    layer = make(layer_for(impl), **kwargs)
    encoder = stack(impl, layer, 2, enable_nested_tensor=reason != "switch")
    padding = PADDING[:, [3, 2, 1, 0]] if reason == "left" else PADDING
    mask = torch.zeros(4, 4, dtype=torch.bool) if reason == "mask" else None
    src = double(3, 4, 4)
    expected = src
    for each in encoder.layers:
        expected = each(expected, mask, padding)
    if reason == "gradient":
        out = encoder.eval()(src, mask, padding)
    else:
        out = inference(encoder, src, mask=mask, src_key_padding_mask=padding)
    close(out, expected)


@encoders
def test_encoder_keeps_the_length_when_no_sequence_has_it(impl):
    encoder, src = impl(make(layer_for(impl)), 2), double(2, 4, 4)
    padding = PADDING[1:]
    out = inference(encoder, src, src_key_padding_mask=padding)
    assert out.shape == src.shape
    close(out[1, :3], inference(encoder, src[1:, :3])[0])


@encoders
def test_encoder_with_one_sequence_of_nothing_but_padding(impl):
    encoder, src = impl(make(layer_for(impl)), 2), double(3, 4, 4).requires_grad_()
    padding = PADDING.clone()
    padding[0] = True
    out = encoder(src, src_key_padding_mask=padding)
    close(out[1:], encoder(src[1:], src_key_padding_mask=padding[1:]))
    (grad,) = torch.autograd.grad(out.pow(2).sum(), src)
    for finite in (out, grad):
        assert bool((finite.abs() < INF).all())


@encoders
@pytest.mark.limit("nested-all-padded")
def test_encoder_with_nothing_but_padding_in_inference(impl):
    encoder, src = impl(make(layer_for(impl)), 2), double(3, 4, 4)
    out = inference(encoder, src, src_key_padding_mask=torch.ones(3, 4, dtype=torch.bool))
    close(out, torch.zeros(3, 4, 4))


@encoders
@pytest.mark.limit("nested-float-padding")
def test_encoder_adds_a_float_padding_mask_in_inference(impl):
    encoder, src, padding = impl(make(layer_for(impl)), 2), double(3, 4, 4), double(3, 4)
    close(inference(encoder, src, src_key_padding_mask=padding), encoder.train()(src, src_key_padding_mask=padding))


@encoders
@pytest.mark.limit("nested-mixed-modes")
def test_encoder_with_one_layer_in_training(impl):
    encoder, src = impl(make(layer_for(impl)), 2), double(3, 4, 4)
    expected = encoder(src, src_key_padding_mask=PADDING)
    encoder.eval().layers[1].train()
    with torch.no_grad():
        close(encoder(src, src_key_padding_mask=PADDING)[~PADDING], expected[~PADDING])


@encoders
@pytest.mark.limit("nested-autocast")
@pytest.mark.skipif(not at_least(1, 10), reason="torch has no autocast on CPU before 1.10")
def test_encoder_under_autocast_in_inference(impl):
    encoder, src = impl(make(layer_for(impl), dtype=torch.float32), 2), torch.randn(3, 4, 4)
    expected = inference(encoder, src, src_key_padding_mask=PADDING)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = inference(encoder, src, src_key_padding_mask=PADDING)
    close(out, expected, 0.3)


@encoders
@pytest.mark.parametrize(
    "kwargs",
    [
        {"batch_first": False},
        {"norm_first": True},
        {"bias": False},
        {"activation": torch.tanh},
        {"nhead": 1},
    ],
)
def test_encoder_says_when_it_cannot_pack(impl, kwargs):
    layer = layer_for(impl)(**{"d_model": 4, "nhead": 2, "batch_first": True, **kwargs})
    with pytest.warns(UserWarning, match="enable_nested_tensor"):
        encoder = impl(layer, 1)
    assert encoder.enable_nested_tensor
    assert not encoder.use_nested_tensor
    impl(layer, 1, enable_nested_tensor=False)


@encoders
def test_encoder_refuses_masks_of_integers(impl):
    encoder, src = impl(make(layer_for(impl)), 1), double(3, 4, 4)
    with pytest.raises(AssertionError, match="src_key_padding_mask"):
        encoder(src, src_key_padding_mask=PADDING.to(torch.uint8))
    with pytest.raises(AssertionError, match="mask"):
        encoder(src, torch.zeros(4, 4, dtype=torch.int64))
    with pytest.warns(UserWarning, match="mismatched src_key_padding_mask and mask"):
        encoder(src, double(4, 4), PADDING)


@encoders
@law
@given(order=st.permutations(range(3)), padded=st.booleans())
def test_encoder_treats_sequences_apart(impl, order, padded):
    encoder, src, order = impl(make(layer_for(impl)), 2), double(3, 4, 4), list(order)
    padding = PADDING if padded else None
    out = inference(encoder, src, src_key_padding_mask=padding)
    close(inference(encoder, src[order], src_key_padding_mask=PADDING[order] if padded else None), out[order])


@encoders
@pytest.mark.skipif(not at_least(2, 0), reason="torch's own encoder takes nested tensors whole since 2.0")
def test_encoder_of_nested_tensors(impl):
    encoder = impl(make(layer_for(impl), dtype=torch.float32), 2)
    parts = [torch.randn(n, 4) for n in (3, 5)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are a prototype, says torch
        nested = torch.nested.nested_tensor(parts)
    for part, out in zip(parts, inference(encoder, nested).unbind()):
        close(out, inference(encoder, part.unsqueeze(0))[0], 1e-5)


@encoders
def test_encoder_learns(impl):
    encoder = stack(impl, layer_for(impl)(8, 2, 16, dropout=0.1), 2)
    src, wanted = torch.randn(4, 3, 8), torch.randn(4, 3, 8)
    losses = []
    for _ in range(30):
        loss = (encoder(src, causal(4)) - wanted).pow(2).mean()
        grads = torch.autograd.grad(loss, list(encoder.parameters()))
        with torch.no_grad():
            for parameter, grad in zip(encoder.parameters(), grads):
                parameter -= 0.5 * grad
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@encoders
@pytest.mark.skipif(
    not at_least(2, 2), reason="torch compiles nothing on this Python before 2.1, attention in one graph since 2.2"
)
def test_encoder_compiles_in_one_graph(impl):
    encoder, src = impl(make(layer_for(impl)), 1), double(3, 4, 4)
    compiled = torch.compile(encoder, backend="eager", fullgraph=True)
    close(compiled(src, src_key_padding_mask=PADDING), encoder(src, src_key_padding_mask=PADDING))


# Beside torch's own classes


def torchs_layer(*args):
    return randomised(torch.nn.TransformerEncoderLayer(*args))


def test_states_load_both_ways_between_torchs_classes_and_the_fallbacks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = randomised(torch.nn.TransformerEncoder(torchs_layer(4, 2, 6, 0.0), 2, torch.nn.LayerNorm(4)))
        ours = ENCODER.fallback(LAYER.fallback(4, 2, 6, 0.0), 2, torch.nn.LayerNorm(4))
    ours.load_state_dict(theirs.state_dict())
    src, mask = torch.randn(3, 2, 4), torch.zeros(3, 3).masked_fill(causal(3), -INF)
    close(ours(src, mask), theirs(src, mask), 1e-4)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(randomised(LAYER.fallback(4, 2, 6)).state_dict(), strict=False)
    theirs.load_state_dict(ours.state_dict())


def test_a_fallback_layer_in_torchs_encoder():
    layer = make(LAYER.fallback, dtype=torch.float32)
    src = torch.randn(3, 4, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = torch.nn.TransformerEncoder(layer, 2).eval()
        with torch.no_grad():
            out = encoder(src, src_key_padding_mask=PADDING)
    expected = encoder.layers[1](encoder.layers[0](src, None, PADDING), None, PADDING)
    close(out[~PADDING], expected[~PADDING], 1e-4)


def test_torchs_layer_in_a_fallback_encoder():
    layer, src = torchs_layer(4, 2, 6, 0.0), torch.randn(3, 2, 4)
    if not at_least(2, 0):
        with pytest.raises(TypeError, match="encoder_layer"):
            ENCODER.fallback(layer, 2)
    else:
        close(stack(ENCODER.fallback, layer, 2)(src), layer(layer(src)), 1e-5)
