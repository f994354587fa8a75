"""Types with the types of what they hold, for objects of Python."""

from __future__ import annotations

import typing
import warnings
from typing import Any, Iterable

_CONTAINERS: dict[Any, str] = {list: "List", tuple: "Tuple", dict: "Dict"}
_BARE = (typing.List, typing.Tuple, typing.Dict, typing.Optional, list, tuple, dict)


def is_of(value: Any, kind: Any) -> bool:
    """Whether *value* is of *kind*, a type or a tuple of types."""
    if isinstance(kind, tuple):
        return any(is_of(value, each) for each in kind)
    if isinstance(kind, (list, set, frozenset, dict)):
        raise RuntimeError(f"target_type must be a type or a tuple of types, got {kind!r}")
    if any(kind is bare for bare in _BARE):
        raise RuntimeError(f"target_type must say what is in a {getattr(kind, '__name__', kind)}, as List[int] does")
    origin: Any = getattr(kind, "__origin__", None)
    inner = getattr(kind, "__args__", None) or ()
    if origin is typing.Union:
        return any(value is None if each is type(None) else is_of(value, each) for each in inner)
    if origin in _CONTAINERS:
        return _holds(value, origin, inner)
    return isinstance(value, origin or kind)


def _holds(value: Any, origin: type, inner: tuple[Any, ...]) -> bool:
    if isinstance(value, (list, tuple, dict)) and not value:
        warnings.warn(
            "isinstance() of an empty container: nothing tells the type of what it would hold",
            UserWarning,
            stacklevel=4,
        )
    if not isinstance(value, origin):
        return False
    held: Any = value
    if any(isinstance(each, typing.TypeVar) for each in inner):
        raise RuntimeError(f"target_type must say what is in a {_CONTAINERS[origin]}")
    if origin is dict:
        return _all(held, inner[0]) and _all(held.values(), inner[1])
    if origin is list:
        return _all(held, inner[0])
    return len(held) == len(inner) and all(map(is_of, held, inner))


def _all(values: Iterable[Any], kind: Any) -> bool:
    return all(is_of(each, kind) for each in values)
