"""Loading and saving, safe on every torch: ``torch.load`` and ``torch.save`` of torch 2.15, and ``torch.serialization``.

Importing this module reads no file and sets nothing. docs/serialization.md tells what is checked and what is not.
"""

from __future__ import annotations

import os
import pickle
import warnings
from typing import Any

from ._serialization import _load, _safe
from ._shim import polyfill

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals"]

_RESTRICTED = "https://github.com/pytorch/pytorch/pull/170085"
_ADD = "https://github.com/pytorch/pytorch/pull/140738"


@polyfill("torch.load", since="2.10", link=_RESTRICTED)
def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Load what :func:`save` or ``torch.save`` wrote, by default without running any code that the file names.

    In torch since 2.10. Fallback: an interpreter of our own for the pickle, which runs nothing but what the list of
    torch 2.15 and the safe globals allow, checks every size in the file against the file, and takes at most 4 times the
    size of the file and 64 MiB. Torch's own is there since 1.13; before 2.6 files in an old format of tar run code in
    spite of it, and before 2.10 it lets a pickle assign to items of tensors and make storages longer than their data.

    Args:
        f: a path, or a binary file that can read and seek. A file is read from where it is.
        map_location: where storages go: None for where they were, a device or its name, a dict from location to
            location, or a function of the storage on the CPU and of its location that returns a storage or None.
        pickle_module: the module to unpickle with, for ``weights_only=False`` only.
        weights_only: True, which is what None means unless *pickle_module* is given: tensors, storages, numbers,
            strings, containers of these, and what :func:`add_safe_globals` was given. False: torch's own loader, which
            runs whatever the file says. The environment variables ``TORCH_FORCE_WEIGHTS_ONLY_LOAD`` and
            ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`` count as in torch.
        mmap: map the storages instead of reading them. Below torch 2.0, and where data are not aligned, they are read.
        pickle_load_args: for ``weights_only=False`` only, except ``encoding``.

    Raises:
        pickle.UnpicklingError: the file does what it may not, or is broken.
        RuntimeError, ValueError, EOFError: the file is truncated, or no file of torch.save; a device is not there.
        UnsupportedError: the file holds what the installed torch does not have; the message says which torch has.
    """
    weights_only = _weights_only(weights_only, pickle_module)
    if weights_only and pickle_load_args.keys() - {"encoding"}:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    return _load.load(f, map_location, pickle_module, weights_only, mmap, pickle_load_args)


def _weights_only(weights_only: bool | None, pickle_module: Any) -> bool:
    wanted = [
        os.environ.get(name, "0").lower() in ("1", "y", "yes", "true")
        for name in ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    ]
    if all(wanted):
        raise RuntimeError("TORCH_FORCE_WEIGHTS_ONLY_LOAD and TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD are both set")
    if wanted[0]:
        weights_only = True
    elif weights_only is None and wanted[1]:
        message = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set and weights_only was not given: it is taken to be False"
        warnings.warn(message, UserWarning, stacklevel=3)
        weights_only = False
    elif weights_only is None:
        weights_only = pickle_module is None
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    return bool(weights_only)


@polyfill("torch.serialization.add_safe_globals", since="2.6", link=_ADD)
def add_safe_globals(safe_globals: Any) -> None:
    """Allow :func:`load` to use these classes and functions when a file names them.

    In torch since 2.6. Fallback: a list of our own, beside torch's; :func:`load` uses both. Torch's takes no pairs
    before 2.6.

    Args:
        safe_globals: a list of classes and functions; or of pairs of one and its full name in files, where that is not
            ``module.qualname``.
    """
    _safe.add(safe_globals)


@polyfill("torch.serialization.get_safe_globals", since="2.6", link=_ADD)
def get_safe_globals() -> Any:
    """What was added to the safe globals, as a list in no order.

    In torch since 2.6. Fallback: those that :func:`add_safe_globals` was given.
    """
    return _safe.listed()


@polyfill("torch.serialization.clear_safe_globals", since="2.6", link=_ADD)
def clear_safe_globals() -> None:
    """Empty the list of safe globals.

    In torch since 2.6. Fallback: our own list, not torch's.
    """
    _safe.clear()


@polyfill("torch.serialization.safe_globals", since="2.6", link=_ADD)
class safe_globals:
    """Allow :func:`load` to use these classes and functions, for a block.

    In torch since 2.6. Fallback: as :func:`add_safe_globals`; what was allowed before stays allowed after the block.

    Args:
        safe_globals: as for :func:`add_safe_globals`.
    """

    def __init__(self, safe_globals: Any) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        self._added = _safe.add(self.safe_globals)

    def __exit__(self, type: Any, value: Any, tb: Any) -> None:
        _safe.remove(self._added)
