"""What a pickle may use as a key: nothing whose hash takes long, and not many keys with one hash.

Python hashes a tuple anew each time, through everything in it, and recursively: a few bytes of pickle make a tuple that
takes hours to hash, or that overflows the stack. And one can choose numbers and tuples that all have one hash, with
which filling a dictionary takes quadratic time (https://github.com/python/cpython/issues/57821); strings have a seed.
"""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any

from ._budget import Budget

_LONGEST = 256
_ALIKE = 64
_ENTRY = 200


class Keys:
    """Checks the keys of all the dictionaries and sets of one pickle."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._seen: dict[tuple[int, int], int] = {}

    def check(self, target: Any, key: Any) -> None:
        """Raise UnpicklingError unless *key* may become a key of *target*."""
        kind = type(key)
        if kind is str or kind is bytes or kind is bool or key is None or (kind is int and -(2**60) < key < 2**60):
            return
        if isinstance(key, tuple):
            _check_tuple(key)
        self._budget.spend(_ENTRY)
        what = (id(target), hash(key))
        self._seen[what] = self._seen.get(what, 0) + 1
        if self._seen[what] > _ALIKE:
            raise UnpicklingError(f"more than {_ALIKE} keys of one dictionary or set have the same hash")


def _check_tuple(key: Any) -> None:
    left, waiting = _LONGEST, [key]
    while waiting:
        left -= 1
        if left < 0:
            raise UnpicklingError(f"a key consists of more than {_LONGEST} objects")
        item = waiting.pop()
        if isinstance(item, tuple):
            waiting.extend(item[: _LONGEST + 1])
