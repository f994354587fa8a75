"""The table of shims, whole: a shim is in it once its module is loaded, and this module loads them all."""

from __future__ import annotations

from importlib import import_module
from pkgutil import walk_packages

import torchcompat

from ._shim import SHIMS as SHIMS


def load_all() -> None:
    """Import every module of the package, those too that import a part of torch that ``import torch`` leaves out."""
    for module in walk_packages(torchcompat.__path__, "torchcompat."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


load_all()
