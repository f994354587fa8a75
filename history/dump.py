"""Write down what one installed torch offers: `python history/dump.py OUT.json`, with that torch's Python.

The answer depends on the wheel and on Python alone: no GPU is shown to torch, and the locale, the hash seed and the
working directory are set. Modules are imported in a process of their own, which is begun anew without those that
end it. Modules that want a package which is not there are read, not run.
"""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = re.compile(
    r"(^|\.)(__main__|_vendor|tests?|examples?|db|conftest|setup|test_\w+|_internal)(\.|$)"
    r"|^torch\.(lib|include|bin|share|utils\.hipify|contrib)(\.|$)"
)
# Members that every class has; they tell nothing.
DUNDERS = ("__call__", "__enter__", "__exit__", "__len__", "__iter__", "__getitem__", "__contains__")
# The only module whose names from elsewhere are its purpose.
ALL_NAMES = ("torch._six",)
LIMIT = 900


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


# What follows runs in the worker.


class Torch:
    """The modules of the installed torch, and which object of them is known by which names."""

    def __init__(self, dead):
        import torch

        self.version = torch.__version__
        # Some modules, functorch.dim for one, add to the class when they are imported.
        self.tensor = {name for cls in torch.Tensor.__mro__ for name in vars(cls)}
        self.first = {name: dict(vars(sys.modules[name])) for name in sorted(sys.modules) if name.startswith("torch")}
        self.first = {name: held for name, held in self.first.items() if is_wanted(name)}
        self.paths = modules_of(os.path.dirname(torch.__file__))
        beside = os.path.join(os.path.dirname(os.path.dirname(torch.__file__)), "functorch")
        if os.path.isdir(beside):
            self.paths.update(modules_of(beside))
        self.modules, self.unread, self.failed = {}, [], []
        for name in dead:
            self.paths.pop(name, None)
        self.import_all()
        self.names = {}
        for name in sorted(self.modules):
            self.names.update(self.names_of(name))

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
        imported, own = sources.bindings(module, self.paths[module]) if module in self.paths else ({}, set())
        loops = sources.loop_variables(self.paths[module]) if module in self.paths else ()
        exported = getattr(held, "__all__", None)
        exported = set(exported) if isinstance(exported, (list, tuple)) else set()
        found = {}
        for name, value in sorted(self.attributes(module, held).items()):
            dotted = module + "." + name
            if name.startswith("__") and name != "__version__" and dotted not in self.modules:
                continue
            if not name.isidentifier() or name in loops:
                continue
            foreign = name in imported and not signatures.is_ours(imported[name][0]) and name not in own
            if module in ALL_NAMES or name in exported or self.is_own(module, name, value, name in own, foreign):
                found[dotted] = value
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
                found.update(inner.__dict__)
            for cls in type(held).__mro__:
                if cls is not types.ModuleType and cls is not object:
                    found.update({name: value for name, value in cls.__dict__.items() if name not in found})
            config = held.__dict__.get("_config")
            if isinstance(config, dict):
                found.update(dict.fromkeys(name for name in config if str(name).isidentifier()))
        elif "__getattr__" in held.__dict__ and module in self.paths:
            found.update(answered(held, sources.strings(self.paths[module]) - set(found)))
        return found

    def is_own(self, module, name, value, assigned, foreign):
        """Whether an attribute of a module is torch's."""
        if isinstance(value, types.ModuleType):
            known = value.__name__ in self.modules and value.__name__ not in ("torch", "functorch")
            package = hasattr(self.modules[module], "__path__")
            return known and (value.__name__ == module + "." + name or (package and not name.startswith("_")))
        if foreign:
            return False
        home = getattr(value, "__module__", None)
        # Also of what typing makes, such as Optional, which torch._jit_internal hands on.
        return assigned or not isinstance(home, str) or signatures.is_ours(home)

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


def kind_of(value, in_class=False):
    """The kind of an object."""
    if isinstance(value, types.ModuleType):
        return "module"
    if inspect.isclass(value):
        return "class"
    if isinstance(value, (staticmethod, classmethod)) or inspect.isroutine(value) or is_wrapper(value):
        return "method" if in_class else "function"
    if in_class and (isinstance(value, property) or inspect.isdatadescriptor(value)):
        return "property"
    return "data"


def is_wrapper(value):
    """Whether an object stands for a function, such as those that `functools.lru_cache` makes."""
    return type(value).__name__ in ("_lru_cache_wrapper", "instancemethod", "partialmethod", "partial") or (
        callable(value) and hasattr(value, "__wrapped__")
    )


class Dump:
    """{dotted name: record}. Keys of a record: "k" kind, "h" home, "p" parameters, "u" parameters unknown, "o" joined
    from overloads, "r" what it returns, "b" bases."""

    def __init__(self, torch):
        self.torch, self.records = torch, {}
        self.class_names, self.public = {}, set()
        homes = torch.homes()
        for name, value in torch.names.items():
            home = homes.get(name, name)
            if inspect.isclass(value) and home == name and not is_foreign(value):
                self.class_names[value] = name
            if not is_private(name):
                self.public.add(home)
        # Those that they inherit from as well: torch.optim.lr_scheduler._LRScheduler has what StepLR has.
        for cls in [cls for cls, name in self.class_names.items() if name in self.public]:
            self.public.update(self.class_names[base] for base in cls.__mro__ if base in self.class_names)
        for name in sorted(torch.modules):
            self.records[name] = {"k": "module"}
        for name, value in torch.names.items():
            self.add(name, value, homes.get(name, name))
        for name in torch.unread:
            self.records.update(sources.unread_module(name, torch.paths[name]))
        for name in torch.unread:
            sources.add_starred(self.records, name, torch.paths[name])

    def add(self, name, value, home):
        """Describe one attribute of a module."""
        kind = kind_of(value)
        if is_foreign(value) and kind in ("module", "class", "function"):
            self.records[name] = {"k": "data"}
            return
        if kind == "module":
            if value.__name__ != name:
                self.records[name] = {"h": value.__name__}
            return
        if home != name:
            self.records[name] = {"h": home}
            return
        self.records[name] = {"k": kind}
        module, _, last = name.rpartition(".")
        if kind == "function":
            self.records[name].update(signatures.of_function(value, module, "", last))
        elif kind == "class":
            self.add_class(name, value, module)
        elif signatures.is_ours(type(value).__module__) and hasattr(type(value), "__getattr__"):
            self.add_answers(name, value)

    def add_answers(self, name, value):
        """The attributes of an object that answers by name, such as `torch.backends.cuda.matmul`."""
        if not name.startswith("torch.backends."):
            return
        path = self.torch.paths.get(type(value).__module__)
        if path:
            for each in answered(value, sources.strings(path)):
                self.records[name + "." + each] = {"k": "data"}

    def add_class(self, name, cls, module):
        """A class, its bases within torch and its members; those of bases without a name count as its own."""
        record = self.records[name]
        record.update(signatures.of_class(cls, module, name))
        record["b"], held = [], [cls]
        pending = list(cls.__bases__)
        while pending:
            base = pending.pop(0)
            known = self.class_names.get(base)
            if known and not known.startswith("torch._C."):
                record["b"].append(known)
            elif signatures.is_ours(base.__module__):
                held.append(base)
                pending = list(base.__bases__) + pending
        if type(cls).__name__ == "tensortype":
            # torch.FloatTensor and its like have the members of torch.Tensor.
            record["b"] = ["torch.Tensor"]
        elif name in self.public:
            for each in held:
                self.add_members(name, each, module, cls)

    def add_members(self, owner, held, module, cls):
        """The members that the class *held* defines, under the name of the class *owner*."""
        path = self.torch.paths.get(held.__module__)
        for name, value in sorted(held.__dict__.items()):
            if not isinstance(name, str) or owner + "." + name in self.records or not is_kept(name, cls):
                continue
            if owner == "torch.Tensor" and name not in self.torch.tensor:
                continue
            self.add_member(owner + "." + name, value, module, owner.rpartition(".")[2])
        if path:
            if path not in ATTRIBUTES:
                ATTRIBUTES[path] = sources.instance_attributes(path)
            for name in sorted(ATTRIBUTES[path].get(held.__qualname__, ())):
                if is_kept(name, cls):
                    self.records.setdefault(owner + "." + name, {"k": "data"})

    def add_member(self, name, value, module, owner):
        """Describe one member of a class."""
        kind = kind_of(value, in_class=True)
        self.records[name] = {"k": kind}
        if kind == "method":
            static = isinstance(value, staticmethod)
            function = getattr(value, "__func__", value)
            last = name.rpartition(".")[2]
            self.records[name].update(signatures.of_function(function, module, owner, last, bound=not static))
        elif kind == "class" and signatures.is_ours(value.__module__):
            known = self.class_names.get(value)
            if known:
                self.records[name] = {"h": known}
            elif value.__qualname__ == name[len(value.__module__) + 1 :]:
                self.class_names[value] = name
                self.public.add(name)
                self.add_class(name, value, module)


ATTRIBUTES = {}


def is_kept(name, cls):
    """Whether a member of a class is told."""
    if name.startswith("__"):
        return name in DUNDERS or (cls.__name__ == "Tensor" and name.endswith("__") and name not in dir(type(cls)))
    return not name.startswith("_") or cls.__name__ in ("Tensor", "Module", "Optimizer", "LRScheduler")


def work(out, dead):
    """Import, describe and write."""
    found = Torch(dead)
    dump = Dump(found)
    content = {
        "torch": str(found.version).partition("+")[0],
        "python": "{}.{}".format(*sys.version_info),
        "unread": sorted(found.unread),
        "failed": sorted(found.failed) + [[name, "ends the process"] for name in sorted(dead)],
        "names": dump.records,
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=0, sort_keys=True, ensure_ascii=False)


def main(out):
    """Run workers until one comes to its end."""
    out = os.path.abspath(out)
    environment = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if key in os.environ}
    environment.update(PYTHONHASHSEED="0", LC_ALL="C.UTF-8", CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1", TERM="dumb")
    dead = []
    with tempfile.TemporaryDirectory() as folder:
        environment["HOME"] = folder
        while True:
            command = [sys.executable, "-W", "ignore", os.path.join(HERE, "dump.py"), "--worker", out] + dead
            done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, timeout=LIMIT)
            mark = os.path.join(folder, "importing")
            if not done.returncode:
                return 0
            if not os.path.exists(mark) or len(dead) > 20:
                return done.returncode
            with open(mark) as file:
                name = file.read()
            dead.append(name)
            os.remove(mark)


if __name__ == "__main__":
    if sys.argv[1] != "--worker":
        sys.exit(main(sys.argv[1]))
    warnings.simplefilter("ignore")
    sys.path[0] = HERE
    import signatures
    import sources

    work(sys.argv[2], sys.argv[3:])
