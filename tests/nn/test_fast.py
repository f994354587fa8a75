"""The fast ways of the encoder classes in inference give what their modules give, and are not taken where they do not.

The plain way is the layers' modules, called one by one: `_by_modules`. Sizes are small; that packing does not pay for
them is switched off.
"""

import copy

import pytest
import torch
from attention_tools import double
from hypothesis import given
from hypothesis import strategies as st

from torchcompat import SHIMS, at_least
from torchcompat.nn import _fast, _masks

LAYER, ENCODER = (SHIMS["nn.TransformerEncoder" + kind].fallback for kind in ("Layer", ""))
ATTENTION = SHIMS["nn.MultiheadAttention"].fallback
TRIANGLE = torch.ones(5, 5).triu(1) > 0
ACTIVATIONS = ["relu", "gelu", torch.nn.ReLU(), torch.tanh]


def close(found, expected):
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9)


def a_layer(**kwargs):
    layer = LAYER(8, 2, 12, batch_first=True, dtype=torch.float64, **kwargs)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer.eval()


def as_float(mask):
    return None if mask is None else _masks.additive("mask", mask, torch.float64)


def padding_of(lengths):
    return torch.arange(5) >= torch.tensor(lengths).unsqueeze(1)


paddings = st.one_of(st.none(), st.lists(st.integers(0, 5), min_size=3, max_size=3).map(padding_of))


@given(
    padding=paddings,
    masked=st.booleans(),
    hint=st.booleans(),
    floats=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
    norm_first=st.booleans(),
)
def test_a_layer_is_its_modules(padding, masked, hint, floats, activation, norm_first):
    layer, src = a_layer(activation=activation, norm_first=norm_first), double(3, 5, 8)
    mask = TRIANGLE if masked else None
    if floats:
        padding, mask = as_float(padding), as_float(mask)
    with torch.no_grad():
        found = layer(src, mask, padding, is_causal=masked and hint)
        close(found, layer._by_modules(src, as_float(mask), as_float(padding), False))


@given(padding=paddings, masked=st.booleans(), heads=st.booleans())
def test_attention_and_its_weights(padding, masked, heads):
    attention, x = ATTENTION(8, 2, batch_first=True, dtype=torch.float64).eval(), double(3, 5, 8)
    given = {"key_padding_mask": padding, "attn_mask": TRIANGLE if masked else None, "average_attn_weights": not heads}
    with torch.no_grad():
        # Where query, key and value are three tensors torch has no operator.
        for found, expected in zip(attention(x, x, x, **given), attention(x, x.clone(), x.clone(), **given)):
            assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


def by_layers(encoder, src, padding):
    out = src
    for layer in encoder.layers:
        out = layer._by_modules(out, None, as_float(padding), False)
    return out.masked_fill(padding.unsqueeze(-1), 0.0)


@pytest.mark.parametrize("many_scores", [0, 2**40])
@pytest.mark.parametrize("worth", [0, 2**40])
@pytest.mark.parametrize("lengths", [[5, 3, 1], [2, 4, 0], [0, 0, 0], [5, 5, 5], [0, 0, 1]])
def test_a_padded_batch(monkeypatch, lengths, worth, many_scores):
    monkeypatch.setattr(_fast, "WORTH_PACKING", worth)
    monkeypatch.setattr(_fast, "MANY_SCORES", many_scores)
    encoder, src, padding = ENCODER(a_layer(), 2).eval(), double(3, 5, 8), padding_of(lengths)
    with torch.no_grad():
        close(encoder(src, src_key_padding_mask=padding), by_layers(encoder, src, padding))
        close(encoder(src, src_key_padding_mask=as_float(padding)), by_layers(encoder, src, padding))


@pytest.mark.parametrize("worth", [0, 2**40])
def test_padding_that_is_not_at_the_end(monkeypatch, worth):
    monkeypatch.setattr(_fast, "WORTH_PACKING", worth)
    encoder, src = ENCODER(a_layer(), 2, mask_check=False).eval(), double(3, 5, 8)
    padding = torch.tensor([[True, False, False, True, False]] * 3)
    with torch.no_grad():
        close(encoder(src, src_key_padding_mask=padding), by_layers(encoder, src, padding))


class Louder(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x) * 2


class OtherSteps(LAYER):
    def _ff_block(self, x):
        return x.tanh()


def replaced_linear(layer):
    louder = Louder(8, 12).double()
    louder.load_state_dict(layer.linear1.state_dict())
    layer.linear1 = louder


def other_steps(layer):
    layer.__class__ = OtherSteps


def changed_activation(layer):
    layer.activation = torch.tanh


def changed_forward(layer):
    layer.linear2.forward = lambda x: x[..., :8] * 0.5


def hooked(layer):
    layer.norm1.register_forward_hook(lambda module, inputs, out: out * 2)


def hooked_itself(layer):
    layer.register_forward_hook(lambda module, inputs, out: out * 2)


def dropping_all(layer):
    layer.dropout1.train()
    layer.dropout1.p = 1.0


CHANGES = [replaced_linear, other_steps, changed_activation, changed_forward, hooked, hooked_itself, dropping_all]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("index", [0, 1])
def test_what_is_changed_in_a_layer_counts(monkeypatch, change, index):
    monkeypatch.setattr(_fast, "WORTH_PACKING", 0)
    encoder, src, padding = ENCODER(a_layer(), 2).eval(), double(3, 5, 8), padding_of([5, 3, 1])
    before = copy.deepcopy(encoder)
    change(encoder.layers[index])
    with torch.no_grad():
        expected = src
        for layer in encoder.layers:
            expected = layer._by_modules(expected, None, as_float(padding), False)
            if layer._forward_hooks:
                expected = expected * 2
        expected = expected.masked_fill(padding.unsqueeze(-1), 0.0)
        close(encoder(src, src_key_padding_mask=padding), expected)
        close(before(src, src_key_padding_mask=padding), by_layers(before, src, padding))
        assert not torch.allclose(expected, by_layers(before, src, padding))


def test_a_layer_that_is_trained_gets_its_gradient(monkeypatch):
    monkeypatch.setattr(_fast, "WORTH_PACKING", 0)
    encoder, src, padding = ENCODER(a_layer(), 2).eval(), double(3, 5, 8), padding_of([5, 3, 1])
    encoder.layers[0].requires_grad_(False)
    weights = list(encoder.layers[1].parameters())
    found = torch.autograd.grad((encoder(src, src_key_padding_mask=padding) ** 2).sum(), weights)
    expected = torch.autograd.grad((by_layers(encoder, src, padding) ** 2).sum(), weights)
    for one, other in zip(found, expected):
        close(one, other)


def test_padded_positions_are_not_computed(monkeypatch):
    monkeypatch.setattr(_fast, "WORTH_PACKING", 0)
    shapes = []
    monkeypatch.setattr(_fast, "linear", lambda x, *args: shapes.append(tuple(x.shape)) or torch.matmul(x, args[0].t()))
    encoder = ENCODER(a_layer(), 2).eval()
    with torch.no_grad():
        encoder(double(3, 5, 8), src_key_padding_mask=padding_of([5, 3, 1]))
    assert shapes == [(9, 8)] * 4


@pytest.mark.skipif(not at_least(2, 4), reason="torch.compile of 2.1 refuses to trace the attention's checks")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("grad", [False, True])
def test_compiled_in_inference(grad):
    encoder, src = ENCODER(a_layer(), 2).eval(), double(3, 5, 8)
    with torch.set_grad_enabled(grad):
        close(torch.compile(encoder, fullgraph=True, backend="eager")(src), encoder(src))
