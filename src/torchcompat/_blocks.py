"""Blocks of code that run under other values of the global switches, in any order and from any thread.

The switches belong to the whole process. At every moment they are as the oldest block found them, with the settings of
the blocks that are open applied in the order in which they were opened; a block may be closed in any order.
"""

from __future__ import annotations

import inspect
import sys
import threading
import types
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, AsyncIterator, Callable, Generator, Iterator

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


@contextmanager
def _step(values: Values) -> Iterator[None]:
    """A block around one step of a function that stops and goes on; random numbers go on where they stopped."""
    block = enter(values)
    try:
        yield
    finally:
        try:
            values.update({name: SWITCHES[name].read() for name in values if name in GENERATORS})
        finally:
            leave(block)


def _drive(body: Any, values: Values) -> Generator[Any, Any, Any]:
    """Run a generator or a coroutine to its end, in a block while it runs and out of it while it waits."""
    resume = partial(body.send, None)
    while True:
        with _step(values):
            try:
                out = resume()
            except StopIteration as stop:
                return stop.value
        try:
            sent = yield out
        except BaseException as error:  # GeneratorExit too: the body cleans up inside its block
            resume = partial(body.throw, error)
        else:
            resume = partial(body.send, sent)


@types.coroutine
def _drive_awaited(body: Any, values: Values) -> Generator[Any, Any, Any]:
    return (yield from _drive(body, values))


def _cover_function(function: Any, settings: Values) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        block = enter(settings)
        try:
            return function(*args, **kwargs)
        finally:
            leave(block)

    return wrapper


def _cover_generator(function: Any, settings: Values) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _drive(function(*args, **kwargs), dict(settings)))

    return wrapper


def _cover_coroutine(function: Any, settings: Values) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await _drive_awaited(function(*args, **kwargs), dict(settings))

    return wrapper


def _cover_async_generator(function: Any, settings: Values) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        values = dict(settings)
        body = function(*args, **kwargs)
        step = body.asend(None)
        while True:
            try:
                out = await _drive_awaited(step, values)
            except StopAsyncIteration:
                return
            try:
                sent = yield out
            except BaseException as error:
                step = body.athrow(error)
            else:
                step = body.asend(sent)

    return wrapper


_COVERS: list[tuple[Callable[[Any], bool], Callable[[Any, Values], Any]]] = [
    (inspect.isasyncgenfunction, _cover_async_generator),
    (inspect.iscoroutinefunction, _cover_coroutine),
    (inspect.isgeneratorfunction, _cover_generator),
    (callable, _cover_function),
]


def cover(function: Any, settings: Values) -> Any:
    """*function* with its body, and nothing else, in a block: that of a generator or coroutine function too."""
    body = function
    while isinstance(body, partial):
        body = body.func
    if not inspect.isroutine(body):
        body = type(body).__call__
    for is_kind, wrap in _COVERS:
        if is_kind(body):
            return wrap(function, settings)
    raise TypeError(f"expected a function, got {function!r}")
