"""Sorting, searching in what is sorted, and membership."""

from __future__ import annotations

import numbers
from typing import Any

import torch
from torch import Tensor

from .._shim import polyfill
from .._torch import at_least
from ._arguments import check_tensor, wrapped
from ._promote import as_tensor, dtype_of, is_complex, refuse_out
from ._scripts import scripted, scripts_as_torch

# The keyword came with 1.9.
STABLE = at_least(1, 9)
SORTS_BOOL = at_least(1, 7)
# From then on ``//`` of tensors warns, and ``/`` of integers gives floats.
ROUNDS = at_least(1, 8)
Pairs = type(torch.zeros(1).sort())


def _stable_order(input: Any, dim: int, descending: bool) -> Any:
    """Where the elements of *input* come from in a stable sort: equal ones and NaN stay in their order.

    Torch's own sort tells the ranks of the values; the ranks times the length plus the places are keys without ties.
    """
    length = input.size(dim)
    if length < 2:
        return torch.zeros_like(input, dtype=torch.int64)
    ordered, origin = input.sort(dim, descending)
    later, earlier = ordered.narrow(dim, 1, length - 1), ordered.narrow(dim, 0, length - 1)
    differs = (later != earlier) & ~((later != later) & (earlier != earlier))
    rank = torch.cat([torch.zeros_like(origin.narrow(dim, 0, 1)), differs.to(torch.int64)], dim).cumsum(dim)
    keys = rank * length + origin
    return keys.sort(dim)[0].remainder(length)


def _sorted(name: str, input: Any, dim: Any, descending: Any, stable: Any) -> Any:
    check_tensor("input", input)
    if is_complex(input.dtype):
        raise TypeError(f"{name}() sorts no complex numbers")
    for label, value in (("descending", descending), ("stable", stable)):
        if not isinstance(value, bool) and not (label == "stable" and value is None):
            raise TypeError(f"{name}(): {label} must be a bool, got {value!r}")
    where = wrapped(dim, input.dim())
    if stable and STABLE:
        return torch.sort(input, stable=True, dim=where, descending=descending)
    # Torch up to 1.6 sorts no bools.
    source = input if SORTS_BOOL or input.dtype is not torch.bool else input.to(torch.uint8)
    if not input.dim():
        return input.clone(), torch.zeros_like(input, dtype=torch.int64)
    if stable:
        order = _stable_order(source.detach(), where, descending)
        return input.gather(where, order), order
    values, order = source.sort(where, descending)
    return (values if source is input else values.to(input.dtype)), order


def _axis(name: str, dim: Any, names: dict[str, Any]) -> Any:
    if not names:
        return dim
    if set(names) != {"axis"}:
        raise TypeError(f"{name}() got unexpected keyword arguments: {sorted(names)}")
    return names["axis"]


@polyfill(
    "torch.sort",
    since="1.9",
    link="https://github.com/pytorch/pytorch/pull/51790",
    limits=[scripted("1.2", "1.8")],
    reason="no `stable`",
)
def sort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    *,
    stable: bool | None = False,
    out: Any = None,
    **names: Any,
) -> Any:
    """Sort a tensor along a dimension.

    In torch since 1.9. Fallback: torch's own, and for a stable sort one more of the places of equal values; refuses
    *out*. https://docs.pytorch.org/docs/stable/generated/torch.sort.html

    Args:
        input: a tensor of any shape. NaN counts as larger than every number.
        dim: the dimension; ``axis`` means the same.
        descending: from the largest to the smallest.
        stable: equal elements keep their order.
        out: None.

    Returns:
        A named tuple: *values*, and *indices*, where they were.

    Raises:
        IndexError: *dim* is out of range.
        TypeError: *input* is not a tensor or is complex, or something is not a bool.
    """
    refuse_out("sort", out)
    values, indices = _sorted("sort", input, _axis("sort", dim, names), descending, stable)
    return Pairs((values, indices))


@polyfill(
    "torch.argsort",
    since="1.13",
    link="https://github.com/pytorch/pytorch/pull/75162",
    limits=[scripted("1.2", "1.12")],
    reason="no `stable`",
)
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False, **names: Any) -> Tensor:
    """Find the order that sorts a tensor along a dimension.

    In torch since 1.13. Fallback: as of :func:`sort`.
    https://docs.pytorch.org/docs/stable/generated/torch.argsort.html

    Args:
        input: a tensor of any shape.
        dim: the dimension; ``axis`` means the same.
        descending: from the largest to the smallest.
        stable: equal elements keep their order.

    Returns:
        int64 indices of the shape of *input*.
    """
    order: Tensor = _sorted("argsort", input, _axis("argsort", dim, names), descending, stable)[1]
    return order


@polyfill("torch.msort", since="1.8", link="https://github.com/pytorch/pytorch/blob/v1.8.1/torch/_torch_docs.py#L7941")
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sort a tensor along its first dimension.

    In torch since 1.8. Fallback: ``sort``; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.msort.html

    Args:
        input: a tensor of any shape.
        out: None.

    Returns:
        A new tensor.
    """
    refuse_out("msort", out)
    values: Tensor = _sorted("msort", input, 0, False, False)[0]
    return values


# --- searching


def _bisected(edges: Any, values: Any, right: bool) -> Any:
    """Where *values* belong in *edges* along the last dimension: all of them halve their ranges together."""
    low = torch.zeros_like(values, dtype=torch.int64)
    high = low + edges.size(-1)
    last = max(edges.size(-1) - 1, 0)
    # In a trace of torch up to 1.7 a size is a tensor.
    for _ in range(int(edges.size(-1)).bit_length()):
        middle = torch.div(low + high, 2, rounding_mode="trunc") if ROUNDS else (low + high) // 2
        found = _taken(edges, middle.clamp(max=last))
        # NaN is larger than every number, as it stands last in what is sorted.
        further = (~(found > values) if right else ~(found >= values)) & (low < high)
        low, high = torch.where(further, middle + 1, low), torch.where(further | (low >= high), high, middle)
    return low


def _taken(edges: Any, places: Any) -> Any:
    if edges.dim() == 1:
        return torch.take(edges, places)
    return edges.gather(-1, places)


def _side(right: Any, side: Any) -> bool:
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"side must be 'left' or 'right', got {side!r}")
    if side == "left" and right:
        raise RuntimeError("side='left' and right=True contradict each other")
    return side == "right" or bool(right)


def _check_sorter(sorter: Any, sequence: Any) -> None:
    check_tensor("sorter", sorter)
    if sorter.shape != sequence.shape:
        raise RuntimeError(
            f"sorter must have the shape of sorted_sequence, {tuple(sequence.shape)}, got {tuple(sorter.shape)}"
        )
    if sorter.dtype is not torch.int64:
        raise RuntimeError(f"sorter must be of dtype torch.int64, got {sorter.dtype}")
    if sorter.numel() and (int(sorter.min()) < 0 or int(sorter.max()) >= sequence.size(-1)):
        raise RuntimeError(f"sorter must have indices from 0 to {sequence.size(-1) - 1}")


def _searched(edges: Any, values: Any, right: bool, out_int32: Any) -> Any:
    if not isinstance(values, Tensor) and hasattr(type(values), "__torch_function__"):
        raise TypeError(f"values must be a Tensor or a number, got {type(values).__name__}")
    if isinstance(values, bool) or not isinstance(values, (Tensor, numbers.Number)):
        raise TypeError(f"values must be a Tensor or a number, got {values!r}")
    values = values if isinstance(values, Tensor) else torch.tensor(values, device=edges.device)
    if edges.dim() == 0:
        raise RuntimeError("sorted_sequence must have at least one dimension")
    if edges.dim() > 1 and (not values.dim() or edges.shape[:-1] != values.shape[:-1]):
        raise RuntimeError(
            "sorted_sequence must have one dimension, or all sizes but the last must be those of values; got "
            f"{tuple(edges.shape)} and {tuple(values.shape)}"
        )
    if torch.bool in (edges.dtype, values.dtype) or is_complex(edges.dtype) or is_complex(values.dtype):
        raise NotImplementedError(f"search takes no bools and complex numbers, got {edges.dtype} and {values.dtype}")
    # Both as if they had dimensions: a number does not round the sequence to its dtype, nor the other way round.
    dtype = dtype_of((edges, values.reshape(-1)))
    found = _bisected(as_tensor(edges.detach(), dtype, None), as_tensor(values.detach(), dtype, None), right)
    return found.to(torch.int32) if out_int32 else found


@polyfill(
    "torch.searchsorted",
    since="1.11",
    link="https://github.com/pytorch/pytorch/blob/v1.11.0/torch/_torch_docs.py#L11871",
    limits=[scripted("1.6", "1.10")],
    reason="no `side` and no `sorter`",
)
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    out: Tensor | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Find where values belong in sorted sequences.

    In torch since 1.11. Fallback: bisection of all values together, in torch's own operations; refuses *out*.
    Torch's documentation says ``values`` for the second argument, but its keyword is *input*.
    https://docs.pytorch.org/docs/stable/generated/torch.searchsorted.html

    Args:
        sorted_sequence: shape ``(n,)``, or ``(..., n)`` with the leading sizes of *input*; sorted along the last
            dimension, or by *sorter*.
        input: the values, a tensor, or a number where *sorted_sequence* has one dimension.
        out_int32: give int32, not int64.
        right: behind the elements that are equal, not before them.
        side: "right" or "left": *right* in NumPy's words.
        out: None.
        sorter: int64, the order that sorts *sorted_sequence*, of its shape.

    Returns:
        Indices from 0 to n, of the shape of *input*.

    Raises:
        RuntimeError: shapes do not fit, *side* is unknown or contradicts *right*, or *sorter* is not an order.
        TypeError: something is neither a tensor nor a number.
    """
    refuse_out("searchsorted", out)
    check_tensor("sorted_sequence", sorted_sequence)
    behind = _side(right, side)
    if sorter is not None:
        _check_sorter(sorter, sorted_sequence)
        sorted_sequence = sorted_sequence.gather(-1, sorter)
    found: Tensor = _searched(sorted_sequence, input, behind, out_int32)
    return found


@polyfill(
    "torch.bucketize",
    since="1.6",
    link="https://github.com/pytorch/pytorch/pull/34577",
)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Tensor | None = None
) -> Tensor:
    """Find between which boundaries values lie.

    In torch since 1.6. Fallback: as of :func:`searchsorted`; refuses *out*.
    https://docs.pytorch.org/docs/stable/generated/torch.bucketize.html

    Args:
        input: a tensor or a number.
        boundaries: shape ``(n,)``, sorted.
        out_int32: give int32, not int64.
        right: a value that equals a boundary belongs behind it.
        out: None.

    Returns:
        Indices from 0 to n, of the shape of *input*.

    Raises:
        RuntimeError: *boundaries* have not one dimension.
    """
    refuse_out("bucketize", out)
    check_tensor("boundaries", boundaries)
    if boundaries.dim() != 1:
        raise RuntimeError(f"boundaries must have one dimension, got shape {tuple(boundaries.shape)}")
    found: Tensor = _searched(boundaries, input, bool(right), out_int32)
    return found


# --- membership

# Up to so many comparisons, comparing each with each is faster than sorting.
FEW = 4096


def _check_members(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (Tensor, numbers.Number)):
        raise TypeError(f"{name} must be a Tensor or a number, got {type(value).__name__}")
    if isinstance(value, Tensor) and (value.dtype is torch.bool or is_complex(value.dtype)):
        raise NotImplementedError(f"{name} must not be of dtype {value.dtype}")


def _found_in(elements: Any, tests: Any) -> Any:
    if not tests.numel() or not elements.numel():
        return torch.zeros_like(elements, dtype=torch.bool)
    if elements.numel() * tests.numel() <= FEW:
        return (elements.unsqueeze(-1) == tests).any(-1)
    ordered = tests.sort()[0]
    places = _bisected(ordered, elements, False).clamp(max=ordered.numel() - 1)
    return ordered[places] == elements


@polyfill("torch.isin", since="1.10", link="https://github.com/pytorch/pytorch/blob/v1.10.2/torch/_torch_docs.py#L4396")
def isin(
    elements: Any = None, test_elements: Any = None, *, assume_unique: bool = False, invert: bool = False, **names: Any
) -> Tensor:
    """Find which elements are among others.

    In torch since 1.10. Fallback: compares each with each, and sorts where there are many.
    https://docs.pytorch.org/docs/stable/generated/torch.isin.html

    Args:
        elements: a tensor, or a number if *test_elements* is a tensor; also by the keyword ``element``.
        test_elements: a tensor or a number; also by the keyword ``test_element``.
        assume_unique: no element stands twice in either. It changes speed alone.
        invert: find those that are not.

    Returns:
        A bool tensor of the shape of *elements*. NaN is never found.

    Raises:
        NotImplementedError: a tensor of bools or complex numbers.
        TypeError: something else than a tensor or number, or two numbers.
    """
    elements = names.pop("element", elements)
    test_elements = names.pop("test_element", test_elements)
    if names:
        raise TypeError(f"isin() got unexpected keyword arguments: {sorted(names)}")
    _check_members("elements", elements)
    _check_members("test_elements", test_elements)
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("one of elements and test_elements must be a Tensor, got two numbers")
    dtype = dtype_of((elements, test_elements))
    device = (elements if isinstance(elements, Tensor) else test_elements).device
    found = _found_in(as_tensor(elements, dtype, device), as_tensor(test_elements, dtype, device).reshape(-1))
    return ~found if invert else found


scripts_as_torch("sort", "argsort", "searchsorted")
