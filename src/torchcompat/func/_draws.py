"""What vmap's ``randomness`` needs to know: who drew random numbers.

The rules of random operations draw inside of :func:`drawing`. Draws that no rule sees (``torch.rand(3)``, dropout of a
tensor that is not batched) show in the state of the generators, which is compared when the function returns. Not seen
are draws from a generator of the caller's, and those that a ``torch.manual_seed`` follows.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator

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


def _just_seeded(state: Any) -> bool:
    """Whether nobody has drawn from the CPU's generator, whose *state* this is, since it was seeded."""
    fresh = torch.Generator()
    fresh.manual_seed(torch.initial_seed())
    return bool(torch.equal(fresh.get_state(), state))


class _Watch(threading.local):
    def __init__(self) -> None:
        self.known: list[Any] | None = None  # the state after the last draw that a rule made
        self.foreign = False  # whether anybody else has drawn

    def look(self) -> None:
        """Note whether anybody has drawn since the last look."""
        state = _state()
        if self.known is not None and not _same(self.known, state):
            # A function may seed the generator. Those of CUDA devices are seeded with it, so they are left out here.
            self.foreign = self.foreign or not _just_seeded(state[0])
        self.known = state


_watch = _Watch()


def refuse(name: str) -> None:
    """The error for a draw under ``randomness="error"``."""
    raise RuntimeError(
        f"vmap: {name} draws random numbers, and randomness is 'error'. Pass randomness='different' to vmap for "
        "numbers that differ between the samples, or randomness='same' for the same ones."
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
        _watch.look()
        if _watch.foreign:
            _refuse_foreign(randomness)
    finally:
        if outermost:
            _watch.known = None


def _refuse_foreign(randomness: str) -> None:
    if randomness == "error":
        refuse("the function")
    raise UnsupportedError(
        "vmap: random numbers were drawn without a batched tensor (torch.rand(3), or dropout of a tensor that is not "
        "batched), which cannot be seen here and so cannot differ between the samples. Draw from a tensor that is "
        "batched, as in torch.rand_like(x), pass the numbers in, or use torch 2.0 or later."
    )


@contextmanager
def drawing(name: str, levels: Iterable[Any]) -> Iterator[None]:
    """A context in which the rule of the operation *name* draws, if *levels*, all that are active, let it."""
    if any(level.randomness == "error" for level in levels):
        refuse(name)
    watching = _watch.known is not None
    if watching:
        _watch.look()
    yield
    if watching:
        _watch.known = _state()


@contextmanager
def looped(name: str, levels: Iterable[Any], active: Iterable[Any] = ()) -> Iterator[Callable[[], None]]:
    """A context for a loop over *levels*, in which any call may draw; gives what to call before each of them."""
    before = _state()
    policies = {level.randomness for level in levels}
    others = {level.randomness for level in active if level not in levels}

    def restart() -> None:
        if policies == {"same"}:
            _restore(before)

    yield restart
    after = _state()
    if _same(before, after) or _just_seeded(after[0]):
        return
    if "error" in policies | others:
        refuse(name)
    if len(policies) > 1 or "different" in others:
        raise UnsupportedError(
            f"vmap: {name} has no batching rule and draws random numbers. A loop over the samples cannot draw them for "
            "nested vmaps of different randomness, or for an outer one that its arguments are not mapped by."
        )
    if _watch.known is not None:
        _watch.foreign = _watch.foreign or (not _same(_watch.known, before) and not _just_seeded(before[0]))
        _watch.known = after
