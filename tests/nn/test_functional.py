"""scaled_dot_product_attention: against NumPy in float64, algebraic laws, finite differences, and torch's own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sdpa_tools import LAWS, MASKS, NAME, check, keep, qkv, randn, reference, with_masked_row

pytestmark = pytest.mark.shim(NAME)


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
