"""TransformerDecoderLayer: against its formula, laws, and torch's own class."""

import copy
import warnings

import pytest
import torch
from assertions import close
from attention_reference import ACTIVATIONS, decoder_layer, np_relu, saved_and_loaded
from attention_tools import DOUBLE, INF, as_float, causal, double, law
from decoder_tools import DECODER, HIDDEN, LAYER, MEMORY, SHAPES, SMALL, TGT, by_formula, inputs, make
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from torchcompat import at_least

layers = pytest.mark.shim("nn.TransformerDecoderLayer")


oracle = pytest.mark.skipif(not DECODER.meets_contract, reason="torch's own classes here are older than the contract")


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
