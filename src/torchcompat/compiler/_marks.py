"""What programs tell torch's compiler of their tensors, under torch's private names, where there is one to tell."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import torch

from .. import _torch
from .._shim import facade
from ._compile import COMPILES


def _own(name: str) -> Any:  # torchcompat: needs torch >= 2.0
    """torch's own, or None where nothing compiles or this compiler lacks it. It is imported for this."""
    if not COMPILES:
        return None
    import torch._dynamo

    return getattr(getattr(torch._dynamo, "decorators", torch._dynamo), name, None)


def _dimensions(index: Any) -> None:
    several = index if isinstance(index, (list, tuple)) else [index]
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in several):
        raise TypeError(f"index must be an int, or a list or tuple of ints, got {index!r}")


def _mark(name: str, t: Any, index: Any, **hints: Any) -> None:
    """Call torch's own with those *hints* that are given and that it takes: they change no result."""
    _dimensions(index)
    own = _own(name)
    if own is not None:
        taken = _torch.parameters(own)
        own(t, index, **{key: value for key, value in hints.items() if value is not None and key in taken})


@facade("compiler.mark_dynamic")
def mark_dynamic(
    t: Any,
    index: int | Sequence[int],
    *,
    hint_override: int | None = None,
    min: int | None = None,
    max: int | None = None,
    specialize_on: list[Callable[[int], bool]] | None = None,
) -> None:
    """Tell the compiler that a dimension of a tensor changes from call to call: it must not compile for one size.

    Not in torch's public names: torch._dynamo.mark_dynamic, since 2.1. Nothing to do where nothing compiles; elsewhere
    the call imports the compiler.

    Args:
        t: the tensor, before it is given to a compiled function.
        index: the dimension, or several.
        hint_override: the size that the compiler is to expect.
        min: the least size.
        max: the greatest size.
        specialize_on: conditions on the size; code is generated for each. What this torch lacks of these four is left
            out, since they change no result.

    Raises:
        TypeError: *index* is something else.
    """
    hints = {"hint_override": hint_override, "min": min, "max": max, "specialize_on": specialize_on}
    _mark("mark_dynamic", t, index, **hints)


@facade("compiler.maybe_mark_dynamic")
def maybe_mark_dynamic(t: Any, index: int | Sequence[int], *, min: int | None = None, max: int | None = None) -> None:
    """As mark_dynamic, and no error where the compiler finds that it needs one size after all.

    Not in torch's public names: torch._dynamo.maybe_mark_dynamic, since 2.1. Nothing to do where nothing compiles;
    elsewhere the call imports the compiler.

    Args:
        t: the tensor.
        index: the dimension, or several.
        min: the least size, left out where this torch does not take it.
        max: the greatest size, likewise.

    Raises:
        TypeError: *index* is something else.
    """
    _mark("maybe_mark_dynamic", t, index, min=min, max=max)


@facade("compiler.mark_unbacked")
def mark_unbacked(
    t: Any,
    index: int | Sequence[int],
    hint_override: int | None = None,
    strict: bool = False,
    specialize_on: list[Callable[[int], bool]] | None = None,
    shape_id: str | None = None,
    min: int | None = None,
    max: int | None = None,
) -> None:
    """As mark_dynamic, and no code that is for a size of 0 or 1 alone.

    Not in torch's public names: torch._dynamo.decorators.mark_unbacked, since 2.5. Nothing to do where nothing compiles
    and on older torch; elsewhere the call imports the compiler.

    Args:
        t: the tensor.
        index: the dimension, or several.
        hint_override: as for mark_dynamic.
        strict: raise an error where the compiler needs one size after all.
        specialize_on: as for mark_dynamic.
        shape_id: dimensions of one *shape_id* have one size.
        min: the least size.
        max: the greatest size. What this torch lacks of these six is left out, since they change no result.

    Raises:
        TypeError: *index* is something else.
    """
    hints = {"hint_override": hint_override, "specialize_on": specialize_on, "shape_id": shape_id}
    _mark("mark_unbacked", t, index, strict=strict, min=min, max=max, **hints)


@facade("compiler.mark_static")
def mark_static(t: Any, index: int | Sequence[int] | None = None) -> Any:
    """Tell the compiler that a dimension of a tensor has one size, or that the numbers in a module stay as they are.

    Not in torch's public names: torch._dynamo.mark_static, since 2.1. Nothing to do where nothing compiles; elsewhere
    the call imports the compiler. It may also stand in a compiled function.

    Args:
        t: a tensor, or a class of modules, which is returned.
        index: the dimension, or several; None is all.

    Raises:
        TypeError: *t* or *index* is something else.
    """
    is_class = isinstance(t, type) and issubclass(t, torch.nn.Module)
    if not is_class and not isinstance(t, torch.Tensor):
        raise TypeError(f"mark_static marks a tensor or a class of modules, got {type(t).__name__}")
    if index is not None:
        _dimensions(index)
    if _torch.compiling() and not _torch.at_least(2, 4):  # whose compilers refuse to trace torch's own
        return t if is_class else None
    own = _own("mark_static")
    if is_class:
        if own is not None and _torch.at_least(2, 5):
            own(t)
        return t
    return None if own is None else own(t, index)


@facade("compiler.mark_static_address")
def mark_static_address(t: Any, guard: bool = False) -> None:
    """Tell the compiler that a tensor will be at the same address in every call, as CUDA graphs need it.

    Not in torch's public names: torch._dynamo.mark_static_address, since 2.1. Nothing to do where nothing compiles;
    elsewhere the call imports the compiler.

    Args:
        t: the tensor.
        guard: compile again if it is elsewhere after all. torch's default is True up to 2.8; here it is False.

    Raises:
        TypeError: *t* is no tensor.
    """
    if not isinstance(t, torch.Tensor):
        raise TypeError(f"mark_static_address marks a tensor, got {type(t).__name__}")
    own = _own("mark_static_address")
    if own is not None:
        own(t, guard=guard)


@facade("compiler.graph_break")
def graph_break(msg: str = "") -> None:
    """End the compiled graph here, and begin another.

    Not in torch's public names: torch._dynamo.graph_break, since 2.0. Nothing to do in a function that is not being
    compiled.

    Args:
        msg: what torch says of it, from 2.7 on.
    """
    if _torch.compiling():
        own = _own("graph_break")
        own(msg) if _torch.at_least(2, 7) else own()
