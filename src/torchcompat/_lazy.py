"""What a module of ours says of a name that it has not loaded: it loads it, or says where torch has it.

A package declares in a table which module has which of its names, and hands the table to :func:`attach`: such a name is
loaded when it is first asked for, so that an import costs what is used. The same names stand in a block under
``TYPE_CHECKING`` for editors and type checkers; a test holds the two together. This is SPEC 1 of scientific Python,
https://scientific-python.org/specs/spec-0001/, without the dependency.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Mapping, Sequence

from ._torch import at_least, find

# {package: {name: the module that has it, or "" for a submodule}}
TABLES: dict[str, dict[str, str]] = {}
# Up to torch 2.3 its compiler reads a name of a module from the module's dictionary, and fails where it is not there
# yet. So all is loaded at once there.
# https://github.com/pytorch/pytorch/blob/v2.3.1/torch/_dynamo/variables/builtin.py#L1291
AT_ONCE = at_least(2, 0) and not at_least(2, 4)


def attach(
    module: dict[str, Any],
    table: Mapping[str, str] | None = None,
    later: Sequence[str] = (),
    made: Mapping[str, Callable[[], Any]] | None = None,
) -> None:
    """Give a *module* its ``__getattr__``.

    It is put there out of sight of type checkers, which would take any name for one that is there.

    Args:
        module: the ``globals()`` of the module.
        table: the modules below a package, relative to it, to the names that they have for the package, separated by
            spaces. The names of submodules stand under ``""``.
        later: those that import a part of torch that ``import torch`` leaves alone, and so are never loaded unasked.
        made: names that are no other module's, and what finds each when it is first asked for. They are never loaded
            unasked.
    """
    here: str = module["__name__"]
    where = {name: owner for owner, names in (table or {}).items() for name in names.split()}

    made = made or {}

    def __getattr__(name: str) -> Any:
        if name in made:
            module[name] = made[name]()
            return module[name]
        if name not in where:
            raise AttributeError(_unknown(here, name))
        owner = where[name]
        found: Any = import_module(f"{here}.{owner or name}")
        # From now on the name is an ordinary attribute, which costs nothing.
        module[name] = getattr(found, name) if owner else found
        return module[name]

    module["__getattr__"] = __getattr__
    if where:
        TABLES[here] = where
        module.setdefault("__all__", sorted(where))
    if where or made:
        module["__dir__"] = lambda: sorted({*module, *where, *made})
    for name in where if AT_ONCE else ():
        if name not in later:
            __getattr__(name)


def _unknown(here: str, name: str) -> str:
    path = "torch" + here[len("torchcompat") :] + "." + name
    if not name.startswith("_") and find(path) is not None:
        return f"{here} has no {name!r}: it has only the names that changed between torch versions. Use {path}"
    return f"module {here!r} has no attribute {name!r}"
