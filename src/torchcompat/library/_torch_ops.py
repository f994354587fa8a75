"""``torch.ops.NAMESPACE.NAME`` for our own operators, on torch that lets Python define operators."""

from __future__ import annotations

import re
from typing import Any

import torch

from .._torch import at_least, find
from ._eager import OPERATORS

#: From 1.12 on Python can define operators; from 2.4 on torch itself makes ours, too.
HAS_LIBRARY = at_least(1, 12) and find("torch.library.Library") is not None
# Never taken back: torch 1.13 crashes where an operator that was called goes away.
_alive: dict[str, Any] = {}


def expose(op: Any) -> None:
    """Have ``torch.ops`` find *op*: what it finds calls the operator of that name, also one that is made later."""
    name = op._qualname
    if not HAS_LIBRARY or name in _alive:
        return
    schema = re.sub(r"\bSymInt\b", "int", op._schema)
    try:
        library = torch._C._dispatch_library("FRAGMENT", op._namespace, "", __file__, 1)
        library.define(op._name + schema, "", *([()] if at_least(2, 2) else []))
    except RuntimeError:
        return  # torch cannot read the schema, or has an operator of this name

    def call(*args: Any, **kwargs: Any) -> Any:
        return OPERATORS[name](*args, **kwargs)

    library.impl(op._name, "CompositeImplicitAutograd", call)
    _alive[name] = library
