"""TransformerDecoder: against its layers in turn, laws, and torch's own class."""

import copy

import pytest
import torch
from assertions import close
from attention_reference import randomised, saved_and_loaded
from attention_tools import INF, as_float, causal, double, law
from decoder_tools import DECODER, HIDDEN, LAYER, MEMORY, SHAPES, SMALL, TGT, by_formula, inputs, make
from hypothesis import given
from hypothesis import strategies as st

from torchcompat import at_least

decoders = pytest.mark.shim("nn.TransformerDecoder")


def layer_for(decoder):
    """The layer class that belongs to a decoder class."""
    return LAYER.fallback if decoder is DECODER.fallback else LAYER.native


def stack(impl, number=2, norm=None, **kwargs):
    """A decoder of layers whose parameters differ."""
    return randomised(impl(layer_for(impl)(**{**SMALL, **kwargs}), number, norm))


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
