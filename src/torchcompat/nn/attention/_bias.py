"""Causal masks that are not stored: torchcompat's own class, and what attention makes of one, torch's own included."""

from __future__ import annotations

import operator
import sys
import warnings
from typing import Any

import torch

from ... import _moved
from ..._shim import SHIMS, at_home
from ..._torch import at_least, find

UPPER_LEFT, LOWER_RIGHT = 1, 2
NAN = float("nan")
_NAME = "nn.attention.bias.CausalBias"
_TORCH_ATTENTION: Any = find("torch.nn.functional.scaled_dot_product_attention") or object()


def _length(name: str, value: Any) -> int:
    try:
        length = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {type(value).__name__}") from None
    if length < 0:
        raise RuntimeError(f"{name} must not be negative, got {length}")
    return length


def _is_variant(variant: Any) -> bool:
    # By name, since torch's own enumeration is as good as ours and is not always imported.
    return isinstance(variant, int) and type(variant).__name__ == "CausalVariant"


class CausalBiasBase(torch.Tensor):  # type: ignore[misc]
    """What :class:`torchcompat.nn.attention.bias.CausalBias` does."""

    def __new__(cls, variant: Any, seq_len_q: int, seq_len_kv: int) -> Any:
        if not _is_variant(variant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        rows, columns = _length("seq_len_q", seq_len_q), _length("seq_len_kv", seq_len_kv)
        elements = torch.full((1, 1), NAN, dtype=torch.float32, device="cpu").expand(rows, columns)
        return torch.Tensor._make_subclass(cls, elements, False)

    def __init__(self, variant: Any, seq_len_q: int, seq_len_kv: int) -> None:
        self.variant = variant
        self.seq_len_q = operator.index(seq_len_q)
        self.seq_len_kv = operator.index(seq_len_kv)
        if variant == LOWER_RIGHT and seq_len_q > seq_len_kv:
            warnings.warn(
                f"the first {seq_len_q - seq_len_kv} rows of a lower right causal bias with more queries than keys are"
                " fully masked: attention gives zeros there",
                stacklevel=2,
            )

    def _materialize(self, device: Any = None) -> Any:
        """The mask as a bool tensor (L, S) on *device*, the CPU if None; True where a query may look."""
        return mask(self, "cpu" if device is None else device)

    def __repr__(self, **_: Any) -> str:
        return repr(self._materialize())

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        kind = None if type(self) is SHIMS[_NAME].fallback else type(self)
        return _rebuild, (kind, self.variant, self.seq_len_q, self.seq_len_kv)

    def __deepcopy__(self, _: Any) -> Any:
        return _rebuild(type(self), self.variant, self.seq_len_q, self.seq_len_kv)

    if at_least(1, 7):

        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            """Torch's own attention gets an ordinary mask; all else sees the elements and gives plain tensors."""
            if func is _TORCH_ATTENTION:
                return _by_torch(func, *args, **(kwargs or {}))
            return torch._C._disabled_torch_function_impl(func, types, args, kwargs or {})


def _rebuild(kind: Any, variant: Any, seq_len_q: int, seq_len_kv: int) -> Any:
    kind = kind or SHIMS[_NAME].fallback  # which has no name to pickle it by where torch's own is public
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It was given when the bias was made.
        return kind(variant, seq_len_q, seq_len_kv)


at_home(_rebuild, "torchcompat.nn.attention.bias")


def _by_torch(
    function: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **kwargs: Any,
) -> Any:
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if is_bias(tensor):
            raise TypeError(f"{name} must be a plain tensor, got a CausalBias: it can only be attn_mask")
    attn_mask, is_causal = resolve(attn_mask, is_causal, query)
    return function(query, key, value, attn_mask, dropout_p, is_causal, **kwargs)


# ---------------------------------------------------------------------------------------------------------------------
# For an attention that is given a bias, ours or torch's


def is_bias(attn_mask: Any) -> bool:
    """Whether *attn_mask* is a causal bias. Cheap for None and for plain tensors."""
    if attn_mask is None or type(attn_mask) is torch.Tensor:
        return False
    if isinstance(attn_mask, CausalBiasBase):
        return True
    # Torch's class exists only once its module was imported, which import torch does not do.
    native = find("torch.nn.attention.bias.CausalBias") if "torch.nn.attention.bias" in sys.modules else None
    return native is not None and isinstance(attn_mask, native)


def offset(bias: Any) -> int:
    """The k for which query i may look at keys 0 ... i + k: 0 is ``is_causal=True``, below 0 rows are fully masked."""
    return 0 if bias.variant == UPPER_LEFT else bias.seq_len_kv - bias.seq_len_q


def mask(bias: Any, device: Any) -> Any:
    """The mask of *bias* as a bool tensor (L, S); True where a query may look."""
    rows = torch.arange(bias.seq_len_q, device=device).unsqueeze(-1)
    return torch.arange(bias.seq_len_kv, device=device) <= rows + offset(bias)


def causal_offset_of(bias: Any, is_causal: bool, query: Any, key: Any) -> int:
    """The :func:`offset` of the *bias* of an attention, checked to fit it."""
    if is_causal:
        raise ValueError("is_causal must be False when attn_mask is a CausalBias, which says what is causal")
    found = offset(bias)
    sizes = bias.seq_len_q, bias.seq_len_kv
    if found and sizes != (query.size(-2), key.size(-2)):
        raise RuntimeError(
            f"attn_mask must be a CausalBias of query's and key's lengths {query.size(-2), key.size(-2)}, got {sizes}"
        )
    return found


def resolve(attn_mask: Any, is_causal: bool, query: Any) -> tuple[Any, bool]:
    """*attn_mask* and *is_causal* with an ordinary mask on query's device, or none, in place of a causal bias."""
    if not is_bias(attn_mask):
        return attn_mask, is_causal
    if is_causal:
        raise ValueError("is_causal must be False when attn_mask is a CausalBias, which says what is causal")
    if offset(attn_mask) == 0:
        return None, True
    return mask(attn_mask, getattr(query, "device", "cpu")), False


_moved.attach(globals())
