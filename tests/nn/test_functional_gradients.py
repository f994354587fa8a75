"""scaled_dot_product_attention: derivatives, autocast, compilers, and the fallback beside the native."""

import inspect
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdpa_tools import LAWS, MASKS, NAME, check, keep, qkv, randn, reference, with_masked_row

from torchcompat import SHIMS, at_least
from torchcompat.nn.functional import scaled_dot_product_attention

pytestmark = pytest.mark.shim(NAME)


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
