"""The settings of torch's compiler: torch's own where it compiles; elsewhere values that are kept and do nothing."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from functools import wraps
from importlib import import_module
from pickle import dumps, loads
from typing import Any, Mapping

from .. import _scope
from ._compile import COMPILES
from ._known import GROUPS, KNOWN

# Settings that torch 2.6 renamed; it takes both names since. Older torch has the first, newer torch may drop it.
RENAMED = {
    "accumulated_cache_size_limit": "accumulated_recompile_limit",
    "cache_size_limit": "recompile_limit",
    "fail_on_cache_limit_hit": "fail_on_recompile_limit_hit",
    "skip_code_recursive_on_cache_limit_hit": "skip_code_recursive_on_recompile_limit_hit",
}
_BOTH = {**RENAMED, **{new: old for old, new in RENAMED.items()}}
_NOTHING: Any = object()  # nobody has set it
_GONE: Any = object()  # somebody has deleted it, as unittest.mock does before it puts a value back


def _changes(arg1: Any, arg2: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What ``patch`` was asked to change, from any of its three spellings."""
    if arg1 is None and arg2 is _NOTHING:
        return kwargs
    if kwargs:
        raise TypeError("patch takes a name and a value, or a dict, or keywords, and only one of the three")
    if isinstance(arg1, str) and arg2 is not _NOTHING:
        return {arg1: arg2}
    if isinstance(arg1, Mapping) and arg2 is _NOTHING:
        return dict(arg1)
    raise TypeError(f"patch takes a name and a value, or a dict, or keywords; got {arg1!r} first")


class Torchs:
    """The settings in modules of torch, which are imported when somebody asks."""

    def __init__(self, *paths: str) -> None:
        self._paths = paths

    def _modules(self) -> list[Any]:
        found = []
        for path in self._paths:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's own, while it loads its compiler
                try:
                    found.append(import_module(path))
                except ImportError:
                    if not found:
                        raise
        return found

    def _each(self, name: str, do: Any) -> Any:
        """Let *do* try every module and both names; torch's own error if none has the setting."""
        first, modules = None, self._modules()
        for module in modules:
            if name in module._config:  # also if unittest.mock has deleted it for a moment
                return do(module, name)
        for spelling in [name, _BOTH.get(name, name)]:
            for module in modules:
                try:
                    return do(module, spelling)
                except AttributeError as error:
                    first = first or error
        assert first is not None
        raise first

    def get(self, name: str) -> Any:
        return self._each(name, getattr)

    def set(self, name: str, value: Any) -> None:
        self._each(name, lambda module, spelling: setattr(module, spelling, value))

    def delete(self, name: str) -> None:
        module, spelling, _ = self._each(name, lambda *where: (*where, getattr(*where)))
        delattr(module, spelling)

    def patch(self, changes: dict[str, Any]) -> Any:
        return _Later(self, changes)

    def _patches(self, changes: dict[str, Any]) -> list[Any]:
        """torch's own patches: one for each module that has some of the settings."""
        of: dict[Any, dict[str, Any]] = {}
        for name, value in changes.items():
            module, spelling, _ = self._each(name, lambda *where: (*where, getattr(*where)))
            of.setdefault(module, {})[spelling] = value
        return [module.patch(some) for module, some in of.items()]


class _Later:
    """A patch of torch's settings, by torch's own patches, which are made when a block begins.

    So that a decorator loads no compiler, and a function may call itself: many versions cannot enter a patch of theirs
    twice.
    """

    def __init__(self, settings: Torchs, changes: dict[str, Any]) -> None:
        self._settings, self._changes = settings, changes
        self._open: list[ExitStack] = []

    def __enter__(self) -> None:
        with ExitStack() as stack:
            for patch in self._settings._patches(self._changes):
                stack.enter_context(patch)
            self._open.append(stack.pop_all())

    def __exit__(self, *error: Any) -> None:
        self._open.pop().__exit__(*error)

    def __call__(self, function: Any) -> Any:
        if isinstance(function, type):  # a unittest.TestCase
            for patch in self._settings._patches(self._changes):
                function = patch(function)
            return function

        @wraps(function)
        def patched(*args: Any, **kwargs: Any) -> Any:
            with _Later(self._settings, self._changes):
                return function(*args, **kwargs)

        return patched


class Kept:
    """Settings that are remembered and do nothing: any name may be set, and is read back."""

    def __init__(self, path: str, known: Mapping[str, Any], groups: frozenset[str]) -> None:
        self._path, self._known, self._groups = path, known, groups
        self._values: dict[str, Any] = {}
        self._switches: dict[str, _scope.Switch] = {}

    def get(self, name: str) -> Any:
        name = RENAMED.get(name, name)
        if name in ("get_config_copy", "load_config", "save_config", "to_dict"):
            return getattr(self, name)
        if name in self._groups:
            return _Group(self, name + ".")
        value = self._values.get(name, _NOTHING)
        if value is _NOTHING and name in self._known:
            value = self._known[name]
            if isinstance(value, (dict, list, set)):  # it may be changed in place
                value = self._values[name] = value.copy()
        if value is _NOTHING or value is _GONE:
            raise AttributeError(f"{self._path}.{name} has not been set, and this torch has no compiler that knows it")
        return value

    def set(self, name: str, value: Any) -> None:
        self._values[RENAMED.get(name, name)] = value

    def delete(self, name: str) -> None:
        self.get(name)
        self.set(name, _GONE)

    def _switch(self, name: str) -> _scope.Switch:
        """The one switch of a setting, which tells blocks of patches from each other."""
        name = RENAMED.get(name, name)
        if name not in self._switches:

            def write(value: Any) -> None:
                self._values[name] = value
                if value is _NOTHING:
                    del self._values[name]

            self._switches[name] = _scope.Switch(lambda: self._values.get(name, _NOTHING), write)
        return self._switches[name]

    def patch(self, changes: dict[str, Any]) -> Any:
        return patch(self, changes)

    def to_dict(self) -> dict[str, Any]:
        held = {**self._known, **self._values}
        return {name: value for name, value in held.items() if value is not _GONE}

    def get_config_copy(self) -> dict[str, Any]:
        held: dict[str, Any] = loads(self.save_config())
        return held

    def save_config(self) -> bytes:
        return dumps(self.to_dict(), protocol=2)

    def load_config(self, maybe_pickled_config: bytes | dict[str, Any]) -> None:
        given = maybe_pickled_config
        self._values.update(given if isinstance(given, dict) else loads(given))


class patch(_scope.Context):
    """A patch of settings that are kept."""

    def __init__(self, settings: Kept, changes: dict[str, Any]) -> None:
        super().__init__()
        self._kept, self._changes = settings, changes

    def _settings(self) -> _scope.Settings:
        return {self._kept._switch(name): value for name, value in self._changes.items()}


class _Group:
    """``config.triton``, whose attribute ``cudagraphs`` is the setting ``"triton.cudagraphs"``."""

    def __init__(self, settings: Kept, prefix: str) -> None:
        super().__setattr__("_settings", settings)
        super().__setattr__("_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._settings.get(self._prefix + name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._settings.set(self._prefix + name, value)

    def __delattr__(self, name: str) -> None:
        self._settings.delete(self._prefix + name)


_OF: dict[Any, Any] = {}


class Settings(type):
    """The type of a name whose attributes are the settings of a module of torch.

    Such a name is a class and not an object, so that it is pickled by reference, documented and listed as the others.
    """

    def __new__(cls, name: str, bases: Any, namespace: Any, **_: Any) -> Any:
        return super().__new__(cls, name, bases, namespace)

    def __init__(cls, name: str, bases: Any, namespace: Any, paths: tuple[str, ...] = ()) -> None:
        super().__init__(name, bases, namespace)
        kept = Kept(paths[0], KNOWN[paths[0]], GROUPS[paths[0]]) if not COMPILES else None
        _OF[name] = kept or Torchs(*paths)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):  # a question of Python's, for which no compiler is loaded
            raise AttributeError(f"{cls.__name__} has no attribute {name!r}")
        return _OF[cls.__name__].get(name)

    def __setattr__(cls, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            _OF[cls.__name__].set(name, value)

    def __delattr__(cls, name: str) -> None:
        _OF[cls.__name__].delete(name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{cls.__name__} is not callable: its attributes are the settings")

    def patch(cls, arg1: Any = None, arg2: Any = _NOTHING, **kwargs: Any) -> Any:
        """A context, and a decorator, with other settings: ``patch(a=1)``, ``patch("a", 1)``, ``patch({"a": 1})``."""
        return _OF[cls.__name__].patch(_changes(arg1, arg2, kwargs))
