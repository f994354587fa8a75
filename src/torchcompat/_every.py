"""The table of shims, whole: a shim is in it once its module is loaded, and this module loads them all."""

from __future__ import annotations

from importlib import import_module

from ._lazy import TABLES
from ._shim import SHIMS as SHIMS


def load_all() -> None:
    """Import what the packages load when it is asked for, those modules too that import a part of torch.

    Folders are not walked: another distribution, ``torchcompat`` on the index, puts its own beside ours when both are
    installed.
    """
    done = {"torchcompat._every"}
    while True:
        declared = {f"{package}.{owner or name}" for package, table in TABLES.items() for name, owner in table.items()}
        if declared <= done:
            return
        for module in sorted(declared - done):
            import_module(module)
        done |= declared


load_all()
