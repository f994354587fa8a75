"""The members of torch's classes, and what these classes have of Python's own."""

import dataclasses
import inspect

import signatures
from protocol import PROTOCOL, is_kept


def is_torch(cls):
    """Whether a class is torch's: what its metaclasses make may say that it is of another module, such as `abc`."""
    return any(signatures.is_ours(each.__module__) for each in cls.__mro__)


def own(held, cls):
    """[(name, value)] of what the class *held* defines, and *cls* is told to have."""
    found = {}
    for name, value in held.__dict__.items():
        # Python takes `__iter__ = None` for "this class has none".
        absent = value is None and isinstance(name, str) and name in PROTOCOL
        if isinstance(name, str) and is_kept(name, cls.__name__) and not absent and not is_copied(name, value, held):
            found[name] = value
    if is_matched(held):
        found.setdefault("__match_args__", ())
    return sorted(found.items())


def module_of(cls):
    """The module whose source has the class; `torch.distributed.tensor.DTensor`, for one, names another one as its."""
    for name, value in cls.__dict__.items():
        function = inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", value)))
        if inspect.isfunction(function) and function.__qualname__ == f"{cls.__qualname__}.{name}":
            module = function.__globals__.get("__name__")
            if signatures.is_ours(module):
                return module
    return cls.__module__


def is_copied(name, value, held):
    """Whether a class has a method only because its base, which is Python's own, put it there, as `enum.Flag` does."""
    if name not in PROTOCOL or signatures.is_ours(getattr(value, "__module__", "torch")):
        return False
    return any(name in base.__dict__ for base in foreign_classes(held))


def is_matched(held):
    """Whether Python gives a class `__match_args__`; Python 3.7, with which old torch is looked at, never does."""
    named = issubclass(held, tuple) and ("_fields" in held.__dict__ or "n_sequence_fields" in held.__dict__)
    return named or (dataclasses.is_dataclass(held) and "__dataclass_fields__" in held.__dict__)


def foreign_classes(cls):
    """The classes that a class inherits from and that are not torch's, without `object`."""
    return [base for base in cls.__mro__ if base is not object and not is_torch(base)]


def of_foreign(cls):
    """{name: value} of what a class that is not torch's hands on."""
    found = {}
    for each in reversed(foreign_classes(cls)):
        for name, value in each.__dict__.items():
            if isinstance(name, str) and (name in PROTOCOL if name[:2] == "__" else name[:1] != "_"):
                found[name] = value
    return {name: value for name, value in found.items() if value is not None}
