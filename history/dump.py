"""Write down what one installed torch offers: `python history/dump.py OUT.json`, with that torch's Python.

The answer depends on the wheel and on Python alone: no GPU is shown to torch, and the locale, the hash seed and the
working directory are set. Modules are imported in a process of their own, which is begun anew without those that
end it. Modules that want a package which is not there are read, not run.

What a program uses without naming it has a row like any attribute, `torch.device.__enter__` for `with`; `protocol.py`
lists what is told. A class that inherits from one of Python's own has that one among its bases, and that one's members
have rows: `torch.utils.data.dataset.Dataset` has the base `typing.Generic`, which has `__class_getitem__`.
"""

import inspect
import json
import os
import subprocess
import sys
import tempfile
import types
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 900


# What follows runs in the worker.


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
    from overloads, "r" what it returns, "b" bases, "i" a module that is there only after an import of its own."""

    def __init__(self, torch):
        self.torch, self.records = torch, {}
        self.class_names, self.public = {}, set()
        homes = torch.homes()
        for name, value in torch.names.items():
            home = homes.get(name, name)
            if inspect.isclass(value) and home == name and not installed.is_foreign(value):
                self.class_names[value] = name
            if not installed.is_private(name):
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
        for name in torch.apart.intersection(self.records):
            if "k" in self.records[name]:
                self.records[name]["i"] = 1

    def add(self, name, value, home):
        """Describe one attribute of a module."""
        kind = kind_of(value)
        if installed.is_foreign(value) and kind in ("module", "class", "function"):
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
            for each in installed.answered(value, sources.strings(path)):
                self.records[name + "." + each] = {"k": "data"}

    def add_class(self, name, cls, module):
        """A class, its bases and its members; those of bases without a name count as its own."""
        record = self.records[name]
        record.update(signatures.of_class(cls, module, name))
        record["b"], held, makers = [], [cls], set()
        pending = list(cls.__bases__)
        while pending:
            base = pending.pop(0)
            known = self.class_names.get(base)
            if known and not known.startswith("torch._C."):
                record["b"].append(known)
                makers.update(type(base).__mro__)
            elif members.is_torch(base):
                held.append(base)
                pending = list(base.__bases__) + pending
            elif base is not object and self.add_foreign(base) not in record["b"] + [""]:
                record["b"].append(self.add_foreign(base))
        if type(cls).__name__ == "tensortype":
            # torch.FloatTensor and its like have the members of torch.Tensor.
            record["b"] = ["torch.Tensor"]
            return
        for each in held:
            self.add_members(name, each, module, cls)
        for each in held:
            self.add_attributes(name, each, cls)
        for each in type(cls).__mro__:
            if signatures.is_ours(each.__module__) and each not in makers:
                self.add_of_metaclass(name, each, module)

    def add_foreign(self, cls):
        """Describe a class of Python's that torch's inherit from; returns its name, "" if it hands on nothing."""
        name = f"{cls.__module__}.{cls.__qualname__}"
        told = members.of_foreign(cls) if name not in self.records else ()
        for each, value in told.items() if told else ():
            kind = "method" if kind_of(value, in_class=True) == "method" else "data"
            self.records[name + "." + each] = {"k": kind, "u": 1} if kind == "method" else {"k": kind}
            self.records[name] = {"k": "class", "u": 1}
        return name if name in self.records else ""

    def add_of_metaclass(self, owner, metaclass, module):
        """What a class, but none of its instances, has by its metaclass, such as `torch.distributed.group.WORLD`."""
        for name, value in sorted(metaclass.__dict__.items()):
            if not name.startswith("_") and owner + "." + name not in self.records:
                self.add_member(owner + "." + name, value, module, owner, metaclass)

    def add_members(self, owner, held, module, cls):
        """The members that the class *held* defines, under the name of the class *owner*."""
        first = self.torch.tensor.get(held) if owner == "torch.Tensor" else None
        for name, value in members.own(held, cls):
            if owner + "." + name in self.records or (first is not None and name not in first):
                continue
            value = value if first is None else first[name]
            self.add_member(owner + "." + name, value, module, owner, cls)

    def add_attributes(self, owner, held, cls):
        """What the methods of the class *held* give to their instances; a tensor has it only after such a call."""
        path = self.torch.paths.get(members.module_of(held))
        if path and owner != "torch.Tensor":
            if path not in ATTRIBUTES:
                ATTRIBUTES[path] = sources.instance_attributes(path)
            for name in sorted(ATTRIBUTES[path].get(held.__qualname__, ())):
                if protocol.is_kept(name, cls.__name__):
                    self.records.setdefault(owner + "." + name, {"k": "data"})

    def add_member(self, name, value, module, owner, cls):
        """Describe one member of a class."""
        kind = kind_of(value, in_class=True)
        self.records[name] = {"k": kind}
        last = name.rpartition(".")[2]
        if kind == "method":
            if owner in self.public and (last not in protocol.PROTOCOL - {"__call__"} or cls.__name__ == "Tensor"):
                told = signatures.of_method(value, module, owner.rpartition(".")[2], last)
            else:
                # Nobody asks for their parameters, which would make the file larger by a third.
                told = signatures.unknown(value)
            self.records[name].update(told)
        elif kind == "class" and signatures.is_ours(value.__module__):
            known = self.class_names.get(value)
            if known:
                self.records[name] = {"h": known}
            elif value.__qualname__ == cls.__qualname__ + "." + last:
                self.class_names[value] = name
                self.public.update([name] if owner in self.public else [])
                self.add_class(name, value, module)


ATTRIBUTES = {}


def work(out, dead):
    """Import, describe and write."""
    found = installed.Torch(dead)
    print("packages that are missing:", ", ".join(sorted(found.missing)), file=sys.stderr)
    dump = Dump(found)
    content = {
        "torch": str(found.version).partition("+")[0],
        "python": "{}.{}".format(*sys.version_info),
        "unread": sorted(found.unread),
        "failed": sorted(found.failed) + [[name, "ends the process"] for name in sorted(dead)],
        "foreign": sorted(found.foreign - set(dump.records)),
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
    import installed
    import members
    import protocol
    import signatures
    import sources

    work(sys.argv[2], sys.argv[3:])
