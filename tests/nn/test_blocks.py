"""Attention in blocks: against the formula in float64, its derivatives, its memory, and when it is chosen."""

import os
import subprocess
import sys

import pytest
import torch

from torchcompat import SHIMS, at_least, func
from torchcompat.nn.attention import SDPBackend, sdpa_kernel
from torchcompat.nn.functional._sdpa import _blocks, _plan

attention = SHIMS["nn.functional.scaled_dot_product_attention"].fallback
DOUBLE = torch.float64


@pytest.fixture
def blocks(monkeypatch):
    """Makes every call go in blocks of a few rows and keys; a list that notes the calls."""
    calls = []
    forward = _blocks.forward

    def noting(*arguments):
        calls.append(arguments)
        return forward(*arguments)

    monkeypatch.setattr(_plan, "native", None)  # torch 2.1 to 2.4's own
    for name in ("MANY_SCORES", "MANY_CAUSAL"):
        monkeypatch.setattr(_plan, name, 0)
    for name, size in (("CPU_BLOCK", 64), ("MIN_ROWS", 3), ("MIN_COLUMNS", 4)):
        monkeypatch.setattr(_blocks, name, size)
    monkeypatch.setattr(_blocks, "forward", noting)
    return calls


def expected(query, key, value, mask=None, is_causal=False, scale=0.3):
    """The formula with all scores at once; a row that sees nothing gives zeros."""
    if key.dim() > 3 and query.dim() > 3 and key.size(-3) > 1:
        groups = query.size(-3) // key.size(-3)
        if groups > 1:
            key, value = (torch.stack([x] * groups, -3).flatten(-4, -3) for x in (key, value))
    scores = torch.matmul(query, key.transpose(-2, -1)) * scale
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=DOUBLE).tril() > 0
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=DOUBLE).masked_fill(~mask, -float("inf"))
    if mask is not None:
        scores = scores + mask
    closed = (scores == -float("inf")).all(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(closed, 0.0), -1).masked_fill(closed, 0.0)
    return torch.matmul(weights, value)


def inputs(query, key, width=6):
    tensors = [torch.randn(query, dtype=DOUBLE), torch.randn(key, dtype=DOUBLE)]
    tensors.append(torch.randn((*key[:-1], width), dtype=DOUBLE))
    return [tensor.requires_grad_() for tensor in tensors]


SHAPES = {
    "4-D": ((2, 4, 11, 5), (2, 4, 13, 5), False),
    "groups": ((2, 4, 11, 5), (2, 2, 13, 5), True),
    "one key head": ((2, 4, 11, 5), (2, 1, 13, 5), False),
    "2-D": ((11, 5), (13, 5), False),
    "3-D": ((4, 11, 5), (4, 13, 5), False),
    "broadcast": ((2, 1, 4, 11, 5), (3, 4, 13, 5), False),
    "longer query": ((1, 4, 20, 5), (3, 1, 7, 5), False),
    "many elements": ((9, 2, 2, 5), (9, 2, 3, 5), False),
}


def mask_for(kind, query, key):
    length, keys = query[-2], key[-2]
    batch = query[0] if len(query) == 4 else 1
    if kind == "bool":
        return torch.rand(length, keys) > 0.4
    if kind == "float":
        return torch.randn(length, keys, dtype=DOUBLE).requires_grad_()
    if kind == "float by head":
        return torch.randn((*query[-3:-2], length, keys), dtype=DOUBLE).requires_grad_()
    if kind == "padding":
        kept = torch.tensor([3, keys, 1, 2, keys, 1, 1, 2, 3][:batch])
        mask = torch.arange(keys) < kept.unsqueeze(-1)
        return mask.reshape((batch, 1, 1, keys) if len(query) == 4 else (1, keys))
    if kind == "rows":
        return torch.rand(length, 1) > 0.5
    if kind == "closed":
        mask = torch.rand(length, keys) > 0.4
        mask[1], mask[:, : keys // 2] = False, False
        return mask
    return None


@pytest.mark.filterwarnings("ignore:.*fully masked|.*NaN")  # at the making of a bias with more queries than keys
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("small", [True, False])
def test_a_causal_bias_in_the_lower_right(blocks, monkeypatch, name, small):
    if not small:
        monkeypatch.setattr(_plan, "MANY_SCORES", 2**22)
        monkeypatch.setattr(_plan, "MANY_CAUSAL", 2**22)
    query, key, grouped = SHAPES[name]
    tensors = inputs(query, key)
    bias = SHIMS["nn.attention.bias.causal_lower_right"].fallback(query[-2], key[-2])
    out = attention(*tensors, bias, scale=0.3, enable_gqa=grouped)
    assert bool(blocks) == small
    triangle = torch.ones(query[-2], key[-2], dtype=DOUBLE).tril(key[-2] - query[-2]) > 0
    same = expected(*tensors, triangle)
    assert (out - same).abs().max() < 1e-12
    for mine, correct in zip(*(torch.autograd.grad(x.sin().sum(), tensors) for x in (out, same))):
        assert (mine - correct).abs().max() < 1e-11


def test_a_causal_bias_of_other_lengths():
    bias = SHIMS["nn.attention.bias.causal_lower_right"].fallback(5, 9)
    query, key, value = inputs((1, 2, 4, 3), (1, 2, 9, 3))
    with pytest.raises(RuntimeError, match="attn_mask must be a CausalBias of query's and key's lengths"):
        attention(query, key, value, bias)
    with pytest.raises(ValueError, match="is_causal must be False"):
        attention(query, key, value, bias, 0.0, True)


KINDS = ["none", "causal", "bool", "float", "float by head", "padding", "rows", "closed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHAPES)
def test_values_and_derivatives(blocks, name, kind):
    query, key, grouped = SHAPES[name]
    tensors, mask, is_causal = inputs(query, key), mask_for(kind, query, key), kind == "causal"
    out = attention(*tensors, mask, 0.0, is_causal, scale=0.3, enable_gqa=grouped)
    assert blocks
    same = expected(*tensors, mask, is_causal)
    assert out.shape == same.shape
    assert (out - same).abs().max() < 1e-12

    wanted = tensors + ([mask] if mask is not None and mask.requires_grad else [])
    cotangent = torch.randn(same.shape, dtype=DOUBLE, requires_grad=True)
    ours, theirs = (torch.autograd.grad(x, wanted, cotangent, create_graph=True) for x in (out, same))
    first = torch.autograd.grad(out, wanted, cotangent, retain_graph=True)
    for gradient, by_formula, correct in zip(first, ours, theirs):
        assert not gradient.requires_grad
        assert (gradient - correct).abs().max() < 1e-11
        assert (by_formula - correct).abs().max() < 1e-11
    ours, theirs = (sum((x * x.detach().cos()).sum() for x in gradients) for gradients in (ours, theirs))
    for mine, correct in zip(*(torch.autograd.grad(x, [*wanted, cotangent]) for x in (ours, theirs))):
        assert (mine - correct).abs().max() < 1e-9


@pytest.mark.parametrize("wanted", [[0], [1], [2], [0, 2], [3]])
def test_only_the_gradients_that_are_wanted(blocks, wanted):
    tensors = [x.detach() for x in inputs((1, 2, 9, 4), (1, 2, 8, 4))] + [torch.randn(9, 8, dtype=DOUBLE)]
    for index in wanted:
        tensors[index].requires_grad_()
    chosen = [tensors[index] for index in wanted]
    ours = torch.autograd.grad(attention(*tensors, scale=0.3).sin().sum(), chosen)
    theirs = torch.autograd.grad(expected(*tensors).sin().sum(), chosen)
    for mine, correct in zip(ours, theirs):
        assert (mine - correct).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_are_made_in_float32(blocks, dtype):
    query, key, value = (x.detach().to(dtype).requires_grad_() for x in inputs((1, 2, 40, 8), (1, 2, 300, 8)))
    out = attention(query, key, value)
    doubles = [x.detach().double().requires_grad_() for x in (query, key, value)]
    same = expected(*doubles, scale=8**-0.5)
    rounding = {torch.float32: 1e-6, torch.bfloat16: 2**-9, torch.float16: 2**-12}[dtype]
    assert out.dtype == dtype
    assert (out.double() - same).abs().max() < rounding * (1 + same.abs().max())
    if dtype == torch.bfloat16 and not at_least(1, 4):
        return  # torch 1.2 and 1.3 lose the graph where they convert to bfloat16
    gradients = torch.autograd.grad(out, (query, key, value), torch.ones_like(out))
    for gradient, correct in zip(gradients, torch.autograd.grad(same.sum(), doubles)):
        assert gradient.dtype == dtype
        assert (gradient.double() - correct).abs().max() < 4 * rounding * (1 + correct.abs().max())


@pytest.mark.parametrize("is_causal", [False, True])
def test_dropout_repeats_in_the_backward(blocks, is_causal):
    tensors = inputs((1, 2, 7, 2), (1, 1, 6, 2), 2)

    def dropped(*tensors):
        torch.manual_seed(5)
        return attention(*tensors, None, 0.4, is_causal, enable_gqa=True)

    assert torch.equal(dropped(*tensors), dropped(*tensors))
    assert torch.autograd.gradcheck(dropped, tensors)
    assert torch.autograd.gradgradcheck(dropped, tensors)


def test_the_mean_of_dropout_is_the_attention(blocks):
    query, key, value = (x.detach() for x in inputs((1, 2, 9, 4), (1, 2, 30, 4)))
    mean = sum(attention(query, key, value, None, 0.5) for _ in range(400)) / 400
    assert (mean - attention(query, key, value)).abs().max() < 0.25
    assert not torch.equal(attention(query, key, value, None, 0.5), attention(query, key, value, None, 0.5))
    assert (attention(query, key, value, None, 1.0) == 0).all()


def test_torch_is_left_alone_but_for_one_draw(blocks):
    tensors = inputs((1, 2, 9, 4), (1, 2, 30, 4))
    before = torch.get_rng_state()
    attention(*tensors).sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    attention(*tensors, None, 0.5)
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    torch.randint(2**31, ())
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")  # torch 2.15 within its own jvp
def test_transforms_take_the_formula(blocks):
    query, key, value = (x.detach() for x in inputs((3, 2, 9, 4), (3, 2, 8, 4)))
    mapped = func.vmap(attention)(query, key, value)
    assert (mapped - expected(query, key, value, scale=0.5)).abs().max() < 1e-12
    one = (query[0], key[0], value[0])
    jacobian = func.jacrev(attention)(*one)
    forward = func.jacfwd(attention)(*one)
    q, k, v = (x.requires_grad_() for x in one)
    (row,) = torch.autograd.grad(expected(q, k, v, scale=0.5)[1, 2, 3], q)
    assert (jacobian[1, 2, 3] - row).abs().max() < 1e-12
    assert (forward[1, 2, 3] - row).abs().max() < 1e-12


def test_a_batched_backward(blocks):
    if not at_least(1, 11):
        pytest.skip("before torch 1.11 there is no is_grads_batched")
    query, key, value = inputs((1, 2, 9, 4), (1, 2, 8, 4))
    out = attention(query, key, value)
    rows = torch.randn(3, *out.shape, dtype=DOUBLE)
    batched = torch.autograd.grad(out, query, (rows,), is_grads_batched=True, retain_graph=True)[0]
    single = [torch.autograd.grad(out, query, row, retain_graph=True)[0] for row in rows]
    assert (batched - torch.stack(single)).abs().max() < 1e-12


@pytest.mark.parametrize("second", [False, True])
def test_autocast_has_no_say_in_the_backward_pass(blocks, second):
    if not at_least(1, 10):
        pytest.skip("autocast on CPU came with torch 1.10")
    tensors = [x.detach().float().requires_grad_() for x in inputs((1, 2, 9, 4), (1, 2, 8, 4))]
    out = attention(*tensors)
    plain = torch.autograd.grad(out, tensors, torch.ones_like(out), retain_graph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = torch.autograd.grad(out, tensors, torch.ones_like(out), create_graph=second)
    for one, other in zip(plain, cast):
        assert (one - other).abs().max() < 1e-6


def test_which_way_a_call_goes(blocks, monkeypatch):
    query, key, value = inputs((1, 2, 9, 4), (1, 2, 8, 4))
    with sdpa_kernel(SDPBackend.MATH):
        attention(query, key, value)
    assert not blocks
    monkeypatch.setattr(_plan, "MANY_SCORES", 2**22)
    attention(query, key, value)
    assert not blocks
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        attention(query, key, value)
    assert len(blocks) == 1
    with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION), pytest.raises(RuntimeError, match="no viable backend"):
        attention(query, key, value)


PEAK = """
import torch
from torchcompat import SHIMS
attention = SHIMS["nn.functional.scaled_dot_product_attention"].fallback
torch.set_num_threads(1)

def resident(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024

def grown(length, train):
    tensors = [torch.randn(1, 1, length, 64).requires_grad_(train) for _ in range(3)]
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    before = resident("VmRSS")
    out = attention(*tensors, is_causal=True)
    if train:
        torch.autograd.grad(out, tensors, torch.ones_like(out))
    return resident("VmHWM") - before

length = LENGTH
grown(64, True), grown(2048, True)
print(grown(length, False), grown(length, True))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of a process is read from Linux's /proc")
def test_the_memory_of_a_long_sequence_is_linear():
    # 16384 takes half a minute where the cores are busy.
    length = 16384 if os.environ.get("TORCHCOMPAT_FULL") else 8192
    program = PEAK.replace("LENGTH", str(length))
    # glibc keeps what is freed for the next tensor, which then costs no page: here each is given back at once.
    allocator = dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, env=allocator)
    forward, both = map(float, done.stdout.split())
    output = length * 64 * 4 / 2**20  # MiB; the scores would be 256 times as much at 16384
    assert output / 2 <= forward <= 16 * output
    assert 2 * output <= both <= 32 * output
