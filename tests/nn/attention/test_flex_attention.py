"""flex_attention and its block masks: against the formula in float64, laws, and torch's own."""

import functools
import inspect
import math
import warnings

import pytest
import torch
from assertions import close
from hypothesis import given, settings
from hypothesis import strategies as st

import torchcompat.nn.attention.flex_attention as module
from torchcompat import SHIMS, at_least, available_devices
from torchcompat.nn.attention import _flex, _flex_masks, _flex_tiles
from torchcompat.nn.attention.flex_attention import AuxRequest, and_masks, create_block_mask, noop_mask

PREFIX = "nn.attention.flex_attention."
flex = SHIMS[PREFIX + "flex_attention"].fallback
about_flex = pytest.mark.shim(PREFIX + "flex_attention")
about_masks = pytest.mark.shim(PREFIX + "BlockMask")
about_create = pytest.mark.shim(PREFIX + "create_block_mask")
about_whole = pytest.mark.shim(PREFIX + "create_mask")
DOUBLE = torch.float64
INF = float("inf")
law = settings(max_examples=15)


@pytest.fixture(autouse=True)
def _fresh_compiler():
    """Torch's own compiles every call, and gives up after a number of them."""
    yield
    if at_least(2, 5):
        torch._dynamo.reset()


def call(impl, *args, **kwargs):
    """Torch's own warns that it is slow unless compiled."""
    with warnings.catch_warnings():
        if impl is not flex:
            warnings.simplefilter("ignore")
        return impl(*args, **kwargs)


def randn(*shape, dtype=DOUBLE, requires_grad=False):
    return torch.randn(*shape, dtype=DOUBLE).to(dtype).requires_grad_(requires_grad)


def qkv(batch=2, heads=4, key_heads=4, length=5, keys=7, width=8, value_width=6, **options):
    return (
        randn(batch, heads, length, width, **options),
        randn(batch, key_heads, keys, width, **options),
        randn(batch, key_heads, keys, value_width, **options),
    )


def indices(shape):
    return [torch.arange(size).view([-1 if at == place else 1 for at in range(4)]) for place, size in enumerate(shape)]


def modified(query, key, score_mod=None, mask_mod=None, scale=None):
    groups = query.size(1) // key.size(1)
    key = torch.cat([key[:, head // groups].unsqueeze(1) for head in range(query.size(1))], 1)
    scores = torch.matmul(query, key.transpose(-2, -1)) * (1 / math.sqrt(query.size(-1)) if scale is None else scale)
    if score_mod is not None:
        scores = score_mod(scores, *indices(scores.shape))
    if mask_mod is not None:
        scores = scores.masked_fill(~mask_mod(*indices(scores.shape)).expand(scores.shape), -INF)
    return scores


def reference(query, key, value, score_mod=None, mask_mod=None, scale=None):
    """The formula."""
    scores = modified(query, key, score_mod, mask_mod, scale)
    weights = torch.softmax(scores, -1)
    weights = weights.masked_fill((scores == -INF).all(-1, keepdim=True), 0.0)
    groups = query.size(1) // value.size(1)
    return torch.matmul(weights, torch.cat([value[:, h // groups].unsqueeze(1) for h in range(query.size(1))], 1))


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


def window(b, h, q_idx, kv_idx):
    return (q_idx >= kv_idx) & (q_idx - kv_idx < 20)


def by_head(b, h, q_idx, kv_idx):
    return q_idx - kv_idx <= h * 9


def nowhere_at_first(b, h, q_idx, kv_idx):
    return (q_idx >= 3) & (kv_idx >= 0)


documents = torch.tensor([[0, 0, 1, 1, 1, 2, 2], [0, 1, 1, 1, 1, 1, 3]])


def same_document(b, h, q_idx, kv_idx):
    return documents[b, q_idx] == documents[b, kv_idx]


def alibi(score, b, h, q_idx, kv_idx):
    return score + (kv_idx - q_idx).to(score.dtype) * 0.25


def soft_cap(score, b, h, q_idx, kv_idx):
    return torch.tanh(score / 2) * 2


class Tiles:
    """Within: no call is too small for tiles and for the recomputing backward pass."""

    def __init__(self, monkeypatch, rows=16, columns=16, elements=2**10):
        monkeypatch.setattr(_flex_tiles, "ROWS", rows)
        monkeypatch.setattr(_flex_tiles, "COLUMNS", columns)
        monkeypatch.setattr(_flex_tiles, "ELEMENTS", elements)
        monkeypatch.setattr(_flex, "PLAIN", 0)


@pytest.fixture
def tiny(monkeypatch):
    return Tiles(monkeypatch)


# ---------------------------------------------------------------------------------------------------------------------
# flex_attention: the contract


@about_flex
def test_signature(impl):
    names = list(inspect.signature(impl).parameters)
    assert names[:5] == ["query", "key", "value", "score_mod", "block_mask"]
    assert names[5:] == ["scale", "enable_gqa", "return_lse", "kernel_options", "return_aux"]


@about_flex
@pytest.mark.parametrize("score_mod", [None, alibi, soft_cap])
def test_score_modifiers(impl, score_mod):
    query, key, value = qkv()
    close(call(impl, query, key, value, score_mod=score_mod), reference(query, key, value, score_mod))


@about_flex
def test_a_captured_bias(impl):
    query, key, value = qkv()
    bias = randn(4, 5, 7)

    def score_mod(score, b, h, q_idx, kv_idx):
        return score + bias[h, q_idx, kv_idx]

    close(call(impl, query, key, value, score_mod=score_mod), reference(query, key, value, score_mod))


@about_flex
@pytest.mark.parametrize("mask_mod", [causal, by_head, nowhere_at_first, same_document])
def test_block_masks(impl, mask_mod):
    query, key, value = qkv(length=7)
    batches = 2 if mask_mod is same_document else None
    heads = 4 if mask_mod is by_head else None
    mask = create_block_mask(mask_mod, batches, heads, 7, 7, device="cpu", BLOCK_SIZE=2)
    close(call(impl, query, key, value, block_mask=mask), reference(query, key, value, mask_mod=mask_mod))


@about_flex
def test_score_modifier_and_mask_and_groups_of_heads_and_scale(impl):
    query, key, value = qkv(key_heads=2)
    mask = create_block_mask(causal, None, None, 5, 7, device="cpu")
    out = call(impl, query, key, value, alibi, mask, 0.3, True)
    close(out, reference(query, key, value, alibi, causal, 0.3))


@about_flex
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 4e-3), (torch.bfloat16, 4e-2)])
def test_dtypes(impl, dtype, tolerance):
    query, key, value = qkv(dtype=dtype)
    out = call(impl, query, key, value)
    assert out.dtype == dtype
    close(out, reference(query.double(), key.double(), value.double()), tolerance)


@about_flex
def test_keys_of_another_dtype(impl):
    query, key, value = qkv(dtype=torch.float32)
    out = call(impl, query, key.half(), value.half())
    assert out.dtype == torch.float32
    close(out, reference(query.double(), key.half().double(), value.half().double()), 1e-5)


@about_flex
def test_logsumexp(impl):
    query, key, value = qkv(length=7)
    mask = create_block_mask(nowhere_at_first, None, None, 7, 7, device="cpu")
    out, aux = call(impl, query, key, value, block_mask=mask, return_aux=AuxRequest(lse=True))
    assert type(aux).__name__ == "AuxOutput"
    assert aux.max_scores is None
    expected = torch.logsumexp(modified(query, key), -1)
    assert (aux.lse[:, :, :3] == -INF).all()
    close(aux.lse[:, :, 3:], expected[:, :, 3:])
    assert (out[:, :, :3] == 0).all()
    pair = call(impl, query, key, value, block_mask=mask, return_lse=True)
    assert len(pair) == 2
    close(pair[1][:, :, 3:], expected[:, :, 3:])


@about_flex
@pytest.mark.limit("max-scores")
def test_greatest_scores(impl):
    query, key, value = qkv()
    _, aux = call(impl, query, key, value, alibi, return_aux=AuxRequest(max_scores=True))
    assert aux.lse is None
    close(aux.max_scores, modified(query, key, alibi).max(-1)[0])


@about_flex
@pytest.mark.limit("blocks")
def test_the_lists_of_blocks_count(impl):
    query, key, value = qkv(length=4, keys=4)
    counts, columns = torch.tensor([[[1, 2]]], dtype=torch.int32), torch.tensor([[[[1, 0], [0, 1]]]], dtype=torch.int32)
    mask = module.BlockMask.from_kv_blocks(counts, columns, BLOCK_SIZE=2)

    def listed(b, h, q_idx, kv_idx):
        return (q_idx >= 2) | (kv_idx >= 2)

    close(call(impl, query, key, value, block_mask=mask), reference(query, key, value, mask_mod=listed))


@about_flex
@pytest.mark.limit("no-keys")
def test_no_keys(impl):
    query, key, value = qkv(keys=0)
    assert (call(impl, query, key, value) == torch.zeros(2, 4, 5, 6, dtype=DOUBLE)).all()


@about_flex
def test_no_queries(impl):
    assert call(impl, *qkv(length=0)).shape == (2, 4, 0, 6)


@about_flex
def test_one_batch_of_keys_for_all(impl):
    query, key, value = qkv()
    mask = create_block_mask(causal, 2, None, 5, 7, device="cpu")
    out = call(impl, query, key[:1], value[:1], block_mask=mask)
    close(out, reference(query, key[:1].expand(2, 4, 7, 8), value[:1].expand(2, 4, 7, 6), mask_mod=causal))


@about_flex
def test_options_for_kernels_change_nothing(impl):
    query, key, value = qkv()
    close(call(impl, query, key, value, kernel_options={"BLOCK_M": 64}), reference(query, key, value))


@about_flex
@pytest.mark.limit("backward")
def test_gradients(impl):
    inputs = qkv(requires_grad=True)
    upper = randn(2, 4, 5, 6)
    mask = create_block_mask(causal, None, None, 5, 7, device="cpu")
    out = call(impl, *inputs, score_mod=alibi, block_mask=mask)
    expected = torch.autograd.grad(reference(*inputs, score_mod=alibi, mask_mod=causal), inputs, upper)
    for actual, wanted in zip(torch.autograd.grad(out, inputs, upper), expected):
        close(actual, wanted)


@about_flex
def test_the_gradient_of_a_captured_tensor(impl):
    inputs = qkv()
    slopes = randn(4, requires_grad=True)

    def score_mod(score, b, h, q_idx, kv_idx):
        return score * slopes[h]

    expected = torch.autograd.grad(reference(*inputs, score_mod=score_mod).sum(), slopes)[0]
    close(torch.autograd.grad(call(impl, *inputs, score_mod=score_mod).sum(), slopes)[0], expected)


@about_flex
@pytest.mark.limit("memory")
def test_memory_is_linear(impl):
    largest = []

    def score_mod(score, b, h, q_idx, kv_idx):
        largest.append(max(score.numel(), (q_idx - kv_idx).numel()))
        return score

    query, key, value = qkv(batch=1, heads=2, key_heads=2, length=1500, keys=1500)
    assert call(impl, query, key, value, score_mod=score_mod).shape == (1, 2, 1500, 6)
    assert max(largest) <= 2**19


@about_flex
def test_errors(impl):
    query, key, value = qkv()
    mask = create_block_mask(causal, None, None, 5, 7, device="cpu")
    with pytest.raises(NotImplementedError):
        impl(query[0], key[0], value[0])
    with pytest.raises(ValueError, match="heads"):
        impl(query, key[:, :2], value[:, :2])
    with pytest.raises(ValueError, match="heads"):
        impl(query, key[:, :3], value[:, :3], enable_gqa=True)
    with pytest.raises(ValueError, match="batch size"):
        impl(query, key[:1], value[:1])
    with pytest.raises(ValueError, match=r"width|dimension"):
        impl(query[..., :4], key, value)
    with pytest.raises(ValueError, match="return_aux"):
        call(impl, query, key, value, return_lse=True, return_aux=AuxRequest(lse=True))
    with pytest.raises(RuntimeError, match="smaller length"):
        impl(qkv(length=6)[0], key, value, block_mask=mask)
    with pytest.raises(RuntimeError, match="larger length"):
        impl(query[:, :, :4], key, value, block_mask=mask)
    with pytest.raises(RuntimeError, match="sliced BlockMask"):
        impl(query, key, value, block_mask=mask[:1])


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
    monkeypatch.setattr(_flex, "PLAIN", 2**20)
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


# ---------------------------------------------------------------------------------------------------------------------
# Masks


@about_whole
def test_create_mask(impl):
    assert inspect.signature(impl).parameters["device"].default is None
    mask = impl(same_document, 2, 3, 7, 7, device="cpu")
    assert mask.dtype == torch.bool
    assert mask.shape == (2, 3, 7, 7)
    assert (mask == same_document(*indices((2, 3, 7, 7)))).all()
    assert (impl(causal, None, None, 3, 4, device="cpu") == torch.ones(3, 4).tril().bool()).all()


@about_whole
def test_create_mask_of_a_score_modifier(impl):
    def score_mod(score, b, h, q_idx, kv_idx):
        return score.masked_fill(q_idx < kv_idx, -INF)

    assert (impl(score_mod, None, 2, 3, 3, device="cpu") == torch.ones(3, 3).tril().bool()).all()


@about_whole
def test_create_mask_counts_arguments(impl):
    with pytest.raises(AssertionError):
        impl(lambda b, h, q_idx: q_idx >= 0, None, None, 3, 3, device="cpu")


@pytest.mark.parametrize("name", ["create_mask", "create_block_mask"])
def test_the_device_is_chosen(name):
    made = SHIMS[PREFIX + name].fallback(causal, None, None, 3, 3)
    tensor = made if name == "create_mask" else made.kv_indices
    assert tensor.device.type == available_devices()[0].type


@about_create
def test_create_block_mask(impl):
    mask = impl(causal, 2, None, 300, 300, device="cpu")
    assert type(mask).__name__ == "BlockMask"
    assert mask.shape == (2, 1, 300, 300)
    assert mask.BLOCK_SIZE == (128, 128)
    assert mask.kv_num_blocks.tolist() == [[[1, 1, 3]]] * 2
    assert mask.full_kv_num_blocks.tolist() == [[[0, 1, 0]]] * 2
    assert mask.kv_indices[0, 0].tolist() == [[0, 1, 2], [1, 0, 2], [0, 1, 2]]
    assert mask.q_num_blocks.tolist() == [[[2, 2, 1]]] * 2
    assert mask.full_q_num_blocks.tolist() == [[[1, 0, 0]]] * 2
    for name in ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices", "q_num_blocks", "q_indices"):
        assert getattr(mask, name).dtype == torch.int32
    assert mask.mask_mod is causal
    assert mask[:, :, :1].shape == (2, 1, 128, 300)


@about_create
def test_create_block_mask_without_full_blocks(impl):
    mask = impl(causal, None, None, 300, 300, device="cpu", separate_full_blocks=False)
    assert mask.full_kv_num_blocks is None
    assert mask.kv_num_blocks.tolist() == [[[1, 2, 3]]]


@about_create
@pytest.mark.parametrize("descending", [True, False])
def test_the_order_of_writing(impl, descending):
    mask = impl(
        causal, None, None, 8, 8, device="cpu", BLOCK_SIZE=2, compute_dq_write_order=True, dq_kv_order=descending
    )
    assert mask.dq_kv_order_spt is descending
    # Row of blocks m has the columns 0 ... m, whole but for the last.
    turns = mask.dq_write_order_full[0, 0, 0, :3].tolist()
    assert turns == ([1, 2, 3] if descending else [0, 0, 0])
    assert mask.dq_write_order[0, 0, :, 0].tolist() == ([0, 0, 0, 0] if descending else [0, 1, 2, 3])


@about_create
def test_create_block_mask_refuses(impl):
    with pytest.raises(AssertionError):
        impl(alibi, None, None, 3, 3, device="cpu")
    with pytest.raises(AssertionError):
        impl(lambda b, h, q_idx, kv_idx: q_idx - kv_idx, None, None, 3, 3, device="cpu")
    with pytest.raises(ValueError, match="dq_kv_order"):
        impl(causal, None, None, 3, 3, device="cpu", dq_kv_order=None)


def test_the_whole_mask_is_never_held(monkeypatch):
    monkeypatch.setattr(_flex_masks, "STRIP", 2**12)
    largest = []

    def mask_mod(b, h, q_idx, kv_idx):
        largest.append((q_idx * kv_idx).numel())
        return q_idx >= kv_idx

    mask = SHIMS[PREFIX + "create_block_mask"].fallback(mask_mod, None, None, 500, 500, device="cpu", BLOCK_SIZE=8)
    assert max(largest) <= 2**12
    assert mask.sparsity() == pytest.approx(100 * (1 - 63 * 64 / 2 / 63**2))


def a_mask(impl):
    """A causal mask of 2 x 2 batches and heads, 400 x 400."""
    made = create_block_mask(causal, 2, 2, 400, 400, device="cpu")
    lists = (made.kv_num_blocks, made.kv_indices, made.full_kv_num_blocks, made.full_kv_indices)
    return impl.from_kv_blocks(*lists, mask_mod=causal, seq_lengths=(400, 400))


@about_masks
def test_what_a_mask_is(impl):
    mask = a_mask(impl)
    assert mask.shape == (2, 2, 400, 400)
    assert mask.numel() == 4 * 400 * 400
    assert mask.sparsity() == 37.5
    assert mask.to_dense().dtype == torch.int32
    assert (mask.to_dense() == torch.ones(4, 4).tril().int()).all()
    assert mask.seq_lengths == (400, 400)
    assert len(mask.as_tuple()) == 17
    assert len(mask.as_tuple(flatten=False)) == 15
    assert mask.as_tuple()[:2] == (400, 400)
    assert mask.as_tuple()[-1] is causal


@about_masks
def test_small_masks_are_not_sparser_than_nothing(impl):
    one = torch.ones(1, 1, 1, dtype=torch.int32)
    assert impl.from_kv_blocks(one, one.unsqueeze(-1) * 0, seq_lengths=(5, 5)).sparsity() == 0.0


@about_masks
@pytest.mark.parametrize(
    ("index", "shape"),
    [
        ((0,), (1, 2, 400, 400)),
        ((0, 1), (1, 1, 400, 400)),
        ((slice(None), slice(None), slice(1)), (2, 2, 128, 400)),
        ((slice(None), slice(None), 1), (2, 2, 128, 400)),
        ((-1, slice(None), -1), (1, 2, 16, 400)),
        ((slice(None), slice(None), slice(2, None)), (2, 2, 144, 400)),
        ((slice(None), slice(None), slice(None, None, 3)), (2, 2, 144, 400)),
        ((slice(None), slice(None), slice(0)), (2, 2, 0, 400)),
        ((slice(None), slice(None), torch.tensor([0, 3])), (2, 2, 256, 400)),
    ],
)
def test_selections(impl, index, shape):
    mask = a_mask(impl)
    part = mask[index]
    assert part.shape == shape
    kept = tuple(slice(at, at + 1 or None) if isinstance(at, int) else at for at in index)
    assert (part.kv_num_blocks == mask.kv_num_blocks[kept]).all()
    assert (part.kv_indices == mask.kv_indices[kept]).all()
    assert (part.to_dense() == mask.to_dense()[kept]).all()
    with pytest.raises(RuntimeError, match="sliced"):
        part.mask_mod(0, 0, 0, 0)


@about_masks
def test_too_many_indices(impl):
    mask = a_mask(impl)
    with pytest.raises(IndexError):
        mask[0, 0, 0, 0]


@about_masks
def test_text(impl):
    mask = a_mask(impl)
    assert str(mask[0, 0]).startswith("BlockMask(shape=(1, 1, 400, 400), sparsity=37.50%, \n(0, 0)\n██")
    assert "sparsity=37.50%" in repr(mask)
    assert "mask_mod=causal" in repr(mask)
    assert mask.to_string(grid_size=2).startswith("(0, 0)\n░░  \n██░░\n")
    assert "..." in mask.to_string(limit=1)


@about_masks
def test_to_another_device(impl):
    mask = a_mask(impl)
    there = mask.to("cpu")
    assert there is not mask
    assert there.shape == mask.shape
    assert there.mask_mod is causal
    assert (there.full_q_indices == mask.full_q_indices).all()


@about_masks
def test_masks_without_batches(impl):
    counts, columns = torch.ones(2, dtype=torch.int32), torch.zeros(2, 2, dtype=torch.int32)
    mask = impl.from_kv_blocks(counts, columns, compute_q_blocks=False)
    assert mask.shape == (256, 256)
    assert mask.q_indices is None
    assert mask.to_dense().tolist() == [[1, 0], [1, 0]]


@about_masks
def test_masks_that_are_refused(impl):
    one = torch.ones(1, 1, 1, dtype=torch.int32)
    with pytest.raises(RuntimeError, match="dimensions"):
        impl.from_kv_blocks(one[0, 0], one[0, 0])
    with pytest.raises(AssertionError, match="full_kv"):
        impl.from_kv_blocks(one, one.unsqueeze(-1), one)
    with pytest.raises(ValueError, match="dq_write_order"):
        impl.from_kv_blocks(one, one.unsqueeze(-1), dq_write_order_full=one)


@law
@given(st.data())
def test_law_of_lists_and_grids(data):
    """A grid of blocks becomes lists and comes back."""
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    cells = data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    dense = torch.tensor(cells).view(1, 1, rows, columns)
    counts, places = _flex_masks.listed(dense)
    assert (_flex_masks.grid(counts, places, columns) == dense.int()).all()
    back = _flex_masks.transposed(*_flex_masks.transposed(counts, places, columns), rows)
    assert (_flex_masks.grid(*back, columns) == dense.int()).all()


@pytest.mark.shim(PREFIX + "or_masks")
def test_or_masks(impl):
    either = impl(causal, lambda b, h, q_idx, kv_idx: kv_idx == 2)
    expected = torch.ones(3, 3).tril().bool()
    expected[:, 2] = True
    assert (either(*indices((1, 1, 3, 3))) == expected).all()
    assert not impl()(*indices((1, 1, 1, 1))).any()
    with pytest.raises(RuntimeError, match="callable"):
        impl(causal, 3)


@pytest.mark.shim(PREFIX + "and_masks")
def test_and_masks(impl):
    both = impl(causal, lambda b, h, q_idx, kv_idx: kv_idx == 1)
    expected = torch.tensor([[False, False], [False, True]])
    assert (both(*indices((1, 1, 2, 2))) == expected).all()
    assert impl()(*indices((1, 1, 1, 1))).all()
    with pytest.raises(RuntimeError, match="callable"):
        impl(causal, 3)


@pytest.mark.shim(PREFIX + "noop_mask")
def test_noop_mask(impl):
    out = impl(*[torch.tensor(0)] * 4)
    assert out.dtype == torch.bool
    assert out.shape == ()
    assert bool(out)


def test_combined_masks_run():
    query, key, value = qkv(length=7)
    mask = create_block_mask(and_masks(causal, noop_mask, same_document), 2, None, 7, 7, device="cpu", BLOCK_SIZE=2)
    expected = reference(query, key, value, mask_mod=lambda *at: causal(*at) & same_document(*at))
    close(flex(query, key, value, block_mask=mask), expected)
    everything = create_block_mask(noop_mask, None, None, 7, 7, device="cpu", BLOCK_SIZE=2)
    assert everything.sparsity() == 0.0
    close(flex(query, key, value, block_mask=everything), reference(query, key, value))


@pytest.mark.shim(PREFIX + "AuxRequest")
def test_aux_request(impl):
    assert impl() == (False, False)
    assert impl(max_scores=True).max_scores
    assert impl._fields == ("lse", "max_scores")


@pytest.mark.shim(PREFIX + "AuxOutput")
def test_aux_output(impl):
    assert impl() == (None, None)
    assert impl._fields == ("lse", "max_scores")


def test_torchs_own_block_mask_serves_the_fallback():
    native = SHIMS[PREFIX + "create_block_mask"].native
    if native is None:
        pytest.skip("torch has block masks since 2.5")
    query, key, value = qkv(length=7)
    mask = native(by_head, None, 4, 7, 7, device="cpu", BLOCK_SIZE=128)
    close(flex(query, key, value, block_mask=mask), reference(query, key, value, mask_mod=by_head))
