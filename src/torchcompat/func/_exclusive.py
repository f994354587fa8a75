"""One thread at a time inside a module whose tensors are swapped."""

from __future__ import annotations

import threading
from typing import Any, Set, Tuple

Modules = Set[int]
Claim = Tuple[int, Modules]

_changed = threading.Condition()
_held: list[Claim] = []
_awaited: dict[int, Modules] = {}


def _blockers(thread: int, modules: Modules) -> set[int]:
    """The other threads that hold some of *modules*."""
    return {other for other, theirs in _held if other != thread and not modules.isdisjoint(theirs)}


def _waits_for(thread: int, target: int) -> bool:
    """Whether *thread* can only go on once *target* has let go of something."""
    pending, seen = [thread], set()
    while pending:
        waiting = pending.pop()
        if waiting == target:
            return True
        if waiting in _awaited and waiting not in seen:
            seen.add(waiting)
            pending.extend(_blockers(waiting, _awaited[waiting]))
    return False


class exclusive:
    """A context in which no other thread is in an ``exclusive`` of any of the same modules.

    Threads that work on disjoint modules do not wait for each other. A thread may nest.

    Args:
        modules: the ``id`` of every module of the tree.

    Returns:
        On entry, whether this thread already holds some of *modules*.

    Raises:
        RuntimeError: where waiting would never end, since a thread in the way waits for this one.
    """

    __slots__ = ("claim",)

    def __init__(self, modules: Modules) -> None:
        self.claim = (threading.get_ident(), modules)

    def __enter__(self) -> bool:
        thread, modules = self.claim
        with _changed:
            if not _held:
                _held.append(self.claim)
                return False
            self._wait(thread, modules)
            nested = any(owner == thread and not modules.isdisjoint(theirs) for owner, theirs in _held)
            _held.append(self.claim)
            return nested

    def _wait(self, thread: int, modules: Modules) -> None:
        while True:
            blockers = _blockers(thread, modules)
            if not blockers:
                return
            if any(_waits_for(blocker, thread) for blocker in blockers):
                raise RuntimeError(
                    "functional calls of two threads wait for each other: each runs inside a module that the other one "
                    "wants to call. Give every thread a deepcopy of the module."
                )
            _awaited[thread] = modules
            try:
                _changed.wait()
            finally:
                del _awaited[thread]

    def __exit__(self, *exception: Any) -> None:
        with _changed:
            _held.remove(self.claim)
            _changed.notify_all()
