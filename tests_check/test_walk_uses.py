"""Uses that do not name what they use: arguments that are handed on, special methods, what classes inherit.

What is new on which torch was tried on each of 1.2, 1.3, 1.5, 1.7, 1.8, 1.10, 1.13, 2.0, 2.1, 2.4, 2.9 and 2.15.
"""

import sys
import textwrap

import pytest
from marked import check, findings

from torchcompat_check._minors import ranges
from torchcompat_check.history import History
from torchcompat_check.walk import check_source

HANDED_ON = {
    "by super": """
        from torch import nn
        from torch.optim import Adam
        from torch.optim.lr_scheduler import LambdaLR
        from torch.utils.data import DataLoader

        class Norm(nn.LayerNorm):
            def __init__(self, n):
                super().__init__(n, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-

        class Old(nn.LayerNorm):
            def __init__(self, n):
                super(Old, self).__init__(n, 1e-5, True, False)  # > torch.nn.LayerNorm(bias) 2.1-

        class Explicit(nn.LayerNorm):
            def __init__(self, n):
                nn.LayerNorm.__init__(self, n, 1e-5, True)
                nn.LayerNorm.__init__(self, n, 1e-5, True, False)  # > torch.nn.LayerNorm(bias) 2.1-
                nn.LayerNorm.__init__(self, n, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-

        class Fast(Adam):
            def __init__(self, p):
                super().__init__(p, fused=True)  # > torch.optim.Adam(fused) 1.13-

        class Schedule(LambdaLR):
            def __init__(self, o):
                super().__init__(o, len, verbose=True)  # > torch.optim.lr_scheduler.LambdaLR(verbose) 1.7-2.6

        class Loader(DataLoader):
            def __init__(self, d):
                super().__init__(d, prefetch_factor=2)  # > torch.utils.data.DataLoader(prefetch_factor) 1.7-
    """,
    "through classes in between": """
        from abc import ABC
        from torch import nn

        class First(nn.LayerNorm, ABC):
            pass

        class Second(First):
            def __init__(self, n):
                super().__init__(n, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-

        First(3, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        Second(3)
    """,
    "by keywords that are not looked at": """
        from torch import nn

        class First(nn.LayerNorm):
            def __init__(self, n, scale=1, **kwargs):
                super().__init__(n, **kwargs)

        class Second(First):
            def __init__(self, *args, **more):
                self.name = "second"
                First.__init__(self, *args, **more)

        class Third(Second):
            def __init__(self, n):
                super().__init__(n, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-

        First(3, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        Second(3, scale=2, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-

        def make(n, **kwargs):
            return nn.LayerNorm(n, **kwargs)
        make(3, bias=True)  # > torch.nn.LayerNorm(bias) 2.1-

        class Careful(nn.LayerNorm):
            def __init__(self, n, **kwargs):
                kwargs.pop("bias", None)
                super().__init__(n, **kwargs)
        Careful(3, bias=False)

        class Own(nn.LayerNorm):
            def __init__(self, n, bias=True):
                super().__init__(n)
        Own(3, bias=False)
    """,
    "to other methods": """
        import torch
        from torch import nn

        class Net(nn.Module):
            def load_state_dict(self, state):
                return super().load_state_dict(state, assign=True)  # > torch.nn.Module.load_state_dict(assign) 2.1-

            def hook(self, f):
                super().register_full_backward_hook(f)  # > torch.nn.Module.register_full_backward_hook 1.8-
                super(Net, self).get_submodule("a")  # > torch.nn.Module.get_submodule 1.9-
                super().__setattr__("a", 1)

        class Deeper(Net):
            def hook(self, f):
                super().hook(f)
                super().get_parameter("a")  # > torch.nn.Module.get_parameter 1.9-

        class Unknown(Mixin, nn.Module):
            def hook(self, f):
                super().register_full_backward_hook(f)
    """,
    "super in a class that stands in another": """
        from torch import nn

        def build():
            class Norm(nn.LayerNorm):
                def __init__(self, n):
                    def inner(x):
                        x.get_submodule("a")
                    super().__init__(n, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
            return Norm
    """,
}

RAISED = {
    "except": """
        import torch
        def run():
            try:
                step()
            except torch.cuda.OutOfMemoryError:  # > torch.cuda.OutOfMemoryError 1.13-
                raise
            try:
                step()
            except (ValueError, torch.cuda.OutOfMemoryError) as error:  # > torch.cuda.OutOfMemoryError 1.13-
                raise torch.cuda.OutOfMemoryError("no") from error  # > torch.cuda.OutOfMemoryError 1.13-
            try:
                step()
            except getattr(torch.cuda, "OutOfMemoryError", RuntimeError):
                pass
            if hasattr(torch.cuda, "OutOfMemoryError"):
                try:
                    step()
                except torch.cuda.OutOfMemoryError:
                    pass
    """,
    "an except clause in a try that catches it": """
        import torch
        try:
            try:
                step()
            except torch.cuda.OutOfMemoryError:
                pass
        except AttributeError:
            pass
    """,
}

IMPLICIT = {
    "with": """
        import torch
        with torch.device("meta"):  # > torch.device.__enter__ 2.0-
            pass
        def run(device: torch.device):
            with device, torch.no_grad():  # > torch.device.__enter__ 2.0-
                pass
        try:
            with torch.device("cpu"):
                pass
        except AttributeError:
            pass
        if torch.__version__ >= "2.0":
            with torch.device("cpu"):
                pass
    """,
    "functions for context managers": """
        import torch
        @torch.no_grad  # > torch.no_grad(orig_func) 2.1-
        def f(): ...
        @torch.enable_grad  # > torch.enable_grad(orig_func) 2.1-
        def g(): ...
        @torch.inference_mode  # > torch.inference_mode 1.9-; torch.inference_mode(mode) 2.1-
        def h(): ...
        torch.no_grad(f)  # > torch.no_grad(orig_func) 2.1-
        torch.inference_mode(f)  # > torch.inference_mode 1.9-; torch.inference_mode(mode) 2.1-
        torch.inference_mode(True)  # > torch.inference_mode 1.9-
        torch.inference_mode(mode)  # > torch.inference_mode 1.9-
        @torch.no_grad()
        def i(): ...
        @torch.jit.script
        def j(): ...
        @torch.set_grad_enabled(False)  # > torch.set_grad_enabled.__call__ 1.11-
        def k(): ...
    """,
    "operators of tensors": """
        import torch
        x = torch.ones(2)
        +x  # > torch.Tensor.__pos__ 1.9-
        -x, ~x, x + 1, 1 + x, x @ x, x ** 2, 2 ** x, x // 2, x < 1, 1 < x, x[0], abs(x), len(x), float(x), 1 in x
        x += 1
        x //= 2
        x %= 2
        1 % x  # > torch.Tensor.__rmod__ 1.10-
        1 << x  # > torch.Tensor.__rlshift__ 1.10-
        y << x, "%s" % x, [1] + x, unknown % x
        for row in x:
            pass
        del x[0]
        x[0] = 1
    """,
    "patterns": """
        import torch
        match x:
            case torch.nn.RMSNorm() if ready:  # > torch.nn.RMSNorm 2.4-
                torch.compile(f)  # > torch.compile 2.0-
            case torch.uint16 | {"a": torch.uint32}:  # > torch.uint16 2.3-; torch.uint32 2.3-
                pass
            case [torch.nn.Linear(in_features=1) as y, *rest]:
                if hasattr(torch, "compile"):
                    torch.compile(y)
            case _:
                raise ValueError
        torch.compile(f)  # > torch.compile 2.0-
    """,
}

# As the classes of torch are: Sequential got `+` in 1.13, ModuleList in 1.12; Dataset is generic from 1.7 on; a
# scheduler that is a function on an old torch may give anything.
ROWS = """\
torch module 1.2-
torch.nn module 1.2-
torch.nn.Module class 1.2-
torch.nn.Module.forward method 1.2-
torch.nn.ModuleList class 1.2- ; ( torch.nn.Module
torch.nn.ModuleList.__add__ method 1.12-
torch.nn.ModuleList.__iadd__ method 1.2-
torch.nn.ModuleList.__iter__ method 1.2-
torch.nn.ParameterDict class 1.2- ; ( torch.nn.Module
torch.nn.ParameterDict.__getitem__ method 1.2-
torch.nn.ParameterDict.__or__ method 1.12-
torch.nn.ParameterDict.__reversed__ method 1.12-
torch.nn.ParameterDict.__ror__ method 1.12-
torch.nn.Sequential class 1.2- ; ( torch.nn.Module
torch.nn.Sequential.__add__ method 1.13-
torch.nn.Sequential.__delitem__ method 1.2-
torch.nn.Sequential.__getitem__ method 1.2-
torch.nn.Sequential.__iadd__ method 1.13-
torch.nn.Sequential.__imul__ method 1.13-
torch.nn.Sequential.__iter__ method 1.4-
torch.nn.Sequential.__mul__ method 1.13-
torch.nn.Sequential.__rmul__ method 1.13-
torch.things module 1.2-
torch.things.Gone class 1.2-
torch.things.Gone.__iter__ method 1.2-2.1
torch.things.Maker function 1.2-1.6 ; class 1.7-
torch.things.Maker.__enter__ method 1.7-
torch.things.Private class 1.2-
torch.things.Private.__len__ method 2.1-
torch.things.Private.x method 2.0-
torch.things.Taken class 1.2-
torch.things.Taken.__aenter__ method 2.0-
torch.things.Taken.__aiter__ method 2.0-
torch.things.Taken.__await__ method 2.0-
torch.things.Taken.__call__ method 2.0-
torch.things.Taken.__delitem__ method 2.1-
torch.things.Taken.__divmod__ method 2.0-
torch.things.Taken.__float__ method 2.0-
torch.things.Taken.__int__ method 2.0-
torch.things.Taken.__len__ method 2.0-
torch.things.Taken.__lt__ method 2.0-
torch.things.Taken.__match_args__ data 2.0-
torch.things.Taken.__next__ method 2.0-
torch.things.Taken.__round__ method 2.0-
torch.things.Taken.__setitem__ method 2.0-
torch.things.Taken.x method 1.2-
torch.utils module 1.2-
torch.utils.data module 1.2-
torch.utils.data.Dataset class 1.2-
torch.utils.data.Dataset.__class_getitem__ method 1.7-
torch.utils.data.Dataset.__getitem__ method 1.2-
"""

OPERATED = {
    "operators": """
        from torch import nn
        nn.Sequential() + nn.Sequential()  # > torch.nn.Sequential.__add__ 1.13-
        nn.Sequential() * 2  # > torch.nn.Sequential.__mul__ 1.13-
        2 * nn.Sequential()  # > torch.nn.Sequential.__rmul__ 1.13-
        nn.ModuleList() + nn.ModuleList()  # > torch.nn.ModuleList.__add__ 1.12-
        a = nn.Sequential()
        a += nn.Sequential()  # > torch.nn.Sequential.__iadd__ 1.13-
        b = nn.ModuleList()
        b += nn.ModuleList()
        nn.ParameterDict() | nn.ParameterDict()  # > torch.nn.ParameterDict.__or__ 1.12-
        {} | nn.ParameterDict()
        a + unknown
        unknown + a
        class Own(nn.Sequential):
            def __add__(self, other): ...
        Own() + Own()
        class Kept(nn.Sequential):
            def both(self):
                self.rest = nn.Sequential()
                self.rest *= 2  # > torch.nn.Sequential.__imul__ 1.13-
                return self + nn.Sequential()  # > torch.nn.Sequential.__add__ 1.13-
    """,
    "one way or the other": """
        from torch import nn
        for x in nn.Sequential():
            pass
        [x for x in nn.Sequential()], list(nn.Sequential()), reversed(nn.ParameterDict()), 1 in nn.Sequential()
        del nn.Sequential()[0]
    """,
    "each kind": """
        from torch.things import Taken
        async def run(x: Taken, y: Taken):
            async with x:  # > torch.things.Taken.__aenter__ 2.0-
                async for z in x:  # > torch.things.Taken.__aiter__ 2.0-
                    await x  # > torch.things.Taken.__await__ 2.0-
            x()  # > torch.things.Taken.__call__ 2.0-
            del x[0]  # > torch.things.Taken.__delitem__ 2.1-
            x[0] = 1  # > torch.things.Taken.__setitem__ 2.0-
            divmod(x, 2)  # > torch.things.Taken.__divmod__ 2.0-
            float(x)  # > torch.things.Taken.__float__ 2.0-
            int(x)  # > torch.things.Taken.__int__ 2.0-
            len(x)  # > torch.things.Taken.__len__ 2.0-
            x < y  # > torch.things.Taken.__lt__ 2.0-
            next(x)  # > torch.things.Taken.__next__ 2.0-
            round(x)  # > torch.things.Taken.__round__ 2.0-
            x > y  # > torch.things.Taken.__lt__ 2.0-
            x == y, x != y, bool(x), str(x), f"{x}", hash(x), x[0]
        @Taken()  # > torch.things.Taken.__call__ 2.0-
        def f(): ...
        match f:
            case Taken(1):  # > torch.things.Taken.__match_args__ 2.0-
                pass
            case Taken(x=1):
                pass
        class Mine(Taken):
            def size(self):
                return len(self)  # > torch.things.Taken.__len__ 2.0-
    """,
    "subscripts of classes": """
        from __future__ import annotations
        from torch.utils.data import Dataset
        class Texts(Dataset[str]):  # > torch.utils.data.Dataset.__class_getitem__ 1.7-
            def first(self) -> Dataset[int]:
                return self[0]
        x: list[Dataset[int]]
    """,
    "only what is sure": """
        from torch import things
        for x in things.Gone():
            pass
        with things.Maker():
            pass
        len(things.Private())  # > torch.things.Private.__len__ 2.1-
    """,
}

GUARDS = {
    "hasattr of self": """
        from torch import nn
        class Net(nn.Module):
            def run(self):
                if hasattr(self, "get_submodule"):
                    self.get_submodule("a")
                else:
                    self.get_submodule("a")  # > torch.nn.Module.get_submodule 1.9-
                if callable(getattr(self, "get_parameter", None)):
                    self.get_parameter("a")
                getattr(self, "get_parameter")  # > torch.nn.Module.get_parameter 1.9-
                hasattr(super(), "get_buffer") and super().get_buffer("a")
                if not hasattr(self, "set_submodule"):
                    return
                self.set_submodule("a", self)
        model = nn.Linear(1, 1)
        if hasattr(model, "compile"):
            model.compile()
        class Own(nn.Module):
            compile = None
            def run(self):
                if hasattr(self, "compile"):
                    self.get_submodule("a")  # > torch.nn.Module.get_submodule 1.9-
    """,
    "flags that are defaults": """
        import torch
        from packaging.version import Version
        CHECK = Version(torch.__version__) >= Version("1.10")
        def grid(x, y, new=CHECK):
            return torch.meshgrid(x, y, indexing="ij") if new else torch.meshgrid(x, y)
        def only(x, y, *, new=CHECK):
            return torch.meshgrid(x, y, indexing="ij") if new else torch.meshgrid(x, y)
        def passed(x, y, new=CHECK):
            return torch.meshgrid(x, y, indexing="ij") if new else 0  # > torch.meshgrid(indexing) 1.10-
        def place(x, y, new=CHECK):
            return torch.meshgrid(x, y, indexing="ij") if new else 0  # > torch.meshgrid(indexing) 1.10-
        class Grid:
            def __init__(self, x, new=CHECK):
                if new:
                    torch.meshgrid(x, indexing="ij")
            def run(self, x, new=CHECK):
                if new:
                    torch.meshgrid(x, indexing="ij")  # > torch.meshgrid(indexing) 1.10-
        grid(1, 2), only(1, 2), passed(1, 2, new=True), place(1, 2, True), Grid(1), Grid(1).run(2, True)
    """,
    "methods and properties that test": """
        import torch
        from packaging.version import Version
        class Net:
            @property
            def is_new(self):
                return hasattr(torch, "compile")
            def at_least(self, wanted, strict=False):
                return Version(torch.__version__) >= Version(wanted)
            @classmethod
            def of_class(cls, wanted):
                return Version(torch.__version__) >= Version(wanted)
            @staticmethod
            def static(wanted):
                return Version(torch.__version__) >= Version(wanted)
            @property
            def ready(self):
                return self.x
            def run(self):
                if self.is_new:
                    torch.compile
                if self.at_least("2.0"):
                    torch.compile
                if self.of_class("2.0") or Net.of_class("2.0"):
                    torch.compile
                if self.static("2.0"):
                    torch.compile
                if self.ready:
                    return
                torch.compile  # > torch.compile 2.0-
    """,
    "a function that is given the version": """
        import torch
        def parts(text):
            return tuple(int(part) for part in text.split(".") if part.isdigit())
        def run():
            found = parts(torch.__version__)
            if found >= (2, 0):
                torch.compile
            else:
                torch.compile  # > torch.compile 2.0-
    """,
    "private functions that are called in a try": """
        import torch
        def _risky():
            torch.meshgrid(x, indexing="ij")  # > torch.meshgrid(indexing) 1.10-
            torch.compile
        def _both():
            torch.compile  # > torch.compile 2.0-
        def run():
            try:
                _risky()
                _both()
            except AttributeError:
                pass
            _both()
    """,
    "implement_for of pyvers": """
        import torch
        from pyvers import implement_for
        @implement_for("torch", None, "2.0")
        def go():
            torch.compile  # > torch.compile 2.0-
        @implement_for("torch", "2.0")
        def go():
            torch.compile
        @implement_for("numpy", "2.0")
        def go():
            torch.compile  # > torch.compile 2.0-
    """,
}

INFERRED = {
    "a tensor and something unknown": """
        import torch
        x = torch.zeros(1)
        (x * 2).nanmean()  # > torch.Tensor.nanmean 1.10-
        (x @ x).nanmean()  # > torch.Tensor.nanmean 1.10-
        (unknown * x).nanmean()
        (x * unknown).nanmean()
    """,
    "functions of torch that other classes take part in": """
        import torch
        from tensordict import TensorDict
        torch.stack(unknown).nanmean()
        torch.zeros(unknown).nanmean()  # > torch.Tensor.nanmean 1.10-
    """,
    "without them": """
        import torch
        torch.stack(unknown).nanmean()  # > torch.Tensor.nanmean 1.10-
    """,
    "what a class binds itself": """
        from torch import nn
        class Net(nn.Module):
            get_buffer: str
            def __init__(self):
                super().__init__()
                self.register_buffer("get_parameter", None)
                setattr(self, "get_extra_state", 1)
                self.add_module("compile", nn.Linear(1, 1))
            def run(self):
                self.get_buffer, self.get_parameter, self.get_extra_state, self.compile, self.get_submodule
            @property
            def get_submodule(self): ...
        class Base(nn.Module):
            def run(self):
                if self.compile:
                    return 1
                if not self.get_submodule and (self.get_buffer or 2):
                    return 3 if self.get_parameter else 4
                self.compile()  # > torch.nn.Module.compile 2.1-
        class Foreign(nn.Module, somewhere.Mixin):
            def run(self):
                self.compile()
    """,
    "the first parameter of a function in a method": """
        from torch import nn
        class Net(nn.Module):
            key = sorted([], key=lambda x: x.get_submodule)
            def run(self):
                def inner(x):
                    return x.get_submodule("a")
                return inner
    """,
    "attributes of functions": """
        import torch
        if torch.__version__ >= "2.5":
            getattr(torch.export.Dim, "DYNAMIC", torch.export.Dim.AUTO)
    """,
    "more than a signature shows": """
        import torch
        if torch.__version__ >= "2.1":
            torch.cuda.memory._record_memory_history(True, trace_alloc_max_entries=1)
    """,
}

EVERY = {"handed on": HANDED_ON, "raised": RAISED, "implicit": IMPLICIT, "guards": GUARDS, "inferred": INFERRED}
CASES = [pytest.param(code, id=f"{kind}: {name}") for kind, cases in EVERY.items() for name, code in cases.items()]


@pytest.mark.parametrize("source", CASES)
def test_uses(source):
    if "match x:" in source and sys.version_info < (3, 10):
        pytest.skip("this Python has no match statement")
    check(source)


@pytest.mark.parametrize("source", list(OPERATED.values()), ids=list(OPERATED))
def test_special_methods(source, monkeypatch):
    """By a history of few rows, so that each is known to count."""
    if "match f:" in source and sys.version_info < (3, 10):
        pytest.skip("this Python has no match statement")
    history = History(ROWS)
    monkeypatch.setattr("torchcompat_check.project.load", lambda: history)
    check(source)


def test_classes_of_other_files(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    base = """
        from torch import nn
        class First(nn.LayerNorm):
            def __init__(self, n, **kwargs):
                super().__init__(n, **kwargs)
        class Plain(nn.LayerNorm):
            def get_submodule(self): ...
        """
    (tmp_path / "pkg" / "base.py").write_text(textwrap.dedent(base))
    source = """
        from .base import First, Plain
        class Second(First):
            def __init__(self, n):
                super().__init__(n, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        class Third(Plain):
            def __init__(self, n):
                super().__init__(n, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
                super().get_submodule()
                self.get_submodule()
                super().get_parameter("a")  # > torch.nn.LayerNorm.get_parameter 1.9-
        First(3, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        """
    file = tmp_path / "pkg" / "two.py"
    file.write_text(textwrap.dedent(source))
    check(source, str(file))


def test_defaults_of_other_files_count_there_alone(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    base = "import torch\ndef new(x, f=torch.amax):\n    return hasattr(torch, 'compile')\n"
    (tmp_path / "pkg" / "base.py").write_text(base)
    file = tmp_path / "pkg" / "two.py"
    file.write_text("from .base import new\nif new(1):\n    pass\n")
    assert findings(file.read_text(), str(file)) == []


def test_what_runs_at_import():
    source = """
        import torch
        try:
            step()
        except torch.cuda.OutOfMemoryError:
            pass
        try:
            x = torch.compile
        except (torch.cuda.OutOfMemoryError, AttributeError):
            pass
        with torch.device("meta"):
            pass
    """
    found = check_source(textwrap.dedent(source), "example.py")
    assert [(one.line, one.at_import, ranges(one.missing)) for one in found] == [
        (5, False, "1.2-1.12"),
        (9, True, "1.2-1.12"),
        (11, True, "1.2-1.13"),
    ]


def test_special_methods_have_no_shim():
    found = check_source("import torch\nwith torch.device('meta'):\n    pass\n", "example.py")
    assert [(one.name, one.shim) for one in found] == [("torch.device.__enter__", "")]
