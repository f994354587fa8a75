"""Blocks of code that run under other values of the global switches, in any order and from any thread.

The switches belong to the whole process. At every moment they are as the oldest block found them, with the settings of
the blocks that are open applied in the order in which they were opened; a block may be closed in any order.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from functools import partial
from typing import Any

from . import _scope
from ._seeding import GENERATORS
from ._switches import SWITCHES, Values

lock = threading.RLock()
_open: list[Block] = []


class Block:
    """An open block: what it found, and who opened it."""

    def __init__(self, found: Values) -> None:
        self.found = found
        self.thread = threading.get_ident()


def enter(settings: Values) -> Block:
    """Open a block: write *settings*. If one of them cannot be written, nothing has changed."""
    opened: Block = _unseen_by_compile(_enter)(settings)
    return opened


def leave(block: Block) -> None:
    """Close a block: put back what it found.

    Where a block opened later, and still open, has set the same switch, that one keeps its setting, and will put back
    what this one found.
    """
    _unseen_by_compile(_leave)(block)


def _unseen_by_compile(function: Any) -> Any:
    # torch.compile would compile also what runs beside its graphs, and fails on or warns of os.environ and locks.
    dynamo = sys.modules.get("torch._dynamo")
    return function if dynamo is None else dynamo.disable(function)


def _enter(settings: Values) -> Block:
    with lock:
        block = Block({name: SWITCHES[name].read() for name in settings})
        _open.append(block)
        try:
            for name, value in settings.items():
                SWITCHES[name].write(value)
        except BaseException:
            _leave(block)
            raise
    return block


def _leave(block: Block) -> None:
    with lock:
        later = _open[_open.index(block) + 1 :]
        _open.remove(block)
        with ExitStack() as restoring:  # runs all of them, even if one raises
            for name, found in block.found.items():
                heir = next((other for other in later if name in other.found), None)
                if heir is None:
                    restoring.callback(SWITCHES[name].write, found)
                else:
                    heir.found[name] = found


class _Step:
    """A block around one step of a function that stops and goes on; random numbers go on where they stopped."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._block = enter(self._values)

    def __exit__(self, *error: Any) -> None:
        _unseen_by_compile(_close)(self._block, self._values)


def _close(block: Block, values: Values) -> None:
    try:
        values.update({name: SWITCHES[name].read() for name in values if name in GENERATORS})
    finally:
        _leave(block)


def cover(function: Any, settings: Values) -> Any:
    """*function* with its body, and nothing else, in a block: that of a generator or coroutine function too."""
    return _scope.cover("deterministic", function, lambda: partial(_Step, dict(settings)))
