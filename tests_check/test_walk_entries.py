"""Guards through what the code itself has put somewhere: into an attribute, a dictionary, a list."""

import pytest
from marked import check

VALUES = {
    "an attribute that the constructor binds": """
        import torch
        NEW = hasattr(torch, "compile")
        class Runner:
            mode = None
            def __init__(self, flag):
                self.new = NEW
                self.make = None
                if NEW:
                    self.make = torch.compile
                if hasattr(torch, "compile"):
                    self.other = torch.compile
                else:
                    self.other = None
                if NEW and flag:
                    self.mode = "new"
                if self.make is not None:
                    torch.compile(f)
                else:
                    torch.compile(f)  # > torch.compile 2.0-
            def run(self):
                if self.new:
                    torch.compile(f)
                if self.make is not None:
                    torch.compile(f)
                if self.other:
                    torch.compile(f)
                if self.mode == "new":
                    torch.compile(f)
                if self.make is None:
                    return torch.compile(f)  # > torch.compile 2.0-
                return torch.compile(f)
    """,
    "an attribute that is there on some torch": """
        import torch
        class Runner:
            def __init__(self):
                if hasattr(torch, "compile"):
                    self.make = torch.compile
            def run(self):
                if hasattr(self, "make"):
                    torch.compile(f)
                else:
                    torch.compile(f)  # > torch.compile 2.0-
    """,
    "an attribute that another method binds as well": """
        import torch
        class Runner:
            def __init__(self):
                self.make = None
            def run(self):
                if self.make is not None:
                    torch.compile(f)  # > torch.compile 2.0-
            def setup(self):
                self.make = f
    """,
    "an attribute that is a property": """
        import torch
        class Runner:
            def __init__(self):
                self.make = None
            @property
            def make(self):
                return self._make
            @make.setter
            def make(self, value):
                self._make = f
            def run(self):
                if self.make is not None:
                    torch.compile(f)  # > torch.compile 2.0-
    """,
    "a constructor that returns": """
        import torch
        class Runner:
            def __init__(self, early):
                self.make = f
                if early:
                    return
                self.make = None
            def run(self):
                if self.make is not None:
                    torch.compile(f)  # > torch.compile 2.0-
    """,
    "an attribute that is bound on a condition": """
        import torch
        from torch import nn
        class Base:
            other = None
            def __init__(self):
                self.third = f
        class Runner(Base):
            mode = None
            def __init__(self, flag):
                super().__init__()
                if flag:
                    self.mode, self.other, self.third = True, True, None
                if hasattr(torch, "compile"):
                    self.mode = True
            def run(self):
                if self.mode:
                    torch.compile(f)  # > torch.compile 2.0-
                if not self.other:
                    torch.compile(f)  # > torch.compile 2.0-
                if self.third:
                    torch.compile(f)  # > torch.compile 2.0-
        class Unknown(something.Base):
            def __init__(self):
                if hasattr(torch, "compile"):
                    self.make = True
            def run(self):
                if self.make:
                    torch.compile(f)  # > torch.compile 2.0-
        class Known(nn.Module):
            def __init__(self):
                super().__init__()
                if hasattr(torch, "compile"):
                    self.make = True
                if not hasattr(torch, "compile"):
                    self.training = False
            def run(self):
                if hasattr(self, "make"):
                    torch.compile(f)
                if self.training:
                    torch.compile(f)
                if not self.training:
                    torch.compile(f)  # > torch.compile 2.0-
    """,
    "an attribute that a loop binds": """
        import torch
        class Runner:
            def __init__(self, many):
                self.make = None
                for one in many:
                    if self.make is not None:
                        torch.compile(f)  # > torch.compile 2.0-
                    self.make = one
    """,
    "an entry with a known value": """
        import torch
        NEW = hasattr(torch, "compile")
        MAKERS = {"compile": torch.compile if NEW else None, "other": f}
        if MAKERS["compile"] is not None:
            torch.compile(f)
        if MAKERS.get("compile"):
            torch.compile(f)
        if MAKERS.get("other"):
            torch.compile(f)  # > torch.compile 2.0-
        if MAKERS.get("third") is None:
            torch.compile(f)  # > torch.compile 2.0-
        class Runner:
            FLAGS = {"new": NEW}
            def __init__(self):
                self.flags = {"new": NEW}
                self.several = [NEW, True]
            def run(self):
                if self.flags["new"] and self.FLAGS.get("new", False):
                    torch.compile(f)
                if self.several[0]:
                    torch.compile(f)
                if self.several[1]:
                    torch.compile(f)  # > torch.compile 2.0-
    """,
}


@pytest.mark.parametrize("what", VALUES)
def test_values(what):
    check(VALUES[what])


INSTANCES = {
    "what is done with an instance is done where torch has the class": """
        import torch
        from torch.distributed.tensor import DTensor  # > torch.distributed.tensor.DTensor 2.5-
        def whole(x, y):
            if isinstance(x, DTensor):
                return x, torch.accelerator.is_available()  # > torch.accelerator.is_available 2.6-
            if isinstance(x, DTensor) and y:
                return torch.compile(f)
            if isinstance(x, torch.nn.Linear):
                return torch.compile(f)  # > torch.compile 2.0-
            if not isinstance(x, DTensor):
                return torch.compile(f)  # > torch.compile 2.0-
    """,
    "a call of what older torch has a placeholder for": """
        import torch.fx  # > torch.fx 1.8-
        from torch.distributed.fsdp import fully_shard  # > torch.distributed.fsdp.fully_shard 2.6-
        try:
            from torch.distributed.tensor import DTensor
        except ImportError:
            DTensor = None
        def sharded(model, x):
            fully_shard(model)  # > torch.distributed.fsdp.fully_shard 2.6-
            torch.fx.GraphModule(model, x)  # > torch.fx.GraphModule 1.8-
            if DTensor is not None and isinstance(x, DTensor):
                return DTensor(x)
            return fully_shard
    """,
    "a class that may be something else": """
        import torch
        try:
            from torch.distributed.tensor import DTensor
        except ImportError:
            class DTensor: pass
        def whole(x):
            if isinstance(x, DTensor):
                torch.compile(f)  # > torch.compile 2.0-
    """,
}


KEYS = {
    "lightning: an option that the constructor refuses": """
        import torch
        NEW = hasattr(torch, "compile")
        def wrapped(policy, kwargs):
            if policy is not None:
                kwargs["policy"] = policy
            return kwargs
        class Strategy:
            def __init__(self, policy=None, mesh=None, **kwargs):
                self.options = wrapped(policy, kwargs)
                self.options.setdefault("original", True)
                if mesh is not None:
                    if not NEW:
                        raise ValueError("too old")
                    self.options["mesh"] = mesh
            def setup(self):
                if isinstance(self.options.get("mesh"), tuple):
                    self.options["mesh"] = torch.compile(self.options["mesh"])
                if isinstance(self.options.get("mesh"), (list, dict)):
                    torch.compile(f)
                if "mesh" in self.options and self.options.get("mesh") is not None:
                    torch.compile(f)
                if "mesh" not in self.options:
                    torch.compile(f)  # > torch.compile 2.0-
                if isinstance(self.options.get("mesh"), object):
                    torch.compile(f)  # > torch.compile 2.0-
                if self.options.get("policy"):
                    torch.compile(f)  # > torch.compile 2.0-
    """,
    "the caller may hand over the key": """
        import torch
        class Strategy:
            def __init__(self, **kwargs):
                self.options = kwargs
                if hasattr(torch, "compile"):
                    self.options["mesh"] = True
            def setup(self):
                if "mesh" in self.options:
                    torch.compile(f)  # > torch.compile 2.0-
        class Other:
            def __init__(self, mesh, extra):
                self.extra = extra
                if hasattr(torch, "compile"):
                    self.extra["extra_mesh"] = True
            def setup(self):
                if "extra_mesh" in self.extra:
                    torch.compile(f)  # > torch.compile 2.0-
    """,
    "containers of a module": """
        import torch
        from collections import OrderedDict, defaultdict
        NEW = hasattr(torch, "compile")
        FEATURES, TABLE, MORE = [], {}, set()
        NAMES = ["old"]
        BY_NAME: dict = OrderedDict()
        LATER = defaultdict(list)
        if NEW:
            NAMES.append("made")
            BY_NAME["made"] = f
            LATER.update(made=1)
            NAMES += ["added"]
            NAMES.extend(["one", "two"])
        if "made" in NAMES or "added" in NAMES or "two" in NAMES:
            torch.compile(f)
        if "old" in NAMES:
            torch.compile(f)  # > torch.compile 2.0-
        def run():
            if BY_NAME.get("made") and BY_NAME.pop("made", None):
                torch.compile(f)
            if "made" in LATER:
                torch.compile(f)
            if BY_NAME.get("made", f):
                torch.compile(f)  # > torch.compile 2.0-
            known = {}
            if NEW:
                known["inner"] = 1
            if "inner" in known:
                torch.compile(f)
            return [torch.compile(f) for one in x if "made" in NAMES]
    """,
    "somebody else adds the key": """
        import torch
        NEW = hasattr(torch, "compile")
        FIRST, SECOND, THIRD, FOURTH = {}, {}, {}, {}
        first, second, third, fourth, fifth = dict(), dict(), dict(), dict(), dict(sixth=1)
        one = {}
        two = {}
        three = {}
        four = []
        five = {}
        six = {}
        if NEW:
            one["first"] = 1
            two["second"] = 1
            three["third"] = 1
            four.append("fourth")
            five["fifth"] = 1
            six["sixth"] = 1
        if unknown:
            one["first"] = 2
        def fill(name, others):
            two[name] = 1
            four.extend(others)
            five.update({"fifth": 3})
        def run():
            if "first" in one:
                torch.compile(f)  # > torch.compile 2.0-
            if "second" in two:
                torch.compile(f)  # > torch.compile 2.0-
            if "third" in three:
                torch.compile(f)  # > torch.compile 2.0-
            if "fourth" in four:
                torch.compile(f)  # > torch.compile 2.0-
            if "fifth" in five:
                torch.compile(f)  # > torch.compile 2.0-
            if "sixth" in six:
                torch.compile(f)  # > torch.compile 2.0-
        def later():
            if "third" not in three:
                three["third"] = 2
    """,
    "a name that stands for several": """
        import torch
        def make(table):
            if hasattr(torch, "compile"):
                table["key"] = 1
            if "key" in table:
                torch.compile(f)  # > torch.compile 2.0-
        def loop():
            for names in unknown:
                if hasattr(torch, "compile"):
                    names.append("other")
                if "other" in names:
                    torch.compile(f)  # > torch.compile 2.0-
    """,
}


@pytest.mark.parametrize("what", KEYS)
def test_keys(what):
    check(KEYS[what])


@pytest.mark.parametrize("what", INSTANCES)
def test_instances(what):
    check(INSTANCES[what])
