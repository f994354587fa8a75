"""What vmap's ``randomness`` needs to know: who drew random numbers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import torch

from .._torch import UnsupportedError

RANDOMNESS = ("error", "different", "same")


def _state() -> list[Any]:
    """The state of the default generators."""
    states: list[Any] = [torch.get_rng_state()]
    if getattr(torch.cuda, "_initialized", False):  # is_initialized() came with 1.3
        states += torch.cuda.get_rng_state_all()
    return states


def _restore(states: list[Any]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


def _same(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(torch.equal(one, other) for one, other in zip(first, second))


class _Watch(threading.local):
    def __init__(self) -> None:
        self.known: list[Any] | None = None  # the state after the last draw that a rule made
        self.foreign = False  # whether anybody else has drawn


_watch = _Watch()


def refuse(name: str) -> None:
    """The error for a draw under ``randomness="error"``."""
    raise RuntimeError(
        f"vmap: {name} draws random numbers, and randomness is 'error'. Pass randomness='different' to vmap for numbers "
        "that differ between the samples, or randomness='same' for the same ones."
    )


@contextmanager
def watched(randomness: str) -> Iterator[None]:
    """A context for the function that a vmap maps: refuses draws that no batching rule has seen."""
    if randomness == "same":
        yield  # what is drawn without a batched tensor is the same for all samples
        return
    outermost = _watch.known is None
    if outermost:
        _watch.known, _watch.foreign = _state(), False
    try:
        yield
        _check_foreign(randomness)
    finally:
        if outermost:
            _watch.known = None


def _check_foreign(randomness: str) -> None:
    assert _watch.known is not None
    if not _watch.foreign and _same(_watch.known, _state()):
        return
    if randomness == "error":
        refuse("the function")
    raise UnsupportedError(
        "vmap: random numbers were drawn without a batched tensor (torch.rand(3), or dropout of a tensor that is not "
        "batched), which cannot be seen here and so cannot differ between the samples. Draw from a tensor that is "
        "batched, as in torch.rand_like(x), pass the numbers in, or use torch 2.0 or later."
    )


@contextmanager
def drawing(name: str, levels: Any) -> Iterator[None]:
    """A context in which the rule of the operation *name* draws, if the active *levels* let it."""
    if any(level.randomness == "error" for level in levels):
        refuse(name)
    if _watch.known is None:
        yield
        return
    _watch.foreign = _watch.foreign or not _same(_watch.known, _state())
    yield
    _watch.known = _state()


@contextmanager
def looped(name: str, levels: Any) -> Iterator[Callable[[], None]]:
    """A context for a loop over samples, in which any call may draw; gives what to call before each of them."""
    before = _state()
    policies = {level.randomness for level in levels}

    def restart() -> None:
        if policies == {"same"}:
            _restore(before)

    yield restart
    after = _state()
    if _same(before, after):
        return
    if "error" in policies:
        refuse(name)
    if len(policies) > 1:
        raise UnsupportedError(f"vmap: {name} draws random numbers under nested vmaps of different randomness")
    if _watch.known is not None:
        _watch.foreign = _watch.foreign or not _same(_watch.known, before)
        _watch.known = after
