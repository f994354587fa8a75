"""Loading with ``weights_only=False``: torch's own loader, which runs whatever code the file names.

Torch before 1.6 cannot read zip archives. There the archive is read by ours, and the pickle in it by Python's own.
"""

from __future__ import annotations

import pickle
import warnings
from io import BytesIO
from typing import Any

import torch

from .._torch import at_least
from ._allowed import modern_name, storage_names
from ._budget import NoBudget
from ._reader import Options, ZipReader
from ._rebuild import Rebuild
from ._source import Source
from ._storages import Loaded, kind_named
from ._zip import Archive

_torch: Any = torch


def load(f: Any, map_location: Any, pickle_module: Any, mmap: bool, arguments: dict[str, Any]) -> Any:
    """As ``torch.load(f, ..., weights_only=False)`` of the newest torch."""
    arguments = dict(arguments)
    if at_least(1, 13):
        arguments["weights_only"] = False
    if mmap and at_least(2, 1):
        arguments["mmap"] = True
    return _torch.load(f, map_location, pickle_module or pickle, **arguments)


def load_script(f: Any, map_location: Any) -> Any:
    """The module in a TorchScript archive, as torch.load gives it from 1.6 on."""
    message = "this is a TorchScript archive, which torch.jit.load loads: call that to silence this warning"
    warnings.warn(message, UserWarning, stacklevel=4)
    return _torch.jit.load(f, map_location=map_location)


def load_zip(source: Source, archive: Archive, options: Options, pickle_module: Any, arguments: dict[str, Any]) -> Any:
    """The object in a zip archive, unpickled by *pickle_module*."""
    reader = ZipReader(source, archive, options)
    reader.budget = NoBudget()
    known: dict[int, Loaded] = {}
    rebuild = Rebuild(NoBudget(), known, lambda cls: cls, lambda function, given: function(*given), options.device)
    functions = rebuild.functions()
    pickle_module = pickle_module or pickle

    class Unpickler(pickle_module.Unpickler):  # type: ignore[name-defined, misc]
        def persistent_load(self, identity: Any) -> Any:
            loaded = reader.storage(identity)
            known[id(loaded.public)] = loaded
            return loaded.public

        def find_class(self, module: str, name: str) -> Any:
            full = modern_name(module, name)
            if full in storage_names():
                return kind_named(storage_names()[full])
            return functions[full] if full in functions else super().find_class(module, name)

    arguments = {"encoding": "utf-8", **arguments}
    return Unpickler(BytesIO(archive.read("data.pkl")), **arguments).load()
