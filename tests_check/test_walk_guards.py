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
