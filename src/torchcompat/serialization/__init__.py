"""Loading and saving, safe on every torch: ``torch.load``, ``torch.save`` and ``torch.serialization`` of torch 2.15.

Importing this module reads no file and sets nothing. docs/serialization.md tells what is checked and what is not.
"""

from __future__ import annotations

import mmap as _mmap
import os
import pickle
import sys
import warnings
from enum import Enum
from typing import TYPE_CHECKING, Any

import torch

from .._shim import Limit, override, polyfill
from .._torch import UnsupportedError, at_least, find
from . import _safe
from ._settings import byteorder, maps_by_default, settings, skipping

if TYPE_CHECKING:
    from .._types import File, MapLocation, SafeGlobals

__all__ = [
    "LoadEndianness",
    "add_safe_globals",
    "clear_safe_globals",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "safe_globals",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]

_torch: Any = torch
_PULL = "https://github.com/pytorch/pytorch/pull/"
_PAIRS = _PULL + "142153"
_NO_CONTEXT = "`set_default_mmap_options` is no context manager"
_NO_PAIRS = "takes a pair of a class and its name for a class"
_ITS_LIST = "is about the list of `add_safe_globals`, which takes no pairs of a class and its name"
_ENDIANNESS = _PULL + "108343"
_CRC32 = _PULL + "137735"
_MMAP_OPTIONS = _PULL + "134371"

if find("torch.serialization.LoadEndianness") is not None:
    LoadEndianness: Any = find("torch.serialization.LoadEndianness")
else:

    class LoadEndianness(Enum):  # type: ignore[no-redef]
        """The byte order of files that do not say which they have."""

        NATIVE = 1
        LITTLE = 2
        BIG = 3


@override(
    "torch.load",
    since="2.15",
    link=_PULL + "194647",
    because="torch's own lets a small file take any amount of memory, and answers a broken one with an error of any "
    "class (https://github.com/pytorch/pytorch/issues/127525)",
    limits=[
        Limit("sparse csr", "cannot read the sparse CSR tensors that torch 1.13 wrote", "native", "2.15"),
        Limit("untyped legacy", "cannot read dtypes without a storage class in the older format", "native", "2.15"),
        Limit("memory", "lets a small file ask for any amount of memory or time", "native", "2.15"),
        Limit("compressed", "refuses archives whose records are compressed, which torch never writes", "fallback"),
        Limit("objects", "refuses objects that take more memory than 4 times the file and 64 MiB", "fallback"),
    ],
)
def load(
    f: File,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Load what :func:`save` or ``torch.save`` wrote, by default without running any code that the file names.

    In torch since 2.15. Fallback: an interpreter of our own for the pickle, which runs nothing but what the list of
    torch 2.15 and the safe globals allow, checks every size in the file against the file, and takes at most 4 times the
    size of the file and 64 MiB. It is the public ``load`` on 2.15 too: torch's own restricted loader, whose holes were
    closed one by one from 1.13 to 2.15, runs no code of the file there, but still allocates whatever a few bytes of it
    ask for, and answers a broken file with errors of any class. docs/serialization.md has the list. Under
    ``FakeTensorMode`` torch's own is called on 2.15.

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
    if weights_only and pickle_load_args:
        warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    if weights_only and _is_faking():
        return _torch.load(f, map_location, weights_only=True, mmap=mmap, **pickle_load_args)
    from . import _load, _reader  # a tenth of all modules: an import of torchcompat does without

    options = _reader.Options(map_location, _safe.by_name(), pickle_load_args.get("encoding", "utf-8"))
    options.byteorder = byteorder(get_default_load_endianness())
    request = _load.Request(f, options, weights_only, pickle_module, pickle_load_args)
    request.mmap = maps_by_default() if mmap is None else bool(mmap)
    request.shared = sys.platform != "win32" and get_default_mmap_options() == _mmap.MAP_SHARED
    return _load.load(request)


def _is_faking() -> bool:
    """Whether tensors are made without data now, which is torch's own matter."""
    active = find("torch._guards.active_fake_mode")
    if active is None or active() is None:
        return False
    if not at_least(2, 15):
        raise UnsupportedError("loading under FakeTensorMode needs torch 2.15; map_location='meta' reads no data")
    return True


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


@polyfill("torch.save", since="2.6", link=_PULL + "137184", reason="does not obey `set_crc32_options`")
def save(
    obj: object,
    f: File,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Save an object, with its tensors, to a file that every torch from 1.6 on reads, and :func:`load` on any.

    In torch since 2.6. Fallback: the same archive, written by us, on any torch; the tensors are those that the
    installed torch can pickle, and those of unsigned integers of 16 to 64 bits, for which torch 2.3 to 2.5 has no form.
    For other torch below 1.6, which reads no archives, ask for the older format.

    Args:
        obj: what to save.
        f: a path, or a binary file that can write.
        pickle_module: the module to pickle with.
        pickle_protocol: with another than 2, files may need ``weights_only=False`` to load.
        _use_new_zipfile_serialization: False for the format of torch before 1.6, which all torch reads.
        _disable_byteorder_record: does nothing: the archive tells its byte order all the same, as torch's does.

    Raises:
        AttributeError: *f* is neither a path nor a file that can write.
        RuntimeError: two tensors of *obj* see the same memory as different dtypes.
        UnsupportedError: no torch has a form for a dtype in *obj*, such as ``torch.int4``.
    """
    from . import _save  # as in load

    _save.check_pickle_module(pickle_module)
    if not isinstance(f, (str, os.PathLike)) and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    if _use_new_zipfile_serialization:
        crc32 = get_crc32_options()
        _save.save_zip(obj, f, pickle_module, pickle_protocol, crc32)
    else:
        _save.save_legacy(obj, f, pickle_module, pickle_protocol)


@polyfill("torch.serialization.add_safe_globals", since="2.6", link=_PAIRS, reason=_NO_PAIRS)
def add_safe_globals(safe_globals: SafeGlobals) -> None:
    """Allow :func:`load` to use these classes and functions when a file names them.

    In torch since 2.6. Fallback: a list of our own, beside torch's; :func:`load` uses both. Torch's takes no pairs
    before 2.6.

    Args:
        safe_globals: a list of classes and functions; or of pairs of one and its full name in files, where that is not
            ``module.qualname``.
    """
    _safe.add(safe_globals)


@polyfill("torch.serialization.get_safe_globals", since="2.6", link=_PAIRS, reason=_ITS_LIST)
def get_safe_globals() -> SafeGlobals:
    """What was added to the safe globals, as a list in no order.

    In torch since 2.6. Fallback: those that :func:`add_safe_globals` was given.
    """
    return _safe.listed()


@polyfill("torch.serialization.clear_safe_globals", since="2.6", link=_PAIRS, reason=_ITS_LIST)
def clear_safe_globals() -> None:
    """Empty the list of safe globals.

    In torch since 2.6. Fallback: our own list, not torch's.
    """
    _safe.clear()


@polyfill(
    "torch.serialization.safe_globals",
    since="2.6",
    link=_PAIRS,
    limits=[
        Limit("restore", "takes out at the end also what was allowed before the block", "native", "2.6"),
        Limit(
            "overlap", "takes out at the end also what another block, also of another thread, allows", "native", "2.6"
        ),
    ],
    reason=_NO_PAIRS,
)
class safe_globals:
    """Allow :func:`load` to use these classes and functions, for a block.

    In torch since 2.6. Fallback: as :func:`add_safe_globals`; what was allowed before stays allowed after the block,
    and what another block allows, in this thread or in another, as long as that one lasts.

    Args:
        safe_globals: as for :func:`add_safe_globals`.
    """

    def __init__(self, safe_globals: Any) -> None:
        self.safe_globals = safe_globals
        self._entered: list[Any] = []

    def __enter__(self) -> None:
        self._entered.append(_safe.enter(self.safe_globals))

    def __exit__(self, type: Any, value: Any, tb: Any) -> None:
        _safe.leave(self._entered.pop())


@polyfill("torch.serialization.get_unsafe_globals_in_checkpoint", since="2.6", link=_PULL + "139221")
def get_unsafe_globals_in_checkpoint(f: File) -> list[str]:
    """The full names that a file names and that :func:`load` would refuse, without running anything.

    In torch since 2.6. Fallback: our interpreter runs through the pickle and makes nothing.

    Args:
        f: a path, or a binary file that can read and seek, with an archive as :func:`save` writes it.

    Returns:
        A list in no order. A name that the pickle puts together as it runs is not in it.

    Raises:
        ValueError: *f* holds no such archive, or a TorchScript module.
    """
    from ._load import unsafe_globals  # as in load

    return unsafe_globals(f)


@polyfill("torch.serialization.get_default_load_endianness", since="2.1", link=_ENDIANNESS)
def get_default_load_endianness() -> LoadEndianness | None:
    """The byte order that :func:`load` takes for files that do not say: None, which is little, unless it was set.

    In torch since 2.1. Fallback: what our own :func:`set_default_load_endianness` was given.
    """
    return settings.endianness


@polyfill("torch.serialization.set_default_load_endianness", since="2.1", link=_ENDIANNESS)
def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the byte order that :func:`load` takes for files that do not say, in the whole process.

    In torch since 2.1. Fallback: for our own :func:`load`.

    Args:
        endianness: a ``LoadEndianness``, or None for the default.

    Raises:
        TypeError: it is neither.
    """
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError(f"endianness is a LoadEndianness or None; got {type(endianness)}")
    settings.endianness = endianness


@polyfill("torch.serialization.get_crc32_options", since="2.6", link=_CRC32)
def get_crc32_options() -> bool:
    """Whether :func:`save` computes check sums, True unless it was set.

    In torch since 2.6. Fallback: what our own :func:`set_crc32_options` was given.
    """
    return settings.compute_crc32


@polyfill("torch.serialization.set_crc32_options", since="2.6", link=_CRC32)
def set_crc32_options(compute_crc32: bool) -> None:
    """Set whether :func:`save` computes the check sums of its archive, in the whole process.

    In torch since 2.6. Fallback: for our own :func:`save`; without check sums it writes zeros. No torch checks them
    when it loads (https://github.com/pytorch/pytorch/pull/28858), other programs do.

    Args:
        compute_crc32: False is faster.
    """
    settings.compute_crc32 = compute_crc32


@polyfill("torch.serialization.get_default_mmap_options", since="2.5", link=_MMAP_OPTIONS, reason=_NO_CONTEXT)
def get_default_mmap_options() -> int | None:
    """How :func:`load` maps files: ``mmap.MAP_PRIVATE`` unless it was set; None on Windows.

    In torch since 2.5. Fallback: what our own :class:`set_default_mmap_options` was given.
    """
    if settings.mmap_flags is None and sys.platform != "win32":
        return _mmap.MAP_PRIVATE
    flags: int | None = settings.mmap_flags
    return flags


@polyfill("torch.serialization.set_default_mmap_options", since="2.5", link=_MMAP_OPTIONS, reason=_NO_CONTEXT)
class set_default_mmap_options:
    """Set how :func:`load` maps files, in the whole process; as a context, for a block.

    In torch since 2.5. Fallback: for our own :func:`load`.

    Args:
        flags: ``mmap.MAP_PRIVATE``, or ``mmap.MAP_SHARED``: then writing to a tensor writes to the file.

    Raises:
        ValueError: *flags* is something else.
        RuntimeError: on Windows.
    """

    def __init__(self, flags: int) -> None:
        if sys.platform == "win32":
            raise RuntimeError("Changing the default mmap options is currently not supported for Windows")
        if flags not in (_mmap.MAP_PRIVATE, _mmap.MAP_SHARED):
            raise ValueError(f"flags is mmap.MAP_PRIVATE or mmap.MAP_SHARED; got {flags!r}")
        self.prev = settings.mmap_flags
        settings.mmap_flags = flags

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        settings.mmap_flags = self.prev


@polyfill("torch.serialization.skip_data", since="2.7", link=_PULL + "148018", reason="`load` raises inside it")
class skip_data:
    """Leave out the data of storages, for a block: :func:`save` writes room for them, :func:`load` makes them unfilled.

    In torch since 2.7. Fallback: for our own :func:`load` and :func:`save`, in this thread. Torch's does not reach
    ``load`` before 2.7. The memory of what is loaded holds anything.

    Args:
        materialize_fake_tensors: whether fake tensors are saved as if they were real.

    Raises:
        UnsupportedError: *materialize_fake_tensors* is true.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        if materialize_fake_tensors:
            raise UnsupportedError("saving fake tensors as real ones needs torch 2.7 or newer")
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        self._before = skipping.active
        skipping.active = True

    def __exit__(self, type: Any, value: Any, tb: Any) -> None:
        skipping.active = self._before
