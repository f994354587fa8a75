"""Activation checkpointing (``torch.utils.checkpoint``) without reentrant autograd, on every torch.

The module is loaded when it is first asked for, and imports torch's: torch up to 2.7 does not load it with ``import
torch``. docs/checkpoint.md tells what holds on which torch.
"""

from __future__ import annotations

import functools
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

import torch
import torch.utils.checkpoint

from ..._scope import Nothing
from ..._shim import Limit, is_forced, polyfill
from ..._torch import at_least, at_most, compiling, find
from ...accelerator import current_accelerator
from ._run import is_untraceable, overrides, run

if TYPE_CHECKING:
    from ..._types import TwoContexts

__all__ = [
    "CheckpointError",
    "DefaultDeviceType",
    "checkpoint",
    "checkpoint_sequential",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]

_REWRITE = "https://github.com/pytorch/pytorch/pull/90105"
_SEQUENTIAL = "https://github.com/pytorch/pytorch/pull/86331"
_QUOTED = "an error of the recomputation is a RuntimeError that quotes it"
_native: Any = find("torch.utils.checkpoint.checkpoint")
_FORCED = is_forced("utils.checkpoint.checkpoint")
# On torch 2.4 every recomputation warns of a deprecated name that torch itself uses.
_WARNS = "https://github.com/pytorch/pytorch/issues/130659" if at_least(2, 4) and at_most(2, 4) else None
# torch's own way without reentrant autograd is the contract's from 2.1 on: only keywords are missing up to 2.8. The
# way here serves older torch and 2.4, and newer torch in tests. The compiler knows torch's own only.
_DELEGATES = at_least(2, 1) and at_most(2, 8) and not _WARNS and not _FORCED
_DELEGATES_IN_GRAPHS = at_least(2, 1)


@polyfill("torch.utils.checkpoint.CheckpointError", since="2.1", link=_REWRITE)
class CheckpointError(RuntimeError):
    """A recomputation does not match its forward pass.

    In torch since 2.1. Fallback: a class of the same name.
    """


@polyfill("torch.utils.checkpoint.noop_context_fn", since="2.1", link="https://github.com/pytorch/pytorch/pull/96783")
def noop_context_fn() -> TwoContexts:
    """Two contexts that do nothing, the default of ``context_fn``.

    In torch since 2.1. Fallback: two empty contexts of our own.
    """
    return Nothing(), Nothing()


_NO_CONTEXTS: Any = find("torch.utils.checkpoint.noop_context_fn") or noop_context_fn


@polyfill(
    "torch.utils.checkpoint.set_checkpoint_early_stop",
    since="2.9",
    link="https://github.com/pytorch/pytorch/pull/160781",
    limits=[Limit("stop", "has no effect: recomputation always runs to the end", "fallback", "1.2", "1.10")],
    reason="belongs to `checkpoint`, which has no `early_stop` to override",
)
@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Override the ``early_stop`` of every checkpointed call whose forward pass runs in the block.

    In torch since 2.9. Fallback: overrides it for torchcompat's :func:`checkpoint`.
    https://docs.pytorch.org/docs/stable/checkpoint.html

    Args:
        enable: whether recomputation stops at the last tensor that is wanted.
    """
    with overrides.set("early_stop", enable):
        yield


@polyfill(
    "torch.utils.checkpoint.set_checkpoint_debug_enabled",
    since="2.2",
    link="https://github.com/pytorch/pytorch/pull/110728",
    wrong=_WARNS,  # since :func:`checkpoint` is ours there, and does not read what torch's sets
)
@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Override the ``debug`` of every checkpointed call in the block; None leaves it to the call.

    In torch since 2.2. Fallback: overrides it for torchcompat's :func:`checkpoint`.
    https://docs.pytorch.org/docs/stable/checkpoint.html
    """
    with overrides.set("debug", enabled):
        yield


def _accelerator() -> str:
    device = current_accelerator(check_available=True)
    return device.type if device is not None else "cpu"


@polyfill(
    "torch.utils.checkpoint.DefaultDeviceType",
    since="2.1",
    link="https://github.com/pytorch/pytorch/pull/99626",
    limits=[Limit("default", 'is "cuda" at first, also where there is none', "native", "2.1", "2.9")],
)
class DefaultDeviceType:
    """The kind of device that reentrant checkpointing takes for granted where no tensor tells.

    In torch since 2.1. Fallback: a class that stores the type and returns it; torch before 2.1 always uses CUDA.
    Checkpointing without reentrant autograd looks at the arguments instead.
    """

    _default_device_type: str | None = None

    @classmethod
    def set_device_type(cls, device: str = "cuda") -> None:
        """Set it."""
        cls._default_device_type = device

    @classmethod
    def get_device_type(cls) -> str:
        """What was set; by default the accelerator that is there, else ``"cpu"``."""
        if cls._default_device_type is None:
            cls._default_device_type = _accelerator()
        return cls._default_device_type


class _Checkpointed:
    """What the decorator makes of a function or method."""

    def __init__(self, function: Callable[..., Any], settings: dict[str, Any]) -> None:
        self._settings = settings
        self.function = function
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _checkpoint(self.function, args, kwargs, stacklevel=3, **self._settings)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return _Checkpointed(self.function.__get__(instance, owner), self._settings)


def _unexpected(kwargs: dict[str, Any]) -> None:
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))


_UNSAID = (
    "the use_reentrant parameter should be passed explicitly: use_reentrant=False is recommended, and True is what is "
    "used without it"
)


_SAID: dict[str, Any] = {"use_reentrant": True} if at_least(1, 11) else {}


def _reentrant(function: Callable[..., Any], args: tuple[Any, ...], preserve_rng_state: bool) -> Any:
    if is_untraceable():
        return function(*args)
    return _native(function, *args, preserve_rng_state=preserve_rng_state, **_SAID)


def _checkpoint(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    stacklevel: int,
    use_reentrant: bool | None,
    preserve_rng_state: bool,
    context_fn: Callable[[], Any],
    determinism_check: str,
    debug: bool,
    early_stop: bool,
    respect_saved_tensors_hooks: bool | None,
) -> Any:
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint: {_UNSAID}", UserWarning, stacklevel=stacklevel)
        use_reentrant = True
    # Not by `in`: the compiler of torch 2.1 cannot look for a function in a tuple.
    plain = context_fn is noop_context_fn or context_fn is _NO_CONTEXTS
    if use_reentrant:
        _unexpected(kwargs)
        if not plain or debug is not False or respect_saved_tensors_hooks is not None:
            raise ValueError(
                "context_fn, debug and respect_saved_tensors_hooks can be passed with use_reentrant=False only"
            )
        return _reentrant(function, args, preserve_rng_state)
    debug = debug if overrides.debug is None else overrides.debug
    early_stop = early_stop if overrides.early_stop is None else overrides.early_stop
    if _DELEGATES or (_DELEGATES_IN_GRAPHS and compiling()):
        return _delegate(
            function,
            args,
            kwargs,
            early_stop,
            not plain and context_fn,
            debug=debug,
            preserve_rng_state=preserve_rng_state,
            determinism_check=determinism_check,
            use_reentrant=False,
        )
    if debug and not plain:
        raise ValueError("debug=True cannot be combined with a context_fn")
    return run(function, args, kwargs, preserve_rng_state, context_fn, determinism_check, early_stop, CheckpointError)


def _delegate(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    early_stop: bool,
    context_fn: Any,
    **settings: Any,
) -> Any:
    """torch's own call, with the keywords that the installed torch has."""
    if is_untraceable():
        return function(*args, **kwargs)
    if context_fn:
        settings["context_fn"] = context_fn
    if early_stop or at_least(2, 9):
        said = {"early_stop": early_stop} if at_least(2, 9) else {}
        return _native(function, *args, **settings, **said, **kwargs)
    with torch.utils.checkpoint.set_checkpoint_early_stop(False):
        return _native(function, *args, **settings, **kwargs)


@polyfill(
    "torch.utils.checkpoint.checkpoint",
    since="2.9",
    link="https://github.com/pytorch/pytorch/pull/160781",
    limits=[
        # https://github.com/pytorch/pytorch/pull/190581
        Limit("decorator", "cannot be called without a function, as a decorator: TypeError", "native", "2.9", "2.13"),
        Limit(
            "captured history",
            "gives no gradient to a captured tensor that has a history, only to its leaves",
            "fallback",
            "1.2",
            "1.10",
        ),
        Limit(
            "shared memory",
            "of results that share memory, one changed in place is an error in the backward pass",
            "fallback",
            "1.2",
            "1.10",
        ),
        Limit(
            "reentrant-autocast",
            "with use_reentrant=True the recomputation does not bring back autocast on the CPU, and warns",
            "fallback",
            "1.10",
            "1.10",
        ),
        Limit("stop", "recomputes to the end, whatever early_stop says", "fallback", "1.2", "1.10"),
        Limit(
            "saved metadata",
            "compares the results and the kinds of operations, not every saved tensor",
            "fallback",
            "1.2",
            "1.10",
        ),
        Limit("error type", _QUOTED, "fallback", "1.11", "1.13"),
        Limit("error type", _QUOTED, "fallback", "1.5", "1.6"),
        Limit(
            "unreached",
            "gives captured leaves that a partial backward pass does not reach a gradient of zeros, not None",
            "fallback",
            "1.2",
            "1.6",
        ),
        Limit("debug trace", "debug adds no list of operations to the error", "fallback"),
    ],
    reason="no `early_stop`",
)
def checkpoint(
    function: Any = None,
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Callable[[], Any] = _NO_CONTEXTS,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    respect_saved_tensors_hooks: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Call a function without keeping what its backward pass needs: that is computed again when it is needed.

    In torch since 2.9. Fallback: torch's own from 2.1, but for 2.4, where it warns in every recomputation; on 2.4 and
    1.11 to 2.0 hooks on what autograd saves; up to 1.10 a node of the graph that runs the function again and
    differentiates it. With ``use_reentrant=True``, and inside ``torch.compile``, torch's own always.
    https://docs.pytorch.org/docs/stable/checkpoint.html

    Args:
        function: what to call; it must compute the same when it is called again. Left out, the call gives a decorator.
        args: its positional arguments. A tensor among them must not be changed in place before the backward pass.
        use_reentrant: say False. Without it torch warns and uses the reentrant way, with all of its restrictions.
        preserve_rng_state: whether the generators of the CPU and of the arguments' devices are set back for the
            recomputation, so that dropout repeats.
        context_fn: gives two contexts, one for the forward pass and one for each recomputation.
        determinism_check: "default" compares shape, dtype and device of what is recomputed; "none" nothing.
        debug: whether the error of that check lists the operations of both runs.
        early_stop: whether recomputation stops once all that is wanted is there.
        respect_saved_tensors_hooks: for what selective checkpointing saves; otherwise without effect.
        kwargs: keyword arguments of *function*.

    Returns:
        What *function* returns, or a decorator.

    Raises:
        ValueError: an unknown *determinism_check*; keywords that only one of both ways has.
        CheckpointError: in the backward pass, where the recomputation does not match.
    """
    settings: dict[str, Any] = {
        "use_reentrant": use_reentrant,
        "preserve_rng_state": preserve_rng_state,
        "context_fn": context_fn,
        "determinism_check": determinism_check,
        "debug": debug,
        "early_stop": early_stop,
        "respect_saved_tensors_hooks": respect_saved_tensors_hooks,
    }
    if function is None and not args:
        _unexpected(kwargs)
        return lambda function: _Checkpointed(function, settings)
    return _checkpoint(function, args, kwargs, stacklevel=3, **settings)


def _chain(functions: list[Any]) -> Callable[[Any], Any]:
    def forward(input: Any) -> Any:
        for function in functions:
            input = function(input)
        return input

    return forward


@polyfill(
    "torch.utils.checkpoint.checkpoint_sequential",
    since="2.0",
    link=_SEQUENTIAL,
    limits=[
        # https://github.com/pytorch/pytorch/pull/116710
        Limit("unsaid", "does not warn where use_reentrant is left out", "native", "2.0", "2.1"),
        Limit("quiet", "warns of a deprecated autocast in every recomputation", "native", "2.4", "2.4"),
    ],
    wrong=_WARNS,
    reason="no `use_reentrant`",
)
def checkpoint_sequential(
    functions: torch.nn.Sequential | Sequence[Callable[..., Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Call a chain of modules or functions in segments, all but the last one checkpointed.

    In torch since 2.0. Fallback: the functions of each segment in one call of torchcompat's :func:`checkpoint`.
    https://docs.pytorch.org/docs/stable/checkpoint.html

    Args:
        functions: a ``Sequential``, or a list of modules or functions of one argument.
        segments: their number, 1 to the length of *functions*.
        input: what the first function gets.
        use_reentrant: as in :func:`checkpoint`.
        kwargs: only ``preserve_rng_state``.

    Raises:
        ValueError: another keyword; more segments than functions.
    """
    if use_reentrant is None:
        warnings.warn(f"torch.utils.checkpoint.checkpoint_sequential: {_UNSAID}", UserWarning, stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    _unexpected(kwargs)
    chain = list(functions.children()) if isinstance(functions, torch.nn.Sequential) else list(functions)
    size = len(chain) // segments
    if size == 0 and segments > 1:
        raise ValueError(f"segments is {segments}, more than the {len(chain)} functions")
    split = size * (segments - 1)
    for start in range(0, split, size or 1):
        part = _chain(chain[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _chain(chain[split:])(input)
