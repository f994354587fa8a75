"""scaled_dot_product_attention: what it refuses, and with which words."""

import math

import pytest
import torch
from sdpa_tools import NAME, check, randn, reference

from torchcompat import UnsupportedError, at_least

pytestmark = pytest.mark.shim(NAME)


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
