"""What a module says of a name of torch that it does not have."""

from __future__ import annotations

from typing import Any

from ._torch import find


def point_to_torch(module: dict[str, Any]) -> None:
    """Let a *module*, given as its ``globals()``, say where the names of torch are that it does not have.

    Its ``__getattr__`` finds nothing, ever: a name is there when the module is loaded, or not at all. It is put there
    out of sight of type checkers, which would take any name for one that is there.
    """
    here: str = module["__name__"]

    def __getattr__(name: str) -> Any:
        path = "torch" + here[len("torchcompat") :] + "." + name
        if not name.startswith("_") and find(path) is not None:
            raise AttributeError(
                f"{here} has no {name!r}: it has only the names that changed between torch versions. Use {path}"
            )
        raise AttributeError(f"module {here!r} has no attribute {name!r}")

    module["__getattr__"] = __getattr__
