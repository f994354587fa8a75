"""What goes with the transforms of :mod:`torchcompat.func`: functionalize, debug_unwrap, rearrange."""

from __future__ import annotations

import functools
from typing import Any, Callable

import torch

from .._shim import Limit, polyfill
from .._torch import find
from . import _patterns
from ._batched import BatchedTensor, wrap

REMOVE = ("mutations", "mutations_and_views")


@polyfill(
    "torch.func.functionalize",
    since="2.0",
    link="https://github.com/pytorch/pytorch/pull/91016",
    limits=[
        Limit(
            "slice", "vmap of it fails where the function writes to a slice without an end", on="native", first="2.0"
        ),
        Limit(
            "gradient",
            'gives a wrong gradient with remove="mutations_and_views" where grad, within it, meets a write to a slice',
            on="native",
            first="2.0",
        ),
        Limit("trace", "a trace of the result still has the in-place operations and views in it", on="fallback"),
        Limit(
            "aliases",
            "results may share memory with arguments that were written to, an argument that is given twice is one "
            "tensor, and what was written before an exception stays",
            on="fallback",
        ),
    ],
)
def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """Make a function that does what *func* does, but runs no in-place operation on the tensors it makes.

    That is of use to what records the operations that are run, such as ``make_fx``. Writes to the arguments reach the
    caller all the same.

    In torch since 2.0. Fallback: the same results and the same writes to the arguments, by calling *func*. No
    operation is replaced by another, so that a trace shows in-place operations and views as ever.

    Args:
        func: takes and returns tensors, pytrees of them, and any other values.
        remove: "mutations", or "mutations_and_views" to have copies in place of views, too.

    Returns:
        A function of the same arguments.

    Raises:
        RuntimeError: if *remove* is neither.
    """
    if remove not in REMOVE:
        raise RuntimeError(f"remove must be 'mutations' or 'mutations_and_views', got {remove!r}")

    @functools.wraps(func)
    def functional(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return functional


# What debug_unwrap is made of on torch 2.0 to 2.6, where vmap is torch's own and debug_unwrap is not there yet.
_is_wrapped = find("torch._C._functorch.is_functorch_wrapped_tensor")
_get_unwrapped = find("torch._C._functorch.get_unwrapped")


def _inner(tensor: Any) -> Any:
    """The tensor inside the outermost wrapper of *tensor*, or *tensor* itself."""
    if type(tensor) is BatchedTensor:
        return wrap(tensor._physical, tensor._levels[:-1])
    if _is_wrapped is not None and _get_unwrapped is not None and _is_wrapped(tensor):
        return _get_unwrapped(tensor)
    return tensor


@polyfill(
    "torch.func.debug_unwrap",
    since="2.7",
    link="https://github.com/pytorch/pytorch/pull/146528",
    limits=[
        Limit("grad", "a tensor that grad passes comes back as it is, and requires a gradient", on="fallback"),
        Limit("position", "the dimension of the samples comes first, whatever in_dims says", on="fallback"),
        Limit(
            "loop", "gives the one sample that vmap is at, as vmap loops over the samples", on="fallback", last="1.6"
        ),
    ],
)
def debug_unwrap(tensor: torch.Tensor, *, recurse: bool = True) -> torch.Tensor:
    """Look at the whole batch behind a tensor that vmap passed to its function. For debugging only.

    In torch since 2.7. Fallback: unwraps what torchcompat's vmap and, where torch has one, torch's own transforms
    pass; the dimensions of the samples come first, outermost vmap first. Below torch 1.7 vmap loops over the samples
    and passes plain tensors. The fallbacks of grad and the other derivatives pass plain tensors that require a
    gradient: there is nothing to unwrap, and *recurse* does not count them.

    Args:
        tensor: any tensor.
        recurse: whether to unwrap all levels of transforms, or the innermost one only.

    Returns:
        The tensor inside, with a dimension more for each vmap, or *tensor* itself if it is a plain one.

    Raises:
        TypeError: if *tensor* is no tensor.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"tensor must be a torch.Tensor, got {type(tensor).__name__}")
    inner = _inner(tensor)
    while recurse and inner is not tensor:
        tensor, inner = inner, _inner(inner)
    return inner  # type: ignore[no-any-return]


@polyfill(
    "torch.func.rearrange",
    since="2.13",
    link="https://github.com/pytorch/pytorch/pull/173183",
    limits=[
        Limit(
            "sum",
            "sums over an axis that is written as 1, whatever its size, so that bools and small integers become int64",
            on="native",
            first="2.13",
        ),
        Limit("vector", "fails to split the dimension of a tensor that has only one", on="native", first="2.13"),
        Limit("units", "fails where a 1 is both left out and put in", on="native", first="2.13"),
        Limit("scalar", "returns a tensor without dimensions unchanged where a 1 is put in", on="native", first="2.13"),
        Limit(
            "sizes",
            "raises ValueError for sizes that do not fit, where torch raises functorch.dim.DimensionBindError",
            on="fallback",
        ),
    ],
)
def rearrange(
    tensor: torch.Tensor | list[torch.Tensor] | tuple[torch.Tensor, ...], pattern: str, **axes_lengths: int
) -> torch.Tensor:
    """Permute, split and merge the dimensions of a tensor as a pattern says: ``"b (h w) c -> b c h w"``.

    In torch since 2.13. Fallback: the same by reshape and permute, a view where that is possible.

    Args:
        tensor: of any dtype; or a list or tuple of tensors of one shape, which are stacked along a new first dimension.
        pattern: the axes before and after ``->``, separated by spaces. Axes in parentheses are one dimension; ``...``
            are all further dimensions; ``1`` or ``()`` is a dimension of size 1.
        **axes_lengths: the sizes of axes. In each parenthesis before the arrow, the size of one axis may be left out.

    Returns:
        The same elements, of the same dtype.

    Raises:
        ValueError: if the pattern is malformed, has an axis on one side only or twice, or does not fit *tensor* or the
            *axes_lengths*.
        TypeError: if a length is not an int.
        RuntimeError: if the tensors to stack differ in shape, or there are none.
    """
    if not isinstance(tensor, torch.Tensor):
        tensor = torch.stack(tensor)
    return _patterns.apply(tensor, pattern, axes_lengths)  # type: ignore[no-any-return]
