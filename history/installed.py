"""The modules of the installed torch, imported, and the names that they offer."""

import functools
import importlib
import inspect
import os
import re
import sys
import types

import signatures
import sources

SKIPPED = re.compile(
    r"(^|\.)(__main__|_vendor|tests?|examples?|db|conftest|setup|test_\w+|_internal)(\.|$)"
    r"|^torch\.(lib|include|bin|share|utils\.hipify|contrib)(\.|$)"
)
# The only module whose names from elsewhere are its purpose.
ALL_NAMES = ("torch._six",)
DEEPEST = 9


def is_wanted(name):
    """Whether a module's names are kept: public ones, and those one level below a private one."""
    if SKIPPED.search(name):
        return False
    parts = name.split(".")
    private = [index for index, part in enumerate(parts) if part.startswith("_") and not part.endswith("__")]
    return not private or (len(private) == 1 and len(parts) - 1 - private[0] <= 1)


def modules_of(package):
    """{name: path} of the wanted modules of a package, from its folder."""
    found = {}
    root = os.path.dirname(package.rstrip(os.sep))
    for folder, folders, files in os.walk(package):
        if "__init__.py" not in files:
            folders[:] = []
            continue
        parts = os.path.relpath(folder, root).split(os.sep)
        folders[:] = sorted(name for name in folders if is_wanted(".".join(parts + [name])))
        for file in sorted(files):
            if file.endswith(".py"):
                name = ".".join(parts + ([] if file == "__init__.py" else [file[:-3]]))
                if is_wanted(name):
                    found[name] = os.path.join(folder, file)
    return found


class Torch:
    """The modules of the installed torch, and which object of them is known by which names."""

    def __init__(self, dead):
        import torch

        self.version = torch.__version__
        # Some modules, functorch.dim for one, add to the class, and replace its methods, when they are imported.
        self.tensor = {cls: dict(vars(cls)) for cls in torch.Tensor.__mro__}
        self.first = {name: dict(vars(sys.modules[name])) for name in sorted(sys.modules) if name.startswith("torch")}
        self.first = {name: held for name, held in self.first.items() if is_wanted(name)}
        self.paths = modules_of(os.path.dirname(torch.__file__))
        beside = os.path.join(os.path.dirname(os.path.dirname(torch.__file__)), "functorch")
        if os.path.isdir(beside):
            self.paths.update(modules_of(beside))
        self.modules, self.unread, self.failed, self.bindings = {}, [], [], {}
        self.missing, self.foreign = set(), set()
        for name in dead:
            self.paths.pop(name, None)
        self.apart = {name for name in self.paths if name.startswith("torch.") and not is_loaded(name)}
        self.import_all()
        self.names = {}
        for name in sorted(self.modules):
            self.names.update(self.names_of(name))
        self.names.update(self.renamed())

    def import_all(self):
        """Import every module; those that fail are tried again when the others are there."""
        left = sorted(self.paths)
        for attempt in (1, 2):
            again = []
            for name in left:
                if not self.import_one(name, attempt):
                    again.append(name)
            left = again
        for name in sorted(sys.modules):
            if name.startswith("torch._C.") and is_wanted(name):
                self.modules[name] = sys.modules[name]
        self.modules["torch._C"] = sys.modules["torch._C"]

    def renamed(self):
        """{name: module} of modules that torch put under a second name: `torch.distributed._tensor.experimental`."""
        found = {}
        for name, module in sorted(sys.modules.items()):
            is_new = signatures.is_ours(name) and is_wanted(name) and name not in self.modules
            if is_new and self.modules.get(getattr(module, "__name__", "")) is module:
                found[name] = module
        return found

    def import_one(self, name, attempt):
        """Whether the import needs no second attempt."""
        with open("importing", "w") as file:
            file.write(name)
        try:
            self.modules[name] = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("torch", "functorch", ""):
                return self.fail(name, attempt, error)
            self.unread.append(name)
            self.missing.add(error.name.partition(".")[0])
        except BaseException as error:
            if isinstance(error, ImportError) and wants_a_package(error):
                self.unread.append(name)
                return True
            return self.fail(name, attempt, error)
        return True

    def fail(self, name, attempt, error):
        """Note a failure, on the second attempt."""
        if attempt == 2:
            first = (str(error).splitlines() or [""])[0]
            self.failed.append((name, type(error).__name__ + ": " + first[:100]))
        return False

    def names_of(self, module):
        """{dotted name: object} of a module: what is torch's own, and what it takes from elsewhere in torch."""
        held = self.modules[module]
        imported, own = self.bindings_of(module)
        loops = sources.loop_variables(self.paths[module]) if module in self.paths else ()
        exported = getattr(held, "__all__", None)
        exported = set(exported) if isinstance(exported, (list, tuple)) else set()
        found = {}
        for name, value in sorted(self.attributes(module, held).items()):
            dotted = module + "." + name
            if name.startswith("__") and name != "__version__" and dotted not in self.modules:
                continue
            if not name.isidentifier():
                continue
            foreign = name in imported and not signatures.is_ours(imported[name][0]) and name not in own
            told = module in ALL_NAMES or name in exported or self.is_own(module, name, value, foreign)
            if told and name not in loops:
                found[dotted] = value
            else:
                self.foreign.add(dotted)
        return found

    def attributes(self, module, held):
        """{name: value} of a module as right after `import torch`, and what it answers only when asked."""
        found = {name: held.__dict__[name] for name in list(held.__dict__)}
        for name, value in self.first.get(module, {}).items():
            # `torch.fft` is a function in torch 1.7 until somebody imports the module of that name.
            if isinstance(found.get(name), types.ModuleType) and not isinstance(value, types.ModuleType):
                found[name] = value
        if type(held) is not types.ModuleType:
            inner = getattr(held, "m", None)
            if isinstance(inner, types.ModuleType):
                # Some hand on all that is in there, and torch.backends.python_native nothing.
                found.update({name: value for name, value in list(inner.__dict__.items()) if hasattr(held, name)})
            for cls in type(held).__mro__:
                if cls is not types.ModuleType and cls is not object:
                    found.update({name: value for name, value in cls.__dict__.items() if name not in found})
            config = held.__dict__.get("_config")
            if isinstance(config, dict):
                found.update(dict.fromkeys(name for name in config if str(name).isidentifier()))
        elif "__getattr__" in held.__dict__ and module in self.paths:
            found.update(answered(held, sources.strings(self.paths[module]) - set(found)))
        return found

    def bindings_of(self, module):
        """What `sources.bindings` says of a module."""
        if module not in self.bindings:
            path = self.paths.get(module)
            self.bindings[module] = sources.bindings(module, path) if path else ({}, set())
        return self.bindings[module]

    def is_assigned(self, module, name, depth=0):
        """Whether a source of torch's defines what a module has under a name: its own, or one that it imports from."""
        imported, own = self.bindings_of(module)
        source, there = imported.get(name, ("", ""))
        # torch._jit_internal has classes for what it could not import from typing.
        if name in own and not (depth and there):
            return True
        return bool(there) and depth < DEEPEST and self.is_assigned(source, there, depth + 1)

    def is_own(self, module, name, value, foreign):
        """Whether an attribute of a module is torch's."""
        if isinstance(value, types.ModuleType):
            known = value.__name__ in self.modules and value.__name__ not in ("torch", "functorch")
            package = hasattr(self.modules[module], "__path__")
            return known and (value.__name__ == module + "." + name or (package and not name.startswith("_")))
        if foreign:
            return False
        home = getattr(value, "__module__", None)
        # What typing makes says that it is of typing: Optional, which torch._jit_internal hands on, is not torch's, and
        # torch.types.Device is.
        return not isinstance(home, str) or signatures.is_ours(home) or self.is_assigned(module, name)

    def homes(self):
        """{dotted name: the name under which its object is described}."""
        known = {}
        for name, value in self.names.items():
            if (inspect.isclass(value) or inspect.isroutine(value)) and not is_foreign(value):
                known.setdefault(id(value), []).append(name)
        found = {}
        for names in known.values():
            value = self.names[names[0]]
            own = "{}.{}".format(getattr(value, "__module__", None), getattr(value, "__qualname__", None))
            chosen = own if own in names else min(names, key=rank)
            found.update(dict.fromkeys(names, chosen))
        return found


def is_foreign(value):
    """Whether an object that torch offers is another library's, such as `torch._six.container_abcs`."""
    home = getattr(value, "__name__" if isinstance(value, types.ModuleType) else "__module__", None)
    return isinstance(home, str) and not signatures.is_ours(home)


def is_private(name):
    """Whether a part of a dotted name says that it is not for users."""
    return any(part.startswith("_") for part in name.split("."))


def rank(name):
    """Sorts the best of an object's names first: public, short."""
    parts = name.split(".")
    return sum(part.startswith("_") for part in parts), len(parts), name


def wants_a_package(error):
    """Whether an ImportError of torch's own wording says that a package is missing."""
    return bool(re.search(r"install|tensorboard|requires", str(error), re.I))


def is_loaded(name):
    """Whether `import torch` alone brings a module, by its dotted name; also where torch imports it when it is asked.

    What is in a module that torch imports when it is asked counts as there.
    """
    held, parts = sys.modules["torch"], name.split(".")
    for count, part in enumerate(parts[1:], 2):
        known = held.__dict__.get(part)
        if known is None and hasattr(held, "__getattr__"):
            return is_answered(".".join(parts[:count]))
        if known is None or inspect.isroutine(known) or inspect.isclass(known):
            return False  # `torch.fft` is a function in torch 1.7, and there is a module of that name
        held = known
    return True


@functools.lru_cache(maxsize=None)
def is_answered(name):
    """The same where a module answers by `__getattr__`: tried in a copy of this process, as it may import others."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        held = sys.modules["torch"]
        for part in name.split(".")[1:]:
            held = getattr(held, part)
        os._exit(not isinstance(held, types.ModuleType))
    except BaseException:  # it is not there, or cannot be imported here
        os._exit(1)


def answered(owner, names):
    """{name: value} of what an object answers by its `__getattr__`."""
    found = {}
    for name in sorted(names):
        if name.startswith("__"):
            continue
        try:
            found[name] = getattr(owner, name)
        except Exception:  # whatever it raises: there is no such name, or nothing to be had here
            continue
    return found
