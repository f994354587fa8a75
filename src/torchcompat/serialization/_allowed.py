"""What a pickle may name, and what is called for it: the list of torch 2.15, with every argument checked."""

from __future__ import annotations

import _compat_pickle
from collections import Counter, OrderedDict
from functools import lru_cache
from pickle import UnpicklingError
from typing import Any, Callable, Mapping

import torch

from .._torch import UnsupportedError, find
from . import _dtypes
from ._budget import TENSOR, Budget
from ._keys import Keys
from ._machine import Outside, Rules
from ._rebuild import Rebuild, named_device
from ._storages import Loaded, kind_named

_OBJECT, _PAIR = 290, 100  # bytes of an empty dictionary or set, and of an attribute
_BLOCKED = ("sys", "os", "posix", "nt")
_SCHEMES = ("tensor_affine", "tensor_symmetric", "channel_affine", "channel_symmetric", "channel_affine_float_qparams")
_CLASSES = {
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "torch.nn.parameter.Parameter": torch.nn.Parameter,
    "torch.Size": torch.Size,
    "torch.Tensor": torch.Tensor,
    "torch.device": torch.device,
    "builtins.bytearray": bytearray,
    "builtins.set": set,
    "builtins.complex": complex,
}
_FUNCTIONS = ("torch.serialization._get_layout", "_codecs.encode")
_TENSORS = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")


@lru_cache(maxsize=1)
def constants() -> dict[str, Any]:
    """The values that a pickle may name, by their full names; None for those that the installed torch lacks."""
    table: dict[str, Any] = {f"torch.{name}": find(f"torch.{name}") for name in _dtypes.DTYPES}
    table.update({f"torch.per_{name}": find(f"torch.per_{name}") for name in _SCHEMES})
    for place in ("torch.", "torch.cuda.", "torch.sparse.", "torch.cuda.sparse."):
        table.update({f"{place}{name}Tensor": find(f"{place}{name}Tensor") for name in _TENSORS})
    return table


@lru_cache(maxsize=1)
def storage_names() -> dict[str, str]:
    """The full names of storages, and the class that each means."""
    table = {place + name: name for place in ("torch.", "torch.cuda.") for name in _dtypes.STORAGES}
    table["torch.storage.UntypedStorage"] = table["torch.storage._UntypedStorage"] = "UntypedStorage"
    return table


def names() -> set[str]:
    """The full names of everything that a pickle may name by default."""
    functions = Rebuild(Budget(0), {}, _nothing, _nothing, _nothing).functions()
    return {*constants(), *storage_names(), *functions, *_CLASSES, *_FUNCTIONS}


def _nothing(*arguments: Any) -> Any:
    raise UnpicklingError("nothing is allowed")


def modern_name(module: str, name: str) -> str:
    """The full name in Python 3 of what protocol 2 names as in Python 2."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        module, name = _compat_pickle.NAME_MAPPING[module, name]
    else:
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    return f"{module}.{name}"


def _refuse_global(name: str) -> UnpicklingError:
    short = name[len("builtins.") :] if name.startswith("builtins.") else name
    if name.startswith("torch.distributed."):
        return UnpicklingError(f"{name} is not allowed; ``torch.distributed.tensor`` must be imported to load DTensors")
    return UnpicklingError(
        f"Unsupported global: GLOBAL {short} was not an allowed global by default. If you trust it, allow it by "
        f"`torchcompat.serialization.add_safe_globals([{short}])` or, for a block, by `safe_globals([{short}])`."
    )


class Allowed(Rules):
    """The rules of ``weights_only=True`` for one file.

    Args:
        outside: calls what is the user's own.
        persistent: gives the storage that a persistent id names.
        users: what the user has added to the safe globals, by full name.
        device: as in :class:`Rebuild`.
    """

    def __init__(
        self,
        budget: Budget,
        outside: Outside,
        persistent: Callable[[Any], Loaded],
        users: Mapping[str, Any],
        device: Callable[[Any], Any],
        encoding: str = "utf-8",
    ) -> None:
        super().__init__()
        self.outside, self.encoding = outside, encoding
        self._budget, self._read_storage, self._users = budget, persistent, users
        self._loaded: dict[int, Loaded] = {}
        self._by_user = {id(value): value for value in users.values()}
        self._rebuild = Rebuild(budget, self._loaded, self._subclass, self.call, device, self._is_users)
        self.watched = self._rebuild.states.recorded
        self.grow = self._rebuild.states.grow  # type: ignore[method-assign]
        self._functions: dict[str, Any] = dict(self._rebuild.functions())
        self._functions["torch.serialization._get_layout"] = _layout
        self._functions["_codecs.encode"] = self._encode
        self._callable: dict[int, Any] = {id(function): function for function in self._functions.values()}
        self._makers: dict[int, Any] = {
            id(OrderedDict): lambda *pairs: self._mapping(OrderedDict(), *pairs),
            id(Counter): lambda *pairs: self._mapping(Counter(), *pairs),
            id(set): self._set,
            id(torch.Size): self._size,
            id(torch.device): _device,
            id(bytearray): self._bytearray,
            id(complex): _complex,
            id(torch.nn.Parameter): self._parameter,
            id(torch.Tensor): self._bare_tensor,
        }
        self._callable.update(self._makers)

    def _is_users(self, kind: type) -> bool:
        return id(kind) in self._by_user

    def find(self, module: str, name: str) -> Any:
        full = modern_name(module, name)
        if full.split(".")[0] in _BLOCKED:
            raise UnpicklingError(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked.")
        if full in self._functions:
            return self._functions[full]
        if full in _CLASSES:
            return _CLASSES[full]
        if full in storage_names():
            return kind_named(storage_names()[full])
        if full in constants():
            return _present(full)
        if full in self._users:
            return self._users[full]
        raise _refuse_global(full)

    def call(self, function: Any, arguments: Any) -> Any:
        ours = self._callable.get(id(function))
        if ours is not None:
            return ours(*arguments)
        if id(function) not in self._by_user:
            raise UnpicklingError(f"Trying to call reduce for unrecognized function, of {type(function)}")
        return self.outside(function, *arguments)

    def new(self, cls: Any, arguments: Any) -> Any:
        if id(cls) in self._makers:
            return self._makers[id(cls)](*arguments)
        if id(cls) not in self._by_user or not isinstance(cls, type):
            raise UnpicklingError(f"Can only create new objects of classes in the safe globals, but got {type(cls)}")
        if type(cls).__name__ == "pybind11_type":
            # Before BUILD such an object is not initialised. https://github.com/pybind/pybind11/issues/6153
            raise UnpicklingError(f"{cls.__name__} is a class written in C++: its objects cannot be loaded safely")
        return self.outside(cls.__new__, cls, *arguments)

    def build(self, instance: Any, state: Any) -> Any:
        kind = type(instance)
        if kind is torch.Tensor or kind is torch.nn.Parameter:
            return self._rebuild.set_tensor(instance, state)
        if id(instance) in self.watched:
            self.grow((state,))
        if kind is OrderedDict:
            self._set_attributes(instance, state)
        elif id(kind) in self._by_user:
            self.outside(_set_state, instance, state)
        else:
            raise UnpicklingError(
                f"Can only build Tensor, Parameter, OrderedDict or classes in the safe globals, but got {kind}"
            )
        return instance

    def persistent(self, identity: Any) -> Any:
        if type(identity) is tuple and len(identity) == 4 and identity[0] in ("module", b"module"):
            return identity[1]  # a class of modules and its source; the class has been found by the rules above
        if type(identity) is not tuple or not identity or identity[0] not in ("storage", b"storage"):
            raise UnpicklingError(f"Only storages have a persistent id, but got one of {type(identity)}")
        loaded = self._read_storage(identity)
        self._loaded[id(loaded.public)] = loaded
        return loaded.public

    def _subclass(self, cls: Any) -> Any:
        known = cls is torch.Tensor or cls is torch.nn.Parameter or id(cls) in self._by_user
        if known and isinstance(cls, type) and issubclass(cls, torch.Tensor):
            return cls
        raise UnpicklingError(f"a class of tensors was expected, but got {type(cls)}")

    # What may be called

    def _mapping(self, target: Any, *pairs: Any) -> Any:
        if len(pairs) > 1 or (pairs and not isinstance(pairs[0], (dict, list, tuple))):
            raise UnpicklingError("a dictionary is made of a dictionary or of pairs")
        self._budget.spend(_OBJECT)
        keys = Keys(self._budget)
        for pair in (pairs[0].items() if isinstance(pairs[0], dict) else pairs[0]) if pairs else ():
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise UnpicklingError("a dictionary is made of a dictionary or of pairs")
            self._budget.spend(200)
            keys.check(target, pair[0])
            target[pair[0]] = pair[1]
        return target

    def _set(self, items: Any = ()) -> Any:
        if not isinstance(items, (list, tuple)):
            raise UnpicklingError(f"a set is made of a list, but got {type(items)}")
        target: set[Any] = set()
        self._budget.spend(_OBJECT)
        keys = Keys(self._budget)
        for item in items:
            self._budget.spend(140)
            keys.check(target, item)
            target.add(item)
        return target

    def _size(self, numbers: Any = ()) -> torch.Size:
        if isinstance(numbers, (tuple, list)):
            self._budget.spend(_OBJECT + 8 * len(numbers))
            if all(type(number) is int and abs(number) < 2**63 for number in numbers):
                return torch.Size(numbers)
        raise UnpicklingError("a torch.Size is made of integers")

    def _set_attributes(self, mapping: Any, state: Any) -> None:
        """The attributes of an OrderedDict, such as ``_metadata`` of a state dict."""
        if type(state) is dict:
            self._budget.spend(_OBJECT + _PAIR * len(state))
            if all(type(name) is str and not hasattr(OrderedDict, name) for name in state):
                mapping.__dict__.update(state)
                return
        raise UnpicklingError("the attributes of an OrderedDict are not a dict with names of its own")

    def _encode(self, text: Any, encoding: Any) -> bytes:
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise UnpicklingError("only strings that stand for bytes can be encoded, as latin1")
        self._budget.spend(len(text) + 40)
        return text.encode("latin1")

    def _bytearray(self, value: Any = b"", encoding: Any = None) -> bytearray:
        if encoding is not None:
            value = self._encode(value, encoding)
        if type(value) is not bytes:
            raise UnpicklingError(f"a bytearray is made of bytes, but got {type(value)}")
        self._budget.spend(2 * len(value) + 60)
        return bytearray(value)

    def _parameter(self, data: Any = None, requires_grad: Any = True) -> Any:
        if data is None:
            return torch.nn.Parameter(self._bare_tensor(), requires_grad is True)
        return self._rebuild._rebuild_parameter(data, requires_grad, None)

    def _bare_tensor(self, *arguments: Any) -> torch.Tensor:
        if arguments:
            raise UnpicklingError("a torch.Tensor is made of nothing; torch.save writes them by other functions")
        self._budget.spend(3 * TENSOR)  # and its storage, and the parameter that may be made of it
        return torch.empty(0, dtype=torch.float32, device="cpu")


def _present(full: str) -> Any:
    value = constants()[full]
    if value is None:
        if full.startswith("torch.") and full[len("torch.") :] in _dtypes.DTYPES:
            return _dtypes.dtype_named(full[len("torch.") :])
        raise UnsupportedError(f"the file names {full}, which torch {torch.__version__} lacks")
    return value


def _layout(name: Any) -> Any:
    short = name[len("torch.") :] if isinstance(name, str) and name.startswith("torch.") else ""
    if short not in ("strided", "jagged", "_mkldnn") and not short.startswith("sparse_"):
        raise UnpicklingError("a layout was expected, but got another name")
    found = vars(torch).get(short)
    if not isinstance(found, torch.layout):
        raise UnsupportedError(
            f"the file holds a tensor of layout torch.{short}, which torch {torch.__version__} lacks"
        )
    return found


def _device(kind: Any, index: Any = None) -> torch.device:
    if type(kind) is not str or len(kind) > 64 or not (index is None or type(index) is int):
        raise UnpicklingError("a device is made of a name and a number")
    return named_device(kind) if index is None else named_device(kind, index)


def _complex(real: Any = 0.0, imaginary: Any = 0.0) -> complex:
    if type(real) not in (int, float) or type(imaginary) not in (int, float):
        raise UnpicklingError("a complex number is made of two numbers")
    return complex(real, imaginary)


def _set_state(instance: Any, state: Any) -> None:
    """What pickle does at the opcode BUILD: https://docs.python.org/3/library/pickle.html#object.__setstate__"""
    if hasattr(instance, "__setstate__"):
        instance.__setstate__(state)
        return
    attributes, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
    if attributes:
        instance.__dict__.update(attributes)
    for name, value in (slots or {}).items():
        setattr(instance, name, value)
