"""The one mechanism: a shim is declared where it is defined, and the table of shims falls out of the declarations."""

from __future__ import annotations

import os
from typing import Any, Callable, Sequence, Tuple, TypeVar, cast

from . import _torch

F = TypeVar("F", bound=Callable[..., Any])
Minor = Tuple[int, int]

VARIABLE = "TORCHCOMPAT_FALLBACK"
OLDEST: Minor = (1, 2)
NEWEST: Minor = (2, 15)


def minor(text: str) -> Minor:
    """``"2.10"`` as ``(2, 10)``."""
    major, _, rest = text.partition(".")
    return int(major), int(rest)


def within(first: str, last: str) -> bool:
    """Whether the installed torch is of the minors *first* to *last*; an empty *last* has no end."""
    here = _torch.torch_version[:2]
    return minor(first) <= here and (not last or here <= minor(last))


class Limit:
    """Where a shim falls short of the contract: on which of the two objects, from which to which minor, and how.

    A test marked ``limit(key)`` must fail wherever the limit applies and pass wherever it does not.
    """

    def __init__(self, key: str, text: str, on: str, first: str = "1.2", last: str = "2.15") -> None:
        if on not in ("native", "fallback"):
            raise ValueError(f"on must be 'native' or 'fallback', got {on!r}")
        self.key, self.text, self.on, self.first, self.last = key, text, on, first, last

    def applies(self, on: str) -> bool:
        """Whether the installed torch is in the limit's range and *on* is the object it limits."""
        return on == self.on and within(self.first, self.last)

    def __str__(self) -> str:
        span = "" if (self.first, self.last) == ("1.2", "2.15") else f" (torch {self.first} to {self.last})"
        return f"{self.on}{span}: {self.text}"


class Shim:
    """One row of the table.

    Attributes:
        name: the public name without its package, ``"func.functional_call"``.
        kind: ``"polyfill"`` (torch has a twin) or ``"facade"`` (torch has none).
        path: where torch keeps the twin, ``"torch.func.functional_call"``; None for a facade.
        since: the first minor whose native meets the contract, ``"2.0"``; None for a facade.
        link: the upstream change behind *since*.
        limits: the documented differences from the contract.
        native: torch's object, or None. It may be there and still be too old.
        fallback: ours.
        public: what the public name is: *native* or *fallback*.
        why: ``"native"``, ``"missing"``, ``"too old"``, ``"forced"``, ``"wrong"`` or ``"facade"``.
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
    ) -> None:
        self.name = name
        self.fallback = fallback
        self.path = path
        self.since = since
        self.link = link
        self.limits: list[Limit] = list(limits)
        self.wrong = wrong
        self.kind = "polyfill" if path else "facade"
        self.native = _torch.find(path) if path else None
        self.why = self._decide()
        self.public = self.native if self.why == "native" else fallback

    def _decide(self) -> str:
        if self.since is None:
            return "facade"
        if is_forced(self.name):
            return "forced"
        if self.native is None:
            return "missing"
        if not self.meets_contract:
            return "too old"
        return "wrong" if self.wrong else "native"

    @property
    def meets_contract(self) -> bool:
        """Whether the installed torch has the native, of a minor that meets the contract."""
        return self.native is not None and self.since is not None and _torch.torch_version[:2] >= minor(self.since)

    @property
    def here(self) -> str:
        """What the public name is on the installed torch: ``"native"``, ``"fallback"`` or ``"facade"``."""
        return self.why if self.why in ("native", "facade") else "fallback"

    def limits_here(self) -> list[Limit]:
        """The limits that hold for the public object on the installed torch."""
        on = "native" if self.here == "native" else "fallback"
        return [limit for limit in self.limits if limit.applies(on)]

    def __repr__(self) -> str:
        return f"Shim({self.name!r}, here={self.here!r}, why={self.why!r})"


SHIMS: dict[str, Shim] = {}


def _forced_names(value: str) -> frozenset[str]:
    names = (name.strip() for name in value.split(","))
    return frozenset(name[len("torchcompat.") :] if name.startswith("torchcompat.") else name for name in names if name)


FORCED = _forced_names(os.environ.get(VARIABLE, ""))


def is_forced(name: str) -> bool:
    """Whether ``TORCHCOMPAT_FALLBACK`` asks for the fallback of *name*."""
    return "all" in FORCED or name in FORCED


def _register(shim: Shim) -> Shim:
    if shim.name in SHIMS:
        raise ValueError(f"two shims are named {shim.name!r}")
    SHIMS[shim.name] = shim
    return shim


def polyfill(
    path: str,
    since: str,
    link: str,
    limits: Sequence[Limit] = (),
    wrong: str | None = None,
    name: str | None = None,
) -> Callable[[F], F]:
    """Declare the definition below as the fallback of torch's *path*, and return what the public name is to be.

    The decision is made once, here, from the object at *path* and from *since*. *wrong* names the upstream issue that
    makes the native of the installed torch unusable, or is None. *name* is the public name without its package, by
    default what follows ``torch.`` in *path*.
    """

    def declare(fallback: F) -> F:
        shim = Shim(name or path[len("torch.") :], fallback, path, since, link, limits, wrong)
        public: Any = _register(shim).public
        return cast(F, public)

    return declare


def facade(name: str, limits: Sequence[Limit] = ()) -> Callable[[F], F]:
    """Declare the definition below as ours on every torch, under the public *name*."""

    def declare(ours: F) -> F:
        _register(Shim(name, ours, limits=limits))
        return ours

    return declare
