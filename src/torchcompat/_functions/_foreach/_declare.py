"""Declares a function over lists: name, docstring, torch's own kernel inside the fallback, TorchScript."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import torch

from ..._shim import SHIMS, Limit, minor, polyfill
from ..._torch import find, torch_version

REPOSITORY = "https://github.com/pytorch/pytorch"
# Torch tells under which name TorchScript knows a function.
_register_builtin: Any = find("torch.jit._builtins._register_builtin")

DOCUMENTATION = """{summary}

    In torch since {since}. Fallback: {fallback}

    Args:
        {arguments}

    Returns:
        {returns}

    Raises:
        RuntimeError: a list is empty, {what}.
        TypeError: {which} is no list or tuple of tensors{numbers}.
    """
NEW = "A tuple of new tensors."
WRITTEN = "*self*, whose tensors have been written to."


def pull(number: int) -> str:
    """The link of a pull request."""
    return f"{REPOSITORY}/pull/{number}"


def declared(tag: str, line: int) -> str:
    """The link of the line at which torch of this *tag* declares a function."""
    return f"{REPOSITORY}/blob/v{tag}/aten/src/ATen/native/native_functions.yaml#L{line}"


def kernels(name: str, since: str) -> dict[str, Any]:
    """{overload: torch's own function} where this torch has the function but it is older than *since*.

    Elsewhere the fallback is a loop: where torch lacks the function, and where its own is the public one.
    """
    native = find("torch." + name)
    if native is None or torch_version[:2] >= minor(since):
        return {}
    # Torch 1.7 has functions of one overload, without a name.
    found = (schema.overload_name for schema in torch._C._jit_get_schemas_for_operator("aten::" + name))
    return {overload or "Scalar": native for overload in found}


def documentation(summary: str, since: str, fallback: str, arguments: Sequence[str], in_place: bool) -> str:
    """The docstring."""
    several = len(arguments) > 1
    what = (
        "lists are of different lengths"
        if several
        else "or an integer tensor cannot hold the result"
        if in_place
        else ""
    )
    if several and in_place:
        what += ", or a tensor cannot hold the result, whose shape or dtype is another: nothing has been written then"
    return DOCUMENTATION.format(
        summary=summary,
        since=since,
        fallback=fallback,
        arguments="\n        ".join(arguments),
        returns=WRITTEN if in_place else NEW,
        what=what or "or torch has no such operation for the dtype",
        which="an argument" if several else "*self*",
        numbers=", or is not what is said above" if several else "",
    )


def declare(
    function: Callable[..., Any],
    name: str,
    since: str,
    link: str,
    doc: str,
    limits: Sequence[Limit] = (),
    reason: str = "",
) -> Any:
    """What the public name is to be: torch's own, or *function*, which becomes the fallback *name*."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    public = polyfill("torch." + name, since=since, link=link, limits=limits, reason=reason)(function)
    if public is function and SHIMS[name].native is not None and _register_builtin is not None:
        # TorchScript calls torch's own where it finds ours, as it would without us.
        _register_builtin(function, "aten::" + name)
    return public
