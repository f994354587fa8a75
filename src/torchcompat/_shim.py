"""The one mechanism: a shim is declared where it is defined, and the table of shims falls out of the declarations."""

from __future__ import annotations

import inspect
import os
from typing import Any, Callable, Sequence, Tuple, TypeVar, cast

from . import _torch

F = TypeVar("F", bound=Callable[..., Any])
V = TypeVar("V")
S = TypeVar("S", bound="Shim")
Minor = Tuple[int, int]

VARIABLE = "TORCHCOMPAT_FALLBACK"
OLDEST: Minor = (1, 2)
# The newest minor that the tests have run on, and the contract; docs/new-torch.md says what else changes with it.
NEWEST: Minor = (2, 15)


def minor(text: str) -> Minor:
    """``"2.10"`` as ``(2, 10)``."""
    major, _, rest = text.partition(".")
    return int(major), int(rest)


def within(first: str, last: str) -> bool:
    """Whether the installed torch is of the minors *first* to *last*; an empty *last* has no end."""
    here = _torch.torch_version[:2]
    return minor(first) <= here and (not last or here <= minor(last))


def is_untested() -> bool:
    """Whether the installed torch is newer than all that torchcompat was tested on."""
    return _torch.torch_version[:2] > NEWEST


def span(first: str, last: str) -> str:
    """The minors *first* to *last* in words; an empty *last* has no end. Nothing for every torch."""
    if not last:
        return "" if minor(first) <= OLDEST else f"{first} on"
    return first if first == last else f"{first} to {last}"


class Limit:
    """Where a shim falls short of the contract: on which of the two objects, from which to which minor, and how.

    An empty *last* means that it is still so, on torch versions to come too: the newest minor is never written there.
    A test marked ``limit(key)`` must fail wherever the limit applies and pass wherever it does not.
    """

    def __init__(self, key: str, text: str, on: str, first: str = "1.2", last: str = "") -> None:
        if on not in ("native", "fallback"):
            raise ValueError(f"on must be 'native' or 'fallback', got {on!r}")
        self.key, self.text, self.on, self.first, self.last = key, text, on, first, last

    def applies(self, on: str) -> bool:
        """Whether the installed torch is in the limit's range and *on* is the object it limits."""
        return on == self.on and within(self.first, self.last)

    def __str__(self) -> str:
        minors = span(self.first, self.last)
        return f"{self.on} (torch {minors}): {self.text}" if minors else f"{self.on}: {self.text}"


# What torch's own can do and ours cannot: tests/meta/test_takes_nothing_away.py tries it, under these keys.
_WAYS = {
    "script": "torch.jit.script cannot compile it",
    "fullgraph": "torch.compile(fullgraph=True) cannot trace it",
    "isinstance": "what it makes is not an instance of torch's own class",
}


def lacks(way: str, first: str = "1.2", last: str = "") -> Limit:
    """The limit of a fallback that it cannot be used in one of the *way* s that torch's own can."""
    return Limit(way, _WAYS[way], "fallback", first, last)


class Shim:
    """One row of the table.

    Attributes:
        name: the public name without its package, ``"func.functional_call"``.
        kind: ``"polyfill"`` (torch has a twin), ``"constant"`` (a twin that is a value), ``"absent"`` (a twin that no
            fallback can give), ``"override"`` (torch has a twin, and ours is public on every torch) or ``"facade"``
            (torch has none).
        path: where torch keeps the twin, ``"torch.func.functional_call"``; None for a facade.
        since: the first minor whose native meets the contract, ``"2.0"``; None for a facade.
        link: the upstream change behind *since*.
        limits: the documented differences from the contract.
        wrong: the upstream issue that makes the native of the installed torch unusable, or None.
        because: why an override is ours on every torch; empty for the others.
        reason: what torch's own object of the name lacks, or gets wrong, on every minor below *since*; empty where no
            older torch has the name.
        native: torch's object, or None. It may be there and still be too old.
        fallback: ours.
        public: what the public name is: *native* or *fallback*.
        why: ``"native"``, ``"missing"``, ``"too old"``, ``"forced"``, ``"wrong"``, ``"override"`` or ``"facade"``.
    """

    def __init__(
        self,
        name: str,
        fallback: Any,
        path: str | None = None,
        since: str | None = None,
        link: str = "",
        limits: Sequence[Limit] = (),
        wrong: str | None = None,
        because: str = "",
        reason: str = "",
    ) -> None:
        self.name = name
        self.fallback = fallback
        self.path = path
        self.since = since
        self.link = link
        self.limits: list[Limit] = list(limits)
        self.wrong = wrong
        self.because = because
        self.reason = reason
        self.kind = ("override" if because else "polyfill") if path else "facade"
        self.native = _torch.find(path) if path else None
        self.why = self._decide()
        self.public = self.native if self.why == "native" else fallback

    def _decide(self) -> str:
        if self.kind not in ("polyfill", "constant"):
            return self.kind
        if is_forced(self.name):
            return "forced"
        if not self.is_there:
            return "missing"
        if not self.meets_contract:
            return "too old"
        return "wrong" if self.wrong else "native"

    @property
    def doc(self) -> str | None:
        """What the fallback says of itself."""
        return getattr(self.fallback, "__doc__", None)

    @property
    def is_there(self) -> bool:
        """Whether the installed torch has the native, of whatever minor."""
        return self.native is not None

    @property
    def meets_contract(self) -> bool:
        """Whether the installed torch has the native, of a minor that meets the contract."""
        return self.is_there and self.since is not None and _torch.torch_version[:2] >= minor(self.since)

    @property
    def here(self) -> str:
        """What the public name is on this torch: ``"native"``, ``"fallback"``, ``"override"`` or ``"facade"``."""
        return self.why if self.why in ("native", "override", "facade") else "fallback"

    def limits_here(self) -> list[Limit]:
        """The limits that hold for the public object on the installed torch."""
        on = "native" if self.here == "native" else "fallback"
        return [limit for limit in self.limits if limit.applies(on)]

    def __repr__(self) -> str:
        return f"Shim({self.name!r}, here={self.here!r}, why={self.why!r})"


class Constant(Shim):
    """The row of a name that is a value, such as ``pi``: the same value, whoever gives it."""

    def __init__(self, name: str, value: Any, path: str, since: str, link: str, doc: str) -> None:
        super().__init__(name, value, path, since, link)
        self.kind, self._doc = "constant", doc

    @property
    def doc(self) -> str:
        # A value says nothing of itself.
        return self._doc

    @property
    def is_there(self) -> bool:
        # Not by the value, which is None for `newaxis`.
        owner, _, name = str(self.path).rpartition(".")
        return hasattr(_torch.find(owner), name)


SHIMS: dict[str, Shim] = {}


def _forced_names(value: str) -> frozenset[str]:
    names = (name.strip() for name in value.split(","))
    return frozenset(name[len("torchcompat.") :] if name.startswith("torchcompat.") else name for name in names if name)


FORCED = _forced_names(os.environ.get(VARIABLE, ""))


def is_forced(name: str) -> bool:
    """Whether ``TORCHCOMPAT_FALLBACK`` asks for the fallback of *name*."""
    return "all" in FORCED or name in FORCED


def check_forced() -> None:
    """Refuse a ``TORCHCOMPAT_FALLBACK`` that names no shim.

    Called when torchcompat is imported whole. A shim of a module that is loaded only when it is asked for has no row
    yet, so a name without a row loads the module that it names; only then is it a mistake.
    """
    if FORCED - SHIMS.keys() - {"all"}:
        from ._forced import refuse_unknown

        refuse_unknown(FORCED, os.environ.get(VARIABLE, ""))


# Modules of torch with an underscore that other libraries use, and so ours of the same names.
UNDERSCORED = frozenset(
    [
        "torchcompat._subclasses",
        "torchcompat._subclasses.fake_tensor",
        "torchcompat.distributed.algorithms._checkpoint",
        "torchcompat.distributed.algorithms._checkpoint.checkpoint_wrapper",
        "torchcompat.utils._foreach_utils",
        "torchcompat.utils._python_dispatch",
    ]
)


def is_public(module: str) -> bool:
    """Whether a *module* is one of ours that users may import.

    No part of its name starts with an underscore, unless it is one of torch's names in :data:`UNDERSCORED`. Of
    functions and classes those are public that ``__all__`` of a public module names, underscore or not.
    """
    return module in UNDERSCORED or not any(part.startswith("_") for part in module.split("."))


def at_home(ours: F, module: str) -> F:
    """Have *ours* say that it is of the public *module*, unless the module where it is written is public itself.

    Pickles and reprs then name no private module, and machinery can move. Python finds the code of a function wherever
    that is; the code of a class it looks for in the file of the module that the class names.
    """
    if not is_public(ours.__module__):
        ours.__module__ = module
    return ours


def register(shim: S) -> S:
    """Put a row into the table; two of one name are refused."""
    if shim.name in SHIMS:
        raise ValueError(f"two shims are named {shim.name!r}")
    SHIMS[shim.name] = shim
    if shim.kind != "constant":
        at_home(shim.fallback, f"torchcompat.{shim.name}".rpartition(".")[0])
    return shim


def positional_only(function: F) -> F:
    """Show the parameters named ``__x`` as positional-only ``x``: Python 3.7 has no syntax for them."""
    signature = inspect.signature(function)
    shown = [
        parameter.replace(name=parameter.name.rpartition("__")[2], kind=inspect.Parameter.POSITIONAL_ONLY)
        if "__" in parameter.name
        else parameter
        for parameter in signature.parameters.values()
    ]
    if shown and shown[0].name == "self":
        shown[0] = shown[0].replace(kind=inspect.Parameter.POSITIONAL_ONLY)
    vars(function)["__signature__"] = signature.replace(parameters=shown)
    return function


def polyfill(
    path: str,
    since: str,
    link: str,
    limits: Sequence[Limit] = (),
    wrong: str | None = None,
    name: str | None = None,
    reason: str = "",
) -> Callable[[F], F]:
    """Declare the definition below as the fallback of torch's *path*, and return what the public name is to be.

    The decision is made once, here, from the object at *path* and from *since*. *wrong* names the upstream issue that
    makes the native of the installed torch unusable, or is None. *name* is the public name without its package, by
    default what follows ``torch.`` in *path*. *reason* says in a few words what torch's own lacks or gets wrong, on
    every minor that has the name below *since*: ``"no `foreach`"``.
    """

    def declare(fallback: F) -> F:
        shim = Shim(name or path[len("torch.") :], fallback, path, since, link, limits, wrong, reason=reason)
        public: Any = register(shim).public
        return cast(F, public)

    return declare


def constant(path: str, value: V, since: str, link: str, doc: str) -> V:
    """Declare *value* as what torch's *path* is, and return what the public name is to be: ``pi = constant(...)``.

    A value has no docstring: *doc* says what it is, in the two sentences of every shim. It is torch's own object where
    torch has it, and where fallbacks are forced it is ours. Nothing else can differ, so that there are no limits.
    """
    shim = Constant(path[len("torch.") :], value, path, since, link, doc)
    public: Any = register(shim).public
    return cast(V, public)


def override(
    path: str,
    since: str,
    link: str,
    because: str,
    limits: Sequence[Limit] = (),
    name: str | None = None,
) -> Callable[[F], F]:
    """Declare the definition below as the public name on every torch, beside torch's own at *path*.

    *because* says why torch's own is never good enough, with a link. *since* is the first minor whose native passes
    the contract tests but for its limits; it is tested beside ours. The rest is as for :func:`polyfill`.
    """

    def declare(ours: F) -> F:
        register(Shim(name or path[len("torch.") :], ours, path, since, link, limits, because=because))
        return ours

    return declare


def facade(name: str, limits: Sequence[Limit] = ()) -> Callable[[F], F]:
    """Declare the definition below as ours on every torch, under the public *name*."""

    def declare(ours: F) -> F:
        register(Shim(name, ours, limits=limits))
        return ours

    return declare
