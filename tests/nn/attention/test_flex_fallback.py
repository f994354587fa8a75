"""The fallback of flex_attention: tiles, captured tensors, derivatives."""

import functools

import pytest
import torch
from assertions import close
from flex_tools import (
    DOUBLE,
    _fresh_compiler,  # noqa: F401 - runs after every test
    about_flex,
    alibi,
    by_head,
    call,
    causal,
    flex,
    law,
    modified,
    nowhere_at_first,
    qkv,
    randn,
    reference,
    same_document,
    soft_cap,
)
from hypothesis import given
from hypothesis import strategies as st

from torchcompat import at_least
from torchcompat.nn.attention.flex_attention import AuxRequest, _blockwise, _tiles, create_block_mask


def window(b, h, q_idx, kv_idx):
    return (q_idx >= kv_idx) & (q_idx - kv_idx < 20)


class Tiles:
    """Within: no call is too small for tiles and for the recomputing backward pass."""

    def __init__(self, monkeypatch, rows=16, columns=16, elements=2**10):
        monkeypatch.setattr(_tiles, "ROWS", rows)
        monkeypatch.setattr(_tiles, "COLUMNS", columns)
        monkeypatch.setattr(_tiles, "ELEMENTS", elements)
        monkeypatch.setattr(_blockwise, "PLAIN", 0)


@pytest.fixture
def tiny(monkeypatch):
    return Tiles(monkeypatch)


# ---------------------------------------------------------------------------------------------------------------------
# The fallback


CASES = [(None, causal), (alibi, window), (soft_cap, None), (alibi, by_head), (None, same_document), (None, None)]


@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize(("score_mod", "mask_mod"), CASES)
def test_tiles_agree_with_the_formula(tiny, score_mod, mask_mod, key_heads):
    length = 7 if mask_mod is same_document else 50
    inputs = qkv(key_heads=key_heads, length=length, keys=length, requires_grad=True)
    mask = None
    if mask_mod is not None:
        batches, heads = 2 if mask_mod is same_document else None, 4 if mask_mod is by_head else None
        mask = create_block_mask(mask_mod, batches, heads, length, length, device="cpu", BLOCK_SIZE=(8, 4))
    out, aux = flex(*inputs, score_mod, mask, enable_gqa=True, return_aux=AuxRequest(lse=True))
    assert "_Attention" in type(aux.lse.grad_fn).__name__
    expected, scores = reference(*inputs, score_mod, mask_mod), modified(*inputs[:2], score_mod, mask_mod)
    close(out, expected)
    upper, upper_lse = torch.randn_like(out), torch.randn_like(aux.lse)
    wanted = torch.autograd.grad([expected, torch.logsumexp(scores, -1)], inputs, [upper, upper_lse])
    for actual, should in zip(torch.autograd.grad([out, aux.lse], inputs, [upper, upper_lse]), wanted):
        close(actual, should)
    with torch.no_grad():
        close(flex(*inputs, score_mod, mask, enable_gqa=True), expected)


def test_the_plain_formula_agrees(tiny, monkeypatch):
    monkeypatch.setattr(_blockwise, "PLAIN", 2**20)
    inputs = qkv(length=7, requires_grad=True)
    mask = create_block_mask(nowhere_at_first, None, None, 7, 7, device="cpu", BLOCK_SIZE=2)
    out = flex(*inputs, alibi, mask)
    expected = reference(*inputs, alibi, nowhere_at_first)
    close(out, expected)
    assert all(bool((grad == grad).all()) for grad in torch.autograd.grad(out.sum(), inputs))


class Bias(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(randn(200))

    def forward(self, score, b, h, q_idx, kv_idx):
        return score + self.table[q_idx - kv_idx + 100]


def scaled_by(slopes, score, b, h, q_idx, kv_idx):
    return score * slopes[h]


def closed_over(*held):
    def score_mod(score, b, h, q_idx, kv_idx):
        return score * held[0][h] + held[-1][h]

    return score_mod


def captures(leaf):
    """Ways to hold a tensor, and whether the recomputing backward pass can be used."""
    computed, halves = leaf * 2, leaf.repeat(2).chunk(2)
    return {
        "leaf": (closed_over(leaf), True),
        "computed": (closed_over(computed), True),
        "both outputs of one operation": (closed_over(*halves), True),
        "partial": (functools.partial(scaled_by, computed), True),
        "one computed from the other": (closed_over(leaf, computed), False),
        "not to be found": (Hider(computed), False),
    }


class Hider:
    __slots__ = ("tensor",)

    def __init__(self, tensor):
        self.tensor = tensor

    def __call__(self, score, b, h, q_idx, kv_idx):
        return score * self.tensor[h]


@pytest.mark.parametrize("way", list(captures(torch.ones(4))))
def test_captured_tensors_get_their_gradient(tiny, way):
    leaf = randn(4, requires_grad=True)
    score_mod, recomputed = captures(leaf)[way]
    inputs = qkv(length=40, keys=40, requires_grad=True)
    out = flex(*inputs, score_mod)
    assert ("_Attention" in type(out.grad_fn).__name__) == recomputed
    wanted = torch.autograd.grad(reference(*inputs, score_mod).sum(), [*inputs, leaf], retain_graph=True)
    for actual, should in zip(torch.autograd.grad(out.sum(), [*inputs, leaf]), wanted):
        close(actual, should)


def test_a_module_as_score_modifier(tiny):
    bias = Bias()
    inputs = qkv(length=40, keys=40)
    out = flex(*inputs, bias)
    out.sum().backward()
    close(bias.table.grad, torch.autograd.grad(reference(*inputs, bias).sum(), bias.table)[0])


def test_a_tensor_that_is_captured_and_an_input(tiny):
    query, key, value = qkv(batch=1, heads=1, key_heads=1, length=20, keys=20, requires_grad=True)

    def score_mod(score, b, h, q_idx, kv_idx):
        return score + query[b, h, q_idx, 0]

    actual = torch.autograd.grad(flex(query, key, value, score_mod)[..., :2].sum(), query)[0]
    close(actual, torch.autograd.grad(reference(query, key, value, score_mod)[..., :2].sum(), query)[0])


def test_one_tensor_as_query_key_and_value(tiny):
    x = randn(1, 1, 20, 4, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    close(torch.autograd.grad(flex(x, x, x).sum(), x)[0], torch.autograd.grad(reference(y, y, y).sum(), y)[0])
    for function, tensor in ((flex, x), (reference, y)):
        first = torch.autograd.grad((function(tensor, tensor, tensor) ** 2).sum(), tensor, create_graph=True)[0]
        (first**2).sum().backward()
    close(x.grad, y.grad)


def test_second_derivatives(tiny):
    inputs = qkv(batch=1, heads=2, key_heads=2, length=20, keys=20, requires_grad=True)
    grads = []
    for function in (flex, reference):
        first = torch.autograd.grad(function(*inputs, soft_cap).sum(), inputs[0], create_graph=True)[0]
        grads.append(torch.autograd.grad((first**2).sum(), inputs))
    for actual, should in zip(*grads):
        close(actual, should)


def test_second_derivatives_where_not_all_is_wanted(tiny):
    query, key, value = qkv(batch=1, heads=2, key_heads=2, length=20, keys=20)
    query.requires_grad_()
    grads = []
    for function in (flex, reference):
        first = torch.autograd.grad(function(query, key, value, soft_cap).sum(), query, create_graph=True)[0]
        grads.append(torch.autograd.grad((first**2).sum(), query)[0])
    close(*grads)


@about_flex
@pytest.mark.limit("captured-double")
@pytest.mark.limit("backward")
def test_second_derivatives_of_captured_tensors(impl, tiny):
    slopes = randn(2, requires_grad=True)
    inputs = qkv(batch=1, heads=2, key_heads=2, length=20, keys=20, requires_grad=True)
    out = call(impl, *inputs, score_mod=closed_over(slopes))
    first = torch.autograd.grad(out.sum(), inputs[0], create_graph=True)[0]
    assert torch.autograd.grad((first**2).sum(), slopes)[0].shape == (2,)


def test_a_batched_backward(tiny):
    if not at_least(1, 11):
        pytest.skip("before torch 1.11 there is no is_grads_batched")
    query, key, value = qkv(requires_grad=True)
    out = flex(query, key, value, alibi)
    rows = torch.randn(3, *out.shape, dtype=DOUBLE)
    batched = torch.autograd.grad(out, query, (rows,), is_grads_batched=True, retain_graph=True)[0]
    single = [torch.autograd.grad(out, query, row, retain_graph=True)[0] for row in rows]
    assert (batched - torch.stack(single)).abs().max() < 1e-10


def test_tiles_that_are_masked_out_are_left_out(tiny):
    seen = []

    def score_mod(score, b, h, q_idx, kv_idx):
        if score.numel() > 16:  # the others are tries at the corners
            seen.append((int(q_idx.max()), int(kv_idx.min())))
        return score

    query, key, value = qkv(batch=1, heads=1, key_heads=1, length=160, keys=160)
    mask = create_block_mask(window, None, None, 160, 160, device="cpu", BLOCK_SIZE=16)
    with torch.no_grad():
        close(flex(query, key, value, score_mod, mask), reference(query, key, value, mask_mod=window))
    assert all(kv_min <= q_max for q_max, kv_min in seen)
    assert len(seen) < 40


def test_full_blocks_are_not_asked_for(tiny):
    asked = []

    def counted(b, h, q_idx, kv_idx):
        if q_idx.numel() > 2:  # the others are tries at the corners
            asked.append(1)
        return q_idx >= kv_idx

    mask = create_block_mask(counted, None, None, 160, 160, device="cpu", BLOCK_SIZE=16)
    del asked[:]
    with torch.no_grad():
        flex(*qkv(batch=1, heads=1, key_heads=1, length=160, keys=160), block_mask=mask)
    assert len(asked) == 10  # the tiles of the diagonal


@about_flex
@pytest.mark.limit("mapped-index")
def test_modifiers_that_need_scalars(impl):
    words = torch.randint(0, 2, (7, 3)) > 0

    def mask_mod(b, h, q_idx, kv_idx):
        return (words[q_idx] & words[kv_idx]).any()

    def score_mod(score, b, h, q_idx, kv_idx):
        return score + (table[q_idx] * table[kv_idx]).sum()

    table = randn(7, 3)
    query, key, value = qkv(length=7)
    mask = create_block_mask(mask_mod, None, None, 7, 7, device="cpu", BLOCK_SIZE=2)
    allowed = (words.unsqueeze(1) & words.unsqueeze(0)).any(-1)
    bias = table @ table.t()
    expected = reference(query, key, value, lambda s, b, h, i, j: s + bias[i, j], lambda b, h, i, j: allowed[i, j])
    close(call(impl, query, key, value, score_mod, mask), expected)


def test_what_a_modifier_returns():
    with pytest.raises((TypeError, ValueError), match="Tensor"):
        flex(*qkv(), score_mod=lambda score, b, h, q_idx, kv_idx: 1.0)


@pytest.mark.skipif(not at_least(1, 10), reason="autocast on CPU came with torch 1.10")
@about_flex
def test_autocast(impl):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert call(impl, *qkv(dtype=torch.float32)).dtype == torch.bfloat16


def test_autocast_has_no_say_in_the_backward_pass(tiny):
    if not at_least(1, 10):
        pytest.skip("autocast on CPU came with torch 1.10")
    inputs = qkv(dtype=torch.float32, length=40, keys=40, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = flex(*inputs, alibi)
        grads = torch.autograd.grad(out.float().sum(), inputs)
    assert all(grad.dtype == torch.float32 for grad in grads)


@law
@given(st.data())
def test_law_of_permuted_keys(data):
    """The order of the keys does not matter, if the modifier goes along."""
    length, keys = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    query, key, value = qkv(batch=1, heads=2, key_heads=2, length=length, keys=keys)
    order = torch.randperm(keys)
    out = flex(query, key, value, alibi)
    close(flex(query, key[:, :, order], value[:, :, order], lambda s, b, h, i, j: alibi(s, b, h, i, order[j])), out)


@law
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_law_of_block_sizes(length, keys, rows, columns):
    """The size of the blocks does not matter."""
    query, key, value = qkv(batch=1, heads=2, key_heads=2, length=length, keys=keys)
    mask = create_block_mask(window, None, None, length, keys, device="cpu", BLOCK_SIZE=(rows, columns))
    assert mask.shape == (1, 1, length, keys)
    close(flex(query, key, value, block_mask=mask), reference(query, key, value, mask_mod=window))


@about_flex
@pytest.mark.limit("fullgraph")
@pytest.mark.skipif(not at_least(2, 0), reason="torch.compile came with torch 2.0")
def test_one_graph(impl):
    query, key, value = qkv(length=7)
    mask = create_block_mask(causal, None, None, 7, 7, device="cpu")
    compiled = torch.compile(impl, backend="eager", fullgraph=True)
    close(compiled(query, key, value, alibi, mask), reference(query, key, value, alibi, causal))


def test_random_modifiers_are_refused(tiny):
    with pytest.raises(RuntimeError, match="random"):
        flex(*qkv(requires_grad=True), score_mod=lambda s, b, h, i, j: s + torch.rand(()))
