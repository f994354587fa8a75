"""The formula of flex attention, and modifiers and masks to try it with."""

import math
import warnings

import pytest
import torch
from hypothesis import settings

from torchcompat import SHIMS, at_least

PREFIX = "nn.attention.flex_attention."


flex = SHIMS[PREFIX + "flex_attention"].fallback


about_flex = pytest.mark.shim(PREFIX + "flex_attention")


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
