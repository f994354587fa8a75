import copy
import warnings

import pytest
import torch
from assertions import close
from attention_reference import ACTIVATIONS, decoder_layer, np_relu, randomised, saved_and_loaded
from attention_tools import DOUBLE, INF, as_float, causal, double, law
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from torchcompat import SHIMS, at_least

LAYER, DECODER = SHIMS["nn.TransformerDecoderLayer"], SHIMS["nn.TransformerDecoder"]
layers = pytest.mark.shim("nn.TransformerDecoderLayer")
decoders = pytest.mark.shim("nn.TransformerDecoder")
oracle = pytest.mark.skipif(not DECODER.meets_contract, reason="torch's own classes here are older than the contract")

# Batch 3, target length 4, memory length 5.
TGT = torch.tensor([[False, False, False, False], [False, False, True, True], [False, False, False, True]])
MEMORY = torch.tensor([[False, True, False, True, False], [False] * 5, [False, False, False, True, True]])
HIDDEN = torch.tensor([[False, False, True, False, True]] * 2 + [[False, True, False, False, False]] * 2)
SMALL = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "dropout": 0.0, "dtype": DOUBLE, "batch_first": True}


def make(impl, **kwargs):
    """A layer without dropout whose parameters are all random."""
    return randomised(impl(**{**SMALL, **kwargs}))


def layer_for(decoder):
    """The layer class that belongs to a decoder class."""
    return LAYER.fallback if decoder is DECODER.fallback else LAYER.native


def stack(impl, number=2, norm=None, **kwargs):
    """A decoder of layers whose parameters differ."""
    return randomised(impl(layer_for(impl)(**{**SMALL, **kwargs}), number, norm))


def inputs():
    return double(3, 4, 4), double(3, 5, 4)


def by_formula(module, *args, **masks):
    """What *module* gives for batch-first inputs, by the formula."""
    tgt, memory = args
    both = [masks.get(side + "_mask") for side in ("tgt", "memory")]
    paddings = [masks.get(side + "_key_padding_mask") for side in ("tgt", "memory")]
    for layer in getattr(module, "layers", [module]):
        tgt = decoder_layer(layer, tgt, memory, np_relu, both, paddings)
    return tgt


# The layer


@layers
@law
@given(data=st.data())
def test_layer_is_the_formula(impl, data):
    draw = data.draw
    activation, function = draw(st.sampled_from(ACTIVATIONS))
    switch = {name: draw(st.booleans()) for name in ("norm_first", "bias", "batch_first")}
    layer = make(
        impl, d_model=6, nhead=draw(st.sampled_from([1, 2, 3])), activation=activation, layer_norm_eps=0.1, **switch
    )
    layer.train(draw(st.booleans()))
    tgt, memory = double(3, 4, 6), double(3, 5, 6)
    to_float = draw(st.booleans())
    masks = [draw(st.sampled_from([None, mask])) for mask in (causal(4), HIDDEN)]
    paddings = [draw(st.sampled_from([None, padding])) for padding in (TGT, MEMORY)]
    if to_float:
        masks, paddings = ([None if m is None else as_float(m) for m in both] for both in (masks, paddings))
    expected = decoder_layer(layer, tgt, memory, function, masks, paddings)
    if not switch["batch_first"]:
        tgt, memory, expected = tgt.transpose(0, 1), memory.transpose(0, 1), expected.transpose(1, 0, 2)
    close(layer(tgt, memory, *masks, *paddings), expected)
    hint = masks[0] is not None
    close(layer(tgt, memory, *masks, *paddings, tgt_is_causal=hint), expected)
    with torch.no_grad():
        close(layer.eval()(tgt, memory, *masks, *paddings), expected)


@layers
@pytest.mark.parametrize("training", [False, True])
def test_layer_with_masks_of_each_head(impl, training):
    layer, (tgt, memory) = make(impl).train(training), inputs()
    masks = [double(6, 4, 4), double(6, 4, 5)]
    expected = decoder_layer(
        layer, tgt, memory, np_relu, [m.reshape(3, 2, *m.shape[1:]) for m in masks], [as_float(TGT), as_float(MEMORY)]
    )
    with torch.no_grad():
        close(layer(tgt, memory, *masks, as_float(TGT), as_float(MEMORY)), expected)


@oracle
@pytest.mark.parametrize(
    "kwargs", [{}, {"norm_first": True, "activation": "gelu"}, {"bias": False, "batch_first": False}]
)
def test_fallback_layer_does_what_native_does(kwargs):
    results = []
    native = make(LAYER.native, **kwargs)
    fallback = LAYER.fallback(**{**SMALL, **kwargs})
    fallback.load_state_dict(native.state_dict())
    tensors = [double(3, 3, 4), double(3, 3, 4), double(3, 3), double(3, 3)]
    for layer in (native, fallback):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        out = layer(*leaves, as_float(TGT[:, 1:]), as_float(MEMORY[:, :3]))
        results.append([out, *torch.autograd.grad((out**3).sum(), leaves + list(layer.parameters()))])
    for theirs, ours in zip(*results):
        close(ours, theirs)


@oracle
@pytest.mark.parametrize("kwargs", [{}, {"bias": False, "norm_first": True}, {"dtype": DOUBLE}])
def test_fallbacks_start_from_natives_numbers(kwargs):
    states = []
    for layer, decoder in ((LAYER.native, DECODER.native), (LAYER.fallback, DECODER.fallback)):
        torch.manual_seed(3)
        states.append(decoder(layer(4, 2, 6, **kwargs), 2).state_dict())
    assert list(states[0]) == list(states[1])
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name])


@oracle
@pytest.mark.parametrize("norm_first", [False, True])
def test_fallback_layer_drops_what_native_drops(norm_first):
    # One stream of random numbers: the dropouts are at the same places, of the same shapes, in the same order. Those of
    # the attention weights are left out: which weight gets which number depends on the layout in memory.
    kwargs = {"dropout": 0.5, "norm_first": norm_first, "batch_first": False}
    native = make(LAYER.native, **kwargs)
    fallback = LAYER.fallback(**{**SMALL, **kwargs})
    fallback.load_state_dict(native.state_dict())
    results, tgt, memory = [], double(4, 3, 4), double(5, 3, 4)
    for layer in (native, fallback):
        layer.self_attn.dropout = layer.multihead_attn.dropout = 0.0
        torch.manual_seed(11)
        results.append(layer(tgt, memory, causal(4)))
    close(*results)


@layers
def test_layer_dropout_of_everything_leaves_the_norms(impl):
    tgt, memory = inputs()
    layer = make(impl, dropout=1.0)
    close(layer(tgt, memory), layer.norm3(layer.norm2(layer.norm1(tgt))))
    close(make(impl, dropout=1.0, norm_first=True)(tgt, memory), tgt)
    close(layer.eval()(tgt, memory), by_formula(layer, tgt, memory))


@layers
def test_layer_without_a_batch(impl):
    layer, (tgt, memory) = make(impl), inputs()
    masks = causal(4), HIDDEN
    expected = layer(tgt[1:2], memory[1:2], *masks, TGT[1:2], MEMORY[1:2])[0]
    close(layer(tgt[1], memory[1], *masks, TGT[1], MEMORY[1]), expected)
    close(make(impl, batch_first=False)(tgt[1], memory[1], *masks, TGT[1], MEMORY[1]), expected)


@layers
@pytest.mark.parametrize("training", [False, True])
def test_layer_ignores_padding(impl, training):
    layer, (tgt, memory) = make(impl).train(training), inputs()
    other_tgt, other_memory = (
        torch.where(padding.unsqueeze(-1), double(*x.shape), x) for padding, x in ((TGT, tgt), (MEMORY, memory))
    )
    masks = {"tgt_key_padding_mask": TGT, "memory_key_padding_mask": MEMORY}
    with torch.no_grad():
        out = layer(tgt, memory, **masks)
        close(layer(other_tgt, other_memory, **masks)[~TGT], out[~TGT])
        close(out[2, :3], layer(tgt[2:, :3], memory[2:, :3])[0])


@layers
def test_layer_sees_no_later_target(impl):
    layer, (tgt, memory) = make(impl), inputs()
    out = layer(tgt, memory, causal(4), tgt_is_causal=True)
    for length in range(1, 4):
        close(layer(tgt[:, :length], memory, causal(length), tgt_is_causal=True), out[:, :length])


@layers
def test_the_causal_hints_change_nothing(impl):
    layer, (tgt, memory) = make(impl), inputs()
    for masks in ((causal(4), causal(4, 5)), (as_float(causal(4)), as_float(causal(4, 5)))):
        plain = layer(tgt, memory, *masks)
        close(layer(tgt, memory, *masks, tgt_is_causal=True, memory_is_causal=True), plain)


@layers
@law
@given(order=st.permutations(range(5)), norm_first=st.booleans())
def test_the_order_of_the_memory_is_nothing_to_the_layer(impl, order, norm_first):
    layer, (tgt, memory) = make(impl, norm_first=norm_first), inputs()
    order = list(order)
    expected = layer(tgt, memory, memory_mask=HIDDEN, memory_key_padding_mask=MEMORY)
    close(
        layer(tgt, memory[:, order], memory_mask=HIDDEN[:, order], memory_key_padding_mask=MEMORY[:, order]), expected
    )


@layers
@pytest.mark.parametrize("norm_first", [False, True])
def test_layer_gradients(impl, norm_first):
    layer = make(impl, d_model=2, nhead=1, dim_feedforward=3, norm_first=norm_first, activation=torch.tanh)
    masks = as_float(causal(2)), double(2, 3)
    leaves = double(1, 2, 2).requires_grad_(), double(1, 3, 2).requires_grad_()
    assert gradcheck(lambda tgt, memory, *weights: layer(tgt, memory, *masks), (*leaves, *layer.parameters()))


@layers
@pytest.mark.parametrize("norm_first", [False, True])
def test_layer_calls_its_modules(impl, norm_first):
    layer = make(impl, norm_first=norm_first).eval()
    called = []
    for name, module in layer.named_modules():
        if name and "out_proj" not in name:
            module.register_forward_hook(lambda module, args, out, name=name: called.append(name))
    with torch.no_grad():
        layer(*inputs())
    blocks = [
        ("norm1", ["self_attn", "dropout1"]),
        ("norm2", ["multihead_attn", "dropout2"]),
        ("norm3", ["linear1", "dropout", "linear2", "dropout3"]),
    ]
    order = [[norm, *block] if norm_first else [*block, norm] for norm, block in blocks]
    assert called == [name for block in order for name in block]


@layers
def test_layer_calls_blocks_of_a_subclass(impl):
    class Own(impl):
        def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
            return torch.zeros_like(x)

        def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
            return mem[:, :4]

        def _ff_block(self, x):
            return -x

    layer, (tgt, memory) = make(Own, norm_first=True), inputs()
    seen = tgt + memory[:, :4]
    close(layer(tgt, memory), seen - layer.norm3(seen))


@layers
@pytest.mark.parametrize("kind", [torch.bool, DOUBLE])
def test_layer_with_nothing_to_see(impl, kind):
    layer, (tgt, memory) = make(impl), inputs()
    tgt_padding, memory_padding = torch.zeros(3, 4), torch.zeros(3, 5)
    tgt_padding[0], memory_padding[1] = 1, 1
    paddings = [padding > 0 for padding in (tgt_padding, memory_padding)]
    if kind is DOUBLE:
        paddings = [as_float(padding) for padding in paddings]
    leaves = [tgt.requires_grad_(), memory.requires_grad_()]
    out = layer(*leaves, tgt_key_padding_mask=paddings[0], memory_key_padding_mask=paddings[1])
    # What is attended to is then the bias of the output projection.
    x = layer.norm1(tgt[0] + layer.self_attn.out_proj.bias)
    x = layer.norm2(x + layer._mha_block(x.unsqueeze(0), memory[:1], None, None)[0])
    close(out[0], layer.norm3(x + layer._ff_block(x)))
    x = layer.norm1(tgt[1:2] + layer._sa_block(tgt[1:2], None, None))
    x = layer.norm2(x + layer.multihead_attn.out_proj.bias)
    close(out[1:2], layer.norm3(x + layer._ff_block(x)))
    grads = torch.autograd.grad(out.pow(2).sum(), leaves)
    assert all(bool((grad.abs() < INF).all()) for grad in grads)
    assert bool((grads[1][1] == 0).all())


@layers
@pytest.mark.limit("fast-path-fully-masked")
def test_layer_with_a_fully_padded_target_in_inference(impl):
    layer, (tgt, memory) = make(impl).eval(), inputs()
    padding = torch.tensor([[True] * 4, [False] * 4, [False] * 4])
    with torch.no_grad():
        expected = layer.train()(tgt, memory, tgt_key_padding_mask=padding)
        close(layer.eval()(tgt, memory, tgt_key_padding_mask=padding), expected)


@layers
def test_layer_with_a_fully_padded_memory_in_inference(impl):
    layer, (tgt, memory) = make(impl).eval(), inputs()
    padding = torch.tensor([[True] * 5, [False] * 5, [False] * 5])
    with torch.no_grad():
        expected = layer.train()(tgt, memory, memory_key_padding_mask=padding)
        close(layer.eval()(tgt, memory, memory_key_padding_mask=padding), expected)
    assert bool((expected.abs() < INF).all())


@layers
@pytest.mark.parametrize("training", [True, pytest.param(False, marks=pytest.mark.limit("fast-path-causal-hint"))])
def test_layer_refuses_the_causal_hint_without_the_mask(impl, training):
    layer = make(impl).train(training)
    with torch.no_grad(), pytest.raises(RuntimeError, match="mask"):
        layer(*inputs(), tgt_is_causal=True)


@layers
@pytest.mark.parametrize("training", [False, True])
def test_layer_refuses_the_causal_hint_of_the_memory_without_the_mask(impl, training):
    layer = make(impl).train(training)
    with torch.no_grad(), pytest.raises(RuntimeError, match="mask"):
        layer(*inputs(), memory_is_causal=True)


SHAPES = {
    "tgt_mask": (4, 4),
    "memory_mask": (4, 5),
    "tgt_key_padding_mask": (3, 4),
    "memory_key_padding_mask": (3, 5),
}


@layers
@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_layer_refuses_masks_of_integers(impl, name, dtype):
    # Torch's own messages call them as its attention does.
    match = name if impl is LAYER.fallback else "mask"
    with pytest.raises(AssertionError, match=match):
        make(impl)(*inputs(), **{name: torch.zeros(SHAPES[name], dtype=dtype)})


@layers
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_layer_refuses_masks_of_other_shapes(impl, name):
    masks = {name: torch.zeros(*SHAPES[name][::-1], 1)[..., 0] > 0}
    if SHAPES[name] == (4, 4):
        masks = {name: torch.zeros(4, 3) > 0}
    with pytest.raises((AssertionError, RuntimeError)):
        make(impl)(*inputs(), **masks)


@layers
@pytest.mark.parametrize("shape", [(2, 5, 4), (3, 5, 6), (5, 4), (1, 3, 5, 4)])
def test_layer_refuses_another_memory(impl, shape):
    with pytest.raises((AssertionError, RuntimeError)):
        make(impl)(double(3, 4, 4), double(*shape))


@layers
def test_layer_warns_of_masks_of_two_kinds(impl):
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        make(impl)(*inputs(), tgt_mask=double(4, 4), tgt_key_padding_mask=TGT)
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        make(impl)(*inputs(), memory_mask=double(4, 5), memory_key_padding_mask=MEMORY)


@layers
def test_masks_of_two_kinds_are_both_used(impl):
    layer, (tgt, memory) = make(impl), inputs()
    masks = {"tgt_mask": double(4, 4), "tgt_key_padding_mask": TGT}
    masks.update(memory_mask=HIDDEN, memory_key_padding_mask=double(3, 5))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*mismatched")
        close(layer(tgt, memory, **masks), by_formula(layer, tgt, memory, **masks))


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
    weights = {f"norm{n}.weight": (4,) for n in (1, 2, 3)}
    weights.update({"linear1.weight": (6, 4), "linear2.weight": (4, 6)})
    biases = {f"norm{n}.bias": (4,) for n in (1, 2, 3)}
    biases.update({"linear1.bias": (6,), "linear2.bias": (4,)})
    for name in ("self_attn", "multihead_attn"):
        weights.update({name + ".in_proj_weight": (12, 4), name + ".out_proj.weight": (4, 4)})
        biases.update({name + ".in_proj_bias": (12,), name + ".out_proj.bias": (4,)})
    expected = {**weights, **biases} if bias else weights
    state = impl(4, 2, 6, bias=bias).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


@layers
def test_layer_starts_as_its_parts_do(impl):
    layer = impl(64, 4, 32)
    for attention in (layer.self_attn, layer.multihead_attn):
        bound = (6.0 / (64 + 3 * 64)) ** 0.5
        assert 0.98 * bound < attention.in_proj_weight.abs().max().item() <= bound
        assert bool((attention.in_proj_bias == 0).all())
        assert bool((attention.out_proj.bias == 0).all())
    assert 0.98 * 64**-0.5 < layer.linear1.weight.abs().max().item() <= 64**-0.5
    assert 0.98 * 32**-0.5 < layer.linear2.weight.abs().max().item() <= 32**-0.5
    for norm in (layer.norm1, layer.norm2, layer.norm3):
        assert bool((norm.weight == 1).all())
        assert bool((norm.bias == 0).all())


@layers
def test_layer_dtype(impl):
    layer = impl(4, 2, 6, device="cpu", dtype=torch.float16)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float16}


@layers
@pytest.mark.skipif(not at_least(1, 10), reason="torch has no bfloat16 layer norm on CPU before 1.10")
@pytest.mark.parametrize("training", [False, True])
def test_layer_in_low_precision(impl, training):
    layer = make(impl, dtype=torch.float32).train(training)
    tgt, memory = torch.randn(3, 4, 4), torch.randn(3, 5, 4)
    with torch.no_grad():
        expected = layer(tgt, memory, causal(4))
        out = layer.to(torch.bfloat16)(tgt.to(torch.bfloat16), memory.to(torch.bfloat16), causal(4))
    assert out.dtype == torch.bfloat16
    close(out, expected, 0.15)


@layers
@pytest.mark.skipif(not at_least(1, 10), reason="torch has no autocast on CPU before 1.10")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mask", [None, causal(4)], ids=["plain", "masked"])
def test_layer_under_autocast(impl, mask, training):
    layer = make(impl, dtype=torch.float32).train(training)
    tgt, memory = torch.randn(3, 4, 4), torch.randn(3, 5, 4)
    with torch.no_grad():
        expected = layer(tgt, memory, mask)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(tgt, memory, mask)
    close(out, expected, 0.15)


@layers
@pytest.mark.parametrize(
    "activation",
    ["gelu", torch.tanh, pytest.param(torch.nn.Tanh(), marks=pytest.mark.limit("copied-activation"), id="module")],
)
def test_layer_copies(impl, activation):
    layer, (tgt, memory) = make(impl, activation=activation), inputs()
    close(copy.deepcopy(layer)(tgt, memory), layer(tgt, memory))
    if impl is LAYER.public:
        close(saved_and_loaded(layer)(tgt, memory), layer(tgt, memory))


@layers
@pytest.mark.skipif(not at_least(2, 0), reason="torch has no nested tensors that its own attention takes before 2.0")
def test_layer_refuses_nested_tensors(impl):
    layer = make(impl, dtype=torch.float32).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are a prototype, says torch
        nested = torch.nested.nested_tensor([torch.randn(3, 4), torch.randn(2, 4)])
    for args in ((nested, nested), (nested, torch.randn(2, 3, 4)), (torch.randn(2, 3, 4), nested)):
        with torch.no_grad(), pytest.raises(AssertionError, match=r"[Nn]ested"):
            layer(*args)


# The decoder


@decoders
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("norm", [None, torch.nn.LayerNorm(4).double()])
def test_decoder_is_its_layers_in_turn(impl, norm, batch_first):
    decoder, (tgt, memory) = stack(impl, 3, norm, batch_first=batch_first), inputs()
    masks = {
        "tgt_mask": causal(4),
        "memory_mask": HIDDEN,
        "tgt_key_padding_mask": TGT,
        "memory_key_padding_mask": MEMORY,
    }
    expected = torch.as_tensor(by_formula(decoder, tgt, memory, **masks))
    expected = expected if norm is None else decoder.norm(expected)
    if not batch_first:
        tgt, memory, expected = (x.transpose(0, 1) for x in (tgt, memory, expected))
    close(decoder(tgt, memory, *masks.values()), expected)
    close(decoder(tgt, memory, **masks, tgt_is_causal=True), expected)
    close(decoder(tgt, memory, **{name: as_float(mask) for name, mask in masks.items()}), expected)
    with torch.no_grad():
        close(decoder.eval()(tgt, memory, **masks), expected)


@decoders
@pytest.mark.parametrize(
    "activation", [torch.tanh, pytest.param(torch.nn.Tanh(), marks=pytest.mark.limit("copied-activation"), id="module")]
)
def test_decoder_copies_its_layer(impl, activation):
    layer = make(layer_for(impl), activation=activation)
    decoder = impl(layer, 2)
    assert isinstance(decoder, torch.nn.TransformerDecoder)
    assert isinstance(layer, torch.nn.TransformerDecoderLayer)
    names = {f"layers.{index}.{name}" for index in range(2) for name in layer.state_dict()}
    assert set(decoder.state_dict()) == names
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(tensor, layer.state_dict()[name.split(".", 2)[2]])
        assert tensor.data_ptr() != layer.state_dict()[name.split(".", 2)[2]].data_ptr()
    tgt, memory = inputs()
    close(decoder(tgt, memory), layer(layer(tgt, memory), memory))


@decoders
def test_decoder_finds_out_whether_the_mask_is_causal(impl):
    seen = []

    class Recording(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.self_attn = layer_for(impl)(4, 2).self_attn

        def forward(self, tgt, memory, tgt_is_causal=None, memory_is_causal=None, **masks):
            seen.append((tgt_is_causal, memory_is_causal))
            return tgt

    decoder, (tgt, memory) = impl(Recording(), 1), (double(4, 2, 4), double(5, 2, 4))
    four = causal(4)
    for mask in (None, four, as_float(four), four.float(), ~four, four.repeat(4, 1, 1), double(4, 4), causal(5)):
        decoder(tgt, memory, mask, causal(4, 5))
    decoder(tgt, memory, ~four, tgt_is_causal=True, memory_is_causal=True)
    decoder(tgt, memory, four, tgt_is_causal=False)
    assert [hint for hint, _ in seen] == [False, True, True, False, False, False, False, False, True, False]
    assert [hint for _, hint in seen] == [False] * 8 + [True, False]


@decoders
def test_decoder_without_a_batch(impl):
    tgt, memory = inputs()
    for batch_first in (False, True):
        decoder = stack(impl, batch_first=batch_first)
        masks = {"tgt_mask": causal(4), "memory_mask": HIDDEN}
        expected = by_formula(decoder, tgt[:1], memory[:1], **masks)[0]
        close(decoder(tgt[0], memory[0], **masks), expected)


@decoders
def test_decoder_with_nothing_to_see(impl):
    decoder, (tgt, memory) = stack(impl), inputs()
    paddings = {"tgt_key_padding_mask": TGT.clone(), "memory_key_padding_mask": MEMORY.clone()}
    for padding in paddings.values():
        padding[0] = True
    leaves = [tgt.requires_grad_(), memory.requires_grad_()]
    out = decoder(*leaves, **paddings)
    rest = {name: padding[1:] for name, padding in paddings.items()}
    close(out[1:], decoder(tgt[1:], memory[1:], **rest))
    for finite in (out, *torch.autograd.grad(out.pow(2).sum(), leaves)):
        assert bool((finite.abs() < INF).all())


@decoders
@pytest.mark.limit("fast-path-fully-masked")
def test_decoder_with_a_fully_padded_target_in_inference(impl):
    decoder, (tgt, memory) = stack(impl), inputs()
    padding = torch.tensor([[True] * 4, [False] * 4, [False] * 4])
    with torch.no_grad():
        expected = decoder(tgt, memory, tgt_key_padding_mask=padding)
        close(decoder.eval()(tgt, memory, tgt_key_padding_mask=padding), expected)


@decoders
@pytest.mark.parametrize("training", [True, pytest.param(False, marks=pytest.mark.limit("fast-path-causal-hint"))])
def test_decoder_refuses_the_causal_hint_without_the_mask(impl, training):
    decoder = stack(impl).train(training)
    with torch.no_grad(), pytest.raises(RuntimeError, match="mask"):
        decoder(*inputs(), tgt_is_causal=True)


@decoders
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_decoder_refuses_masks_of_integers(impl, name, dtype):
    # Torch's own decoder compares the mask with infinity, which an int64 has not.
    error = RuntimeError if impl is DECODER.native and name == "tgt_mask" else AssertionError
    with pytest.raises(error):
        stack(impl)(*inputs(), **{name: torch.zeros(SHAPES[name], dtype=dtype)})


@decoders
def test_decoder_without_layers(impl):
    with pytest.raises(IndexError):
        impl(layer_for(impl)(4, 2), 0)(*inputs())


@decoders
@law
@given(order=st.permutations(range(3)), padded=st.booleans())
def test_decoder_treats_sequences_apart(impl, order, padded):
    decoder, (tgt, memory), order = stack(impl).eval(), inputs(), list(order)
    paddings = (TGT, MEMORY) if padded else (None, None)
    shuffled = [padding[order] for padding in paddings] if padded else paddings
    with torch.no_grad():
        out = decoder(tgt, memory, causal(4), None, *paddings)
        close(decoder(tgt[order], memory[order], causal(4), None, *shuffled), out[order])


@decoders
def test_decoder_learns(impl):
    decoder = impl(layer_for(impl)(8, 2, 16, dropout=0.1), 2)
    tgt, memory, wanted = torch.randn(4, 3, 8), torch.randn(5, 3, 8), torch.randn(4, 3, 8)
    losses = []
    for _ in range(30):
        loss = (decoder(tgt, memory, causal(4)) - wanted).pow(2).mean()
        grads = torch.autograd.grad(loss, list(decoder.parameters()))
        with torch.no_grad():
            for parameter, grad in zip(decoder.parameters(), grads):
                parameter -= 0.5 * grad
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@decoders
def test_decoder_copies_and_pickles(impl):
    decoder, (tgt, memory) = stack(impl, activation="gelu"), inputs()
    expected = decoder(tgt, memory)
    close(copy.deepcopy(decoder)(tgt, memory), expected)
    if impl is DECODER.public:
        close(saved_and_loaded(decoder)(tgt, memory), expected)


@decoders
@pytest.mark.skipif(
    not at_least(2, 2), reason="torch compiles nothing on this Python before 2.1, attention in one graph since 2.2"
)
def test_decoder_compiles_in_one_graph(impl):
    decoder, (tgt, memory) = stack(impl, 1), inputs()
    compiled = torch.compile(decoder, backend="eager", fullgraph=True)
    masks = {"tgt_key_padding_mask": TGT, "memory_key_padding_mask": MEMORY, "tgt_is_causal": True}
    close(compiled(tgt, memory, causal(4), **masks), decoder(tgt, memory, causal(4), **masks))


# Beside torch's own classes


def torchs_layer(*args):
    return randomised(torch.nn.TransformerDecoderLayer(*args))


def test_states_load_both_ways_between_torchs_classes_and_the_fallbacks():
    theirs = randomised(torch.nn.TransformerDecoder(torchs_layer(4, 2, 6, 0.0), 2, torch.nn.LayerNorm(4)))
    ours = DECODER.fallback(LAYER.fallback(4, 2, 6, 0.0), 2, torch.nn.LayerNorm(4))
    ours.load_state_dict(theirs.state_dict())
    tgt, memory = torch.randn(3, 2, 4), torch.randn(5, 2, 4)
    mask = torch.zeros(3, 3).masked_fill(causal(3), -INF)
    close(ours(tgt, memory, mask), theirs(tgt, memory, mask), 1e-4)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())


def test_torchs_layer_in_a_fallback_decoder():
    layer, tgt, memory = torchs_layer(4, 2, 6, 0.0), torch.randn(3, 2, 4), torch.randn(5, 2, 4)
    if not at_least(2, 0):
        with pytest.raises(TypeError, match="decoder_layer"):
            DECODER.fallback(layer, 2)
    else:
        close(DECODER.fallback(layer, 2)(tgt, memory), layer(layer(tgt, memory), memory), 1e-5)


def test_a_fallback_layer_in_torchs_decoder():
    layer = make(LAYER.fallback, dtype=torch.float32)
    tgt, memory = torch.randn(3, 4, 4), torch.randn(3, 5, 4)
    decoder = torch.nn.TransformerDecoder(layer, 2)
    masks = {"tgt_key_padding_mask": TGT, "memory_key_padding_mask": MEMORY}
    close(decoder(tgt, memory, **masks), layer(layer(tgt, memory, **masks), memory, **masks), 1e-5)
