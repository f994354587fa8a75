"""flex_attention: against the formula in float64, laws, and torch's own."""

import inspect

import pytest
import torch
from assertions import close
from flex_tools import (
    DOUBLE,
    INF,
    _fresh_compiler,  # noqa: F401 - runs after every test
    about_flex,
    alibi,
    by_head,
    call,
    causal,
    modified,
    nowhere_at_first,
    qkv,
    randn,
    reference,
    same_document,
    soft_cap,
)

import torchcompat.nn.attention.flex_attention as module
from torchcompat.nn.attention.flex_attention import AuxRequest, create_block_mask

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
