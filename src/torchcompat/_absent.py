"""Names of newer torch that no fallback can give: on an older torch they can be imported and tested with, no more.

``isinstance(x, DTensor)`` is False on a torch that has no ``DTensor``, which is the truth, and one missing name must
not stop a whole package from being imported. Whoever makes an object of such a type, or calls such a function, is told
which torch has it.

A row is declared by its name and not by a definition, since there is nothing to define. Many of these names live in
parts of torch that ``import torch`` leaves alone and that take seconds to import. So torch's own object is looked for
when the name is first asked for; whether there is one, the version tells.
"""

from __future__ import annotations

import enum
from functools import partial
from typing import Any, Callable, Mapping, Sequence

import torch

from . import _lazy, _torch
from ._shim import VARIABLE, Shim, is_forced, minor, register

# Makes the placeholder of a row.
Maker = Callable[["Absent"], Any]


class Absent(Shim):
    """A row of the kind ``"absent"``: torch's own object, or a placeholder.

    Attributes:
        was: where torch kept the object in older releases, beside *path*.
        newer: members of an enumeration that torch's own of the first minors lacks.
        since: the first minor that has the object at *path* or at one of *was*.
        native, public: as of every shim, but found when they are first asked for.
    """

    was: tuple[str, ...]
    newer: frozenset[str] = frozenset()

    def __init__(
        self, name: str, path: str, since: str, link: str, make: Maker, was: Sequence[str] = (), reason: str = ""
    ) -> None:
        super().__init__(name, None, path, since, link, reason=reason)
        self.kind = "absent"
        self.was = tuple(was)
        del self.native, self.public
        self.why = self._why_by_version()
        self.fallback = make(self)

    def _why_by_version(self) -> str:
        if is_forced(self.name):
            return "forced"
        if self._is_new_enough():
            # The parts of torch.distributed cannot be imported where torch was built without it.
            is_left_out = str(self.path).startswith("torch.distributed.") and not torch.distributed.is_available()
            return "missing" if is_left_out else "native"
        return "too old" if self.reason and _torch.find(str(self.path)) is not None else "missing"

    def _is_new_enough(self) -> bool:
        return _torch.torch_version[:2] >= minor(str(self.since))

    def __getattr__(self, name: str) -> Any:
        if name == "native":
            self.native = self._find() if self._is_new_enough() else None
            if self.native is None and self.why == "native":
                self.why = "missing"
            return self.native
        if name == "public":
            found = self.native if self.why == "native" else None
            self.public = self.fallback if found is None else found
            return self.public
        raise AttributeError(name)

    def _find(self) -> Any:
        found = (_torch.find_importing(path) for path in (str(self.path), *self.was))
        return next((each for each in found if each is not None), None)

    @property
    def is_at_hand(self) -> bool:
        """Whether nothing has to be imported to tell what the public name is."""
        return self.why != "native" or _torch.find(str(self.path)) is not None

    @property
    def here(self) -> str:
        """``"native"`` or ``"absent"``."""
        return "native" if self.why == "native" else "absent"

    def refusal(self) -> str:
        """Why there is only a placeholder."""
        why = f"this is torch {torch.__version__}"
        if self.why == "forced":
            why = f"{VARIABLE} asks for a placeholder"
        elif self._is_new_enough():
            why = f"this build of torch {torch.__version__} lacks it"
        return f"{self.path} needs torch {self.since} or newer, and {why}: here it can only be imported and tested with"

    def documentation(self, what: str) -> str:
        """The docstring of a placeholder."""
        return f"A name to import and to test with: ``{self.path}``.\n\nIn torch since {self.since}. Fallback: {what}."


class _Type(type):
    """The class of the placeholders of classes."""

    _row: Absent

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise _torch.UnsupportedError(cls._row.refusal())

    def __getattr__(cls, name: str) -> Any:
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}: {cls._row.refusal()}")


def _home(row: Absent) -> str:
    return f"torchcompat.{row.name}".rpartition(".")[0]


def _type(row: Absent) -> type:
    doc = row.documentation("a class of which nothing is an instance; making one raises UnsupportedError")
    name = row.name.rpartition(".")[2]
    made = _Type(name, (), {"__module__": _home(row), "__doc__": doc, "__slots__": ()})
    made._row = row
    return made


def _function(row: Absent) -> Callable[..., Any]:
    def absent(*args: Any, **kwargs: Any) -> Any:
        raise _torch.UnsupportedError(row.refusal())

    absent.__doc__ = row.documentation("raises UnsupportedError when it is called")
    absent.__name__ = absent.__qualname__ = row.name.rpartition(".")[2]
    absent.__module__ = _home(row)
    return absent


class Sentinel:
    """What stands for a dtype or a layout that this torch does not have: equal to nothing but itself.

    It prints as what it stands for and is pickled by its name. A tensor made with it raises TypeError, from torch.
    """

    def __init__(self, row: Absent, facts: Mapping[str, Any]) -> None:
        self._path = row.path
        self._name = row.name.rpartition(".")[2]
        self.__module__ = _home(row)
        self.__doc__ = row.documentation("equal to nothing but itself; torch refuses to make a tensor with it")
        self.__dict__.update(facts)

    def __repr__(self) -> str:
        return str(self._path)

    def __reduce__(self) -> str:
        return self._name


class Names:
    """Rows of one module: where torch keeps the names, and in which file of torch's sources.

    The link behind the number of a row is that file, as it was in the first release that had the name.
    """

    def __init__(self, module: dict[str, Any], path: str, file: str) -> None:
        self._module, self._path, self._file = module, path, file
        self._rows: list[Absent] = []

    def _declare(self, names: str, since: str, make: Maker, was: str, file: str, reason: str = "") -> None:
        below = self._path.partition(".")[2]
        link = f"https://github.com/pytorch/pytorch/blob/v{since}.0/{file or self._file}"
        for name in names.split():
            public = f"{below}.{name}" if below else name
            homes = [f"{each}.{name}" for each in was.split()]
            row = Absent(public, f"{self._path}.{name}", since, link, make, homes, reason)
            self._rows.append(register(row))

    def types(self, names: str, since: str, was: str = "", file: str = "", reason: str = "") -> None:
        """Classes. *was*: the modules that had them in older releases, separated by spaces."""
        self._declare(names, since, _type, was, file, reason)

    def functions(self, names: str, since: str, was: str = "", file: str = "", reason: str = "") -> None:
        """Functions. *reason*: what torch's own lacks below *since*, where it has the name."""
        self._declare(names, since, _function, was, file, reason)

    def sentinels(self, names: str, since: str, facts: Mapping[str, Any] | None = None, file: str = "") -> None:
        """Dtypes or layouts, with the attributes that all of *names* have, such as ``is_complex``."""
        self._declare(names, since, lambda row: Sentinel(row, facts or {}), "", file)

    def enumeration(self, name: str, members: str, since: str, was: str = "", file: str = "", newer: str = "") -> None:
        """An enumeration, whose members are of use on every torch but those that are *newer* than itself."""

        def make(row: Absent) -> Any:
            made = enum.Enum(name, f"{members} {newer}", module=_home(row))  # type: ignore[misc]
            made.__doc__ = row.documentation("an enumeration of the same members")
            row.newer = frozenset(newer.split())
            return made

        self._declare(name, since, make, was, file)

    @property
    def listed(self) -> list[str]:
        """The names, for ``__all__``."""
        return sorted(row.name.rpartition(".")[2] for row in self._rows)

    def attach(self, submodules: str = "") -> None:
        """Give the module its names, and its submodules where it is a package."""
        made = {row.name.rpartition(".")[2]: row for row in self._rows}
        self._module.setdefault("__all__", sorted([*self.listed, *submodules.split()]))
        for name, row in made.items():
            if row.is_at_hand:
                self._module[name] = row.public
        asked = {name: row for name, row in made.items() if name not in self._module}
        table = {"": submodules} if submodules else None
        _lazy.attach(self._module, table, made={name: partial(getattr, row, "public") for name, row in asked.items()})
