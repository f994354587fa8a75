"""scaled_dot_product_attention: against NumPy in float64, algebraic laws, finite differences, and torch's own."""

import inspect
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import SHIMS, UnsupportedError, at_least
from torchcompat.nn.functional import scaled_dot_product_attention

NAME = "nn.functional.scaled_dot_product_attention"
pytestmark = pytest.mark.shim(NAME)

LAWS = settings(max_examples=15)
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 4e-3}


def randn(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def qkv(query=(2, 4, 5, 8), key=(2, 4, 7, 8), value=(2, 4, 7, 8), dtype=torch.float32):
    return randn(*query, dtype=dtype), randn(*key, dtype=dtype), randn(*value, dtype=dtype)


def reference(query, key, value, attn_mask=None, is_causal=False, scale=None):
    """The formula in NumPy's float64; a row that may look nowhere gives 0."""
    query, key, value = (tensor.detach().double().numpy() for tensor in (query, key, value))
    length, keys, width = query.shape[-2], key.shape[-2], query.shape[-1]
    factor = (1 / math.sqrt(width) if width else 1.0) if scale is None else scale
    scores = np.einsum("...le,...se->...ls", query, key) * factor
    if is_causal:
        scores = np.where(np.tri(length, keys, dtype=bool), scores, -np.inf)
    if attn_mask is not None:
        mask = attn_mask.detach()
        boolean = mask.dtype == torch.bool
        scores = np.where(mask.numpy(), scores, -np.inf) if boolean else scores + mask.double().numpy()
    if keys == 0:
        return np.zeros(np.broadcast(scores[..., :1, 0:0].sum(-1), value[..., 0:0, :].sum(-1)).shape)
    top = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(top), 0.0, top))
    total = weights.sum(-1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return np.einsum("...ls,...se->...le", weights, value)


def check(out, expected, dtype=torch.float32):
    assert out.dtype == dtype
    assert tuple(out.shape) == expected.shape
    np.testing.assert_allclose(out.detach().double().numpy(), expected, rtol=0, atol=TOLERANCE[dtype])


def keep(*shape):
    """A random bool mask that leaves every row something."""
    mask = torch.rand(*shape) > 0.4
    mask[..., 0] = True
    return mask


def with_masked_row(mask, fill):
    mask = mask.clone()
    mask[..., 1, :] = fill
    return mask


# The formula


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("is_causal", [False, True])
def test_formula(impl, dtype, is_causal):
    query, key, value = qkv(dtype=dtype)
    check(impl(query, key, value, is_causal=is_causal), reference(query, key, value, None, is_causal), dtype)


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ((5, 8), (7, 8), (7, 6)),
        ((3, 5, 8), (3, 7, 8), (3, 7, 8)),
        ((2, 3, 4, 5, 8), (2, 3, 4, 7, 8), (2, 3, 4, 7, 8)),
        ((2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 6)),
        ((2, 4, 5, 8), (1, 4, 7, 8), (1, 4, 7, 8)),
        ((1, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 8)),
        ((2, 4, 5, 8), (2, 1, 7, 8), (2, 1, 7, 8)),
        ((2, 4, 5, 8), (2, 4, 7, 8), (1, 1, 7, 8)),
        ((2, 4, 5, 8), (4, 7, 8), (7, 8)),
        ((5, 8), (2, 4, 7, 8), (2, 4, 7, 8)),
        ((2, 4, 5, 8), (2, 4, 7, 8), (3, 2, 4, 7, 8)),
        ((2, 4, 1, 8), (2, 4, 1, 8), (2, 4, 1, 1)),
        ((2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 0)),
        ((2, 4, 0, 8), (2, 4, 7, 8), (2, 4, 7, 8)),
        ((0, 4, 5, 8), (0, 4, 7, 8), (0, 4, 7, 8)),
        ((2, 4, 5, 8), (2, 4, 0, 8), (2, 4, 0, 8)),
    ],
)
def test_shapes(impl, query, key, value):
    query, key, value = qkv(query, key, value)
    lead = np.broadcast(np.empty(query.shape[:-2]), np.empty(key.shape[:-2]), np.empty(value.shape[:-2])).shape
    out = impl(query, key, value)
    if key.size(-2) == 0:
        assert out.eq(0).all()
        assert tuple(out.shape) == (*lead, query.size(-2), value.size(-1))
    else:
        check(out, reference(query, key, value))


@pytest.mark.limit("zero-width")
def test_of_width_zero_all_keys_are_alike(impl):
    value = randn(2, 4, 7, 6)
    out = impl(randn(2, 4, 5, 0), randn(2, 4, 7, 0), value)
    check(out, value.mean(-2, keepdim=True).expand(2, 4, 5, 6).numpy())


@pytest.mark.parametrize("scale", [0.0, -0.7, 2, 0.3, True, np.float32(0.3), torch.tensor(0.3)], ids=str)
def test_scale(impl, scale):
    query, key, value = qkv()
    if scale is not True and scale > 0:
        out = impl(query, key, value, None, 0.0, True, scale=scale)
        check(out, reference(query, key, value, None, True, float(scale)))
    check(impl(query, key, value, scale=scale), reference(query, key, value, scale=float(scale)))


@pytest.mark.limit("causal-scale")
@pytest.mark.parametrize("scale", [0.0, -0.7])
def test_scale_of_causal_attention(impl, scale):
    query, key, value = qkv()
    check(impl(query, key, value, None, 0.0, True, scale=scale), reference(query, key, value, None, True, scale))


def test_strided_and_expanded(impl):
    query = randn(2, 5, 4, 16)[..., ::2].transpose(1, 2)
    key = randn(2, 7, 1, 8).transpose(1, 2).expand(2, 4, 7, 8)
    value = randn(8, 7).t().expand(2, 4, 7, 8)
    assert not any(tensor.is_contiguous() for tensor in (query, key, value))
    check(impl(query, key, value), reference(query, key, value))
    check(impl(query, key, value, is_causal=True), reference(query, key, value, None, True))


def test_inputs_are_left_alone(impl):
    tensors = [*qkv(), with_masked_row(keep(5, 7), False)]
    copies = [tensor.clone() for tensor in tensors]
    impl(*tensors, scale=0.5)
    for tensor, copy in zip(tensors, copies):
        assert torch.equal(tensor, copy)


def test_half_does_not_overflow(impl):
    query = torch.full((1, 1, 2, 64), 40.0).half()
    value = torch.arange(2.0).half().view(1, 1, 2, 1).expand(1, 1, 2, 64)
    assert impl(query, query, value).float().eq(0.5).all()
    assert impl(query, query, value, scale=1.0).float().eq(0.5).all()


# Masks

MASKS = [(5, 7), (1, 7), (5, 1), (1, 1), (4, 5, 7), (4, 1, 1), (1, 5, 7), (2, 1, 1, 7), (2, 1, 5, 1), (2, 4, 5, 7)]


@pytest.mark.parametrize("shape", MASKS, ids=str)
def test_mask_broadcasts(impl, shape):
    query, key, value = qkv()
    for mask in (torch.rand(*shape) > 0.4, randn(*shape)):
        check(impl(query, key, value, mask), reference(query, key, value, mask))


@pytest.mark.parametrize(("query", "mask"), [((5, 8), (7,)), ((3, 5, 8), (7,)), ((3, 5, 8), (3, 1, 7)), ((5, 8), ())])
def test_mask_of_fewer_dimensions(impl, query, mask):
    query, key, value = qkv(query, (7, 8), (7, 8))
    mask = randn(*mask) if mask else torch.tensor(1.0)
    check(impl(query, key, value, mask), reference(query, key, value, mask))


@pytest.mark.limit("mask-4d-for-3d")
def test_a_3d_query_counts_as_a_batch_of_one(impl):
    query, key, value = qkv((4, 5, 8), (4, 7, 8), (4, 7, 8))
    mask = keep(4, 5, 7)
    check(impl(query, key, value, mask[None]), reference(query, key, value, mask))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("mask_dtype", [torch.bool, torch.float32, None], ids=str)
def test_mask_dtypes(impl, dtype, mask_dtype):
    query, key, value = qkv(dtype=dtype)
    mask = keep(5, 7) if mask_dtype is torch.bool else randn(5, 7).to(mask_dtype or dtype)
    check(impl(query, key, value, mask), reference(query, key, value, mask), dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_fully_masked_row_gives_zeros(impl, dtype, kind):
    query, key, value = qkv(dtype=dtype)
    mask = with_masked_row(keep(5, 7), False) if kind == "bool" else with_masked_row(randn(5, 7), -math.inf)
    out = impl(query, key, value, mask)
    assert out[..., 1, :].float().eq(0).all()
    check(out, reference(query, key, value, mask), dtype)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_fully_masked_row_has_finite_gradients(impl, kind):
    tensors = [tensor.requires_grad_() for tensor in qkv(dtype=torch.float64)]
    query, key, value = tensors
    opened = keep(5, 7) if kind == "bool" else randn(5, 7, dtype=torch.float64).requires_grad_()
    mask = with_masked_row(opened, False if kind == "bool" else -math.inf)
    weight = randn(2, 4, 5, 8, dtype=torch.float64)
    inputs = tensors if kind == "bool" else [*tensors, opened]
    gradients = torch.autograd.grad((impl(query, key, value, mask) * weight).sum(), inputs)
    # The same, were the row not there.
    rows = [0, 2, 3, 4]
    out = impl(query[..., rows, :], key, value, opened[rows])
    expected = torch.autograd.grad((out * weight[..., rows, :]).sum(), inputs)
    for gradient, same in zip(gradients, expected):
        np.testing.assert_allclose(gradient.numpy(), same.numpy(), rtol=0, atol=1e-10)


def test_the_most_negative_number_masks_softly(impl):
    # Unlike -inf: a row of it alone gives the mean of the values.
    query, key, value = qkv()
    mask = torch.full((5, 7), torch.finfo(torch.float32).min)
    expected = value.double().mean(-2, keepdim=True).expand(2, 4, 5, 8).numpy()
    check(impl(query, key, value, mask), expected)


def test_a_masked_key_counts_for_nothing(impl):
    query, key, value = qkv()
    mask = keep(5, 7)
    mask[:, 6] = False
    other_key, other_value = key.clone(), value.clone()
    other_key[..., 6, :], other_value[..., 6, :] = 1e4, -1e4
    assert torch.equal(impl(query, key, value, mask), impl(query, other_key, other_value, mask))


# Grouped queries


@pytest.mark.parametrize(("key_heads", "value_heads"), [(2, 2), (1, 1), (4, 4), (2, 4), (4, 2), (1, 2)])
@pytest.mark.parametrize("dims", [3, 4, 5])
def test_gqa_is_repetition(impl, key_heads, value_heads, dims):
    lead = (1, 2)[: dims - 3] if dims < 5 else (1, 2)
    query, key, value = qkv((*lead, 4, 5, 8), (*lead, key_heads, 7, 8), (*lead, value_heads, 7, 8))
    repeated = [torch.from_numpy(np.repeat(tensor.numpy(), 4 // tensor.size(-3), axis=-3)) for tensor in (key, value)]
    check(impl(query, key, value, enable_gqa=True), reference(query, *repeated))
    mask = keep(4, 5, 7)
    check(impl(query, key, value, mask, enable_gqa=True), reference(query, *repeated, mask))


@pytest.mark.parametrize(
    ("query_heads", "key_heads", "value_heads"), [(4, 3, 3), (2, 4, 4), (4, 2, 3), (4, 3, 2), (6, 4, 4)]
)
def test_gqa_wants_a_divisor(impl, query_heads, key_heads, value_heads):
    with pytest.raises(RuntimeError, match="heads"):
        impl(randn(2, query_heads, 5, 8), randn(2, key_heads, 7, 8), randn(2, value_heads, 7, 8), enable_gqa=True)


# Laws


@given(seed=st.integers(0, 2**16), length=st.integers(1, 6), keys=st.integers(1, 6), width=st.integers(1, 5))
@LAWS
def test_the_order_of_keys_does_not_matter(impl, seed, length, keys, width):
    torch.manual_seed(seed)
    query, key, value = qkv((2, length, width), (2, keys, width), (2, keys, 3), torch.float64)
    mask, order = torch.rand(length, keys) > 0.4, torch.randperm(keys)
    out = impl(query, key, value, mask)
    check(impl(query, key[:, order], value[:, order], mask[:, order]), out.numpy(), torch.float64)


@given(seed=st.integers(0, 2**16), length=st.integers(1, 9), keys=st.integers(1, 9), dims=st.integers(2, 5))
@LAWS
def test_causal_is_a_top_left_triangle(impl, seed, length, keys, dims):
    torch.manual_seed(seed)
    lead = (2, 1, 3)[: dims - 2]
    query, key, value = qkv((*lead, length, 4), (*lead, keys, 4), (*lead, keys, 4), torch.float64)
    mask = torch.from_numpy(np.tri(length, keys)) > 0
    out = impl(query, key, value, is_causal=True)
    check(out, impl(query, key, value, mask).numpy(), torch.float64)
    check(out, reference(query, key, value, mask), torch.float64)


@given(seed=st.integers(0, 2**16), scale=st.floats(-3, 3), width=st.integers(1, 6))
@LAWS
def test_scale_is_a_factor_of_the_query(impl, seed, scale, width):
    torch.manual_seed(seed)
    query, key, value = qkv((2, 3, width), (2, 4, width), (2, 4, 3), torch.float64)
    scaled = impl(query * (scale * math.sqrt(width)), key, value)
    check(impl(query, key, value, scale=scale), scaled.numpy(), torch.float64)


@given(seed=st.integers(0, 2**16), shift=st.floats(-50, 50))
@LAWS
def test_a_constant_in_the_mask_changes_nothing(impl, seed, shift):
    torch.manual_seed(seed)
    query, key, value = qkv(dtype=torch.float64)
    mask = randn(5, 7, dtype=torch.float64)
    out = impl(query, key, value, mask)
    check(impl(query, key, value, mask + shift), out.numpy(), torch.float64)


@given(seed=st.integers(0, 2**16))
@LAWS
def test_the_output_is_linear_in_the_values_and_between_them(impl, seed):
    torch.manual_seed(seed)
    query, key, value = qkv(dtype=torch.float64)
    other = randn(2, 4, 7, 8, dtype=torch.float64)
    out = impl(query, key, value)
    together = out * 2 - impl(query, key, other)
    check(impl(query, key, value * 2 - other), together.numpy(), torch.float64)
    assert (out <= value.max(-2, keepdim=True)[0] + 1e-12).all()
    assert (out >= value.min(-2, keepdim=True)[0] - 1e-12).all()


# Dropout


@pytest.mark.parametrize("mask", [None, "mask"])
def test_dropout_drops_weights_and_scales_the_rest(impl, mask):
    query, key, value = qkv((2, 4, 200, 8), (2, 4, 1, 8), (2, 4, 1, 8))
    # With one key every weight is 1, so a row is the value over 1 - p, or 0.
    out = impl(query, key, value, torch.ones(200, 1, dtype=torch.bool) if mask else None, 0.25)
    dropped = out.eq(0).all(-1)
    assert 0.1 < dropped.float().mean().item() < 0.4
    kept = (value / 0.75).expand_as(out)
    assert torch.where(dropped.unsqueeze(-1), torch.zeros_like(out), kept - out).abs().max().item() < 1e-5


def test_dropout_of_everything(impl):
    query, key, value = (tensor.requires_grad_() for tensor in qkv())
    out = impl(query, key, value, dropout_p=1.0)
    assert out.eq(0).all()
    assert torch.autograd.grad(out.sum(), value)[0].eq(0).all()


def test_dropout_follows_the_seed(impl):
    tensors = qkv()
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(impl(*tensors, dropout_p=0.5))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])


# Derivatives

DERIVED = [{}, {"is_causal": True}, {"scale": -0.4}, {"attn_mask": "bool"}]


def differentiable(impl, keywords):
    """A function of float64 tensors that need a gradient, and those tensors."""
    keywords = dict(keywords)
    heads = 1 if keywords.get("enable_gqa") else 2
    tensors = [
        tensor.requires_grad_() for tensor in qkv((1, 2, 3, 2), (1, heads, 4, 2), (1, heads, 4, 2), torch.float64)
    ]
    if keywords.get("attn_mask") == "bool":
        keywords["attn_mask"] = with_masked_row(keep(3, 4), False)
    elif keywords.get("attn_mask") == "float":
        del keywords["attn_mask"]
        tensors.append(randn(2, 3, 1, dtype=torch.float64).requires_grad_())
    return lambda *inputs: impl(*inputs, **keywords), tuple(tensors)


@pytest.mark.parametrize("keywords", [*DERIVED, {"attn_mask": "float"}, {"enable_gqa": True}], ids=str)
def test_gradients(impl, keywords):
    assert torch.autograd.gradcheck(*differentiable(impl, keywords))


@pytest.mark.limit("double-backward")
@pytest.mark.parametrize("keywords", DERIVED, ids=str)
def test_second_derivatives(impl, keywords):
    assert torch.autograd.gradgradcheck(*differentiable(impl, keywords))


@pytest.mark.limit("double-backward-gqa")
def test_second_derivatives_of_grouped_queries(impl):
    assert torch.autograd.gradgradcheck(*differentiable(impl, {"enable_gqa": True}))


def test_second_derivatives_with_a_mask_that_needs_one(impl):
    assert torch.autograd.gradgradcheck(*differentiable(impl, {"attn_mask": "float"}))


def test_gradients_where_there_is_nothing_to_attend_to(impl):
    query = randn(2, 4, 5, 8).requires_grad_()
    impl(query, randn(2, 4, 0, 8), randn(2, 4, 0, 8)).sum().backward()
    assert query.grad.eq(0).all()


@pytest.mark.limit("forward-mode")
@pytest.mark.filterwarnings("ignore:.*jit.script")  # torch 2.13's own and later, when jvp first loads its formulas
@pytest.mark.skipif(
    not at_least(2, 0), reason="softmax has no forward mode before torch 1.11, torch.func.jvp none before 2.0"
)
def test_forward_mode(impl):
    tensors = qkv(dtype=torch.float64)
    _, tangent = torch.func.jvp(lambda query: impl(query, *tensors[1:]), (tensors[0],), (tensors[0],))
    nudged = reference(tensors[0] * (1 + 1e-6), *tensors[1:]) - reference(tensors[0] * (1 - 1e-6), *tensors[1:])
    np.testing.assert_allclose(tangent.numpy(), nudged / 2e-6, rtol=0, atol=1e-6)


@pytest.mark.skipif(not at_least(2, 0), reason="torch.vmap came in torch 2.0")
def test_vmap(impl, shim):
    tensors = qkv((3, 2, 4, 5, 8), (3, 2, 4, 7, 8), (3, 2, 4, 7, 8))
    mask = with_masked_row(keep(5, 7), False)
    with warnings.catch_warnings():
        if impl is shim.native:
            warnings.simplefilter("ignore")  # torch's own is slow under vmap, and says so.
        out = torch.vmap(lambda *one: impl(*one, mask))(*tensors)
    check(out, reference(*tensors, mask))


@pytest.mark.skipif(not at_least(2, 0), reason="torch.func came in torch 2.0")
def test_vmap_of_grad(shim):
    tensors = qkv((3, 2, 4, 5, 8), (3, 2, 4, 7, 8), (3, 2, 4, 7, 8))
    gradient = torch.vmap(torch.func.grad(lambda *one: shim.fallback(*one).sum()))(*tensors)
    query = tensors[0].clone().requires_grad_()
    expected = torch.autograd.grad(shim.fallback(query, *tensors[1:]).sum(), query)[0]
    check(gradient, expected.double().numpy())


# Autocast


@pytest.mark.skipif(not at_least(1, 10), reason="torch.autocast came in torch 1.10")
@pytest.mark.parametrize("mask", [None, torch.bool, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast(impl, mask, dtype):
    query, key, value = qkv()
    attn_mask = None if mask is None else keep(5, 7).to(mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = impl(query.to(dtype), key, value, attn_mask)
        assert torch.mm(query[0, 0], key[0, 0].t()).dtype == torch.bfloat16
    check(out, reference(query, key, value, attn_mask), torch.bfloat16)


@pytest.mark.skipif(not at_least(1, 10), reason="torch.autocast came in torch 1.10")
def test_autocast_leaves_double_alone(impl):
    query, key, value = qkv(dtype=torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        check(impl(query, key, value), reference(query, key, value), torch.float64)
        with pytest.raises(RuntimeError, match="dtype"):
            impl(query, key.float(), value.float())
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
        check(impl(query.float(), key.float(), value.float()), reference(query, key, value))


# Refusals


Q, K, V = torch.ones(2, 4, 5, 8), torch.ones(2, 4, 7, 8), torch.ones(2, 4, 7, 8)
MASK = torch.ones(5, 7)
# What must not be: the argument that our message names, the error, the call.
REFUSED = {
    "dropout_p above 1": ("dropout_p", RuntimeError, (Q, K, V), {"dropout_p": 1.5}),
    "dropout_p below 0": ("dropout_p", RuntimeError, (Q, K, V), {"dropout_p": -0.5}),
    "dropout_p NaN": ("dropout_p", RuntimeError, (Q, K, V), {"dropout_p": math.nan}),
    "dropout_p None": ("dropout_p", TypeError, (Q, K, V), {"dropout_p": None}),
    "dropout_p str": ("dropout_p", TypeError, (Q, K, V), {"dropout_p": "0.1"}),
    "is_causal int": ("is_causal", TypeError, (Q, K, V), {"is_causal": 1}),
    "is_causal None": ("is_causal", TypeError, (Q, K, V), {"is_causal": None}),
    "enable_gqa int": ("enable_gqa", TypeError, (Q, K, V), {"enable_gqa": 1}),
    "scale str": ("scale", TypeError, (Q, K, V), {"scale": "1"}),
    "scale complex": ("scale", TypeError, (Q, K, V), {"scale": 1j}),
    "scale of one dimension": ("scale", TypeError, (Q, K, V), {"scale": torch.ones(1)}),
    "scale that needs a gradient": ("scale", TypeError, (Q, K, V), {"scale": torch.ones((), requires_grad=True)}),
    "scale by position": ("", TypeError, (Q, K, V, None, 0.0, False, 0.5), {}),
    "no value": ("value", TypeError, (Q, K), {}),
    "unknown keyword": ("colour", TypeError, (Q, K, V), {"colour": 1}),
    "query list": ("query", TypeError, ([1.0], K, V), {}),
    "key list": ("key", TypeError, (Q, [1.0], V), {}),
    "value None": ("value", TypeError, (Q, K, None), {}),
    "mask list": ("attn_mask", TypeError, (Q, K, V, [[True]]), {}),
    "1-D query": ("query", RuntimeError, (Q[0, 0, 0], K, V), {}),
    "1-D key": ("key", RuntimeError, (Q, K[0, 0, 0], V), {}),
    "1-D value": ("value", RuntimeError, (Q, K, V[0, 0, 0]), {}),
    "0-D query": ("query", RuntimeError, (torch.tensor(1.0), K, V), {}),
    "key's batch": ("key", RuntimeError, (Q, torch.ones(3, 4, 7, 8), torch.ones(3, 4, 7, 8)), {}),
    "key's heads": ("key", RuntimeError, (Q, K[:, :2], V[:, :2]), {}),
    "value's batch": ("value", RuntimeError, (Q, K, torch.ones(3, 4, 7, 8)), {}),
    "key's width": ("key", RuntimeError, (Q, torch.ones(2, 4, 7, 6), V), {}),
    "key's dtype": ("key", RuntimeError, (Q, K.double(), V), {}),
    "value's dtype": ("value", RuntimeError, (Q, K, V.half()), {}),
    "integers": ("query", RuntimeError, (Q.long(), K.long(), V.long()), {}),
    "1-D mask": ("attn_mask", IndexError, (Q, K, V, torch.ones(7)), {}),
    "0-D mask": ("attn_mask", IndexError, (Q, K, V, torch.tensor(True)), {}),
    "mask by batch": ("attn_mask", RuntimeError, (Q, K, V, torch.ones(2, 5, 7)), {}),
    "mask's length": ("attn_mask", RuntimeError, (Q, K, V, torch.ones(3, 7)), {}),
    "mask's keys": ("attn_mask", RuntimeError, (Q, K, V, torch.ones(5, 3)), {}),
    "mask of nothing": ("attn_mask", RuntimeError, (Q, K, V, torch.ones(0, 7)), {}),
    "mask of 5 dimensions": ("attn_mask", RuntimeError, (Q, K, V, torch.ones(1, 2, 4, 5, 7)), {}),
    "mask larger than the scores": ("attn_mask", RuntimeError, (Q[:1], K[:1], V[:1], torch.ones(2, 1, 5, 7)), {}),
    "mask longer than the query": ("attn_mask", RuntimeError, (Q[:, :, :1], K, V, MASK), {}),
    "mask uint8": ("attn_mask", RuntimeError, (Q, K, V, MASK.byte()), {}),
    "mask int64": ("attn_mask", RuntimeError, (Q, K, V, MASK.long()), {}),
    "mask float64": ("attn_mask", RuntimeError, (Q, K, V, MASK.double()), {}),
    "mask bfloat16": ("attn_mask", RuntimeError, (Q, K, V, MASK.bfloat16()), {}),
    "mask float16 for float64": ("attn_mask", RuntimeError, (Q.double(), K.double(), V.double(), MASK.half()), {}),
    "gqa without heads": ("enable_gqa", IndexError, (Q[0, 0], K[0, 0], V[0, 0]), {"enable_gqa": True}),
}


def assert_refused(impl, shim, case):
    name, error, arguments, keywords = case
    with pytest.raises(error) as caught:
        impl(*arguments, **keywords)
    assert type(caught.value) is error
    if impl is shim.fallback:
        assert name in str(caught.value)


@pytest.mark.parametrize("case", list(REFUSED))
def test_refused(impl, shim, case):
    assert_refused(impl, shim, REFUSED[case])


@pytest.mark.limit("mask-and-causal")
@pytest.mark.parametrize("mask", [MASK, MASK > 0], ids=["float", "bool"])
def test_mask_and_causal_exclude_each_other(impl, shim, mask):
    assert_refused(impl, shim, ("attn_mask", RuntimeError, (Q, K, V, mask), {"is_causal": True}))


@pytest.mark.limit("value-length")
def test_key_and_value_have_one_length(impl, shim):
    assert_refused(impl, shim, ("value", RuntimeError, (Q, K[:, :, :6], V), {}))


def test_complex_is_refused(impl):
    if not hasattr(torch, "view_as_complex"):
        pytest.skip("complex tensors came in torch 1.6")
    tensor = torch.view_as_complex(torch.ones(2, 4, 5, 8, 2))
    with pytest.raises(RuntimeError):
        impl(tensor, tensor, tensor)


def test_key_on_another_device(impl, shim):
    if not at_least(1, 9):
        pytest.skip("the meta device came in torch 1.9")
    assert_refused(impl, shim, ("key", RuntimeError, (Q, K.to("meta"), V), {}))


def test_mask_on_another_device(shim):
    # Torch's own reads memory that is not the mask's.
    if not at_least(1, 9):
        pytest.skip("the meta device came in torch 1.9")
    assert_refused(shim.fallback, shim, ("attn_mask", RuntimeError, (Q, K, V, MASK.to("meta")), {}))


def ends_the_process(key, impl, shim):
    return impl is shim.native and any(limit.key == key and limit.applies("native") for limit in shim.limits)


def test_a_query_without_heads(impl, shim):
    if ends_the_process("zero-heads", impl, shim):
        pytest.skip("division by zero in torch")
    assert impl(Q[:, :0], K[:, :0], V[:, :0]).shape == (2, 0, 5, 8)


@pytest.mark.limit("zero-key-heads")
def test_a_key_without_heads(impl, shim):
    if ends_the_process("zero-key-heads", impl, shim):
        pytest.skip("division by zero in torch")
    assert impl(Q, K[:, :0], V[:, :0], enable_gqa=True).eq(0).all()


@pytest.mark.limit("nested")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors(impl):
    if not at_least(2, 5):
        pytest.skip("below torch 2.5 there is no native under contract to compare with")
    parts = [randn(3, 4, 8), randn(5, 4, 8)]
    nested = torch.nested.nested_tensor(parts, layout=torch.jagged).transpose(1, 2)
    out = impl(nested, nested, nested)
    for part, got in zip(parts, out.unbind()):
        heads = part.transpose(0, 1)
        check(got, reference(heads, heads, heads))


def test_nested_tensors_are_refused_by_name_where_torch_cannot_help(shim):
    if not at_least(2, 5):
        pytest.skip("torch 2.0 to 2.4 can help, older ones have no nested tensors to speak of")
    nested = torch.nested.nested_tensor([randn(3, 8), randn(5, 8)], layout=torch.jagged)
    with pytest.raises(UnsupportedError, match="nested"):
        shim.fallback(nested, nested, nested)


# What is special to the fallback


def test_long_causal_attention(impl):
    query, key, value = qkv((1, 8, 700, 4), (1, 8, 700, 4), (1, 8, 700, 4))
    check(impl(query, key, value, is_causal=True), reference(query, key, value, None, True))


@given(
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
    mask=st.sampled_from([None, *MASKS]),
    boolean=st.booleans(),
    is_causal=st.booleans(),
    scale=st.sampled_from([None, 0.4, -1.0]),
    heads=st.sampled_from([4, 2, 1]),
    transposed=st.booleans(),
)
@settings(LAWS, max_examples=60)
def test_fallback_is_right_whatever_it_calls(shim, seed, dtype, mask, boolean, is_causal, scale, heads, transposed):
    # Without gradients, so that torch 2.1 to 2.4 use their own function where it is right.
    torch.manual_seed(seed)
    query, key, value = qkv((2, 4, 5, 8), (2, heads, 7, 8), (2, heads, 7, 8), dtype)
    if transposed:
        query, key, value = (tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in (query, key, value))
    attn_mask = None
    if mask is not None and not is_causal:
        attn_mask = torch.rand(*mask) > 0.5
        if not boolean:
            attn_mask = randn(*mask).masked_fill(~attn_mask, -math.inf).to(dtype)
    out = shim.fallback(query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=True)
    full = [torch.from_numpy(np.repeat(tensor.double().numpy(), 4 // heads, axis=1)) for tensor in (key, value)]
    check(out, reference(query, *full, attn_mask, is_causal, scale), dtype)
    assert transposed or out.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(
    "keywords", [{}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": 1}, {"enable_gqa": True}], ids=str
)
def test_fallback_is_as_native(shim, dtype, keywords):
    if not shim.meets_contract:
        pytest.skip(f"torch has none that meets the contract before {shim.since}")
    keywords = dict(keywords)
    if "attn_mask" in keywords:
        keywords["attn_mask"] = with_masked_row(keep(2, 4, 5, 7), False)
    results = []
    tensors = qkv((2, 4, 5, 8), (2, 2, 7, 8), (2, 2, 7, 8), dtype)
    if "enable_gqa" not in keywords:
        tensors = (tensors[0], tensors[1].repeat(1, 2, 1, 1), tensors[2].repeat(1, 2, 1, 1))
    for attend in (shim.native, shim.fallback):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        out = attend(*leaves, **keywords)
        results.append([out, *torch.autograd.grad(out.double().pow(2).sum(), leaves)])
    for native, fallback in zip(*results):
        check(fallback, native.detach().double().numpy(), dtype)


# Compilers


@pytest.mark.skipif(not at_least(2, 1), reason="torch.compile takes Python 3.11 since torch 2.1")
def test_fullgraph(impl):
    torch._dynamo.reset()
    query = randn(2, 4, 5, 8)
    mask = with_masked_row(keep(5, 5), False)

    def everything(query, mask):
        out = impl(query, query, query) + impl(query, query, query, mask, scale=0.5)
        grouped = impl(
            query.bfloat16(), query[:, :2].bfloat16(), query[:, :2].bfloat16(), None, 0.0, True, enable_gqa=True
        )
        return out + grouped

    compiled = torch.compile(everything, backend="eager", fullgraph=True)
    check(compiled(query, mask), everything(query, mask).double().numpy())
    query.requires_grad_()
    gradients = [torch.autograd.grad(each(query, mask).sum(), query)[0] for each in (compiled, everything)]
    check(gradients[0], gradients[1].double().numpy())


@pytest.mark.limit("autocast-fullgraph")
@pytest.mark.skipif(not at_least(2, 1), reason="torch.compile takes Python 3.11 since torch 2.1")
def test_fullgraph_in_autocast(impl):
    torch._dynamo.reset()
    query = randn(2, 4, 5, 8)
    compiled = torch.compile(lambda query: impl(query, query, query), backend="eager", fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        check(compiled(query), reference(query, query, query), torch.bfloat16)


@pytest.mark.filterwarnings("ignore")
def test_trace(impl):
    traced = torch.jit.trace(lambda query: impl(query, query, query, is_causal=True), randn(2, 4, 5, 8))
    query = randn(2, 4, 5, 8)
    check(traced(query), reference(query, query, query, None, True))


@pytest.mark.limit("script")
@pytest.mark.filterwarnings("ignore")
def test_script(impl):
    if at_least(2, 5) and hasattr(torch.jit, "script"):

        def attend(query):
            return impl(query, query, query)

        query = randn(2, 4, 5, 8)
        check(torch.jit.script(attend)(query), reference(query, query, query))
    else:
        pytest.skip("below torch 2.5 there is no native under contract to compare with")


def test_signature_of_the_fallback(shim):
    parameters = inspect.signature(shim.fallback).parameters
    assert " ".join(parameters) == "query key value attn_mask dropout_p is_causal scale enable_gqa"
    keyword_only = [name for name, one in parameters.items() if one.kind is inspect.Parameter.KEYWORD_ONLY]
    assert keyword_only == ["scale", "enable_gqa"]


def test_public_name_is_the_table_s():
    assert scaled_dot_product_attention is SHIMS[NAME].public
