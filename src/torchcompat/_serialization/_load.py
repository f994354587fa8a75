"""``load`` behind its arguments: opens the file, tells its format, and hands it to the reader of that format."""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import contextmanager
from typing import Any, Iterator

import torch

from .._torch import at_least, find
from . import _safe
from ._legacy import read_legacy
from ._reader import Options, read_zip
from ._source import Source, check_seekable, is_path
from ._zip import Archive

_ZIP = b"PK\x03\x04"
_TAR = (257, b"ustar")  # where the magic of a tar archive stands, and what it is
_torch: Any = torch


@contextmanager
def opened(f: Any) -> Iterator[Any]:
    """*f* as an open file."""
    if is_path(f):
        with open(f, "rb") as file:
            yield file
    else:
        check_seekable(f)
        yield f


def load(
    f: Any, map_location: Any, pickle_module: Any, weights_only: bool, mmap: bool | None, arguments: dict[str, Any]
) -> Any:
    """As :func:`torchcompat.load`, after its checks."""
    mmap = _default_mmap() if mmap is None else mmap
    with opened(f) as file:
        source = Source(file)
        is_zip = source.size >= 4 and source.read(0, 4) == _ZIP
        if mmap and not is_zip:
            raise RuntimeError("mmap can only be used with files saved with `_use_new_zipfile_serialization=True`")
        if is_zip:
            archive = Archive(source)
            if "constants.pkl" in archive:
                raise RuntimeError("this is a TorchScript archive: load it with torch.jit.load, if you trust it")
            if mmap and not is_path(f):
                raise ValueError("f must be a file path in order to use the mmap argument")
        options = Options(map_location, _safe.by_name(), arguments.get("encoding", "utf-8"))
        try:
            return read_zip(source, archive, options) if is_zip else _read_old(source, options)
        except pickle.UnpicklingError as error:
            raise _explained(error) from error.__cause__


def _explained(error: pickle.UnpicklingError) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(
        f"Weights only load failed. WeightsUnpickler error: {error}\nIf you trust the file, weights_only=False loads it "
        "all the same, and runs whatever code it holds."
    )


def _read_old(source: Source, options: Options) -> Any:
    if not source.size:
        raise EOFError("Ran out of input: the file is empty")
    at, magic = _TAR
    if source.size > at + len(magic) and source.read(at, len(magic)) == magic:
        raise RuntimeError(
            "Cannot use ``weights_only=True`` with files saved in the legacy .tar format. weights_only=False loads them, "
            "and runs whatever code they hold: do it only if you trust the file."
        )
    return read_legacy(source, options)


def _default_mmap() -> bool:
    config = sys.modules.get("torch.utils.serialization.config")
    return bool(config.load.mmap) if config is not None else False
