import copy
import inspect
import warnings

import pytest
import torch
from assertions import close
from attention_reference import as_numpy, decoder_layer, encoder_layer, np_relu, randomised, saved_and_loaded
from attention_reference import layer_norm as norm_of
from attention_tools import DOUBLE, INF, as_float, causal, double, law
from hypothesis import given
from hypothesis import strategies as st

from torchcompat import SHIMS, at_least

SHIM = SHIMS["nn.Transformer"]
oracle = pytest.mark.skipif(not SHIM.meets_contract, reason="torch's own class here is older than the contract")
pytestmark = [
    pytest.mark.shim("nn.Transformer"),
    # Torch's own encoder makes nested tensors of a padded batch, and says this the first time.
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype"),
    # What the encoder says where it cannot.
    pytest.mark.filterwarnings("ignore:enable_nested_tensor"),
]

# Batch 3, source length 5, target length 4.
SRC = torch.tensor([[False] * 5, [False, False, False, True, True], [False, False, False, False, True]])
TGT = torch.tensor([[False, False, True, True], [False] * 4, [False, False, False, True]])
SMALL = {"d_model": 4, "nhead": 2, "num_encoder_layers": 2, "num_decoder_layers": 2, "dim_feedforward": 6}
SMALL.update(dropout=0.0, dtype=DOUBLE, batch_first=True)
NAMES = ("src_mask", "tgt_mask", "memory_mask")
PADDINGS = ("src_key_padding_mask", "tgt_key_padding_mask", "memory_key_padding_mask")


def make(impl, **kwargs):
    """A transformer without dropout whose parameters are all random."""
    return randomised(impl(**{**SMALL, **kwargs}))


def inputs():
    return double(3, 5, 4), double(3, 4, 4)


def by_formula(module, src, tgt, masks=(None, None, None), paddings=(None, None, None), clear=False):
    """What *module* gives for batch-first inputs. With *clear* padded positions of the encoder's output are 0."""
    memory = src
    for layer in module.encoder.layers:
        memory = torch.as_tensor(encoder_layer(layer, memory, np_relu, paddings[0], masks[0]))
    if clear:
        memory = memory.masked_fill(paddings[0].unsqueeze(-1), 0.0)
    memory = torch.as_tensor(norm_of(module.encoder.norm, as_numpy(memory)))
    for layer in module.decoder.layers:
        tgt = decoder_layer(layer, tgt, memory, np_relu, masks[1:], paddings[1:])
    return norm_of(module.decoder.norm, tgt)


@law
@given(data=st.data())
def test_it_is_the_formula(impl, data):
    draw = data.draw
    switch = {name: draw(st.booleans()) for name in ("norm_first", "bias", "batch_first")}
    module = make(impl, layer_norm_eps=0.1, num_encoder_layers=draw(st.integers(1, 2)), **switch)
    src, tgt = inputs()
    masks = [draw(st.sampled_from([None, mask])) for mask in (causal(5), causal(4), causal(4, 5))]
    paddings = [draw(st.sampled_from([None, padding])) for padding in (SRC, TGT, SRC)]
    if draw(st.booleans()):
        masks, paddings = ([None if m is None else as_float(m) for m in both] for both in (masks, paddings))
    expected = by_formula(module, src, tgt, masks, paddings)
    if not switch["batch_first"]:
        src, tgt, expected = src.transpose(0, 1), tgt.transpose(0, 1), expected.transpose(1, 0, 2)
    named = dict(zip(NAMES + PADDINGS, masks + paddings))
    close(module(src, tgt, *masks, *paddings), expected)
    hints = {f"{name}_is_causal": named[name + "_mask"] is not None for name in ("src", "tgt", "memory")}
    close(module(src, tgt, **named, **hints), expected)


@pytest.mark.parametrize("padded", [False, True])
def test_inference(impl, padded):
    module, (src, tgt) = make(impl).eval(), inputs()
    paddings = (SRC, TGT, SRC) if padded else (None, None, None)
    expected = by_formula(module, src, tgt, (None, causal(4), None), paddings)
    with torch.no_grad():
        close(module(src, tgt, None, causal(4), None, *paddings), expected)


def test_padded_positions_of_the_memory_are_those_of_the_encoder_in_inference(impl):
    # Seen by a decoder that is not told of them.
    module, (src, tgt) = make(impl).eval(), inputs()
    expected = by_formula(module, src, tgt, paddings=(SRC, None, None), clear=True)
    with torch.no_grad():
        close(module(src, tgt, src_key_padding_mask=SRC), expected)


def test_the_memory_keeps_its_length_when_no_source_has_it(impl):
    module, (src, tgt) = make(impl).eval(), inputs()
    paddings = {"src_key_padding_mask": SRC[1:], "memory_key_padding_mask": SRC[1:]}
    expected = by_formula(module, src[1:], tgt[1:], paddings=(SRC[1:], None, SRC[1:]))
    with torch.no_grad():
        close(module(src[1:], tgt[1:], **paddings), expected)


@pytest.mark.limit("nested-float-padding")
def test_a_float_padding_mask_in_inference(impl):
    module, (src, tgt), padding = make(impl).eval(), inputs(), double(3, 5)
    expected = by_formula(module, src, tgt, paddings=(padding, None, None))
    with torch.no_grad():
        close(module(src, tgt, src_key_padding_mask=padding), expected)


@oracle
@pytest.mark.parametrize(
    "kwargs", [{}, {"norm_first": True, "activation": "gelu"}, {"bias": False, "batch_first": False}]
)
def test_the_fallback_does_what_native_does(kwargs):
    results = []
    native = make(SHIM.native, **kwargs)
    fallback = SHIM.fallback(**{**SMALL, **kwargs})
    fallback.load_state_dict(native.state_dict())
    tensors = [double(3, 3, 4), double(3, 3, 4), *[double(3, 3) for _ in range(3)]]
    for module in (native, fallback):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        out = module(*leaves, *[as_float(padding[:, :3]) for padding in (SRC, TGT, SRC)])
        results.append([out, *torch.autograd.grad((out**3).sum(), leaves + list(module.parameters()))])
    for theirs, ours in zip(*results):
        close(ours, theirs)


@oracle
@pytest.mark.parametrize("kwargs", [{}, {"bias": False, "norm_first": True}, {"dtype": DOUBLE}])
def test_the_fallback_starts_from_natives_numbers(kwargs):
    states = []
    for kind in (SHIM.native, SHIM.fallback):
        torch.manual_seed(3)
        states.append(kind(4, 2, 1, 2, 6, **kwargs).state_dict())
    assert list(states[0]) == list(states[1])
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name])


def test_how_it_starts(impl):
    module = impl(32, 4, 1, 1, 64)
    for name, parameter in module.named_parameters():
        if parameter.dim() == 2:
            bound = (6.0 / sum(parameter.shape)) ** 0.5
            assert 0.97 * bound < parameter.abs().max().item() <= bound, name
        elif "norm" in name:
            assert bool((parameter == float(name.endswith("weight"))).all()), name


def test_its_defaults(impl):
    module = impl(num_encoder_layers=1, num_decoder_layers=1)
    assert (module.d_model, module.nhead, module.batch_first) == (512, 8, False)
    assert module.encoder.layers[0].linear1.weight.shape == (2048, 512)
    assert module.decoder.layers[0].dropout.p == 0.1
    signature = inspect.signature(impl).parameters
    assert signature["num_encoder_layers"].default == signature["num_decoder_layers"].default == 6


def test_its_parts(impl):
    module = make(impl)
    kinds = (torch.nn.Transformer, torch.nn.TransformerEncoder, torch.nn.TransformerDecoder)
    for part, kind in zip((module, module.encoder, module.decoder), kinds):
        assert isinstance(part, kind)
    assert [len(part.layers) for part in (module.encoder, module.decoder)] == [2, 2]
    states = {"encoder": module.encoder, "decoder": module.decoder}
    names = [f"{side}.{name}" for side, part in states.items() for name in part.state_dict()]
    assert list(module.state_dict()) == names
    assert {"encoder.norm.weight", "decoder.norm.bias", "decoder.layers.1.multihead_attn.in_proj_bias"} <= set(names)


@pytest.mark.parametrize(
    "activation",
    ["gelu", torch.tanh, pytest.param(torch.nn.Tanh(), marks=pytest.mark.limit("copied-activation"), id="module")],
)
def test_activation(impl, activation):
    module = make(impl, activation=activation)
    x = double(7)
    function = torch.nn.functional.gelu if activation == "gelu" else torch.tanh
    for layer in [*module.encoder.layers, *module.decoder.layers]:
        close(layer.activation(x), function(x))


def test_without_bias(impl):
    assert not [name for name in make(impl, bias=False).state_dict() if "bias" in name]


class Encoder(torch.nn.Module):
    def forward(self, src, **kwargs):
        self.seen = kwargs
        return src * 2


class Decoder(torch.nn.Module):
    def forward(self, tgt, memory, **kwargs):
        self.seen = kwargs
        return tgt + memory.sum()


def test_custom_parts(impl):
    encoder, decoder = Encoder(), Decoder()
    module, (src, tgt) = impl(4, 2, custom_encoder=encoder, custom_decoder=decoder), inputs()
    assert module.encoder is encoder
    assert module.decoder is decoder
    masks = {name: object() for name in (*NAMES, *PADDINGS)}
    hints = {"src_is_causal": object(), "tgt_is_causal": object(), "memory_is_causal": object()}
    close(module(src.transpose(0, 1), tgt.transpose(0, 1), **masks, **hints), tgt.transpose(0, 1) + 2 * src.sum())
    assert encoder.seen == {
        "mask": masks["src_mask"],
        "src_key_padding_mask": masks["src_key_padding_mask"],
        "is_causal": hints["src_is_causal"],
    }
    rest = {name: value for name, value in {**masks, **hints}.items() if not name.startswith("src")}
    assert decoder.seen == rest
    module(src.transpose(0, 1), tgt.transpose(0, 1))
    assert set(encoder.seen.values()) == {None}
    assert decoder.seen["tgt_is_causal"] is None
    assert decoder.seen["memory_is_causal"] is False


def test_the_parameters_of_custom_parts_are_drawn_anew(impl):
    custom = torch.nn.Linear(4, 4)
    with torch.no_grad():
        custom.weight.fill_(7.0)
        custom.bias.fill_(7.0)
    module = impl(4, 2, num_encoder_layers=1, custom_decoder=custom)
    assert module.decoder.weight.abs().max().item() < 1
    assert bool((module.decoder.bias == 7).all())


def test_without_a_batch(impl):
    src, tgt = inputs()
    for batch_first in (False, True):
        module = make(impl, batch_first=batch_first)
        expected = by_formula(module, src[:1], tgt[:1], (causal(5), causal(4), None))[0]
        close(module(src[0], tgt[0], causal(5), causal(4)), expected)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(
    ("src", "tgt", "match"),
    [
        ((3, 5, 4), (2, 4, 4), "batch"),
        ((3, 5, 6), (3, 4, 4), "d_model"),
        ((3, 5, 4), (3, 4, 6), "d_model"),
        ((3, 5, 6), (3, 4, 6), "d_model"),
        ((5, 6), (4, 6), "d_model"),
    ],
)
def test_refused(impl, src, tgt, match, batch_first):
    src, tgt = double(*src), double(*tgt)
    if not batch_first and src.dim() == 3:
        src, tgt = src.transpose(0, 1), tgt.transpose(0, 1)
    with pytest.raises(RuntimeError, match=match):
        make(impl, batch_first=batch_first)(src, tgt)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"activation": "tanh"}, RuntimeError, "activation"),
        ({"nhead": 3}, AssertionError, "num_heads"),
        ({"dropout": 2.0}, ValueError, "dropout"),
    ],
)
def test_refused_at_construction(impl, kwargs, error, match):
    with pytest.raises(error, match=match):
        impl(**{"d_model": 4, "nhead": 2, **kwargs})


@pytest.mark.parametrize("name", NAMES + PADDINGS)
def test_refuses_masks_of_integers(impl, name):
    shape = dict(zip(NAMES + PADDINGS, ((5, 5), (4, 4), (4, 5), (3, 5), (3, 4), (3, 5))))[name]
    # Torch's own decoder compares the target's with infinity, which an integer is not.
    error = RuntimeError if impl is SHIM.native and name == "tgt_mask" else AssertionError
    with pytest.raises(error):
        make(impl)(*inputs(), **{name: torch.zeros(shape, dtype=torch.uint8)})


def test_says_when_padding_cannot_be_skipped(impl):
    with pytest.warns(UserWarning, match="enable_nested_tensor"):
        impl(4, 2, 1, 1, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        impl(4, 2, 1, 1, 6, batch_first=True)


def test_a_target_sees_no_later_one(impl):
    module, (src, tgt) = make(impl), inputs()
    out = module(src, tgt, tgt_mask=causal(4), tgt_is_causal=True)
    for length in range(1, 4):
        close(module(src, tgt[:, :length], tgt_mask=causal(length)), out[:, :length])


@law
@given(order=st.permutations(range(3)), training=st.booleans())
def test_sequences_are_treated_apart(impl, order, training):
    module, (src, tgt), order = make(impl).train(training), inputs(), list(order)
    paddings = dict(zip(PADDINGS, (SRC, TGT, SRC)))
    shuffled = {name: padding[order] for name, padding in paddings.items()}
    with torch.no_grad():
        close(module(src[order], tgt[order], **shuffled), module(src, tgt, **paddings)[order])


def test_nothing_to_see(impl):
    module, (src, tgt) = make(impl), inputs()
    paddings = {name: padding.clone() for name, padding in zip(PADDINGS, (SRC, TGT, SRC))}
    for padding in paddings.values():
        padding[0] = True
    leaves = [src.requires_grad_(), tgt.requires_grad_()]
    out = module(*leaves, **paddings)
    close(out[1:], module(src[1:], tgt[1:], **{name: padding[1:] for name, padding in paddings.items()}))
    for finite in (out, *torch.autograd.grad(out.pow(2).sum(), leaves)):
        assert bool((finite.abs() < INF).all())


# The mask


@pytest.mark.parametrize("size", [0, 1, 4])
def test_subsequent_mask(impl, size):
    for mask in (
        impl.generate_square_subsequent_mask(size),
        impl.generate_square_subsequent_mask(sz=size, device="cpu"),
    ):
        assert mask.dtype == torch.float32
        assert mask.tolist() == [[-INF if key > query else 0.0 for key in range(size)] for query in range(size)]


@pytest.mark.parametrize("dtype", [DOUBLE, torch.float16, torch.bfloat16, torch.bool])
def test_subsequent_mask_of_another_dtype(impl, dtype):
    mask = impl.generate_square_subsequent_mask(3, dtype=dtype)
    assert mask.dtype == dtype
    expected = causal(3) if dtype is torch.bool else as_float(causal(3))
    assert torch.equal(mask if dtype is torch.bool else mask.double(), expected)


def test_subsequent_mask_of_integers(impl):
    with pytest.raises(RuntimeError):
        impl.generate_square_subsequent_mask(3, dtype=torch.int64)
    with pytest.raises(RuntimeError):
        impl.generate_square_subsequent_mask(-1)


@pytest.mark.limit("default-dtype")
def test_subsequent_mask_of_the_default_dtype(impl):
    torch.set_default_dtype(DOUBLE)
    try:
        mask = impl.generate_square_subsequent_mask(2)
    finally:
        torch.set_default_dtype(torch.float32)
    assert mask.dtype == DOUBLE


def test_subsequent_mask_of_an_instance(impl):
    module, (src, tgt) = make(impl), inputs()
    mask = module.generate_square_subsequent_mask(4, dtype=DOUBLE)
    close(module(src, tgt, tgt_mask=mask), by_formula(module, src, tgt, (None, causal(4), None)))


# The module


def test_device_and_dtype(impl):
    module = impl(4, 2, 1, 1, 6, device="cpu", dtype=torch.float16)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float16}


def test_copies_and_pickles(impl):
    module, (src, tgt) = make(impl, activation="gelu"), inputs()
    expected = module(src, tgt)
    close(copy.deepcopy(module)(src, tgt), expected)
    if impl is SHIM.public:
        close(saved_and_loaded(module)(src, tgt), expected)


def test_it_learns(impl):
    module = impl(8, 2, 1, 1, 16, dropout=0.1)
    src, tgt, wanted = torch.randn(5, 3, 8), torch.randn(4, 3, 8), torch.randn(4, 3, 8)
    losses = []
    for _ in range(30):
        loss = (module(src, tgt, tgt_mask=causal(4)) - wanted).pow(2).mean()
        grads = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for parameter, grad in zip(module.parameters(), grads):
                parameter -= 0.5 * grad
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.skipif(not at_least(1, 10), reason="torch has no autocast on CPU before 1.10")
def test_autocast(impl):
    module = make(impl, dtype=torch.float32)
    src, tgt = torch.randn(3, 5, 4), torch.randn(3, 4, 4)
    expected = module(src, tgt, tgt_mask=causal(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = module(src, tgt, tgt_mask=causal(4))
    close(out, expected, 0.3)


@pytest.mark.skipif(
    not at_least(2, 2), reason="torch compiles nothing on this Python before 2.1, attention in one graph since 2.2"
)
def test_compiles_in_one_graph(impl):
    module, (src, tgt) = make(impl, num_encoder_layers=1, num_decoder_layers=1), inputs()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    kwargs = {"tgt_mask": causal(4), "tgt_is_causal": True, "src_key_padding_mask": SRC}
    close(compiled(src, tgt, **kwargs), module(src, tgt, **kwargs))


def test_torchs_own_parts_in_the_fallback():
    theirs = randomised(torch.nn.Transformer(4, 2, 1, 1, 6, 0.0))
    src, tgt = torch.randn(5, 2, 4), torch.randn(4, 2, 4)
    for since, part in (((2, 0), "encoder"), ((2, 1), "decoder")):
        custom = {"custom_" + part: copy.deepcopy(getattr(theirs, part))}
        if at_least(*since):
            SHIM.fallback(4, 2, 1, 1, 6, **custom)(src, tgt)
        else:
            with pytest.raises(TypeError, match="custom_" + part):
                SHIM.fallback(4, 2, 1, 1, 6, **custom)


def test_states_load_both_ways_between_torchs_class_and_the_fallback():
    theirs = randomised(torch.nn.Transformer(4, 2, 1, 2, 6, 0.0))
    ours = SHIM.fallback(4, 2, 1, 2, 6, 0.0)
    ours.load_state_dict(theirs.state_dict())
    src, tgt = torch.randn(5, 2, 4), torch.randn(4, 2, 4)
    mask = torch.zeros(4, 4).masked_fill(causal(4), -INF)
    close(ours(src, tgt, tgt_mask=mask), theirs(src, tgt, tgt_mask=mask), 1e-4)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
