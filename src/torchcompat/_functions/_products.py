"""Products of vectors and tensors that have names of their own: ``outer``, ``inner``, ``vdot``, ``kron``, ..."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._shim import Limit, polyfill
from ._arguments import as_int, check_tensor
from ._promote import is_complex, promote, refuse_out


def _check_both(name: str, other: str, input: Any, second: Any) -> None:
    check_tensor(name, input)
    check_tensor(other, second)


@polyfill("torch.outer", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L2995")
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Multiply each element of a vector with each of another.

    In torch since 1.7. Fallback: a product that broadcasts; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.outer.html

    Args:
        input: shape ``(n,)``.
        vec2: shape ``(m,)``.
        out: None.

    Returns:
        Shape ``(n, m)``, of the dtype that both promote to.

    Raises:
        RuntimeError: one of the two is not a vector.
    """
    refuse_out("outer", out)
    _check_both("input", "vec2", input, vec2)
    if input.dim() != 1 or vec2.dim() != 1:
        raise RuntimeError(f"input and vec2 must be vectors, got shapes {tuple(input.shape)} and {tuple(vec2.shape)}")
    one, other = promote(input, vec2)
    return one.unsqueeze(1) * other


@polyfill("torch.inner", since="1.8", link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L3424")
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sum the products along the last dimensions of two tensors.

    In torch since 1.8. Fallback: ``tensordot``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.inner.html

    Args:
        input: shape ``(..., n)``, or no dimension.
        other: shape ``(..., n)``, of the dtype of *input*; or no dimension.
        out: None.

    Returns:
        Shape ``(*input.shape[:-1], *other.shape[:-1])``. Where one of the two has no dimension: their product.

    Raises:
        RuntimeError: the last sizes or the dtypes differ.
    """
    refuse_out("inner", out)
    _check_both("input", "other", input, other)
    if not input.dim() or not other.dim():
        one, second = promote(input, other)
        return one * second
    if input.size(-1) != other.size(-1):
        raise RuntimeError(
            f"the last sizes of input and other must be equal, got {tuple(input.shape)} and {tuple(other.shape)}"
        )
    if input.dtype != other.dtype:
        raise RuntimeError(f"input and other must have one dtype, got {input.dtype} and {other.dtype}")
    if not input.size(-1):
        # Torch 1.2 multiplies no matrices without columns.
        lead = list(input.shape[:-1]) + [1] * (other.dim() - 1) + [0]
        return (input.reshape(lead) * other).sum(-1)
    return torch.tensordot(input, other, dims=([-1], [-1]))  # type: ignore[no-untyped-call]


@polyfill("torch.vdot", since="1.7", link="https://github.com/pytorch/pytorch/blob/v1.7.1/torch/_torch_docs.py#L2457")
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Multiply two vectors, the first one conjugated.

    In torch since 1.7. Fallback: ``dot``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.vdot.html

    Args:
        input: shape ``(n,)``.
        other: shape ``(n,)``, of the dtype of *input*.
        out: None.

    Returns:
        A tensor without dimensions.
    """
    refuse_out("vdot", out)
    _check_both("input", "other", input, other)
    if input.dtype != other.dtype:
        raise RuntimeError(f"input and other must have one dtype, got {input.dtype} and {other.dtype}")
    return torch.dot(input.conj() if is_complex(input.dtype) else input, other)


@polyfill(
    "torch.kron",
    since="1.8",
    link="https://github.com/pytorch/pytorch/pull/45358",
    limits=[
        Limit(
            "strides",
            "raises RuntimeError for some tensors that are not contiguous, such as ``x.t()``",
            "native",
            "1.8",
        )
    ],
)
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Put a tensor, times each element of another, in the place of that element: the Kronecker product.

    In torch since 1.8. Fallback: a product that broadcasts; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.kron.html

    Args:
        input: a tensor of any shape.
        other: a tensor of any shape; whichever has fewer dimensions gets leading ones.
        out: None.

    Returns:
        A tensor whose sizes are the products of theirs, of the dtype that both promote to.
    """
    refuse_out("kron", out)
    _check_both("input", "other", input, other)
    one, second = promote(input, other)
    ndim = max(one.dim(), second.dim())
    sizes = [1] * (ndim - one.dim()) + list(one.shape)
    others = [1] * (ndim - second.dim()) + list(second.shape)
    outer_shape = [size for pair in zip(sizes, [1] * ndim) for size in pair]
    inner_shape = [size for pair in zip([1] * ndim, others) for size in pair]
    product = one.reshape(outer_shape) * second.reshape(inner_shape)
    return product.reshape([size * other for size, other in zip(sizes, others)])


@polyfill(
    "torch.vander",
    since="1.6",
    link="https://github.com/pytorch/pytorch/blob/v1.6.0/torch/_torch_docs.py#L7732",
    limits=[Limit("gradient", "its gradient raises RuntimeError", "native", "1.6")],
)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Put powers of the elements of a vector into columns: a Vandermonde matrix.

    In torch since 1.6. Fallback: cumulative products.
    https://docs.pytorch.org/docs/stable/generated/torch.vander.html

    Args:
        x: shape ``(n,)``.
        N: the number of columns; None: n.
        increasing: the powers from 0 to N - 1, not from N - 1 to 0.

    Returns:
        Shape ``(n, N)``; of dtype int64 if *x* has integers or bools, else of the dtype of *x*.

    Raises:
        RuntimeError: *x* is not a vector, or *N* is negative.
    """
    check_tensor("x", x)
    if x.dim() != 1:
        raise RuntimeError(f"x must be a vector, got shape {tuple(x.shape)}")
    columns = x.size(0) if N is None else as_int("N", N)
    if columns < 0:
        raise RuntimeError(f"N must not be negative, got {columns}")
    if not x.dtype.is_floating_point and not is_complex(x.dtype):
        x = x.to(torch.int64)
    powers = [torch.ones_like(x)][:columns]
    while len(powers) < columns:
        powers.append(powers[-1] * x)
    if not powers:
        return x.new_empty(x.size(0), 0)
    return torch.stack(powers if increasing else powers[::-1], 1)
