"""Causal masks by their two lengths: the masks they mean, and attention with them, ours and torch's."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch

from torchcompat import SHIMS, at_least
from torchcompat.nn.attention import _bias

UPPER_LEFT, LOWER_RIGHT = "nn.attention.bias.causal_upper_left", "nn.attention.bias.causal_lower_right"
BIAS, VARIANT = SHIMS["nn.attention.bias.CausalBias"], SHIMS["nn.attention.bias.CausalVariant"]
ATTENTION = SHIMS["nn.functional.scaled_dot_product_attention"]
SIZES = [(3, 3), (3, 5), (5, 3), (1, 4), (4, 1), (1, 1)]

# Torch's own attention is held to the contract where it meets it.
ATTENTIONS = {"ours": ATTENTION.fallback}
if ATTENTION.meets_contract:
    ATTENTIONS["torch's"] = ATTENTION.native


@pytest.fixture(params=sorted(ATTENTIONS))
def attention(request):
    """Each attention that must take a bias."""
    return ATTENTIONS[request.param]


def quietly(make, *size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*size)


def expected_mask(shim, rows, columns):
    """Row by row from the definition."""
    shift = 0 if shim.name == UPPER_LEFT else columns - rows
    return np.array([[column <= row + shift for column in range(columns)] for row in range(rows)])


def expected_attention(query, key, value, mask, scale=None):
    query, key, value = (x.detach().double().numpy() for x in (query, key, value))
    groups = query.shape[-3] // key.shape[-3]
    key, value = np.repeat(key, groups, -3), np.repeat(value, groups, -3)
    scores = query @ np.swapaxes(key, -1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    weights = np.exp(scores - scores.max()) * mask
    return weights @ value / np.maximum(weights.sum(-1, keepdims=True), 1e-300)


def inputs(rows, columns, heads=2, key_heads=2):
    sizes = ((heads, rows), (key_heads, columns), (key_heads, columns))
    return [torch.randn(2, *size, 8, requires_grad=True) for size in sizes]


class Either:
    """What holds of the functions for both triangles; the classes below are the tests."""

    @pytest.mark.parametrize("size", SIZES)
    def test_the_mask(self, impl, shim, size):
        bias = quietly(impl, *size)
        mask = bias._materialize()
        assert type(mask) is torch.Tensor
        assert (mask.dtype, mask.device.type) == (torch.bool, "cpu")
        assert (mask.numpy() == expected_mask(shim, *size)).all()
        assert bias._materialize(torch.device("cpu")).equal(mask)
        assert repr(bias) == repr(mask)

    def test_what_it_is(self, impl, shim):
        bias = impl(3, 5)
        assert isinstance(bias, torch.Tensor)
        assert type(bias).__name__ == "CausalBias"
        assert bias.variant.name == ("UPPER_LEFT" if shim.name == UPPER_LEFT else "LOWER_RIGHT")
        assert (bias.seq_len_q, bias.seq_len_kv) == (3, 5)

    @pytest.mark.parametrize("size", [(), (3,), (3, 4, 5), ((3, 4),)], ids=str)
    def test_two_lengths(self, impl, shim, size):
        with pytest.raises(AssertionError, match=shim.name.rpartition(".")[2]):
            impl(*size)

    @pytest.mark.parametrize("size", [(3.0, 5), (3, 5.0), ("3", 5), (None, 5)], ids=str)
    def test_lengths_are_ints(self, impl, size):
        with pytest.raises(TypeError):
            impl(*size)

    @pytest.mark.parametrize("size", [(-1, 5), (3, -1)], ids=str)
    def test_lengths_are_not_negative(self, impl, size):
        with pytest.raises(RuntimeError):
            impl(*size)

    @pytest.mark.parametrize("size", SIZES)
    def test_attention(self, impl, shim, attention, size):
        query, key, value = inputs(*size)
        bias, mask = quietly(impl, *size), expected_mask(shim, *size)
        out = attention(query, key, value, attn_mask=bias)
        assert type(out) is torch.Tensor
        assert np.allclose(out.detach().numpy(), expected_attention(query, key, value, mask), atol=1e-5)
        out = attention(query, key, value, bias, 0.0, False, scale=0.3)
        assert np.allclose(out.detach().numpy(), expected_attention(query, key, value, mask, 0.3), atol=1e-5)

    @pytest.mark.parametrize("size", SIZES)
    def test_gradients_are_those_of_the_mask(self, impl, shim, attention, size):
        tensors = [x.double().detach().requires_grad_() for x in inputs(*size)]
        weight = torch.randn(2, 2, size[0], 8).double()
        given = []
        for mask in (quietly(impl, *size), torch.from_numpy(expected_mask(shim, *size))):
            (attention(*tensors, mask) * weight).sum().backward()
            given.append([x.grad.clone() for x in tensors])
            for x in tensors:
                x.grad.zero_()
        for mine, theirs in zip(*given):
            assert torch.isfinite(mine).all()
            assert (mine - theirs).abs().max() < 1e-12

    @pytest.mark.parametrize("size", SIZES)
    def test_grouped_heads(self, impl, shim, attention, size):
        query, key, value = inputs(*size, heads=6, key_heads=2)
        out = attention(query, key, value, quietly(impl, *size), enable_gqa=True)
        expected = expected_attention(query, key, value, expected_mask(shim, *size))
        assert np.allclose(out.detach().numpy(), expected, atol=1e-5)

    def test_other_numbers_of_dimensions(self, impl, shim, attention):
        query, key, value = inputs(3, 5)
        expected = expected_attention(query, key, value, expected_mask(shim, 3, 5))
        bias = impl(3, 5)
        for index in ((0,), (0, 1)):
            out = attention(query[index], key[index], value[index], bias)
            assert np.allclose(out.detach().numpy(), expected[index], atol=1e-5)

    def test_not_together_with_is_causal(self, impl, attention):
        for size in SIZES:
            bias = quietly(impl, *size)
            with pytest.raises(ValueError, match="causal"):
                attention(*inputs(*size), bias, is_causal=True)

    def test_dropout(self, impl, attention):
        query, key, value = inputs(3, 5)
        bias = impl(3, 5)
        assert (attention(query, key, value, bias, dropout_p=1.0) == 0).all()
        ones = torch.ones_like(value)
        dropped = attention(query, key, ones, bias, dropout_p=0.5)
        assert (dropped != attention(query, key, ones, bias)).any()

    def test_low_precision(self, impl, shim, attention):
        if not at_least(1, 3):
            pytest.skip("torch 1.2 makes no bfloat16 tensor from another dtype")
        query, key, value = (x.detach().bfloat16() for x in inputs(3, 5))
        out = attention(query, key, value, impl(3, 5))
        assert out.dtype == torch.bfloat16
        expected = expected_attention(query.float(), key.float(), value.float(), expected_mask(shim, 3, 5))
        assert np.allclose(out.float().numpy(), expected, atol=4e-2)

    def test_square_lengths_are_not_compared(self, impl, attention):
        query, key, value = inputs(3, 5)
        assert attention(query, key, value, impl(8, 8)).equal(attention(query, key, value, is_causal=True))

    def test_it_is_only_a_mask(self, impl, attention):
        _, key, value = inputs(3, 3)
        bias = impl(3, 3)
        with pytest.raises((TypeError, RuntimeError)):
            attention(bias, key, value)

    @pytest.mark.limit("attention-only")
    def test_asked_pickled_and_copied(self, impl):
        bias = impl(3, 5)
        assert bias.requires_grad is False
        assert bias.device.type == "cpu"
        for other in (pickle.loads(pickle.dumps(bias)), copy.copy(bias)):
            assert type(other) is type(bias)
            assert (other.variant, other.seq_len_q, other.seq_len_kv) == (bias.variant, 3, 5)

    @pytest.mark.limit("deepcopy")
    def test_deep_copied(self, impl):
        module = torch.nn.Linear(2, 2)
        module.bias_of_attention = impl(3, 5)
        other = copy.deepcopy(module).bias_of_attention
        assert (type(other), other.seq_len_kv) == (type(module.bias_of_attention), 5)

    @pytest.mark.skipif(not at_least(2, 1), reason="torch.compile takes Python 3.11 since torch 2.1")
    @pytest.mark.filterwarnings("ignore:.*Graph break due to unsupported builtin:UserWarning")
    def test_compiled(self, impl, shim):
        torch._dynamo.reset()
        tensors, bias, attention = [x.detach() for x in inputs(3, 5)], impl(3, 5), ATTENTION.public
        out = torch.compile(lambda *tensors: attention(*tensors, bias) * 2, backend="eager")(*tensors)
        expected = 2 * expected_attention(*tensors, expected_mask(shim, 3, 5))
        assert np.allclose(out.numpy(), expected, atol=1e-5)


@pytest.mark.shim(UPPER_LEFT)
class TestUpperLeft(Either):
    def test_the_same_as_is_causal(self, impl, attention):
        for size in SIZES:
            tensors = inputs(*size)
            assert attention(*tensors, impl(*size)).equal(attention(*tensors, is_causal=True))

    def test_lengths_are_not_compared(self, impl, attention):
        query, key, value = inputs(3, 5)
        assert attention(query, key, value, impl(7, 2)).equal(attention(query, key, value, is_causal=True))


@pytest.mark.shim(LOWER_RIGHT)
class TestLowerRight(Either):
    def test_more_queries_than_keys_warns(self, impl):
        with pytest.warns(UserWarning, match=r"(?i)lower right"):
            impl(5, 3)

    def test_fully_masked_rows_are_zero(self, impl, attention):
        query, key, value = inputs(5, 3)
        out = attention(query, key, value, quietly(impl, 5, 3))
        assert (out[:, :, :2] == 0).all()
        assert (out[:, :, 2:] != 0).all()
        out.sum().backward()
        assert (query.grad[:, :, :2] == 0).all()
        assert all(torch.isfinite(x.grad).all() for x in (query, key, value))

    def test_a_bias_of_another_size(self, impl, attention):
        bias = impl(3, 5)
        for size in ((4, 5), (3, 6)):
            with pytest.raises(RuntimeError):
                attention(*inputs(*size), bias)

    def test_decoding_with_a_cache(self, impl, attention):
        query, key, value = inputs(6, 6)
        whole = attention(query, key, value, is_causal=True)
        new = attention(query[:, :, 4:], key, value, impl(2, 6))
        assert (new - whole[:, :, 4:]).abs().max() < 1e-5


# ---------------------------------------------------------------------------------------------------------------------
# The class and the enumeration


@pytest.mark.shim(VARIANT.name)
def test_variants(impl):
    assert [(member.name, member.value) for member in impl] == [("UPPER_LEFT", 1), ("LOWER_RIGHT", 2)]
    assert isinstance(impl.UPPER_LEFT, int)
    assert impl(2) is impl.LOWER_RIGHT


@pytest.mark.shim(BIAS.name)
def test_the_class(impl):
    variants = VARIANT.native if impl is BIAS.native else VARIANT.fallback
    bias = impl(variants.LOWER_RIGHT, 3, 5)
    assert type(bias) is impl
    assert issubclass(impl, torch.Tensor)
    assert bias.variant is variants.LOWER_RIGHT
    assert bias._materialize().sum() == 12
    for wrong in (1, "UPPER_LEFT", None):
        with pytest.raises((AssertionError, TypeError)):
            impl(wrong, 3, 5)


def test_the_fallback_takes_torchs_variants():
    if VARIANT.native is None:
        pytest.skip("torch's CausalVariant is missing here; in torch since 2.3")
    assert BIAS.fallback(VARIANT.native.UPPER_LEFT, 3, 5)._materialize().sum() == 6


def test_a_bias_takes_no_memory():
    bias = BIAS.fallback(VARIANT.fallback.LOWER_RIGHT, 10**5, 10**6)
    assert bias.shape == (10**5, 10**6)
    assert bias.stride() == (0, 0)


def test_elements_are_no_numbers():
    bias = BIAS.fallback(VARIANT.fallback.UPPER_LEFT, 2, 3)
    changed = bias + 1
    assert type(changed) is torch.Tensor
    assert bool((changed != changed).all())


def test_what_attention_is_told():
    make = BIAS.fallback
    upper, lower = VARIANT.fallback.UPPER_LEFT, VARIANT.fallback.LOWER_RIGHT
    plain, query = torch.ones(3, 5), torch.ones(3, 8)
    assert _bias.resolve(plain, True, query) == (plain, True)
    assert _bias.resolve(None, False, query) == (None, False)
    assert _bias.resolve(make(upper, 3, 5), False, query) == (None, True)
    assert _bias.resolve(make(lower, 5, 5), False, query) == (None, True)
    mask, is_causal = _bias.resolve(make(lower, 3, 5), False, query)
    assert mask.equal(make(lower, 3, 5)._materialize())
    assert is_causal is False
    assert [_bias.offset(make(upper, 3, 5)), _bias.offset(make(lower, 3, 5))] == [0, 2]
    assert not any(_bias.is_bias(other) for other in (None, plain, torch.nn.Parameter(plain), 3))
