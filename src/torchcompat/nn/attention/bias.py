"""``torch.nn.attention.bias``: causal masks by their two lengths.

The module is loaded when it is first asked for. It imports torch's module where there is one, which loads torch's
compiler (1 to 3 s).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from ..._shim import SHIMS, Limit, polyfill
from ..._torch import has
from . import _bias
from ._bias import _rebuild as _rebuild

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]

_LINK = "https://github.com/pytorch/pytorch/pull/114823"
_LIMITS = [
    Limit(
        "attention-only",
        "any use but as a mask raises NotImplementedError: a look at its device, pickle, copy",
        "native",
        "2.3",
        "2.7",
    ),
    Limit("deepcopy", "cannot be deep-copied, nor can a module that holds one", "native", "2.3"),
]
has("torch.nn.attention.bias.CausalBias")  # Imports torch's module, so that its objects are found below.


@polyfill("torch.nn.attention.bias.CausalBias", since="2.3", link=_LINK)
class CausalBias(_bias.CausalBiasBase):
    """A causal mask for ``scaled_dot_product_attention`` that is given by its two lengths.

    In torch since 2.3. Fallback: likewise a subclass of ``torch.Tensor``; the attention of torchcompat reads its
    lengths and, from torch 2.0 on, so does torch's.

    Square or ``UPPER_LEFT`` it means ``is_causal=True``, and the lengths are not compared with those of query and key.
    It is no tensor for any other purpose: its elements are NaN, and take no memory.

    Args:
        variant: a member of :class:`CausalVariant`.
        seq_len_q: int, the number of queries L.
        seq_len_kv: int, the number of keys S.

    Raises:
        AssertionError: *variant* is no CausalVariant.
        TypeError: a length is no int.
        RuntimeError: a length is negative.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.bias.CausalBias.html
    """


@polyfill("torch.nn.attention.bias.CausalVariant", since="2.3", link=_LINK)
class CausalVariant(IntEnum):
    """Where the triangle of a causal mask that is not square lies.

    In torch since 2.3. Fallback: an enumeration with torch's members and values.

    ``UPPER_LEFT``: query i may look at keys 0 ... i, as with ``is_causal=True``. ``LOWER_RIGHT``: the last query may
    look at the last key, so query i at keys 0 ... i + S - L.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.bias.CausalVariant.html
    """

    UPPER_LEFT = _bias.UPPER_LEFT
    LOWER_RIGHT = _bias.LOWER_RIGHT


def _made(name: str, variant: Any, size: Any) -> Any:
    if len(size) != 2:
        raise AssertionError(f"{name} takes two lengths, those of query and key; got {len(size)} arguments")
    return SHIMS["nn.attention.bias.CausalBias"].fallback(variant, *size)


@polyfill("torch.nn.attention.bias.causal_upper_left", since="2.3", link=_LINK, limits=_LIMITS)
def causal_upper_left(*size: int) -> CausalBias:
    """The mask of ``is_causal=True``, as an *attn_mask* of ``scaled_dot_product_attention``.

    In torch since 2.3. Fallback: a :class:`CausalBias` of torchcompat.

    Args:
        *size: two ints, the lengths of query and key.

    Returns:
        A :class:`CausalBias`.

    Raises:
        AssertionError: there are not two arguments.
        TypeError: a length is no int.
        RuntimeError: a length is negative.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.bias.causal_upper_left.html
    """
    made: CausalBias = _made("causal_upper_left", CausalVariant.UPPER_LEFT, size)
    return made


@polyfill("torch.nn.attention.bias.causal_lower_right", since="2.3", link=_LINK, limits=_LIMITS)
def causal_lower_right(*size: int) -> CausalBias:
    """The causal mask that ends in the lower right corner, as an *attn_mask* of ``scaled_dot_product_attention``.

    In torch since 2.3. Fallback: a :class:`CausalBias` of torchcompat.

    It is the mask for decoding with a cache: L new queries look at all of S - L earlier keys and, among themselves,
    back. With more queries than keys the first L - S rows are fully masked, which gives zeros; making one warns.

    Args:
        *size: two ints, the lengths L of query and S of key.

    Returns:
        A :class:`CausalBias`.

    Raises:
        AssertionError: there are not two arguments.
        TypeError: a length is no int.
        RuntimeError: a length is negative.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.bias.causal_lower_right.html
    """
    made: CausalBias = _made("causal_lower_right", CausalVariant.LOWER_RIGHT, size)
    return made
