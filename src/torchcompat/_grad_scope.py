"""A context that is also a decorator, of functions and of generator functions."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from typing import Any, Callable, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def _generator(fresh: Callable[[], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def covered(*args: Any, **kwargs: Any) -> Any:
        body = function(*args, **kwargs)

        # Every entry into the body is covered, and no wait is: https://github.com/pytorch/pytorch/pull/49017.
        def run(step: Callable[..., Any], *values: Any) -> Any:
            with fresh():
                return step(*values)

        try:
            answer = run(next, body)
            while True:
                try:
                    request = yield answer
                except GeneratorExit:
                    run(body.close)
                    raise
                except BaseException:
                    answer = run(body.throw, *sys.exc_info())
                else:
                    answer = run(body.send, request)
        except StopIteration as end:
            return end.value

    return covered


def decorated(fresh: Callable[[], Any], function: Any) -> Any:
    """*function* with every call inside a context of its own: recursion and threads do not disturb each other."""
    if not callable(function):
        raise TypeError(f"only functions can be decorated, got {type(function).__name__}")
    if inspect.isgeneratorfunction(function):
        return _generator(fresh, function)

    @functools.wraps(function)
    def covered(*args: Any, **kwargs: Any) -> Any:
        with fresh():
            return function(*args, **kwargs)

    return covered


class Scope:
    """The base of the contexts."""

    def __call__(self, orig_func: F) -> F:
        covered: F
        if not inspect.isclass(orig_func):
            covered = decorated(self.clone, orig_func)
            return covered
        message = f"only the construction of {orig_func.__name__} is covered: decorate its methods instead"
        warnings.warn(message, FutureWarning, stacklevel=2)
        covered = decorated(self.clone, lambda *args, **kwargs: orig_func(*args, **kwargs))
        return covered

    def clone(self) -> Any:
        """Another context with the same settings."""
        return type(self)()
