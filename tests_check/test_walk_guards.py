"""Guards that ask an object what it has, in other words than `hasattr(torch, ...)`."""

import pytest
from marked import check

OBJECTS = {
    "the class of an instance": """
        import torch
        from torch import nn
        class Net(nn.Module):
            def run(self):
                if hasattr(type(self), "get_submodule"):
                    self.get_submodule("a")
                if hasattr(self.__class__, "get_submodule"):
                    self.get_submodule("a")
                else:
                    self.get_submodule("a")  # > torch.nn.Module.get_submodule 1.9-
                if hasattr(super(), "get_parameter"):
                    super().get_parameter("a")
                if hasattr(super(Net, self), "get_buffer"):
                    self.get_buffer("a")
                if hasattr(Net, "set_submodule"):
                    self.set_submodule("a", self)
                if getattr(type(self), "compile", None) is not None:
                    self.compile()
                type(self).get_parameter(self, "a")  # > torch.nn.Module.get_parameter 1.9-
                self.__class__(bias=False), type(self)(1, 2)
            @classmethod
            def of(cls):
                return hasattr(cls, "get_submodule") and cls.get_submodule
        class Norm(nn.LayerNorm):
            def copy(self):
                return type(self)(3, bias=False)
        model = nn.Linear(1, 1)
        if hasattr(type(model), "compile") and hasattr(model.__class__, "get_submodule"):
            model.compile()
        x = torch.zeros(1)
        type(x).nanmean if hasattr(type(x), "nanmean") else None
        type(x).nanmean  # > torch.Tensor.nanmean 1.10-
    """,
    "parameters": """
        import inspect, torch
        from inspect import getfullargspec, signature
        from torch import nn
        SIGNATURE = inspect.signature(torch.meshgrid)
        names = list(SIGNATURE.parameters)
        if "indexing" in names:
            torch.meshgrid(x, indexing="ij")
        if "indexing" in set(SIGNATURE.parameters.keys()):
            torch.meshgrid(x, indexing="ij")
        if "indexing" in [one for one in SIGNATURE.parameters]:
            torch.meshgrid(x, indexing="ij")
        if any(one.name == "indexing" for one in SIGNATURE.parameters.values()):
            torch.meshgrid(x, indexing="ij")
        if SIGNATURE.parameters.get("indexing"):
            torch.meshgrid(x, indexing="ij")
        else:
            torch.meshgrid(x, indexing="ij")  # > torch.meshgrid(indexing) 1.10-
        if signature(torch.meshgrid).parameters.get("indexing", None) is not None:
            torch.meshgrid(x, indexing="ij")
        if "indexing" in torch.meshgrid.__code__.co_varnames:
            torch.meshgrid(x, indexing="ij")
        if "indexing" in torch.meshgrid.__code__.co_varnames[: torch.meshgrid.__code__.co_argcount]:
            torch.meshgrid(x, indexing="ij")
        if "indexing" in getfullargspec(torch.meshgrid).args:
            torch.meshgrid(x, indexing="ij")
        if "indexing" in getfullargspec(torch.meshgrid).kwonlyargs + getfullargspec(torch.meshgrid).args:
            torch.meshgrid(x, indexing="ij")
        if "bias" in signature(nn.LayerNorm.__init__).parameters:
            nn.LayerNorm(3, bias=False)
        if "bias" in nn.LayerNorm.__init__.__code__.co_varnames:
            nn.LayerNorm(3, bias=False)
        if "bias" not in nn.LayerNorm.__init__.__annotations__:
            nn.LayerNorm(3, bias=False)  # > torch.nn.LayerNorm(bias) 2.1-
        "dynamic" in torch.compile.__code__.co_varnames  # > torch.compile 2.0-
    """,
    "fields": """
        import dataclasses, typing
        from dataclasses import fields
        from torch.distributed.launcher.api import LaunchConfig  # > torch.distributed.launcher.api.LaunchConfig 1.9-
        GUARD
            LaunchConfig(1, 1, 1, local_addr="")
        else:
            LaunchConfig(
                local_addr=""  # > torch.distributed.launcher.api.LaunchConfig(local_addr) 2.0-
            )
    """,
}
FIELDS = [
    'any(f.name == "local_addr" for f in fields(LaunchConfig))',
    'any("local_addr" == f.name for f in dataclasses.fields(LaunchConfig))',
    'any(True for f in fields(LaunchConfig) if f.name == "local_addr")',
    'len([f for f in fields(LaunchConfig) if f.name == "local_addr"]) > 0',
    '"local_addr" in {f.name for f in fields(LaunchConfig)}',
    '"local_addr" in [f.name for f in fields(LaunchConfig)]',
    '"local_addr" in tuple(f.name for f in fields(LaunchConfig))',
    '"local_addr" in LaunchConfig.__dataclass_fields__',
    '"local_addr" in LaunchConfig.__dataclass_fields__.keys()',
    '"local_addr" in LaunchConfig.__annotations__',
    '"local_addr" in typing.get_type_hints(LaunchConfig)',
    'LaunchConfig.__dataclass_fields__.get("local_addr") is not None',
    'not "local_addr" not in vars(LaunchConfig)',
    'hasattr(LaunchConfig, "local_addr")',
]

DEFAULTS = {
    "flags that are defaults of methods": """
        import torch
        from packaging.version import Version
        class Grid:
            NEW = Version(torch.__version__) >= Version("1.10")
            def run(self, x, new=NEW):
                return torch.meshgrid(x, indexing="ij") if new else torch.meshgrid(x)
            @staticmethod
            def static(x, new=NEW):
                return torch.meshgrid(x, indexing="ij") if new else torch.meshgrid(x)
            @classmethod
            def of_class(cls, x, *, new=NEW):
                return torch.meshgrid(x, indexing="ij") if new else torch.meshgrid(x)
            def passed(self, x, new=NEW):
                return torch.meshgrid(x, indexing="ij") if new else 0  # > torch.meshgrid(indexing) 1.10-
        Grid().run(1), Grid.static(1), Grid.of_class(1), Grid().passed(1, True)
    """,
    "flags that are defaults of lambdas": """
        import torch
        from packaging.version import Version
        NEW = Version(torch.__version__) >= Version("1.10")
        grid = lambda x, new=NEW: torch.meshgrid(x, indexing="ij") if new else torch.meshgrid(x)
        named = lambda x, *, new=NEW: torch.meshgrid(x, indexing="ij") if new else torch.meshgrid(x)
        passed = lambda x, new=NEW: torch.meshgrid(x, indexing="ij") if new else 0  # > torch.meshgrid(indexing) 1.10-
        run(lambda x, new=NEW: torch.meshgrid(x, indexing="ij") if new else torch.meshgrid(x))
        (lambda x, new=NEW: torch.meshgrid(x, indexing="ij") if new else 0)(1, True)  # > torch.meshgrid(indexing) 1.10-
        (lambda x, new=NEW: torch.meshgrid(x, indexing="ij") if new else 0)(1)
        class Grid:
            def __init__(self):
                self.f = lambda x, new=NEW: torch.meshgrid(x, indexing="ij") if new else 0
                self.g = lambda x, new=NEW: (
                    torch.meshgrid(x, indexing="ij") if new else 0  # > torch.meshgrid(indexing) 1.10-
                )
                self.f(1), self.g(1, True)
        grid(1), named(1), passed(1, True)
    """,
}

CASES = [(name, code) for name, code in OBJECTS.items() if "GUARD" not in code] + list(DEFAULTS.items())


@pytest.mark.parametrize("source", [code for _, code in CASES], ids=[name for name, _ in CASES])
def test_guards(source):
    check(source)


@pytest.mark.parametrize("condition", FIELDS)
def test_fields_of_data_classes(condition):
    check(OBJECTS["fields"].replace("GUARD", f"if {condition}:"))


REFUSED = {
    "functions that raise an error on an older torch": """
        import torch
        from packaging.version import Version
        def require(wanted):
            if Version(torch.__version__) < Version(wanted):
                raise ImportError(wanted)
        def never(wanted):
            raise NotImplementedError(Version(wanted))
        def later(wanted):
            if Version(torch.__version__) < Version(wanted):
                raise ImportError(wanted)
            yield 1
        @some.decorator
        def decorated(wanted):
            if Version(torch.__version__) < Version(wanted):
                raise ImportError(wanted)
        def run():
            require("2.0")
            torch.compile
            torch.accelerator  # > torch.accelerator 2.6-
        def caught():
            try:
                require("2.0")
                torch.compile
            except ImportError:
                torch.compile  # > torch.compile 2.0-
        def assigned():
            try:
                x = require("2.0")
            except ImportError:
                torch.compile  # > torch.compile 2.0-
        def others():
            later("2.0"), decorated("2.0")
            torch.compile  # > torch.compile 2.0-
            never("1.0")
            torch.accelerator  # > torch.accelerator 2.6-
        class Net:
            def check(self, wanted):
                if Version(torch.__version__) < Version(wanted):
                    raise ImportError(wanted)
            def run(self):
                self.check("2.0")
                torch.compile
    """,
    "constructors that raise an error on an older torch": """
        import torch
        NEW = torch.__version__ >= (2, 0)
        class Strategy:
            x = torch.compile  # > torch.compile 2.0-
            def run(self):
                torch.compile
                torch.accelerator  # > torch.accelerator 2.6-
                return lambda: torch.compile
            @property
            def ready(self):
                return torch.compile
            @staticmethod
            def static():
                torch.compile  # > torch.compile 2.0-
            @classmethod
            def of_class(cls):
                torch.compile  # > torch.compile 2.0-
            def __init__(self, x):
                torch.compile  # > torch.compile 2.0-
                if not NEW:
                    raise ImportError
                if not x:
                    return
                torch.compile
        class Derived(Strategy):
            def more(self):
                torch.compile
        class Another(Strategy):
            def __init__(self):
                super().__init__(1)
                torch.compile
            def more(self):
                torch.compile
        class Free(Strategy):
            def __init__(self):
                torch.compile  # > torch.compile 2.0-
            def more(self):
                torch.compile  # > torch.compile 2.0-
        class Abstract:
            def __init__(self):
                raise NotImplementedError
            def run(self):
                torch.compile  # > torch.compile 2.0-
        class Data:
            def __post_init__(self):
                assert hasattr(torch, "compile")
            def run(self):
                torch.compile
        class Fallback:
            def __init__(self):
                try:
                    torch.compile
                except AttributeError:
                    pass
            def run(self):
                torch.compile  # > torch.compile 2.0-
        def make():
            Strategy(1)
            torch.compile
        def caught():
            try:
                Strategy(1)
            except ImportError:
                torch.compile  # > torch.compile 2.0-
    """,
    "private classes run where they are mentioned": """
        import torch
        class _New:
            x = torch.accelerator  # > torch.accelerator 2.6-
            def run(self):
                torch.compile
                torch.accelerator  # > torch.accelerator 2.6-
        class _Old:
            def run(self):
                torch.compile  # > torch.compile 2.0-
        class _Unused:
            def run(self):
                torch.compile  # > torch.compile 2.0-
        class _Base:
            def run(self):
                torch.compile  # > torch.compile 2.0-
        class Public(_Base):
            pass
        class _Made:
            def run(self):
                torch.compile
        class Refusing:
            def __init__(self):
                if not hasattr(torch, "compile"):
                    raise ImportError
            def make(self):
                return _Made()
        if hasattr(torch, "compile"):
            _New().run()
            _Old()
        def run():
            return _Old()
    """,
    "helpers of libraries in their own source": """
        import torch
        def is_torch_version(operation, version):
            return compare_versions(parse(_torch_version), operation, version)
        def is_torch_greater_or_equal(library_version, accept_dev=False):
            if not is_torch_available():
                return False
            return version.parse(get_torch_version()) >= version.parse(library_version)
        def is_torch_less_or_equal(library_version, accept_dev=False):
            return get_torch_version() <= library_version
        def is_torch_less_than(wanted):
            return torch.__version__ < "1.0"
        if is_torch_version(">=", "2.0") and is_torch_greater_or_equal("2.0", accept_dev=True):
            torch.compile
        if not is_torch_less_or_equal("1.13.1"):
            torch.compile
        if not is_torch_less_than("2.0"):
            torch.compile  # > torch.compile 2.0-
        class Module:
            def serves(self, wanted):
                return is_torch_version(">=", wanted) and self.device
            def run(self):
                if self.serves("2.0"):
                    return torch.compile
                torch.compile  # > torch.compile 2.0-
    """,
}


@pytest.mark.parametrize("source", list(REFUSED.values()), ids=list(REFUSED))
def test_refusals(source):
    check(source)
