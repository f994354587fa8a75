"""varlen_attn: against the formula in float64, sequence by sequence, and against attention with padding.

Torch's own needs a GPU, so on CPU only its refusals are seen.
"""

import inspect
import math

import pytest
import torch
from assertions import close
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import SHIMS
from torchcompat.nn.attention import _varlen
from torchcompat.nn.attention.varlen import AuxRequest

NAME = "nn.attention.varlen.varlen_attn"
varlen = SHIMS[NAME].fallback
pytestmark = pytest.mark.shim(NAME)
INF = float("inf")
law = settings(max_examples=20)


def randn(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def bounds(lengths):
    return torch.tensor([sum(lengths[:place]) for place in range(len(lengths) + 1)], dtype=torch.int32)


def packed(lengths, key_lengths=None, heads=4, key_heads=4, width=8, dtype=torch.float64):
    """The first seven arguments."""
    key_lengths = lengths if key_lengths is None else key_lengths
    query = randn(sum(lengths), heads, width, dtype=dtype)
    key, value = (randn(sum(key_lengths), key_heads, width, dtype=dtype) for _ in range(2))
    return [query, key, value, bounds(lengths), bounds(key_lengths), max(lengths), max(key_lengths)]


def seen(length, keys, window):
    """bool (length, keys): which keys are within the window of which queries."""
    rows, columns = torch.arange(length).unsqueeze(-1), torch.arange(keys)
    distance = columns - rows - (keys - length)
    mask = torch.ones(length, keys).bool()
    if window[0] >= 0:
        mask = mask & (distance >= -window[0])
    if window[1] >= 0:
        mask = mask & (distance <= window[1])
    return mask


def reference(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, window=(-1, -1), scale=None):
    """Output and logsumexp by the formula."""
    scale = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    groups = query.size(1) // key.size(1)
    key, value = (torch.cat([x[:, h // groups].unsqueeze(1) for h in range(query.size(1))], 1) for x in (key, value))
    outs, sums = [query[:0]], [query.new_zeros(query.size(1), 0)]
    starts, key_starts = cu_seq_q.tolist(), cu_seq_k.tolist()
    for place in range(len(starts) - 1):
        q = query[starts[place] : starts[place + 1]].transpose(0, 1)
        k, v = (x[key_starts[place] : key_starts[place + 1]].transpose(0, 1) for x in (key, value))
        mask = seen(q.size(1), k.size(1), window)
        scores = (q @ k.transpose(1, 2) * scale).masked_fill(~mask, -INF)
        weights = torch.exp(scores - scores.max(-1, keepdim=True)[0]) if scores.numel() else scores
        weights = weights.masked_fill(~mask, 0.0)
        total = weights.sum(-1, keepdim=True)
        weights = weights / total.masked_fill(total == 0.0, 1.0)
        outs.append((weights @ v).transpose(0, 1))
        sums.append(torch.logsumexp(scores, -1) if scores.numel() else scores.new_full(q.shape[:2], -INF))
    return torch.cat(outs), torch.cat(sums, 1)


WINDOWS = [(-1, -1), (-1, 0), (3, 0), (2, 1), (0, 0), (-1, 2), (1, -1)]


@pytest.mark.limit("cpu")
@pytest.mark.parametrize("window", WINDOWS)
def test_windows(impl, window):
    arguments = packed([3, 9, 1, 6])
    close(impl(*arguments, window_size=window), reference(*arguments, window=window)[0])


@pytest.mark.limit("cpu")
@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (2, 0), (0, 1)])
def test_the_last_query_is_at_the_last_key(impl, window):
    arguments = packed([3, 5], [6, 5])
    close(impl(*arguments, window_size=window), reference(*arguments, window=window)[0])


@pytest.mark.limit("cpu")
def test_heads_in_groups_and_a_scale(impl):
    arguments = packed([3, 5], key_heads=2)
    close(impl(*arguments, enable_gqa=True, scale=0.4), reference(*arguments, scale=0.4)[0])


@pytest.mark.limit("cpu")
def test_logsumexp(impl):
    arguments = packed([3, 5], [6, 5])
    out, lse = impl(*arguments, return_aux=AuxRequest(lse=True), window_size=(-1, 0))
    expected, sums = reference(*arguments, window=(-1, 0))
    close(out, expected)
    assert lse.dtype == torch.float32
    close(lse, sums, 1e-5)
    assert not isinstance(impl(*arguments, return_aux=AuxRequest()), tuple)


@pytest.mark.limit("cpu")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision(impl, dtype):
    arguments = packed([3, 5], dtype=dtype)
    out = impl(*arguments, window_size=(-1, 0))
    assert out.dtype == dtype
    exact = [tensor.double() for tensor in arguments[:3]] + arguments[3:]
    close(out, reference(*exact, window=(-1, 0))[0], 4e-2 if dtype == torch.bfloat16 else 4e-3)


@pytest.mark.limit("cpu")
@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (2, 1)])
def test_gradients(impl, window):
    arguments = packed([3, 9, 6], [5, 9, 2], key_heads=2)
    inputs = [tensor.requires_grad_() for tensor in arguments[:3]]
    upper = randn(18, 4, 8)
    expected = torch.autograd.grad(reference(*arguments, window=window)[0], inputs, upper)
    actual = torch.autograd.grad(impl(*arguments, enable_gqa=True, window_size=window), inputs, upper)
    for one, other in zip(actual, expected):
        close(one, other)


@pytest.mark.limit("cpu")
def test_sequences_of_no_length(impl):
    arguments = packed([0, 3, 0, 2, 4], [2, 3, 0, 0, 4])
    out, lse = impl(*arguments, return_aux=AuxRequest(lse=True))
    expected = reference(*arguments)[0]
    close(out, expected)
    assert (out[3:5] == 0.0).all()
    assert lse.shape == (4, 9)


@pytest.mark.limit("cpu")
def test_keys_that_are_used(impl):
    arguments = packed([2, 2], [6, 5])
    used = torch.tensor([4, 5], dtype=torch.int32)
    out = impl(*arguments, seqused_k=used, window_size=(-1, 0))
    held = torch.cat([arguments[1][:4], arguments[1][6:]]), torch.cat([arguments[2][:4], arguments[2][6:]])
    close(out, reference(arguments[0], *held, arguments[3], bounds([4, 5]), 2, 5, window=(-1, 0))[0])


@pytest.mark.limit("cpu")
def test_pages(impl):
    query = randn(4, 2, 8)
    pages, values = randn(5, 4, 2, 8), randn(5, 4, 2, 8)  # five pages of four keys
    table = torch.tensor([[3, 0], [1, 4]], dtype=torch.int32)
    used = torch.tensor([6, 5], dtype=torch.int32)
    out = impl(query, pages, values, bounds([3, 1]), None, 3, 8, seqused_k=used, block_table=table)
    key = torch.cat([pages[3], pages[0][:2], pages[1], pages[4][:1]])
    value = torch.cat([values[3], values[0][:2], values[1], values[4][:1]])
    close(out, reference(query, key, value, bounds([3, 1]), bounds([6, 5]), 3, 8)[0])


@pytest.mark.limit("cpu")
def test_a_sequence_does_not_depend_on_the_others(impl):
    arguments = packed([3, 5])
    alone = [tensor[:3] for tensor in arguments[:3]] + [bounds([3]), bounds([3]), 3, 3]
    assert (impl(*arguments, num_splits=1)[:3] == impl(*alone, num_splits=1)).all()


def test_heads_and_scale_are_checked(impl):
    arguments = packed([3, 5], key_heads=2)
    with pytest.raises(ValueError, match="heads"):
        impl(*arguments)
    arguments = packed([3, 5], key_heads=3)
    with pytest.raises(ValueError, match="heads"):
        impl(*arguments, enable_gqa=True)


def test_signature(impl):
    parameters = inspect.signature(impl).parameters
    assert parameters["cu_seq_k"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name in ("return_aux", "scale", "window_size", "enable_gqa", "seqused_k", "block_table", "num_splits"):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("place", "value", "error", "match"),
    [
        (0, torch.ones(8, 4, 8).long(), RuntimeError, "floating point"),
        (0, torch.ones(8, 4).double(), ValueError, "query must have the dimensions"),
        (1, torch.ones(8, 4, 7).double(), ValueError, "width 8"),
        (2, torch.ones(7, 4, 8).double(), ValueError, "value must have key's shape"),
        (1, torch.ones(8, 4, 8), RuntimeError, "one floating point dtype"),
        (2, None, TypeError, "value must be a Tensor"),
        (3, [0, 3, 8], TypeError, "cu_seq_q must be a Tensor"),
        (3, torch.tensor([0, 3, 8]), RuntimeError, "int32"),
        (3, torch.tensor([0, 3, 9], dtype=torch.int32), ValueError, "cu_seq_q must rise from 0"),
        (4, torch.tensor([0, 5, 3], dtype=torch.int32), ValueError, "cu_seq_k must rise from 0"),
        (4, torch.tensor([0, 4], dtype=torch.int32), ValueError, "as many sequences"),
        (4, None, ValueError, "cu_seq_k must be a Tensor"),
        (5, 4, ValueError, "max_q must be at least"),
        (6, 4, ValueError, "max_k must be at least"),
    ],
)
def test_bad_arguments(place, value, error, match):
    arguments = packed([3, 5])
    arguments[place] = value
    with pytest.raises(error, match=match):
        varlen(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"scale": 0.0}, ValueError, "scale"),
        ({"scale": float("nan")}, ValueError, "scale"),
        ({"window_size": (1, 2, 3)}, ValueError, "window_size"),
        ({"block_table": torch.zeros(2, 1, dtype=torch.int32)}, ValueError, "key must have"),
    ],
)
def test_bad_options(options, error, match):
    with pytest.raises(error, match=match):
        varlen(*packed([3, 5]), **options)


def test_keys_that_are_used_are_for_inference():
    arguments = packed([3, 5])
    arguments[0].requires_grad_()
    with pytest.raises(RuntimeError, match="inference"):
        varlen(*arguments, seqused_k=torch.tensor([3, 5], dtype=torch.int32))


def test_tokens_beyond_the_last_sequence_give_zeros():
    arguments = packed([3, 5])
    arguments[3] = arguments[4] = bounds([3, 3])
    out, lse = varlen(*arguments, return_aux=AuxRequest(lse=True))
    assert (out[6:] == 0.0).all()
    assert (lse[:, 6:] == -INF).all()


@law
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=4),
    st.tuples(st.integers(-1, 6), st.integers(-1, 6)),
    st.integers(1, 5),
)
def test_law_of_windows(lengths, window, block):
    """Any lengths, any window, any size of the blocks in which it is computed."""
    before, _varlen.BLOCK, _varlen.Band.block = _varlen.BLOCK, block, (block, block)
    try:
        arguments = packed([length for length, _ in lengths], [keys for _, keys in lengths], heads=2, key_heads=2)
        close(varlen(*arguments, window_size=window), reference(*arguments, window=window)[0])
    finally:
        _varlen.BLOCK, _varlen.Band.block = before, (before, before)


def test_a_long_sequence_in_tiles():
    arguments = packed([1100, 50], heads=1, key_heads=1)
    out, lse = varlen(*arguments, window_size=(100, 0), return_aux=AuxRequest(lse=True))
    expected, sums = reference(*arguments, window=(100, 0))
    close(out, expected)
    close(lse, sums, 1e-5)


@pytest.mark.shim(NAME + "_out")
@pytest.mark.limit("cpu")
def test_into_a_tensor(impl):
    arguments = packed([3, 5])
    out = torch.empty(8, 4, 8, dtype=torch.float64)
    assert impl(out, *arguments, window_size=(-1, 0)) is out
    close(out, reference(*arguments, window=(-1, 0))[0])
    assert impl(out, *arguments, return_aux=AuxRequest(lse=True))[1].shape == (4, 8)


def test_into_a_tensor_of_another_shape():
    with pytest.raises(ValueError, match="out must be"):
        SHIMS[NAME + "_out"].fallback(torch.empty(8, 4, 7).double(), *packed([3, 5]))


@pytest.mark.shim("nn.attention.varlen.AuxRequest")
def test_aux_request(impl):
    assert impl() == (False,)
    assert impl(lse=True).lse
    assert impl._fields == ("lse",)
