"""``torch.nn.MultiheadAttention`` with today's signature; its layout is (batch, length, width) inside."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
from torch import Tensor
from torch.nn.functional import dropout, linear, pad

from .. import _moved
from .._shim import at_home
from .._torch import at_least, at_most, compiling, exporting, find
from ._fast import attention_by_torch
from ._masks import additive_pair
from ._scripting import is_scripting, multihead
from ._states import restore
from .functional import scaled_dot_product_attention
from .functional._sdpa._autocast import autocast_dtype

# Modules take device= and dtype= since 1.9, https://github.com/pytorch/pytorch/pull/54508 ; before, they are moved.
HAS_FACTORY_KEYWORDS = at_least(1, 9)
HAS_NESTED = find("torch.Tensor.is_nested") is not None


class _PlainLinear(torch.nn.Linear):  # type: ignore[misc]
    """A Linear that dynamic quantisation, which goes by exact type, leaves alone: attention reads its weight itself.

    Torch's own class for this is missing before 1.9; with ours a saved module loads on every torch.
    """


at_home(_PlainLinear, "torchcompat.nn")


_EXPORTS_NO_CHUNKS = at_least(1, 8) and at_most(1, 9)  # of a constant


def _thirds(parameter: Any) -> Any:
    """The parts of a parameter for query, key and value."""
    if _EXPORTS_NO_CHUNKS and exporting():
        width = parameter.size(0) // 3
        return [parameter[start : start + width] for start in (0, width, 2 * width)]
    return parameter.chunk(3)


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(tensor.size())


def _check_inputs(module: Any, query: Any, key: Any, value: Any) -> None:
    dims, packed = query.dim(), module._qkv_same_embed_dim
    if dims not in (2, 3):
        raise AssertionError(f"query must be 3-D, or 2-D without a batch; got shape {_shape(query)}")
    for name, tensor in (("key", key), ("value", value)):
        if tensor.dim() != dims:
            raise AssertionError(f"{name} must be {dims}-D as query is, got shape {_shape(tensor)}")
    if query.size(-1) != module.embed_dim:
        raise AssertionError(f"query must have width embed_dim={module.embed_dim}, got shape {_shape(query)}")
    if _shape(key)[:-1] != _shape(value)[:-1] or (packed and key.size(-1) != value.size(-1)):
        raise AssertionError(f"value does not fit key: got shapes {_shape(value)} and {_shape(key)}")
    for name, tensor, width in (("key", key, module.kdim), ("value", value, module.vdim)):
        if tensor.size(-1) != width:
            error = RuntimeError if packed else AssertionError
            raise error(f"{name} must have width {name[0]}dim={width}, got shape {_shape(tensor)}")
    batch = 0 if module.batch_first else 1
    if dims == 3 and key.size(batch) != query.size(batch):
        raise RuntimeError(f"key must have query's batch size {query.size(batch)}, got shape {_shape(key)}")


def _check_mask_dims(query: Any, key_padding_mask: Any, attn_mask: Any) -> None:
    if key_padding_mask is not None and key_padding_mask.dim() != query.dim() - 1:
        wanted = "(batch, source length)" if query.dim() == 3 else "(source length,) without a batch"
        raise AssertionError(f"key_padding_mask must have shape {wanted}, got {_shape(key_padding_mask)}")
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(f"attn_mask must be 2-D or 3-D, got shape {_shape(attn_mask)}")


def _check_mask_dtypes(query: Any, key_padding_mask: Any, attn_mask: Any, need_weights: bool) -> None:
    """Float masks are of the query's dtype; the path without weights and autocast also take float32."""
    if key_padding_mask is None and attn_mask is None:
        return
    accepted = {query.dtype}
    if not need_weights or autocast_dtype(query.device.type) is not None:
        accepted.add(torch.float32)
    for name, mask in (("key_padding_mask", key_padding_mask), ("attn_mask", attn_mask)):
        if mask is not None and mask.dtype not in accepted:
            raise RuntimeError(f"{name} must be bool or of query's dtype {query.dtype}, got {mask.dtype}")


def _merged_mask(key_padding_mask: Any, attn_mask: Any, shape: tuple[int, int, int, int], unbatched: bool) -> Any:
    """The sum of both masks, of a shape that broadcasts to the scores' (batch, heads, length, source length)."""
    batch, heads, length, source = shape
    if attn_mask is not None:
        flat = (length, source) if attn_mask.dim() == 2 else (batch * heads, length, source)
        if _shape(attn_mask) != flat:
            error = AssertionError if unbatched and attn_mask.dim() == 3 else RuntimeError
            raise error(f"attn_mask must have shape {flat}, got {_shape(attn_mask)}")
        if attn_mask.dim() == 3:
            attn_mask = attn_mask.reshape(shape)
    if key_padding_mask is None:
        return attn_mask
    if _shape(key_padding_mask) != (batch, source):
        raise AssertionError(f"key_padding_mask must have shape {(batch, source)}, got {_shape(key_padding_mask)}")
    padding = key_padding_mask.reshape(batch, 1, 1, source)
    return padding if attn_mask is None else attn_mask + padding


def _with_weights(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, scale: float) -> tuple[Any, Any]:
    """Attention that also returns its weights. A fully masked row is NaN, as on every torch.

    The scale comes from outside: in a trace of torch before 1.6 a size to the power -0.5 is an integer.
    """
    dtype = query.dtype
    if dtype in (torch.float16, torch.bfloat16):
        # CPUs had no softmax of these before 1.10 and 2.2.
        query, key, value = query.float(), key.float(), value.float()
    scores = torch.matmul(query * scale, key.transpose(-2, -1))
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    weights = torch.softmax(scores, -1)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    weights = weights.to(value.dtype)
    return torch.matmul(weights, value).to(dtype), weights.to(dtype)


class MultiheadAttentionBase(torch.nn.MultiheadAttention):  # type: ignore[misc]
    """What :class:`torchcompat.nn.MultiheadAttention` does."""

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"embed_dim and num_heads must be positive, got {embed_dim} and {num_heads}")
        if embed_dim % num_heads:
            raise AssertionError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        # The constructor of this torch's class may lack keywords and draw other numbers.
        torch.nn.Module.__init__(self)
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        factory = {"device": device, "dtype": dtype} if HAS_FACTORY_KEYWORDS else {}

        def parameter(wanted: bool, *shape: int) -> Any:
            return torch.nn.Parameter(torch.empty(*shape, **factory)) if wanted else None

        packed = self._qkv_same_embed_dim
        self.register_parameter("q_proj_weight", parameter(not packed, embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", parameter(not packed, embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", parameter(not packed, embed_dim, self.vdim))
        self.register_parameter("in_proj_weight", parameter(packed, 3 * embed_dim, embed_dim))
        self.register_parameter("in_proj_bias", parameter(bias, 3 * embed_dim))
        self.out_proj = _PlainLinear(embed_dim, embed_dim, bias=bias, **factory)
        self.register_parameter("bias_k", parameter(add_bias_kv, 1, 1, embed_dim))
        self.register_parameter("bias_v", parameter(add_bias_kv, 1, 1, embed_dim))
        self._reset_parameters()
        if not HAS_FACTORY_KEYWORDS:
            self.to(device=device, dtype=dtype)

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state, {"batch_first": False, "_qkv_same_embed_dim": True})

    def _reset_parameters(self) -> None:
        init = torch.nn.init
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.constant_(bias, 0.0)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def _project(self, query: Any, key: Any, value: Any) -> Any:
        bias = self.in_proj_bias
        if not self._qkv_same_embed_dim:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        elif query is key and key is value:
            return linear(query, self.in_proj_weight, bias).chunk(3, -1)
        else:
            weights = _thirds(self.in_proj_weight)
        biases = (None, None, None) if bias is None else _thirds(bias)
        return [linear(x, weight, b) for x, weight, b in zip((query, key, value), weights, biases)]

    def _batch_first(self, projected: Any) -> Any:
        """(L, B, width), (B, L, width) or (L, width), as the input came, as (B, L, width)."""
        if projected.dim() == 2:
            return projected.unsqueeze(0)
        return projected if self.batch_first else projected.transpose(0, 1)

    def _extra_keys(self) -> int:
        return int(self.bias_k is not None) + int(self.add_zero_attn)

    def _extended(self, source: Any, extra: Any) -> Any:
        """Projected keys or values (B, S, width) with what add_bias_kv and add_zero_attn append."""
        parts = [source]
        if extra is not None:
            parts.append(extra.to(source.dtype).expand(source.size(0), 1, self.embed_dim))
        if self.add_zero_attn:
            # Not new_zeros, which torch 1.4 cannot export.
            parts.append(torch.zeros(source.size(0), 1, self.embed_dim, dtype=source.dtype, device=source.device))
        return torch.cat(parts, 1) if len(parts) > 1 else source

    def _heads(self, projected: Any) -> Any:
        """(B, L, width) as (B, H, L, width / H)."""
        batch, length, _ = projected.size()
        return projected.reshape(batch, length, self.num_heads, self.head_dim).transpose(1, 2)

    # Torch.jit.script reads these annotations, in the form that torch 1.8 knows.
    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Optional[Tensor] = None,
        need_weights: bool = True,
        attn_mask: Optional[Tensor] = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Tuple[Tensor, Optional[Tensor]]:
        """Attend from *query* to *key* and *value*.

        Args:
            query: (L, B, embed_dim), (B, L, embed_dim) with batch_first, or (L, embed_dim).
            key: (S, B, kdim), (B, S, kdim) with batch_first, or (S, kdim).
            value: like *key*, of width vdim.
            key_padding_mask: (B, S), or (S,) without a batch: bool, True for keys to ignore, or float, added to the
                scores.
            need_weights: return the weights too, which costs memory and speed.
            attn_mask: (L, S) or (B * H, L, S): bool, True for pairs to ignore, or float, added to the scores.
            average_attn_weights: return the mean of the heads' weights.
            is_causal: a promise that *attn_mask* is the causal mask, so that it need not be read.

        Returns:
            The output, shaped like *query*, and the weights: (B, L, S), or (B, H, L, S) without the mean, without B for
            an input without one; None without *need_weights*. A query that may see no key gives weights of NaN with
            *need_weights*, the bias of the output projection without.

        Raises:
            AssertionError: a shape that does not fit, or a mask that is neither bool nor floating point.
            RuntimeError: *is_causal* without *attn_mask*; an *attn_mask* of another shape; a float mask of a dtype
                other than the query's.
        """
        if is_scripting():
            return multihead(
                query,
                key,
                value,
                self.num_heads,
                self.batch_first,
                self.in_proj_weight,
                (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight),
                self.in_proj_bias,
                (self.bias_k, self.bias_v, self.add_zero_attn),
                self.out_proj.weight,
                self.out_proj.bias,
                self.dropout if self.training else 0.0,
                key_padding_mask,
                need_weights,
                attn_mask,
                average_attn_weights,
                is_causal,
            )
        else:  # noqa: RET505 - the compiler skips what is in here
            return self._attend(
                query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
            )

    def _attend(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any,
        need_weights: bool,
        attn_mask: Any,
        average_attn_weights: bool,
        is_causal: bool,
    ) -> tuple[Any, Any]:
        if HAS_NESTED and query.is_nested:
            args = (query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights)
            return super().forward(*args)  # type: ignore[no-any-return]
        if not (self.training or compiling()):
            inputs, how = (query, key, value), (need_weights, average_attn_weights, is_causal)
            fused = attention_by_torch(self, inputs, attn_mask, key_padding_mask, *how)
            if fused is not None:
                return fused[0], (fused[1] if need_weights else None)
        _check_inputs(self, query, key, value)
        padding, mask = additive_pair("key_padding_mask", key_padding_mask, "attn_mask", attn_mask, query.dtype)
        _check_mask_dims(query, padding, mask)
        if is_causal and mask is None:
            raise RuntimeError("attn_mask must be given with is_causal=True, which only says that it is causal")
        is_causal = is_causal and padding is None and not need_weights and not self._extra_keys()
        if is_causal:
            mask = None
        _check_mask_dtypes(query, padding, mask, need_weights)

        unbatched = query.dim() == 2
        q, k, v = (self._batch_first(x) for x in self._project(query, key, value))
        if unbatched and padding is not None:
            padding = padding.unsqueeze(0)
        mask = _merged_mask(padding, mask, (q.size(0), self.num_heads, q.size(1), k.size(1)), unbatched)
        if mask is not None and self._extra_keys():
            mask = pad(mask, (0, self._extra_keys()))
        q, k, v = (
            self._heads(q),
            self._heads(self._extended(k, self.bias_k)),
            self._heads(self._extended(v, self.bias_v)),
        )

        dropout_p = self.dropout if self.training else 0.0
        if need_weights:
            out, weights = _with_weights(q, k, v, mask, dropout_p, self.head_dim**-0.5)
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights.squeeze(0) if unbatched else weights
        else:
            out, weights = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal), None
        out = out.transpose(1, 2) if unbatched or self.batch_first else out.permute(2, 0, 1, 3)
        # Not flatten, which exporters to ONNX up to torch 1.6 make constants of.
        out = out.reshape(out.size(0), out.size(1), self.embed_dim)
        out = linear(out, self.out_proj.weight, self.out_proj.bias)
        return (out.squeeze(0) if unbatched else out), weights


_moved.attach(globals())
