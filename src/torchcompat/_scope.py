"""Contexts as decorators: of functions, of generator functions, of coroutine functions and of asynchronous generators.

The body of a function that stops and goes on is inside the context while it runs, and outside while it waits: nothing
is left switched for the code that runs meanwhile. Every call has contexts of its own, so that recursion and threads do
not disturb each other.
"""

from __future__ import annotations

import inspect
import types
from functools import partial, wraps
from typing import Any, AsyncIterator, Callable, ContextManager, Generator

# A context around one step of a body. A function that makes one for each call may carry something from step to step.
Step = Callable[[], ContextManager[Any]]


def _drive(body: Any, step: Step) -> Generator[Any, Any, Any]:
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
def _drive_awaited(body: Any, step: Step) -> Generator[Any, Any, Any]:
    return (yield from _drive(body, step))


def _cover_function(function: Any, fresh: Callable[[], Step]) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with fresh()():
            return function(*args, **kwargs)

    return wrapper


def _cover_generator(function: Any, fresh: Callable[[], Step]) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _drive(function(*args, **kwargs), fresh()))

    return wrapper


def _cover_coroutine(function: Any, fresh: Callable[[], Step]) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await _drive_awaited(function(*args, **kwargs), fresh())

    return wrapper


def _cover_async_generator(function: Any, fresh: Callable[[], Step]) -> Any:
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


def cover(name: str, function: Any, fresh: Callable[[], Step]) -> Any:
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
