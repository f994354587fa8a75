"""The modules and functions of ours that compute with tensors, with arguments of several lengths.

For tests that trace and export them. A size in a trace is a tensor of integers on old torch, so that Python's
arithmetic on it is integer arithmetic in the trace.
"""

import torch

from torchcompat import SHIMS
from torchcompat._torch import at_least


def randn(*shape):
    return torch.randn(*shape, generator=GENERATOR)


GENERATOR = torch.Generator()
_WIDTH, _HEADS = 6, 2


def fallback(name):
    return SHIMS[name].fallback


def _triangle(length):
    return torch.full((length, length), float("-inf")).triu(1)


def _padding(length, batch):
    """A bool mask that leaves out the end of every sequence but the first."""
    return torch.arange(length) >= (length - torch.arange(batch)).unsqueeze(1)


class Case:
    """What is traced, and its arguments for a length."""

    def __init__(self, name, make, arguments, lengths=(5, 7)):
        self.name, self.make, self.arguments, self.lengths = name, make, arguments, lengths


def _attention(call, arguments, lengths=(5, 7), **options):
    """A module of one or more arguments around MultiheadAttention, in evaluation mode."""

    def make():
        return _Calling(fallback("nn.MultiheadAttention")(_WIDTH, _HEADS, **options), call)

    return Case("nn.MultiheadAttention", make, arguments, lengths)


class _Calling(torch.nn.Module):
    def __init__(self, module, call):
        super().__init__()
        self.module, self.call = module, call
        # Biases of zeros, and norms that change nothing, would hide what is not added.
        for parameter in module.parameters() if isinstance(module, torch.nn.Module) else ():
            if parameter.dim() == 1:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)

    def forward(self, *inputs):
        return self.call(self.module, *inputs)


def _layers(name, call, arguments, lengths=(5, 7), **options):
    def make():
        def made(kind):
            return fallback("nn." + kind)(_WIDTH, _HEADS, 8, **options)

        if name.endswith("Layer"):
            module = made(name)
        elif name == "Transformer":
            module = fallback("nn.Transformer")(_WIDTH, _HEADS, 2, 2, 8, **options)
        else:
            module = fallback("nn." + name)(made(name + "Layer"), 2)
        return _Calling(module, call)

    return Case("nn." + name, make, arguments, lengths)


def _function(name, call, arguments, lengths=(5, 7)):
    return Case(name, lambda: _Calling(fallback(name), call), arguments, lengths)


def _source(length, batch):
    return (randn(length, batch, _WIDTH),)


def _batch_first(length, batch):
    return (randn(batch, length, _WIDTH),)


def _cross(length, batch):
    return randn(length + 1, batch, _WIDTH), randn(length, batch, _WIDTH)


def _heads(length, batch):
    return randn(batch, 4, length, 8), randn(batch, 4, length + 2, 8), randn(batch, 4, length + 2, 8)


def _parametrized(name, **options):
    """A linear layer with that parametrization of its weight."""
    name = "nn.utils.parametrizations." + name
    return Case(name, lambda: fallback(name)(torch.nn.Linear(6, 4), **options), lambda n, b: (randn(b, n, 6),))


# The tracer of torch 1.2 keeps torch.arange, of which the causal triangle is made: other lengths are an error there.
_CAUSAL = (5, 7) if at_least(1, 3) else (5,)
# So does that of torch before 1.8 with the size that torch's own pad_sequence makes.
_PADDED = (5, 7) if at_least(1, 8) else (5,)


def _lower_right(query, key):
    return SHIMS["nn.attention.bias.causal_lower_right"].public(query.size(-2), key.size(-2))


SDPA, FLEX = "nn.functional.scaled_dot_product_attention", "nn.attention.flex_attention.flex_attention"

CASES = {
    "attention": _attention(lambda m, x: m(x, x, x), _source),
    "attention, no weights": _attention(lambda m, x: m(x, x, x, need_weights=False)[0], _source),
    "attention, weights of heads": _attention(lambda m, x: m(x, x, x, average_attn_weights=False), _source),
    "attention, cross": _attention(lambda m, x, y: m(x, y, y), _cross),
    "attention, no bias, batch first": _attention(lambda m, x: m(x, x, x), _batch_first, bias=False, batch_first=True),
    "attention, unbatched": _attention(lambda m, x: m(x, x, x), lambda n, b: (randn(n, _WIDTH),)),
    "attention, other widths": _attention(
        lambda m, x, k, v: m(x, k, v),
        lambda n, b: (randn(n, b, _WIDTH), randn(n, b, 4), randn(n, b, 5)),
        kdim=4,
        vdim=5,
    ),
    "attention, more keys": _attention(lambda m, x: m(x, x, x), _source, add_bias_kv=True, add_zero_attn=True),
    "attention, more keys and a mask": _attention(
        lambda m, x, mask: m(x, x, x, attn_mask=mask),
        lambda n, b: (*_source(n, b), _triangle(n)),
        add_bias_kv=True,
        add_zero_attn=True,
    ),
    "attention, padding": _attention(
        lambda m, x, padding: m(x, x, x, key_padding_mask=padding), lambda n, b: (*_source(n, b), _padding(n, b))
    ),
    "attention, padding and mask": _attention(
        lambda m, x, padding, mask: m(x, x, x, key_padding_mask=padding, attn_mask=mask),
        lambda n, b: (*_source(n, b), _padding(n, b), _triangle(n) != 0),
    ),
    "attention, mask of heads": _attention(
        lambda m, x, mask: m(x, x, x, attn_mask=mask),
        lambda n, b: (*_source(n, b), randn(b * _HEADS, n, n)),
    ),
    "attention, causal": _attention(
        lambda m, x, mask: m(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0],
        lambda n, b: (*_source(n, b), _triangle(n)),
        _CAUSAL,
    ),
    "encoder layer": _layers("TransformerEncoderLayer", lambda m, x: m(x), _source),
    "encoder layer, norm first": _layers(
        "TransformerEncoderLayer",
        lambda m, x, mask: m(x, mask),
        lambda n, b: (*_source(n, b), _triangle(n)),
        norm_first=True,
        activation="gelu",
    ),
    "encoder": _layers(
        "TransformerEncoder",
        lambda m, x, mask, padding: m(x, mask, padding),
        lambda n, b: (*_source(n, b), _triangle(n), _padding(n, b)),
    ),
    "encoder, batch first": _layers(
        "TransformerEncoder",
        lambda m, x, padding: m(x, src_key_padding_mask=padding),
        lambda n, b: (*_batch_first(n, b), _padding(n, b)),
        batch_first=True,
    ),
    "decoder layer": _layers("TransformerDecoderLayer", lambda m, x, y: m(x, y), _cross),
    "decoder": _layers(
        "TransformerDecoder",
        lambda m, x, y, mask: m(x, y, mask),
        lambda n, b: (*_cross(n, b), _triangle(n + 1)),
        _CAUSAL,
    ),
    "transformer": _layers("Transformer", lambda m, y, x: m(x, y), _cross),
    "transformer, masks": _layers(
        "Transformer",
        lambda m, y, x, mask, padding: m(x, y, tgt_mask=mask, src_key_padding_mask=padding),
        lambda n, b: (*_cross(n, b), _triangle(n + 1), _padding(n, b)),
        _CAUSAL,
    ),
    "sdpa": _function(SDPA, lambda f, q, k, v: f(q, k, v), _heads),
    "sdpa, causal": _function(SDPA, lambda f, q, k, v: f(q, k, v, is_causal=True), _heads, _CAUSAL),
    "sdpa, causal from below": _function(SDPA, lambda f, q, k, v: f(q, k, v, _lower_right(q, k)), _heads, _CAUSAL),
    "sdpa, scale": _function(SDPA, lambda f, q, k, v: f(q, k, v, scale=0.3), _heads),
    "sdpa, 2-D": _function(SDPA, lambda f, x: f(x, x, x), lambda n, b: (randn(n, 8),)),
    "sdpa, 5-D": _function(SDPA, lambda f, x: f(x, x, x), lambda n, b: (randn(b, 2, 3, n, 8),)),
    "sdpa, mask": _function(
        SDPA, lambda f, q, k, v, mask: f(q, k, v, mask), lambda n, b: (*_heads(n, b), randn(n, n + 2) > 0)
    ),
    "sdpa, float mask": _function(
        SDPA, lambda f, q, k, v, mask: f(q, k, v, mask), lambda n, b: (*_heads(n, b), randn(b, 1, n, n + 2))
    ),
    "sdpa, groups": _function(
        SDPA,
        lambda f, q, k: f(q, k, k, enable_gqa=True),
        lambda n, b: (randn(b, 4, n, 8), randn(b, 2, n + 1, 8)),
    ),
    "flex": _function(FLEX, lambda f, q, k, v: f(q, k, v), _heads, (5,)),
    "flex, score": _function(
        FLEX, lambda f, q, k, v: f(q, k, v, lambda s, b, h, i, j: s + (i - j).float() * 0.1), _heads, (5,)
    ),
    "meshgrid": _function("meshgrid", lambda f, x, y: f(x, y, indexing="ij"), lambda n, b: (randn(n), randn(n + 1))),
    "meshgrid, xy": _function(
        "meshgrid", lambda f, x, y: f(x, y, indexing="xy"), lambda n, b: (randn(n), randn(n + 1))
    ),
    "meshgrid, one": _function("meshgrid", lambda f, x: f(x, indexing="xy"), lambda n, b: (randn(n),)),
    # The bounds of the sequences are read: they are constants.
    "varlen": _function(
        "nn.attention.varlen.varlen_attn",
        lambda f, x: f(x, x, x, *[torch.tensor([0, 2, 5, 6], dtype=torch.int32)] * 2, 3, 3),
        lambda n, b: (randn(6, 4, 8),),
    ),
    "pad": _function("nn.utils.rnn.pad_sequence", lambda f, *x: f(x), lambda n, b: (randn(n), randn(n + 1)), _PADDED),
    "pad on the left": _function(
        "nn.utils.rnn.pad_sequence",
        lambda f, *x: f(x, padding_side="left"),
        lambda n, b: (randn(n), randn(n + 1)),
        _PADDED,
    ),
    "pad, other lengths": _function(
        "nn.utils.rnn.pad_sequence",
        lambda f, *x: f(x, True, 0.5),
        lambda n, b: (randn(2 * n, 2), randn(n, 2)),
        _PADDED,
    ),
    "norm": _function("nn.utils.get_total_norm", lambda f, *x: f(x, 3.0), lambda n, b: (randn(n, b), randn(n))),
    "norm, greatest": _function(
        "nn.utils.get_total_norm", lambda f, *x: f(x, float("inf")), lambda n, b: (randn(n, b), randn(n))
    ),
    "checkpoint": _function(
        "utils.checkpoint.checkpoint",
        lambda f, x: f(lambda y: y.tanh().reshape(y.size(1), y.size(0)), x, use_reentrant=False),
        lambda n, b: (randn(n, b),),
    ),
    "checkpoint, reentrant": _function(
        "utils.checkpoint.checkpoint",
        lambda f, x: f(lambda y: y.tanh().reshape(y.size(1), y.size(0)), x, use_reentrant=True),
        lambda n, b: (randn(n, b),),
    ),
    "rearrange": _function("func.rearrange", lambda f, x: f(x, "a (b c) -> b (a c)", b=2), lambda n, b: (randn(n, 6),)),
    "no_grad": _function("no_grad", lambda f, x: f()(torch.tanh)(x), lambda n, b: (randn(n),)),
    "inference_mode": _function("inference_mode", lambda f, x: f()(torch.tanh)(x), lambda n, b: (randn(n),)),
    "autocast": _function(
        "amp.autocast", lambda f, x: f("cpu", enabled=False)(torch.tanh)(x), lambda n, b: (randn(n),)
    ),
    "orthogonal": _parametrized("orthogonal"),
    "orthogonal, householder": _parametrized("orthogonal", orthogonal_map="householder"),
    "orthogonal, cayley": _parametrized("orthogonal", orthogonal_map="cayley"),
    "spectral_norm": _parametrized("spectral_norm"),
    "weight_norm": _parametrized("weight_norm"),
}


def flat(out):
    return [out] if isinstance(out, torch.Tensor) else [leaf for part in out for leaf in flat(part)]
