import copy
import warnings

import pytest
import torch
from assertions import close
from attention_reference import multihead, randomised, saved_and_loaded
from attention_tools import DOUBLE, INF, as_float, causal, double, law
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from torchcompat import SHIMS, at_least

SHIM = SHIMS["nn.MultiheadAttention"]
FALLBACK = SHIM.fallback
pytestmark = pytest.mark.shim("nn.MultiheadAttention")
oracle = pytest.mark.skipif(not SHIM.meets_contract, reason="torch's own class here is older than the contract")


def make(impl, *args, **kwargs):
    kwargs.setdefault("dtype", DOUBLE)
    return randomised(impl(*args, **kwargs))


def boolean(rows):
    return torch.tensor(rows, dtype=torch.bool)


def random_mask(draw, *shape):
    """A mask of *shape* that leaves the first key to everyone, as bool or float, or None."""
    kind = draw(st.sampled_from(["none", "bool", "float"]))
    if kind == "none":
        return None
    hidden = torch.rand(*shape) < 0.4
    hidden[..., 0] = False
    if kind == "bool":
        return hidden
    return double(*shape).masked_fill(hidden, -INF)


@law
@given(data=st.data())
def test_it_is_the_formula(impl, data):
    draw = data.draw
    batch, length, source, heads = (draw(st.integers(1, 3)) for _ in range(4))
    width = heads * draw(st.integers(1, 3))
    kdim, vdim = (draw(st.sampled_from([None, 5])) for _ in range(2))
    switch = {name: draw(st.booleans()) for name in ("bias", "add_bias_kv", "add_zero_attn", "batch_first")}
    module = make(impl, width, heads, kdim=kdim, vdim=vdim, **switch)
    query, key, value = (
        double(batch, n, w) for n, w in ((length, width), (source, kdim or width), (source, vdim or width))
    )
    padding = random_mask(draw, batch, source)
    per_head = draw(st.booleans())
    mask = random_mask(draw, *((batch, heads) if per_head else ()), length, source)
    out, weights = multihead(module, query, key, value, padding, mask)
    if mask is not None and per_head:
        mask = mask.reshape(batch * heads, length, source)
    if not switch["batch_first"]:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        out = out.transpose(1, 0, 2)
    average = draw(st.booleans())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # masks of two kinds
        both = module(query, key, value, padding, attn_mask=mask, average_attn_weights=average)
        fast = module(query, key, value, padding, need_weights=False, attn_mask=mask)
    close(both[0], out)
    close(both[1], weights.mean(1) if average else weights)
    close(fast[0], out)
    assert fast[1] is None


@law
@given(data=st.data())
def test_it_is_the_formula_for_self_attention_in_inference(impl, data):
    draw = data.draw
    batch, length, heads = (draw(st.integers(1, 3)) for _ in range(3))
    batch_first, average = draw(st.booleans()), draw(st.booleans())
    module = make(impl, heads * 2, heads, batch_first=batch_first).eval()
    x = double(batch, length, heads * 2)
    padding, mask = random_mask(draw, batch, length), random_mask(draw, length, length)
    if padding is not None and mask is not None and padding.dtype != mask.dtype:
        padding = None
    out, weights = multihead(module, x, x, x, padding, mask)
    x, out = (x, out) if batch_first else (x.transpose(0, 1), out.transpose(1, 0, 2))
    with torch.no_grad():
        both = module(x, x, x, padding, attn_mask=mask, average_attn_weights=average)
        fast = module(x, x, x, padding, need_weights=False, attn_mask=mask)
    close(both[0], out)
    close(both[1], weights.mean(1) if average else weights)
    close(fast[0], out)


@oracle
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(
    "kwargs", [{}, {"bias": False}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 6, "vdim": 6}]
)
def test_the_fallback_does_what_native_does(kwargs, need_weights):
    results = []
    native = make(SHIM.native, 6, 2, **kwargs)
    fallback = FALLBACK(6, 2, dtype=DOUBLE, **kwargs)
    fallback.load_state_dict(native.state_dict())
    inputs = [double(4, 3, 6), double(5, 3, 6), double(5, 3, 6)]
    mask, padding = double(4, 5), double(3, 5)
    for module in (native, fallback):
        leaves = [x.clone().requires_grad_() for x in (*inputs, mask, padding)]
        out, weights = module(*leaves[:3], leaves[4], need_weights, leaves[3], False)
        loss = (out**3).sum() + (0 if weights is None else (weights**3).sum())
        grads = torch.autograd.grad(loss, leaves + [parameter for _, parameter in sorted(module.named_parameters())])
        assert out.is_contiguous()
        results.append([out, *grads] + ([] if weights is None else [weights]))
    for theirs, ours in zip(*results):
        assert theirs.dtype == ours.dtype
        close(ours, theirs)


@oracle
@pytest.mark.parametrize("kwargs", [{}, {"kdim": 3, "add_bias_kv": True}, {"bias": False}, {"dtype": torch.float64}])
def test_the_fallback_starts_from_natives_numbers(kwargs):
    states = []
    for kind in (SHIM.native, FALLBACK):
        torch.manual_seed(5)
        states.append(kind(8, 2, **kwargs).state_dict())
    assert list(states[0]) == list(states[1])
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name])


@pytest.mark.parametrize("need_weights", [False, True])
def test_ignored_keys_do_not_matter(impl, need_weights):
    module = make(impl, 4, 2, batch_first=True)
    query, source = double(2, 3, 4), double(2, 5, 4)
    padding = boolean([[False, False, True, True, True], [False, True, False, True, False]])
    other = torch.where(padding.unsqueeze(-1), double(2, 5, 4), source)
    out, weights = module(query, source, source, padding, need_weights)
    close(module(query, other, other, padding, need_weights)[0], out)
    mask = padding[0].expand(3, 5)
    close(module(query, other, other, attn_mask=mask, need_weights=need_weights)[0][0], out[0])
    cut = source[:1, :2]
    close(module(query[:1], cut, cut, need_weights=need_weights)[0], out[:1])
    if need_weights:
        assert bool((weights[0, :, 2:] == 0).all())


@pytest.mark.parametrize("need_weights", [False, True])
def test_float_masks_say_the_same_as_bool_masks(impl, need_weights):
    module = make(impl, 4, 2)
    query, source = double(3, 2, 4), double(5, 2, 4)
    padding, mask = boolean([[False, False, True, True, True], [False, True, False, True, False]]), causal(3, 5)
    added = [as_float(m) for m in (padding, mask)]
    expected = module(query, source, source, padding, need_weights, mask)[0]
    close(module(query, source, source, added[0], need_weights, added[1])[0], expected)


def test_masks_of_two_kinds_warn(impl):
    module, x = make(impl, 4, 2), double(3, 2, 4)
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        module(x, x, x, boolean([[False, True, False]] * 2), attn_mask=torch.zeros(3, 3, dtype=DOUBLE))


@pytest.mark.parametrize("need_weights", [False, True])
def test_without_a_batch(impl, need_weights):
    module = make(impl, 4, 2)
    query, source = double(3, 4), double(5, 4)
    padding, mask = boolean([False, True, False, True, False]), torch.rand(2, 3, 5) < 0.2
    args = [query.unsqueeze(1), source.unsqueeze(1), source.unsqueeze(1), padding.unsqueeze(0)]
    out, weights = module(*args, need_weights=need_weights, attn_mask=mask, average_attn_weights=False)
    alone = module(query, source, source, padding, need_weights, mask, False)
    close(alone[0], out.squeeze(1))
    assert alone[0].shape == query.shape
    if need_weights:
        assert alone[1].shape == (2, 3, 5)
        close(alone[1], weights.squeeze(0))


def test_without_a_batch_batch_first_changes_nothing(impl):
    x = double(3, 4)
    modules = [make(impl, 4, 2, batch_first=batch_first) for batch_first in (False, True)]
    close(modules[0](x, x, x)[0], modules[1](x, x, x)[0])


@law
@given(order=st.permutations(range(5)), need_weights=st.booleans())
def test_the_order_of_keys_is_nothing_to_it_and_that_of_queries_is_kept(impl, order, need_weights):
    module = make(impl, 4, 2, batch_first=True)
    query, source = double(2, 5, 4), double(2, 5, 4)
    order = list(order)
    out = module(query, source, source, need_weights=need_weights)[0]
    close(module(query, source[:, order], source[:, order], need_weights=need_weights)[0], out)
    close(module(query[:, order], source, source, need_weights=need_weights)[0], out[:, order])


@pytest.mark.parametrize("kind", [torch.bool, DOUBLE])
def test_a_query_that_may_see_no_key(impl, kind):
    module = make(impl, 4, 2)
    inputs = [double(n, 2, 4).requires_grad_() for n in (3, 5, 5)]
    hidden = boolean([[True] * 5, [False] * 5])
    padding = hidden if kind == torch.bool else torch.zeros(2, 5, dtype=kind).masked_fill(hidden, -INF)
    out, _ = module(*inputs, key_padding_mask=padding, need_weights=False)
    close(out[:, 0], module.out_proj.bias.expand(3, 4))
    out.sum().backward()
    for x in inputs:
        assert bool((x.grad[:, 0] == 0).all())
        assert not bool((x.grad != x.grad).any())
    out, weights = module(*inputs, key_padding_mask=padding)
    assert bool((weights[0] != weights[0]).all())
    assert bool((out[:, 0] != out[:, 0]).all())
    assert not bool((out[:, 1] != out[:, 1]).any())


@pytest.mark.limit("fast-path-fully-masked")
def test_a_query_that_may_see_no_key_in_inference(impl):
    module, x = make(impl, 4, 2, batch_first=True).eval(), double(1, 3, 4)
    with torch.no_grad():
        out, _ = module(x, x, x, boolean([[True] * 3]), need_weights=False)
    close(out[0], module.out_proj.bias.detach().expand(3, 4))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_the_causal_hint_changes_nothing(impl, need_weights, padded):
    module, x = make(impl, 4, 2), double(3, 2, 4)
    padding = boolean([[False, False, True], [False, False, False]]) if padded else None
    for mask in (causal(3), as_float(causal(3))):
        if padded and mask.dtype != torch.bool:
            continue
        plain = module(x, x, x, padding, need_weights, mask)[0]
        close(module(x, x, x, padding, need_weights, mask, is_causal=True)[0], plain)


@pytest.mark.limit("causal-hint-extra-keys")
@pytest.mark.parametrize("extra", ["add_bias_kv", "add_zero_attn"])
def test_the_causal_hint_changes_nothing_with_more_keys(impl, extra):
    module, x = make(impl, 4, 2, **{extra: True}), double(3, 2, 4)
    plain = module(x, x, x, need_weights=False, attn_mask=causal(3))[0]
    close(module(x, x, x, need_weights=False, attn_mask=causal(3), is_causal=True)[0], plain)


@pytest.mark.parametrize("need_weights", [False, True])
def test_the_causal_hint_needs_the_mask(impl, need_weights):
    module, x = make(impl, 4, 2), double(3, 2, 4)
    with pytest.raises(RuntimeError, match="attn_mask"):
        module(x, x, x, need_weights=need_weights, is_causal=True)


@pytest.mark.limit("fast-path-causal-hint")
def test_the_causal_hint_needs_the_mask_in_inference(impl):
    module, x = make(impl, 4, 2, batch_first=True).eval(), double(2, 3, 4)
    with torch.no_grad(), pytest.raises(RuntimeError, match="attn_mask"):
        module(x, x, x, is_causal=True)


Q, K = (5, 2, 8), (7, 2, 8)
REFUSED = {
    "uint8 padding": (Q, K, K, {"key_padding_mask": torch.zeros(2, 7, dtype=torch.uint8)}, AssertionError),
    "int64 padding": (Q, K, K, {"key_padding_mask": torch.zeros(2, 7, dtype=torch.int64)}, AssertionError),
    "uint8 mask": (Q, K, K, {"attn_mask": torch.zeros(5, 7, dtype=torch.uint8)}, AssertionError),
    "padding for another source": (Q, K, K, {"key_padding_mask": boolean([[False] * 6] * 2)}, AssertionError),
    "padding transposed": (Q, K, K, {"key_padding_mask": boolean([[False] * 2] * 7)}, AssertionError),
    "padding without batch": (Q, K, K, {"key_padding_mask": boolean([False] * 7)}, AssertionError),
    "padding for half": (Q, K, K, {"key_padding_mask": torch.zeros(2, 7, dtype=torch.float16)}, RuntimeError),
    "mask float64": (Q, K, K, {"attn_mask": torch.zeros(5, 7, dtype=DOUBLE)}, RuntimeError),
    "mask transposed": (Q, K, K, {"attn_mask": torch.zeros(7, 5)}, RuntimeError),
    "mask per sequence": (Q, K, K, {"attn_mask": torch.zeros(2, 5, 7)}, RuntimeError),
    "mask 1-D": (Q, K, K, {"attn_mask": torch.zeros(7)}, AssertionError),
    "mask 4-D": (Q, K, K, {"attn_mask": torch.zeros(2, 2, 5, 7)}, AssertionError),
    "mask no tensor": (Q, K, K, {"attn_mask": "causal"}, TypeError),
    "key without batch": (Q, (7, 8), (7, 8), {}, AssertionError),
    "key with batch": ((5, 8), K, K, {}, AssertionError),
    "query 1-D": ((8,), K, K, {}, AssertionError),
    "query 4-D": ((1, 5, 2, 8), (1, 7, 2, 8), (1, 7, 2, 8), {}, AssertionError),
    "query narrow": ((5, 2, 6), K, K, {}, AssertionError),
    "key narrow": (Q, (7, 2, 6), (7, 2, 6), {}, RuntimeError),
    "value short": (Q, K, (6, 2, 8), {}, AssertionError),
    "value narrow": (Q, K, (7, 2, 6), {}, AssertionError),
    "key of another batch": (Q, (7, 1, 8), (7, 1, 8), {}, RuntimeError),
    "mask per head unbatched": ((5, 8), (7, 8), (7, 8), {"attn_mask": torch.zeros(1, 5, 7)}, AssertionError),
    "mask unbatched": ((5, 8), (7, 8), (7, 8), {"attn_mask": torch.zeros(1, 7)}, RuntimeError),
    "padding unbatched": ((5, 8), (7, 8), (7, 8), {"key_padding_mask": boolean([[False] * 7])}, AssertionError),
}


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("case", sorted(REFUSED))
def test_refused(impl, case, need_weights):
    query, key, value, masks, error = REFUSED[case]
    # Torch's own messages do not always name the argument.
    match = case.split(" ")[0].replace("padding", "key_padding_mask") if impl is FALLBACK else None
    with pytest.raises(error, match=match):
        impl(8, 2)(torch.randn(query), torch.randn(key), torch.randn(value), need_weights=need_weights, **masks)


@pytest.mark.parametrize("case", [((7, 2, 6), (7, 2, 3)), ((7, 2, 4), (6, 2, 3)), ((7, 2, 4), (7, 2, 4))])
def test_refused_with_widths_of_their_own(impl, case):
    with pytest.raises(AssertionError):
        impl(8, 2, kdim=4, vdim=3)(torch.randn(Q), torch.randn(case[0]), torch.randn(case[1]))


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((0, 1), ValueError),
        ((8, 0), ValueError),
        ((-8, 2), ValueError),
        ((8, 3), AssertionError),
        ((8.0, 2), TypeError),
    ],
)
def test_refused_at_construction(impl, args, error):
    with pytest.raises(error):
        impl(*args)


def test_a_float32_mask_serves_low_precision_without_weights(impl):
    module = impl(8, 2).to(torch.bfloat16)
    x = torch.randn(Q).to(torch.bfloat16)
    with pytest.raises(RuntimeError):
        module(x, x, x, attn_mask=torch.zeros(5, 5))
    if at_least(1, 10):
        assert module(x, x, x, attn_mask=torch.zeros(5, 5), need_weights=False)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("shapes", [((5, 2, 8), (0, 2, 8)), ((0, 2, 8), (7, 2, 8)), ((5, 0, 8), (7, 0, 8))])
def test_empty(impl, shapes, need_weights):
    module = make(impl, 8, 2)
    query, source = double(*shapes[0]), double(*shapes[1])
    out, weights = module(query, source, source, need_weights=need_weights)
    assert out.shape == query.shape
    if need_weights:
        assert weights.shape == (query.size(1), query.size(0), source.size(0))
    if source.size(0) == 0:
        close(out, module.out_proj.bias.expand(*query.shape))


@pytest.mark.parametrize("need_weights", [False, True])
def test_dropout_of_everything(impl, need_weights):
    module, x = make(impl, 4, 2, dropout=1.0), double(3, 2, 4)
    out, weights = module(x, x, x, need_weights=need_weights)
    close(out, module.out_proj.bias.expand(3, 2, 4))
    if need_weights:
        assert bool((weights == 0).all())
    expected = multihead(module, *[x.transpose(0, 1)] * 3)[0].transpose(1, 0, 2)
    close(module.eval()(x, x, x, need_weights=need_weights)[0], expected)


def test_dropout_keeps_or_doubles(impl):
    module, x = make(impl, 4, 2, dropout=0.5), double(6, 3, 4)
    _, dropped = module(x, x, x, average_attn_weights=False)
    weights = module.eval()(x, x, x, average_attn_weights=False)[1]
    kept = dropped != 0
    close(dropped[kept], 2 * weights[kept])
    assert 0.25 < kept.double().mean().item() < 0.75


@pytest.mark.parametrize("need_weights", [False, True])
def test_dropout_out_of_range(impl, need_weights):
    module, x = impl(4, 2, dropout=2.0), torch.randn(3, 2, 4)
    with pytest.raises((ValueError, RuntimeError), match="dropout"):
        module(x, x, x, need_weights=need_weights)


def test_how_it_starts(impl):
    module = impl(64, 4, add_bias_kv=True)
    bound = (6.0 / (64 + 3 * 64)) ** 0.5
    assert 0.98 * bound < module.in_proj_weight.abs().max().item() <= bound
    assert bool((module.in_proj_bias == 0).all())
    assert bool((module.out_proj.bias == 0).all())
    assert 0.98 * 64**-0.5 < module.out_proj.weight.abs().max().item() <= 64**-0.5
    apart = impl(64, 4, kdim=32)
    for weight, width in ((apart.q_proj_weight, 64), (apart.k_proj_weight, 32), (apart.v_proj_weight, 64)):
        bound = (6.0 / (64 + width)) ** 0.5
        assert 0.98 * bound < weight.abs().max().item() <= bound
    # Xavier's normal numbers for shape (1, 1, n): n incoming and n outgoing, so a deviation of 1 / sqrt(n).
    assert 0.5 < module.bias_k.std().item() * 64**0.5 < 1.5


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("kwargs", [{}, {"kdim": 3, "vdim": 3}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_gradients(impl, kwargs, need_weights):
    module = make(impl, 4, 2, **kwargs)
    width = kwargs.get("kdim", 4)
    mask, padding = double(2, 3).masked_fill(causal(2, 3), -INF), boolean([[False, True, False]])
    padding = torch.zeros(1, 3, dtype=DOUBLE).masked_fill(padding, -INF)

    def run(query, source, *weights):
        out, attention = module(query, source, source, padding, need_weights, mask)
        return (out, attention) if need_weights else out

    inputs = (double(2, 1, 4).requires_grad_(), double(3, 1, width).requires_grad_())
    assert gradcheck(run, (*inputs, *module.parameters()))


STATE = {
    "in_proj_weight": (12, 4),
    "in_proj_bias": (12,),
    "out_proj.weight": (4, 4),
    "out_proj.bias": (4,),
}
APART = {"q_proj_weight": (4, 4), "k_proj_weight": (4, 3), "v_proj_weight": (4, 4)}


@pytest.mark.parametrize(
    ("kwargs", "extra", "absent"),
    [
        ({}, {}, []),
        ({"bias": False}, {}, ["in_proj_bias", "out_proj.bias"]),
        ({"add_bias_kv": True}, {"bias_k": (1, 1, 4), "bias_v": (1, 1, 4)}, []),
        ({"kdim": 3}, APART, ["in_proj_weight"]),
    ],
)
def test_state_dict(impl, kwargs, extra, absent):
    expected = {name: shape for name, shape in {**STATE, **extra}.items() if name not in absent}
    assert {name: tuple(tensor.shape) for name, tensor in impl(4, 2, **kwargs).state_dict().items()} == expected


@pytest.mark.parametrize(
    "kwargs", [{}, {"bias": False}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 3, "vdim": 3}]
)
def test_states_load_both_ways_between_torchs_class_and_the_fallback(kwargs):
    theirs, ours = randomised(torch.nn.MultiheadAttention(4, 2, **kwargs)), FALLBACK(4, 2, **kwargs)
    state = theirs.state_dict()
    if not at_least(1, 4) and "kdim" in kwargs:
        del state["in_proj_weight"]  # 1.2 and 1.3 have it and do not use it
    if not at_least(1, 9) and at_least(1, 6) and kwargs.get("bias") is False:
        with torch.no_grad():
            state.pop("out_proj.bias").zero_()  # 1.6 to 1.8 have it in spite of bias=False
    ours.load_state_dict(state)
    query, source = torch.randn(3, 2, 4), torch.randn(5, 2, kwargs.get("kdim", 4))
    for theirs_out, ours_out in zip(theirs(query, source, source), ours(query, source, source)):
        close(ours_out, theirs_out, 1e-5)
    fresh = torch.nn.MultiheadAttention(4, 2, **kwargs)
    missing = fresh.load_state_dict(ours.state_dict(), strict=False)
    assert missing.unexpected_keys == []
    assert set(missing.missing_keys) == set(theirs.state_dict()) - set(state)


def test_it_is_torchs_class_to_isinstance(impl):
    assert isinstance(impl(4, 2), torch.nn.MultiheadAttention)


def test_deepcopy(impl):
    module, x = make(impl, 4, 2), double(3, 2, 4)
    copied = copy.deepcopy(module)
    close(copied(x, x, x)[0], module(x, x, x)[0])
    assert all(a is not b for a, b in zip(copied.parameters(), module.parameters()))


@pytest.mark.skipif(SHIM.public is not FALLBACK, reason="the fallback has no public name here to pickle it by")
@pytest.mark.parametrize("kwargs", [{}, {"kdim": 3, "vdim": 3, "add_bias_kv": True, "bias": False}])
def test_pickle(kwargs):
    module, query, source = make(FALLBACK, 4, 2, **kwargs), double(3, 2, 4), double(5, 2, kwargs.get("kdim", 4))
    copied = saved_and_loaded(module)
    close(copied(query, source, source)[0], module(query, source, source)[0])


def test_device_and_dtype(impl):
    module = impl(4, 2, add_bias_kv=True, device="cpu", dtype=DOUBLE)
    assert {parameter.dtype for parameter in module.parameters()} == {DOUBLE}
    low = impl(4, 2, device=torch.device("cpu"), dtype=torch.float16)
    assert {parameter.dtype for parameter in low.parameters()} == {torch.float16}


LOW = [(torch.bfloat16, (1, 10), 0.05), (torch.float16, (2, 2), 0.01)]


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        pytest.param(
            dtype,
            tolerance,
            marks=pytest.mark.skipif(not at_least(*first), reason="torch has no such linear on CPU here"),
        )
        for dtype, first, tolerance in LOW
    ],
)
def test_low_precision(impl, dtype, tolerance, need_weights):
    module, x = make(impl, 16, 2, dtype=torch.float32), torch.randn(5, 2, 16)
    expected = module(x, x, x, attn_mask=causal(5), need_weights=need_weights)
    x = x.to(dtype)
    actual = module.to(dtype)(x, x, x, attn_mask=causal(5), need_weights=need_weights)
    for low, full in zip(actual, expected):
        if full is not None:
            assert low.dtype == dtype
            close(low, full, tolerance * max(1.0, full.abs().max().item()))


@pytest.mark.skipif(not at_least(1, 10), reason="torch has no autocast on CPU before 1.10")
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_autocast(impl, need_weights, masked):
    module, x = make(impl, 16, 2, dtype=torch.float32), torch.randn(5, 2, 16)
    kwargs = {"need_weights": need_weights, "attn_mask": causal(5) if masked else None}
    expected = module(x, x, x, **kwargs)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, weights = module(x, x, x, **kwargs)
    assert out.dtype == torch.bfloat16
    assert weights is None or weights.dtype == torch.bfloat16
    close(out, expected, 0.05 * expected.abs().max().item())
    out.float().sum().backward()
    assert module.in_proj_weight.grad.dtype == torch.float32


@pytest.mark.skipif(not at_least(2, 0), reason="torch's own class attends to nested tensors since 2.0")
def test_nested(impl):
    module = make(impl, 4, 2, batch_first=True, dtype=torch.float32).eval()
    parts = [torch.randn(n, 4) for n in (3, 5)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are a prototype, says torch
        nested = torch.nested.nested_tensor(parts)
    with torch.no_grad():
        out = module(nested, nested, nested, need_weights=False)[0]
        for part, attended in zip(parts, out.unbind()):
            close(attended, module(part, part, part)[0], 1e-5)


@pytest.mark.skipif(
    not at_least(2, 2), reason="torch compiles nothing on this Python before 2.1, attention in one graph since 2.2"
)
def test_compiles_in_one_graph(impl):
    module, x = make(impl, 4, 2), double(3, 2, 4)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    close(compiled(x, x, x, attn_mask=causal(3))[0], module(x, x, x, attn_mask=causal(3))[0])
