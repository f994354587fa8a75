"""`torch.jit.script` of attention and of the transformer classes: what the compiled module gives is what ours gives.

Torch's own can be scripted from 1.8 on; here each fallback is, and is saved and loaded again.
"""

import copy
import io

import pytest
import torch

from torchcompat import SHIMS
from torchcompat._torch import at_least

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not at_least(1, 8), reason="torch's own attention is scripted from 1.8 on"),
]
SDPA = SHIMS["nn.functional.scaled_dot_product_attention"].fallback
GENERATOR = torch.Generator()


def randn(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def made(kind, *args, **kwargs):
    return SHIMS["nn." + kind].fallback(*args, dtype=torch.float64, **kwargs)


def stacked(kind, *norm, **kwargs):
    return SHIMS["nn.Transformer" + kind].fallback(made(f"Transformer{kind}Layer", 6, 2, 8, **kwargs), 2, *norm)


TRIANGLE = torch.ones(5, 5).triu(1) > 0
PADDING = torch.arange(5) >= torch.tensor([[5], [3], [0]])
SEQUENCES = (3, 5, 6)
FIRST = {"batch_first": True}

# A module, the shapes of its inputs, and its masks.
MODULES = {
    "attention": (lambda: made("MultiheadAttention", 6, 2), [(5, 3, 6)] * 3, {}),
    "attention, padding": (
        lambda: made("MultiheadAttention", 6, 2, **FIRST),
        [SEQUENCES] * 3,
        {"key_padding_mask": PADDING, "need_weights": False},
    ),
    "attention, masks": (
        lambda: made("MultiheadAttention", 6, 2, bias=False, **FIRST),
        [SEQUENCES] * 3,
        {"attn_mask": TRIANGLE.repeat(6, 1, 1), "average_attn_weights": False},
    ),
    "attention, causal": (
        lambda: made("MultiheadAttention", 6, 2),
        [(5, 6)] * 3,
        {"attn_mask": TRIANGLE, "is_causal": True, "need_weights": False},
    ),
    "attention, more keys": (
        lambda: made("MultiheadAttention", 6, 2, kdim=4, vdim=7, add_bias_kv=True, add_zero_attn=True),
        [(5, 3, 6), (4, 3, 4), (4, 3, 7)],
        {"attn_mask": torch.ones(5, 4).triu(1) > 0, "need_weights": False},
    ),
    "layer": (lambda: made("TransformerEncoderLayer", 6, 2, 8), [(5, 3, 6)], {"src_mask": TRIANGLE}),
    "layer, norm first": (
        lambda: made("TransformerEncoderLayer", 6, 2, 8, activation=torch.nn.Tanh(), norm_first=True, bias=False),
        [(5, 6)],
        {},
    ),
    "encoder": (lambda: stacked("Encoder", activation="gelu"), [(5, 3, 6)], {"mask": TRIANGLE}),
    "encoder, padding": (
        lambda: stacked("Encoder", torch.nn.LayerNorm(6).double(), **FIRST),
        [SEQUENCES],
        {"src_key_padding_mask": PADDING},
    ),
    "decoder": (lambda: stacked("Decoder"), [(5, 3, 6), (4, 3, 6)], {"tgt_mask": TRIANGLE}),
    "decoder, padding": (
        lambda: stacked("Decoder", torch.nn.LayerNorm(6).double(), norm_first=True, **FIRST),
        [SEQUENCES, SEQUENCES],
        {"tgt_key_padding_mask": PADDING, "memory_mask": TRIANGLE},
    ),
    "transformer": (
        lambda: made("Transformer", 6, 2, 2, 2, 8, **FIRST),
        [SEQUENCES, SEQUENCES],
        {"tgt_mask": TRIANGLE, "src_key_padding_mask": PADDING},
    ),
}


def flat(out):
    return [x for x in (out if isinstance(out, tuple) else (out,)) if x is not None]


def same(found, expected):
    assert len(flat(found)) == len(flat(expected))
    for one, other in zip(flat(found), flat(expected)):
        # A sequence of nothing but padding has weights of NaN.
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)


def loaded(scripted):
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    return torch.jit.load(file)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_scripted_module(name):
    make, shapes, masks = MODULES[name]
    module, inputs = make(), [randn(*shape) for shape in shapes]
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    for training in (False, True):
        module.train(training)
        for part in module.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
            elif isinstance(part, torch.nn.MultiheadAttention):
                part.dropout = 0.0
        scripted = torch.jit.script(module)
        for grad in (False, True):
            with torch.set_grad_enabled(grad):
                expected = module(*inputs, **masks)
                same(scripted(*inputs, **masks), expected)
                same(loaded(scripted)(*inputs, **masks), expected)


class Around(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = made("TransformerEncoderLayer", 6, 2, 8)

    def forward(self, x):
        return self.layer(x).sum()


def test_scripting_leaves_the_module_as_it_is():
    module = Around().eval()
    layer, attention = module.layer, module.layer.self_attn
    classes = [type(part) for part in module.modules()]
    scripted = torch.jit.script(module)
    assert module.layer is layer
    assert layer.self_attn is attention
    assert [type(part) for part in module.modules()] == classes
    x = randn(5, 3, 6)
    same(scripted(x), module(x))
    same(torch.jit.script(copy.deepcopy(module))(x), module(x))


# The function


class Attend(torch.nn.Module):
    def forward(self, query, key, value):
        return SDPA(query, key, value)


class Causal(torch.nn.Module):
    def forward(self, query, key, value):
        return SDPA(query, key, value, is_causal=True, scale=0.3)


class NegativeScale(torch.nn.Module):
    def forward(self, query, key, value):
        return SDPA(query, key, value, None, 0.0, True, scale=-0.5)


class Masked(torch.nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, query, key, value):
        return SDPA(query, key, value, self.mask)


class Groups(torch.nn.Module):
    def forward(self, query, key, value):
        return SDPA(query, key[:, :2], value[:, :2], enable_gqa=True)


class Both(torch.nn.Module):
    def forward(self, query, key, value):
        return SDPA(query, key, value, query @ key.transpose(-2, -1), is_causal=True)


ALLOWED = torch.tensor([[True, False, True], [False, False, False], [True, True, True], [False, True, False]])
FUNCTIONS = {
    "plain": Attend(),
    "causal": Causal(),
    "negative scale": NegativeScale(),
    "mask with an empty row": Masked(ALLOWED),
    "float mask with an empty row": Masked(torch.zeros(4, 3, dtype=torch.float64).masked_fill(~ALLOWED, -float("inf"))),
    "mask of one key": Masked(ALLOWED[:, :1]),
    "groups": Groups(),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_module_that_calls_the_function(name):
    module = FUNCTIONS[name]
    inputs = [randn(2, 4, n, 8).requires_grad_() for n in (4, 3, 3)]
    scripted = torch.jit.script(module)
    expected, found = module(*inputs), scripted(*inputs)
    same(found, expected)
    for one, other in zip(*(torch.autograd.grad((out**2).sum(), inputs) for out in (found, expected))):
        same(one, other)
    same(loaded(scripted)(*inputs), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision(dtype):
    inputs = [randn(2, 4, 5, 8).to(dtype) for _ in range(3)]
    found = torch.jit.script(Attend())(*inputs)
    assert found.dtype == dtype
    assert torch.allclose(found.float(), SDPA(*inputs).float(), atol=2e-2)


def test_mask_and_causal_is_refused():
    scripted, x = torch.jit.script(Both()), randn(2, 4, 3, 8)
    with pytest.raises(Exception, match="attn_mask must be None"):
        scripted(x, x, x)
