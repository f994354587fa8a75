"""The functions over lists of tensors: loops of ours, whose operations have rules of their own."""

from __future__ import annotations

from typing import Any

from ..._functions import _foreach
from ..._shim import SHIMS
from .._batched import name_of, rule

NAMES = [name for name in vars(_foreach) if name.startswith("_foreach_")]


@rule(*NAMES)
def over_lists(func: Any, *args: Any, **kwargs: Any) -> Any:
    return SHIMS[name_of(func)].fallback(*args, **kwargs)
