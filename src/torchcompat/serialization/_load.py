"""``load`` behind its arguments: opens the file, tells its format, and hands it to the reader of that format.

A file is read in layers, each of which trusts nothing that the one below it hands up:

``_source``   a seekable file of known length: no read goes past its end
``_zip``      the records of a zip archive, ``_legacy`` the parts of a file in the older format: where each part lies
``_machine``  the pickle's opcodes, interpreted one by one; it imports nothing and calls only what it was given
``_budget``   how much memory the objects of a pickle may take
``_allowed``  what a pickle may name, and what is called for it
``_rebuild``  tensors from storages, every size checked against the storage
``_storages`` storages from bytes, on every torch
"""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from typing import Any, Iterator

import torch

from .._torch import at_least
from . import _safe, _trusted
from ._allowed import names
from ._budget import Budget
from ._legacy import Survey, read_legacy
from ._machine import Machine
from ._reader import Options, read_zip
from ._settings import skips_data
from ._source import Source, check_seekable, is_path, path_of
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


class Request:
    """What the caller of ``load`` asked for."""

    def __init__(
        self, f: Any, options: Options, weights_only: bool, pickle_module: Any, arguments: dict[str, Any]
    ) -> None:
        self.f, self.options, self.weights_only = f, options, weights_only
        self.pickle_module, self.arguments = pickle_module, arguments
        self.mmap = False
        self.shared = False


def load(request: Request) -> Any:
    """The object in the file."""
    if is_path(request.f):
        request.f = path_of(request.f)
    f, options = request.f, request.options
    if is_path(f) and f.endswith(".safetensors"):
        return _load_safetensors(f, options.map_location)
    with opened(f) as file:
        source = Source(file)
        is_zip = source.size >= 4 and source.read(0, 4) == _ZIP
        source.seek(0)
        if request.mmap and not is_zip:
            raise RuntimeError("mmap can only be used with files saved with `_use_new_zipfile_serialization=True`")
        if request.mmap and not is_path(f):
            raise ValueError("f must be a file path in order to use the mmap argument")
        if not request.weights_only and (at_least(1, 6) or not is_zip):
            target = f if is_path(f) else file
            return _trusted.load(target, options.map_location, request.pickle_module, request.mmap, request.arguments)
        options.skip_data = skips_data()
        if not is_zip:
            return _explaining(_read_old, source, options)
        return _read_zip(source, request)


def _read_zip(source: Source, request: Request) -> Any:
    archive = Archive(source)
    if "constants.pkl" in archive:
        if request.weights_only:
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with TorchScript archives: torch.jit.load loads this file, and runs "
                "the code in it: do it only if you trust the file"
            )
        source.seek(0)
        return _trusted.load_script(request.f, request.options.map_location)
    if request.mmap and at_least(2, 0):
        request.options.mapped = _torch.UntypedStorage.from_file(request.f, request.shared, source.size)
    if request.weights_only:
        return _explaining(read_zip, source, archive, request.options)
    return _trusted.load_zip(source, archive, request.options, request.pickle_module, request.arguments)


def _explaining(read: Any, *arguments: Any) -> Any:
    try:
        return read(*arguments)
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(
            f"Weights only load failed. WeightsUnpickler error: {error}\nIf you trust the file, weights_only=False "
            "loads it all the same, and runs whatever code it holds."
        ) from error.__cause__


def _read_old(source: Source, options: Options) -> Any:
    if not source.size:
        raise EOFError("Ran out of input: the file is empty")
    at, magic = _TAR
    if source.size > at + len(magic) and source.read(at, len(magic)) == magic:
        raise RuntimeError(
            "Cannot use ``weights_only=True`` with files saved in the legacy .tar format. weights_only=False loads "
            "them, and runs whatever code they hold: do it only if you trust the file."
        )
    return read_legacy(source, options)


def _load_safetensors(path: str, map_location: Any) -> Any:
    if map_location is not None and not isinstance(map_location, (str, bytes, torch.device)):
        raise RuntimeError("map_location of a safetensors file is a device or its name, not a dict or a function")
    try:
        from safetensors.torch import load_file  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise RuntimeError("this is a safetensors file: install safetensors to load it") from error
    return load_file(path, device="cpu" if map_location is None else str(map_location))


def unsafe_globals(f: Any) -> list[str]:
    """As :func:`torchcompat.serialization.get_unsafe_globals_in_checkpoint`."""
    with opened(f) as file:
        source = Source(file)
        if source.size < 4 or source.read(0, 4) != _ZIP:
            raise ValueError("Expected input to be a checkpoint returned by torch.save, in the format of a zip archive")
        archive = Archive(source)
        if "constants.pkl" in archive:
            raise ValueError(
                "Expected input to be a checkpoint returned by torch.save, but it is a TorchScript archive"
            )
        budget = Budget(source.size)
        budget.spend(archive.memory)
        survey = Survey(budget, 5)
        Machine(archive.read("data.pkl"), survey, budget).run()
    return list(survey.named - names() - set(_safe.by_name()))
