"""The one mechanism of contexts: switches that a block changes and puts back, blocks in any order, and decorators.

At every moment a switch is as the oldest open block found it, with the settings of the open blocks applied in the order
in which they were opened. Blocks may overlap, in threads and in suspended generators, and end in any order: when the
last one has ended, everything is as the first one found it. What somebody else sets within a block is overwritten at
its end. A switch belongs to the process, or to a thread (`Switch.of_thread`): then only blocks of one thread meet.

The contexts of `autograd.grad_mode` share the decorators and not the blocks: they do as torch's own, which keep what
they found in the object, and which `torch.compile` can trace.
"""

from __future__ import annotations

import inspect
import types
from functools import partial, wraps
from threading import RLock, get_ident
from typing import Any, AsyncIterator, Callable, ContextManager, Dict, Generator, TypeVar

from ._torch import hide_from_compiler

F = TypeVar("F", bound=Callable[..., Any])


class Switch:
    """Something that a block changes and puts back.

    Args:
        read: gives a value that writing it back restores exactly.
        write: takes such a value, and the values in the settings of blocks. It is also called to put back what it did
            not finish to write, so it may be called twice.
        of_thread: whether each thread has its own; else there is one in the process.
        goes_on: whether a decorated body that stops and goes on finds it as it left it, and not as it was set at first.
    """

    __slots__ = ("goes_on", "of_thread", "read", "write")

    def __init__(
        self,
        read: Callable[[], Any],
        write: Callable[[Any], None],
        *,
        of_thread: bool = False,
        goes_on: bool = False,
    ) -> None:
        self.read, self.write, self.of_thread, self.goes_on = read, write, of_thread, goes_on


Settings = Dict[Switch, Any]

# One for all switches, since some share what they are kept in: the precisions of torch 2.9 and later have parents.
lock = RLock()
_open: list[Block] = []


class Block:
    """An open block."""

    __slots__ = ("found", "thread")
    found: Settings  # what it found, for whoever is to put it back
    thread: int  # that opened it


# Blocks are opened and closed often, so these functions save calls. All of them are called with the lock held.


def _enter(settings: Settings) -> Block:
    block = Block()
    block.thread = get_ident()
    block.found = found = {}
    for switch in settings:
        found[switch] = switch.read()
    _open.append(block)
    try:
        for switch in settings:
            switch.write(settings[switch])
    except BaseException:
        _leave(block)
        raise
    return block


def _leave(block: Block) -> None:
    found = block.found
    if _open[-1] is block:
        _open.pop()
    else:
        later = _open[_open.index(block) + 1 :]
        _open.remove(block)
        found = {switch: value for switch, value in found.items() if not _inherited(switch, block, later)}
    error = None
    for switch in found:
        try:
            switch.write(found[switch])
        except BaseException as first:  # the others are put back all the same
            error = error or first
    if error is not None:
        raise error


def _inherited(switch: Switch, block: Block, later: list[Block]) -> bool:
    """Whether a block of *later* has set *switch*, too; it keeps its setting, and will put back what *block* found."""
    for heir in later:
        if switch in heir.found and (not switch.of_thread or heir.thread == block.thread):
            heir.found[switch] = block.found[switch]
            return True
    return False


def _last_of(blocks: list[Block]) -> Block | None:
    """The block that was opened last, in this thread if there is one; those of switches of a thread stay in theirs."""
    if blocks and blocks[-1].thread == get_ident():
        return blocks.pop()
    mine = [block for block in blocks if block.thread == get_ident()]
    candidates = mine or [block for block in blocks if not any(switch.of_thread for switch in block.found)]
    if not candidates:
        return None
    blocks.remove(candidates[-1])
    return candidates[-1]


# torch.compile would also compile what runs beside its graphs, and fails on or warns of locks, os.environ and modes:
# all that opens and closes a block is hidden from it.


class Context:
    """A context over switches, for blocks and as a decorator. A subclass tells its settings.

    One object can be entered again, also while it is open, and in several threads.
    """

    def __init__(self) -> None:
        self._open: list[Block] = []

    def _settings(self) -> Settings:
        """What it sets: a new dict each time, since it is changed where a body goes on."""
        raise NotImplementedError

    @hide_from_compiler
    def __enter__(self) -> None:
        settings = self._settings()
        with lock:
            self._open.append(_enter(settings))

    @hide_from_compiler
    def __exit__(self, *error: object) -> None:
        with lock:
            block = _last_of(self._open)
            if block is None:
                raise RuntimeError(
                    f"this {type(self).__name__}() block is not open" + " in this thread" * bool(self._open)
                )
            _leave(block)

    def __call__(self, function: F) -> F:
        covered: F = cover(type(self).__name__, function, self._steps)
        return covered

    @hide_from_compiler
    def _steps(self) -> Steps:  # torch 2.1's compiler fails on a dict whose keys are objects
        return partial(Step, self._settings())


class Step:
    """A block without a public object: around one step of a body, or around some lines of ours."""

    __slots__ = ("_block", "_settings")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @hide_from_compiler
    def __enter__(self) -> None:
        with lock:
            self._block = _enter(self._settings)

    @hide_from_compiler
    def __exit__(self, *error: object) -> None:
        settings = self._settings
        with lock:
            try:
                for switch in settings:
                    if switch.goes_on:
                        settings[switch] = switch.read()
            finally:
                _leave(self._block)


class Nothing:
    """A context that does nothing, also twice."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


# Decorators. The body of a function that stops and goes on is inside the context while it runs, and outside while it
# waits: nothing is left switched for the code that runs meanwhile. Every call has contexts of its own, so that
# recursion and threads do not disturb each other.

# The context around one step of a body, which is entered anew for every step.
Steps = Callable[[], ContextManager[Any]]


def _drive(body: Any, step: Steps) -> Generator[Any, Any, Any]:
    """Run a generator or a coroutine to its end, in a block while it runs and out of it while it waits."""
    resume = partial(body.send, None)
    while True:
        with step():
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
def _drive_awaited(body: Any, step: Steps) -> Generator[Any, Any, Any]:
    return (yield from _drive(body, step))


def _cover_function(function: Any, fresh: Callable[[], Steps]) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with fresh()():
            return function(*args, **kwargs)

    return wrapper


def _cover_generator(function: Any, fresh: Callable[[], Steps]) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _drive(function(*args, **kwargs), fresh()))

    return wrapper


def _cover_coroutine(function: Any, fresh: Callable[[], Steps]) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await _drive_awaited(function(*args, **kwargs), fresh())

    return wrapper


def _cover_async_generator(function: Any, fresh: Callable[[], Steps]) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        step = fresh()
        body = function(*args, **kwargs)
        waiting = body.asend(None)
        while True:
            try:
                out = await _drive_awaited(waiting, step)
            except StopAsyncIteration:
                return
            try:
                sent = yield out
            except BaseException as error:
                waiting = body.athrow(error)
            else:
                waiting = body.asend(sent)

    return wrapper


_COVERS: list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = [
    (inspect.isasyncgenfunction, _cover_async_generator),
    (inspect.iscoroutinefunction, _cover_coroutine),
    (inspect.isgeneratorfunction, _cover_generator),
    (callable, _cover_function),
]


def cover(name: str, function: Any, fresh: Callable[[], Steps]) -> Any:
    """*function* with its body, and nothing else, in contexts: that of a generator or coroutine function too.

    Args:
        name: of the context, for messages.
        function: anything that can be called, but a class.
        fresh: gives, for every call, what makes the context of one step.

    Raises:
        TypeError: *function* is a class or cannot be called.
    """
    body = function
    while isinstance(body, partial):
        body = body.func
    if isinstance(body, (type, staticmethod)) or not callable(body):
        raise TypeError(f"@{name} decorates functions, such as a module's forward; got {function!r}")
    if not inspect.isroutine(body):
        body = type(body).__call__
    wrap = next(wrap for is_kind, wrap in _COVERS if is_kind(body))
    return wrap(function, fresh)


def cover_as_torch(fresh: Callable[[], ContextManager[Any]], function: Any) -> Any:
    """*function* as torch's own decorators cover it: a generator function, too, but no coroutine and no partial."""
    if not callable(function):
        raise TypeError(f"only functions can be decorated, got {type(function).__name__}")
    wrap = _cover_generator if inspect.isgeneratorfunction(function) else _cover_function
    return wrap(function, lambda: fresh)
