"""``save`` behind its arguments: pickles the object, and writes pickle and storages to an archive."""

from __future__ import annotations

import ctypes
import io
import os
import pickle
import sys
from collections import OrderedDict
from contextlib import contextmanager
from types import FunctionType
from typing import Any, Iterator

import torch

from .._torch import UnsupportedError, at_least, at_most, find
from . import _dtypes
from ._settings import skips_data
from ._source import is_path, path_of
from ._storages import UNTYPED
from ._zip_writer import ZipWriter

_torch: Any = torch
_LATE = [] if at_least(2, 6) else list(filter(None, (find(f"torch.uint{bits}") for bits in (16, 32, 64))))
_CRASHES_ON_CSR = at_least(1, 9) and at_most(1, 10)  # https://github.com/pytorch/pytorch/pull/71963
_TYPED: Any = find("torch.storage.TypedStorage") or find("torch.storage._TypedStorage")
_SAYS_BYTES = at_least(1, 11)
_UNTYPED_HAS_A_NAME = at_least(2, 0)
# No storages, tensors or functions of a user: what most of a pickle is made of. A pickler asks of each object in it.
_PLAIN = frozenset({str, int, float, bool, bytes, tuple, list, dict, OrderedDict, type(None), type, FunctionType})
_CLASSES = {dtype: name for name, dtype in _dtypes.STORAGES.items() if name != "UntypedStorage"}


@contextmanager
def _opened(f: Any) -> Iterator[Any]:
    if is_path(f):
        with open(f, "wb") as file:
            yield file
    else:
        yield f
        if hasattr(f, "flush"):
            f.flush()


def _archive_name(f: Any) -> str:
    """The folder that all records are in: the name of the file, as torch has it."""
    if not is_path(f):
        return "archive/"
    name = os.path.basename(path_of(f))
    return (name.rpartition(".")[0] or name) + "/"


class _Storages:
    """The storages that the pickle has named, in the order of their keys."""

    def __init__(self) -> None:
        self.by_key: dict[str, tuple[Any, int]] = {}
        self._keys: dict[int, str] = {}
        self._dtypes: dict[int, str] = {}

    def identity(self, obj: Any) -> Any:
        """The persistent id of a storage, or None for another object."""
        is_typed = _TYPED is not None and isinstance(obj, _TYPED)
        if not is_typed and not torch.is_storage(obj):
            return None
        raw, dtype = _untyped(obj, is_typed), _dtype_of(obj, is_typed)
        if is_typed and dtype not in _CLASSES:
            # Written as bytes without a dtype, they would come back as uint8.
            raise UnsupportedError(f"torch.save {torch.__version__} has no form for a tensor of torch.{dtype}")
        name = _CLASSES.get(dtype, "UntypedStorage") if is_typed or not UNTYPED else "UntypedStorage"
        width = _dtypes.item_size(dtype) if name != "UntypedStorage" else 1
        nbytes = raw.nbytes() if _SAYS_BYTES else raw.size() * width
        self._check_dtype(raw, dtype)
        key = self._keys.setdefault(raw._cdata, str(len(self._keys)))
        self.by_key[key] = raw, nbytes
        return "storage", getattr(torch, name), key, torch.serialization.location_tag(raw), nbytes // width  # type: ignore[no-untyped-call]

    def _check_dtype(self, raw: Any, dtype: str) -> None:
        if raw.device.type == "meta" or not raw.data_ptr():
            return
        if self._dtypes.setdefault(raw.data_ptr(), dtype) != dtype:
            raise RuntimeError("Cannot save multiple tensors or storages that view the same data as different types")


def _untyped(obj: Any, is_typed: bool) -> Any:
    if not is_typed or not _SAYS_BYTES:
        return obj
    return obj._untyped_storage if _UNTYPED_HAS_A_NAME else obj._storage


def _dtype_of(obj: Any, is_typed: bool) -> str:
    if is_typed or not UNTYPED:
        return _dtypes.name_of(obj.dtype)
    return "uint8"


def _refuse_what_ends_the_process(obj: Any) -> None:
    # Torch 1.9 and 1.10 look for the storage of a tensor in CSR form, which has none, and read what is not there.
    if isinstance(obj, torch.Tensor) and obj.layout == _torch.sparse_csr:
        raise UnsupportedError("torch 1.9 and 1.10 cannot write a sparse tensor in CSR form: convert it by to_dense()")


def _reduced(obj: Any) -> Any:  # torchcompat: needs torch >= 2.3
    """How a tensor is written whose dtype torch cannot write before 2.6: as 2.6 does."""
    if type(obj) is not torch.Tensor or obj.dtype not in _LATE or obj.layout != torch.strided or obj.is_meta:
        return NotImplemented
    if vars(obj):
        return NotImplemented
    hooks: Any = OrderedDict()
    geometry = obj.storage_offset(), tuple(obj.size()), obj.stride()
    return _torch._utils._rebuild_tensor_v3, (obj.untyped_storage(), *geometry, False, hooks, obj.dtype)


def _pickler_of(pickle_module: Any) -> Any:
    """A pickler of *pickle_module* that asks its ``storages`` about each object."""

    class Pickler(pickle_module.Pickler):  # type: ignore[name-defined, misc]
        storages: _Storages

        def persistent_id(self, obj: Any) -> Any:
            if type(obj) in _PLAIN:
                return None
            if _CRASHES_ON_CSR:
                _refuse_what_ends_the_process(obj)
            return self.storages.identity(obj)

        # Python before 3.8 does not ask for it; torch of the dtypes that need it has none before 3.8.
        if _LATE:

            def reducer_override(self, obj: Any) -> Any:
                reduced = _reduced(obj)
                if reduced is NotImplemented and hasattr(super(), "reducer_override"):
                    return super().reducer_override(obj)
                return reduced

    return Pickler


_StandardPickler = _pickler_of(pickle)  # to make a class takes as long as to save a small tensor


def save_zip(obj: Any, f: Any, pickle_module: Any, protocol: int, compute_crc32: bool) -> None:
    """Write *obj* as a zip archive."""
    storages = _Storages()
    buffer = io.BytesIO()
    pickler = (_StandardPickler if pickle_module is pickle else _pickler_of(pickle_module))(buffer, protocol=protocol)
    pickler.storages = storages
    pickler.dump(obj)
    with _opened(f) as file:
        writer = ZipWriter(file, _archive_name(f), compute_crc32)
        writer.add("data.pkl", buffer.getvalue())
        leaves_data_out = skips_data()
        for key, (raw, nbytes) in storages.by_key.items():
            if leaves_data_out:
                writer.add_empty("data/" + key, nbytes)
            else:
                on_cpu = raw if raw.device.type == "cpu" else raw.cpu()
                writer.add("data/" + key, _memory(on_cpu, nbytes))
        writer.add("byteorder", sys.byteorder.encode("ascii"))
        writer.close()


def _memory(raw: Any, nbytes: int) -> Any:
    if not nbytes:
        return b""
    return memoryview((ctypes.c_char * nbytes).from_address(raw.data_ptr())).cast("B")


def save_legacy(obj: Any, f: Any, pickle_module: Any, protocol: int) -> None:
    """Write *obj* in the format of torch before 1.6, by torch's own function."""
    if skips_data():
        raise RuntimeError("Cannot use skip_data=True with _use_new_zipfile_serialization=False")
    private = {"_use_new_zipfile_serialization": False} if at_least(1, 4) else {}
    _torch.save(obj, f, pickle_module, protocol, **private)


def check_pickle_module(module: Any) -> None:
    """Raise ValueError for a version of dill that cannot pickle by persistent ids."""
    if module is not pickle and module.__name__ == "dill":
        check: Any = find("torch.serialization._check_dill_version")
        if check is not None:
            check(module)
