"""vmap of attention, recurrent networks, modules and functions with a backward of their own."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat import SHIMS, at_least
from torchcompat.func import functional_call

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]


class Square(torch.autograd.Function):
    """Its forward is right for a batch, and its backward would be."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


class Same(Reverse):
    @staticmethod
    def forward(ctx, x):
        return x


FUNCTIONS = [Square, Reverse, Same]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("after", [lambda y: y, lambda y: y * 2, lambda y: [y.sum()][0], lambda y: torch.stack([y, y])])
def test_a_function_of_ones_own_never_has_wrong_gradients(impl, function, after):
    x = torch.randn(3, 4, requires_grad=True)
    try:
        result = impl(lambda x: after(function.apply(x)))(x)
    except RuntimeError:  # UnsupportedError is one
        assert at_least(1, 7)
        return
    (actual,) = torch.autograd.grad(result.sum(), x)
    (expected,) = torch.autograd.grad(torch.stack([after(function.apply(row)) for row in x]).sum(), x)
    assert torch.allclose(actual, expected)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients_of_a_function_of_ones_own_within_vmap(function):
    grad = SHIMS["func.grad"].fallback
    if not at_least(1, 7):
        pytest.skip("below 1.7 each sample is differentiated by itself")
    with pytest.raises(RuntimeError):
        SHIMS["func.vmap"].fallback(grad(lambda x: function.apply(x).sum()))(torch.randn(3, 4))


CALLS = []


class Counted(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g

    @staticmethod
    def vmap(info, in_dims, x):
        CALLS.append((info.batch_size, in_dims))
        return Counted.apply(x), in_dims[0]


@pytest.mark.limit("function_vmap")
@pytest.mark.skipif(not at_least(2, 0), reason="a Function has a vmap since 2.0")
def test_the_vmap_of_a_function_of_ones_own_is_called(impl):
    x = torch.randn(4, 3)
    del CALLS[:]
    assert torch.equal(impl(Counted.apply, in_dims=1)(x), (x * x).t())
    assert CALLS == [(3, (1,))]


@pytest.mark.limit("function_vmap")
@pytest.mark.skipif(not at_least(2, 0), reason="a Function has a vmap since 2.0")
def test_gradients_through_the_vmap_of_a_function_of_ones_own(impl):
    x = torch.randn(4, 3, requires_grad=True)
    (found,) = torch.autograd.grad(impl(Counted.apply)(x).sum(), x)
    assert torch.equal(found, 2 * x)


def test_what_no_grad_has_made_is_a_constant(impl):
    def function(x):
        with torch.no_grad():
            scale = x * 2
        return x * scale

    check(impl, function, torch.randn(3, 4, dtype=torch.float64), nested=True)


def randn(*sizes):
    return torch.randn(*sizes, dtype=torch.float64)


# --- attention

sdpa = SHIMS["nn.functional.scaled_dot_product_attention"]
ATTENTIONS = [pytest.param(sdpa.fallback, id="ours")]
if sdpa.native is not None:
    ATTENTIONS.append(pytest.param(sdpa.native, id="torch's"))


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("outer", [(), (2,), (2, 5)], ids=str)
def test_attention(impl, attention, outer):
    q, k, v = randn(3, *outer, 4, 6), randn(3, *outer, 7, 6), randn(3, *outer, 7, 8)
    check(impl, attention, q, k, v, nested=True)
    check(impl, attention, q, k[0], v[0], in_dims=(0, None, None), nested=True)
    check(impl, attention, q[0], k, v, in_dims=(None, 0, 0))
    check(impl, lambda q, k, v: attention(q, k, v, is_causal=True), q, k, v)
    mask = torch.rand(3, 4, 7) < 0.8
    mask[..., 0] = True
    check(impl, lambda q, k, v, m: attention(q, k, v, m), q, k, v, mask)
    check(impl, lambda q, k, v, m: attention(q, k, v, m), q, k, v, randn(4, 7), in_dims=(0, 0, 0, None))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_no_loop_over_attention(no_loop, shim, attention):
    q = randn(3, 2, 4, 5, 6)
    check(shim.fallback, attention, q, q.clone(), q.clone(), nested=True)


@pytest.mark.limit("sdpa_draw")
def test_dropout_of_attention_follows_randomness(impl):
    q = torch.ones(3, 2, 4, 8)
    attention = F.scaled_dot_product_attention if hasattr(F, "scaled_dot_product_attention") else sdpa.fallback
    values = torch.rand(4, 8)

    def function(q):
        return attention(q, q, values.expand_as(q), dropout_p=0.5)

    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(q)
    same = impl(function, randomness="same")(q)
    assert torch.allclose(same[0], same[1])
    different = impl(function, randomness="different")(q)
    assert not torch.allclose(different[0], different[1])


# --- networks


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
@pytest.mark.parametrize("batch_first", [False, True])
def test_recurrent_networks(shim, kind, batch_first):
    module = kind(4, 5, 2, batch_first=batch_first, bidirectional=True).double()
    check(shim.fallback, lambda x: module(x)[0], randn(3, 6, 2, 4), nested=True)


@pytest.mark.parametrize("kind", [torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell])
def test_cells(shim, kind):
    module = kind(4, 5).double()
    first = (lambda y: y[0]) if kind is torch.nn.LSTMCell else (lambda y: y)
    check(shim.fallback, lambda x: first(module(x)), randn(3, 2, 4), nested=True)


def test_no_loop_over_networks(no_loop, shim):
    for kind in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN):
        module = kind(4, 5, 2).double()
        check(shim.fallback, lambda x: module(x)[0], randn(3, 6, 2, 4))  # noqa: B023


@pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"need_weights": False}, marks=pytest.mark.limit("flash")), {"mask": True}, {"padding": True}],
    ids=str,
)
def test_multi_head_attention(impl, options):
    module = torch.nn.MultiheadAttention(8, 2).double()
    options = dict(options)
    if options.pop("mask", False):
        options["attn_mask"] = torch.ones(4, 4).triu(1).bool()
    if options.pop("padding", False):
        options["key_padding_mask"] = torch.tensor([[False] * 3 + [True]] * 5)
    check(impl, lambda x: [y for y in module(x, x, x, **options) if y is not None], randn(3, 4, 5, 8))


def test_no_loop_over_multi_head_attention(no_loop, shim):
    module = torch.nn.MultiheadAttention(8, 2).double()
    check(shim.fallback, lambda x, y: module(x, y, y)[0], randn(3, 4, 5, 8), randn(3, 6, 5, 8))


WEIGHTED = [{}, {"need_weights": False}, {"mask": True}, {"mask": 0.5}, {"padding": True}]


@pytest.mark.parametrize("options", WEIGHTED, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_multi_head_attention_with_weights_of_each_sample(no_loop, shim, options, bias):
    """Spelled out in operations; the oracle is the module itself, with the weights of one sample."""
    module = torch.nn.MultiheadAttention(8, 2, bias=bias).double()
    named = {"need_weights": options.get("need_weights", True)}
    if "mask" in options:
        mask = torch.ones(4, 6).triu(1)
        named["attn_mask"] = mask.bool() if options["mask"] is True else mask.double() * options["mask"]
    if "padding" in options:
        named["key_padding_mask"] = torch.tensor([[False] * 5 + [True]] * 5)
    names, values = zip(*module.named_parameters())

    def attend(x, y, *weights):
        results = functional_call(module, dict(zip(names, weights)), (x, y, y), named)
        return [result for result in results if result is not None]

    stacked = [torch.stack([value, value * 0.5, value + 0.1]).detach() for value in values]
    check(shim.fallback, attend, randn(3, 4, 5, 8), randn(3, 6, 5, 8), *stacked)
    shared = [value.detach() for value in values]
    in_dims = (0, 0) + (None,) * len(shared)
    check(shim.fallback, attend, randn(3, 4, 5, 8), randn(3, 6, 5, 8), *shared, in_dims=in_dims)


@pytest.mark.limit("head_weights")
def test_attention_weights_of_each_head(impl):
    if not at_least(1, 11):
        pytest.skip("torch gives the weights of each head since 1.11")
    module = torch.nn.MultiheadAttention(8, 2).double()
    names, values = zip(*module.named_parameters())

    def attend(x, *weights):
        named = {"average_attn_weights": False}
        return functional_call(module, dict(zip(names, weights)), (x, x, x), named)[1]

    stacked = [torch.stack([value, value * 0.5, value + 0.1]).detach() for value in values]
    check(impl, attend, randn(3, 4, 5, 8), *stacked)


@pytest.mark.limit("flash")
def test_transformer_layer_in_evaluation(impl):
    """Where torch has a fast path, that must not see tensors of samples."""
    module = torch.nn.TransformerEncoderLayer(8, 2, 16).double().eval()
    with torch.no_grad():
        check(impl, module, randn(3, 4, 5, 8), gradient=False)
