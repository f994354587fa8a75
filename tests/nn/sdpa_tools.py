"""The formula of attention in float64, and how near to it each dtype is."""

import math

import numpy as np
import torch
from hypothesis import settings

NAME = "nn.functional.scaled_dot_product_attention"


LAWS = settings(max_examples=15)


TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 4e-3}


def randn(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def qkv(query=(2, 4, 5, 8), key=(2, 4, 7, 8), value=(2, 4, 7, 8), dtype=torch.float32):
    return randn(*query, dtype=dtype), randn(*key, dtype=dtype), randn(*value, dtype=dtype)


def reference(query, key, value, attn_mask=None, is_causal=False, scale=None):
    """The formula in NumPy's float64; a row that may look nowhere gives 0."""
    query, key, value = (tensor.detach().double().numpy() for tensor in (query, key, value))
    length, keys, width = query.shape[-2], key.shape[-2], query.shape[-1]
    factor = (1 / math.sqrt(width) if width else 1.0) if scale is None else scale
    scores = np.einsum("...le,...se->...ls", query, key) * factor
    if is_causal:
        scores = np.where(np.tri(length, keys, dtype=bool), scores, -np.inf)
    if attn_mask is not None:
        mask = attn_mask.detach()
        boolean = mask.dtype == torch.bool
        scores = np.where(mask.numpy(), scores, -np.inf) if boolean else scores + mask.double().numpy()
    if keys == 0:
        return np.zeros(np.broadcast(scores[..., :1, 0:0].sum(-1), value[..., 0:0, :].sum(-1)).shape)
    top = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(top), 0.0, top))
    total = weights.sum(-1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return np.einsum("...ls,...se->...le", weights, value)


def check(out, expected, dtype=torch.float32):
    assert out.dtype == dtype
    assert tuple(out.shape) == expected.shape
    np.testing.assert_allclose(out.detach().double().numpy(), expected, rtol=0, atol=TOLERANCE[dtype])


def keep(*shape):
    """A random bool mask that leaves every row something."""
    mask = torch.rand(*shape) > 0.4
    mask[..., 0] = True
    return mask


def with_masked_row(mask, fill):
    mask = mask.clone()
    mask[..., 1, :] = fill
    return mask


MASKS = [(5, 7), (1, 7), (5, 1), (1, 1), (4, 5, 7), (4, 1, 1), (1, 5, 7), (2, 1, 1, 7), (2, 1, 5, 1), (2, 4, 5, 7)]
