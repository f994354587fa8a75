"""The analysis of one file: names, arguments, and the guards that keep them from an older torch."""

import textwrap

import pytest
from marked import check

from torchcompat_check._minors import ranges
from torchcompat_check.walk import check_source

NAMES = {
    "imports": """
        import torch
        import torch.nn.functional as F
        import torch.nn.attention  # > torch.nn.attention 2.3-
        import torch.fft  # > torch.fft 1.7-
        import torch.fx.symbolic_trace  # > torch.fx.symbolic_trace 1.8-1.9
        from torch import nn, inference_mode  # > torch.inference_mode 1.9-
        from torch.nn import RMSNorm as Norm  # > torch.nn.RMSNorm 2.4-
        from torch.amp import GradScaler  # > torch.amp.GradScaler 2.3-
        from torch._six import container_abcs  # > torch._six.container_abcs 1.2-1.8
    """,
    "aliases": """
        import torch, torch as t
        import torch.nn.functional as F
        from torch import nn
        from torch.nn import functional
        F.scaled_dot_product_attention  # > torch.nn.functional.scaled_dot_product_attention 2.0-
        functional.mish  # > torch.nn.functional.mish 1.9-
        nn.functional.mish  # > torch.nn.functional.mish 1.9-
        t.compile  # > torch.compile 2.0-
        L = torch.linalg  # > torch.linalg 1.7-
        L.svd  # > torch.linalg.svd 1.8-
        f = torch.func.vmap  # > torch.func.vmap 2.0-
    """,
    "in functions and classes": """
        import torch
        from torch import nn

        class Net(nn.Module):
            norm = nn.RMSNorm  # > torch.nn.RMSNorm 2.4-

            @torch.inference_mode()  # > torch.inference_mode 1.9-
            def forward(self, x):
                import torch.nn.functional as F
                with torch.autocast("cuda"):  # > torch.autocast 1.10-
                    return F.mish(x)  # > torch.nn.functional.mish 1.9-

        async def run():
            return [torch.compile(f) for f in ()], lambda: torch.compile  # > torch.compile 2.0-; torch.compile 2.0-
    """,
    "gone names": """
        import torch
        torch.rfft(x, 1)  # > torch.rfft 1.2-1.7
        torch.ifft(x, 1)  # > torch.ifft 1.2-1.7
        torch.symeig(x)  # > torch.symeig 1.2-1.13
        x = torch.zeros(1, 1)
        x.qr()  # > torch.Tensor.qr 1.2-2.13
    """,
    "a star": """
        from torch.nn import *
        Linear(1, 1)
        RMSNorm(1)  # > torch.nn.RMSNorm 2.4-
    """,
    "every use counts, a name bound by an import only there": """
        from torch import compile  # > torch.compile 2.0-
        compile(f)
        compile(g)
    """,
    "unknown names are not ours to judge": """
        import torch, numpy
        torch.no_such_name
        torch.ops.my.op(1)
        numpy.compile
        compile("1", "", "eval")
    """,
}

PARAMETERS = {
    "keywords": """
        import torch
        import torch.nn.functional as F
        F.gelu(x, approximate="tanh")  # > torch.nn.functional.gelu(approximate) 1.12-
        torch.nn.Transformer(bias=False, d_model=2)  # > torch.nn.Transformer(bias) 2.1-
        torch.meshgrid(x, y, indexing="ij")  # > torch.meshgrid(indexing) 1.10-
        torch.load("f", weights_only=True)  # > torch.load(weights_only) 1.13-
        torch.load("f", pickle_protocol=1)
    """,
    "positional": """
        import torch.nn.functional as F
        F.gelu(x, "tanh")
        F.huber_loss(a, b)  # > torch.nn.functional.huber_loss 1.9-
    """,
    "through a name": """
        from torch.optim import SGD, Adam
        make = Adam
        make([], 0.1, foreach=True)  # > torch.optim.Adam(foreach) 1.12-
        SGD([], lr=0.1, maximize=True)  # > torch.optim.SGD(maximize) 1.11-
    """,
    "methods": """
        import torch
        x = torch.zeros(2)
        x.nbytes  # > torch.Tensor.nbytes 2.1-
        (x + 1).nbytes  # > torch.Tensor.nbytes 2.1-
        torch.ones(1)[0].nanmedian()  # > torch.Tensor.nanmedian 1.8-
        model = torch.nn.Linear(1, 1)
        model.zero_grad(set_to_none=True)  # > torch.nn.Linear.zero_grad(set_to_none) 1.7-
        def f(y: torch.Tensor, z: "torch.Tensor"):
            y.nbytes  # > torch.Tensor.nbytes 2.1-
            return z.nbytes  # > torch.Tensor.nbytes 2.1-
        def g(x):
            x.nbytes
    """,
    "self": """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = nn.Linear(1, 1)
                self.register_full_backward_hook(f)  # > torch.nn.Module.register_full_backward_hook 1.8-
                self.register_buffer("a", None, persistent=False)  # > torch.nn.Module.register_buffer(persistent) 1.6-
                self.mine()

            def mine(self):
                self.get_submodule("a")  # > torch.nn.Module.get_submodule 1.9-

        class Other(Mixin, nn.Module):
            def f(self):
                self.get_submodule("a")

        class Third(nn.Module):
            def get_submodule(self):
                self.get_submodule("a")
    """,
}

GUARDS = {
    "hasattr": """
        import torch
        if hasattr(torch, "compile"):
            torch.compile(f)
        else:
            torch.compile(f)  # > torch.compile 2.0-
        torch.compile if hasattr(torch, "compile") else None
        hasattr(torch, "compile") and torch.compile(f)
        if not hasattr(torch, "compile"):
            pass
        elif ready:
            torch.compile(f)
        if hasattr(torch, "compile") and ready:
            torch.compile(f)
        if hasattr(torch, "compile") or ready:
            torch.compile(f)  # > torch.compile 2.0-
        if hasattr(torch, "compile"):
            torch.accelerator  # > torch.accelerator 2.6-
    """,
    "names of a module": """
        import torch
        import torch.nn.functional as F
        has_silu = "silu" in dir(torch.nn.functional)
        acts = dict(silu=F.silu if has_silu else None)
        F.mish if "mish" in F.__dict__ else None
        F.mish if "mish" in vars(F).keys() else None
        F.mish if "mish" not in vars(F) else None  # > torch.nn.functional.mish 1.9-
        if "compile" not in dir(torch):
            raise ImportError
        torch.compile(f)
    """,
    "operators in a dictionary, as accelerate compares": """
        import operator as op
        import torch
        from packaging.version import parse
        COMPARE = {">": op.gt, ">=": op.ge, "<": op.lt}
        def compare(version, operation, than):
            if operation not in COMPARE.keys():
                raise ValueError(operation)
            operation = COMPARE[operation]
            if isinstance(version, str):
                version = parse(version)
            return operation(version, parse(than))
        if compare(torch.__version__, ">=", "2.0.0"):
            torch.compile(f)
        if compare(parse(torch.__version__), ">=", "1.9"):
            torch.compile(f)  # > torch.compile 2.0-
    """,
    "a helper that tries, as torchmetrics has one": """
        import operator
        from importlib import import_module
        from importlib.util import find_spec
        import torch
        from packaging.version import Version
        def available(path):
            names = path.split(".")
            try:
                if_there = find_spec(names[0]) is not None
            except (AttributeError, ImportError):
                return False
            for name in names[1:]:
                if not hasattr(import_module(names[0]), name):
                    return False
            return if_there
        def compare(package, op, version):
            if not available(package):
                return None
            try:
                installed = import_module(package).__version__
            except (ImportError, AttributeError):
                installed = metadata(package)
            try:
                if hasattr(import_module(package), "__version__"):
                    installed = Version(installed)
                else:
                    installed = Version(metadata(package))
            except TypeError:
                return True
            return op(installed, Version(version))
        if compare("torch", operator.ge, "2.0"):
            torch.compile(f)
        if not compare("torch", operator.lt, "2.0"):
            torch.compile(f)
        if compare("torch", operator.lt, "2.0"):
            torch.compile(f)  # > torch.compile 2.0-
    """,
    "handlers of what may fail for other reasons run": """
        import numpy, torch
        try:
            x = numpy.float128
        except AttributeError:
            x = torch.compile  # > torch.compile 2.0-
        try:
            y = torch.zeros(1).cuda()
        except RuntimeError:
            y = torch.compile  # > torch.compile 2.0-
        try:
            z = compute()
        except Exception:
            z = torch.compile  # > torch.compile 2.0-
    """,
    "what is filled later": """
        import torch
        names, known = [], {"a": True}
        names.append("b")
        for name in names:
            torch.compile(f)  # > torch.compile 2.0-
        known["b"] = True
        known.update(c=True)
        if "b" in known:
            torch.compile(f)  # > torch.compile 2.0-
        x = torch.zeros(2)
        x[0] = 1
        x.nanmean()  # > torch.Tensor.nanmean 1.10-
        class C:
            def __init__(self):
                self.parts = []
            def run(self):
                for part in self.parts:
                    torch.compile(part)  # > torch.compile 2.0-
    """,
    "what a loop finds": """
        import torch
        def run(values):
            found = first = None
            for value in values:
                if first is None:
                    first = value
                else:
                    torch.compile(value)  # > torch.compile 2.0-
                if value:
                    found = value
                    break
            if found is None:
                raise ValueError
            return torch.compile(found)  # > torch.compile 2.0-
        def wait(x):
            done = False
            while not done:
                done = x()
            torch.compile(x)  # > torch.compile 2.0-
        def keep(values):
            total = torch.zeros(1)
            for value in values:
                total = total + value
            return total.nanmean()  # > torch.Tensor.nanmean 1.10-
    """,
    "flags that functions set": """
        import torch
        FLAG, STATE = False, None
        DEBUG = False
        HAS_MISH = hasattr(torch.nn.functional, "mish")
        def run():
            if FLAG:
                torch.compile(f)  # > torch.compile 2.0-
            if STATE is not None:
                torch.compile(f)  # > torch.compile 2.0-
            if DEBUG:
                torch.compile(f)
            if HAS_MISH:
                torch.nn.functional.mish
        def set_flag(value):
            global FLAG, STATE, HAS_MISH
            FLAG, STATE = value, True
            HAS_MISH = False
        def search():
            done = False
            def inner():
                nonlocal done
                done = True
            inner()
            if done:
                torch.compile(f)  # > torch.compile 2.0-
    """,
    "getattr": """
        import torch
        f = getattr(torch, "compile", None)
        if f is not None:
            torch.compile
        if f:
            torch.compile
        getattr(torch, "compile")  # > torch.compile 2.0-
        norm = getattr(torch.nn, "RMSNorm", torch.nn.LayerNorm)
    """,
    "try of an import": """
        try:
            from torch.amp import GradScaler
        except ImportError:
            from torch.cuda.amp import GradScaler  # > torch.cuda.amp.GradScaler 1.5-
        try:
            import torch.nn.attention
        except ModuleNotFoundError:
            pass
        try:
            from torch import compile  # > torch.compile 2.0-
        except ModuleNotFoundError:
            pass
        try:
            from torch import compile  # > torch.compile 2.0-
        except AttributeError:
            pass
    """,
    "a flag": """
        import torch
        try:
            from torch import vmap
            HAS_VMAP = True
        except ImportError:
            HAS_VMAP = False
        if HAS_VMAP:
            torch.vmap
        if not HAS_VMAP:
            raise ImportError("no vmap")
        torch.vmap
    """,
    "try of an attribute": """
        import torch
        try:
            torch.compile
        except AttributeError:
            torch.no_grad
        try:
            torch.compile  # > torch.compile 2.0-
        except ImportError:
            pass
        try:
            torch.nn.functional.gelu(x, approximate="tanh")
        except TypeError:
            pass
        try:
            torch.symeig(x)
        except RuntimeError:
            pass
        try:
            torch.compile
        except Exception:
            pass
        else:
            torch.compile
        try:
            x = torch.compile  # > torch.compile 2.0-
        finally:
            pass
    """,
    "suppress": """
        import contextlib, torch
        with contextlib.suppress(AttributeError):
            torch.compile
        with contextlib.suppress(ValueError):
            torch.compile  # > torch.compile 2.0-
    """,
    "leaving early": """
        import torch
        def f():
            if not hasattr(torch, "compile"):
                return None
            return torch.compile

        def g():
            for x in y:
                if not hasattr(torch, "compile"):
                    continue
                torch.compile
            torch.compile  # > torch.compile 2.0-

        def h():
            assert hasattr(torch, "compile")
            torch.compile
    """,
    "type checking": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        import torch
        if TYPE_CHECKING:
            from torch.nn.attention import SDPBackend
        def f(x: torch.nn.attention.SDPBackend) -> torch.amp.GradScaler: ...
    """,
    "annotations that run": """
        import torch
        def f(x: torch.amp.GradScaler) -> None:  # > torch.amp.GradScaler 2.3-
            y: torch.amp.GradScaler
        z: torch.amp.GradScaler = None  # > torch.amp.GradScaler 2.3-
        w: "torch.amp.GradScaler"
    """,
    "skipped tests": """
        import pytest, unittest, torch
        @pytest.mark.skipif(not hasattr(torch, "compile"), reason="")
        def test_a():
            torch.compile
        @unittest.skipUnless(hasattr(torch, "compile"), "")
        class A:
            def test(self):
                torch.compile
        @pytest.mark.skipif(hasattr(torch, "compile"), reason="")
        def test_b():
            torch.compile  # > torch.compile 2.0-
    """,
    "find_spec and signature": """
        import importlib.util, inspect, torch
        if importlib.util.find_spec("torch.func"):
            import torch.func
        if "indexing" in inspect.signature(torch.meshgrid).parameters:
            torch.meshgrid(x, indexing="ij")
        if "dynamic" in inspect.signature(torch.compile).parameters:  # > torch.compile 2.0-
            pass
        if "approximate" in inspect.signature(torch.nn.functional.gelu).parameters:
            torch.nn.functional.gelu(x, approximate="tanh")
    """,
    "a comment": """
        import torch
        def f():  # torchcompat: needs torch >= 2.0
            torch.compile
            torch.accelerator  # > torch.accelerator 2.6-
        class A:  # torchcompat: needs torch >= 2.0, < 2.6
            x = torch.compile
            def f(self):
                torch.compile
        def g():  # it needs torch >= 2.0
            torch.compile  # > torch.compile 2.0-
    """,
    "private functions run where they are called": """
        import torch
        def _new():
            torch.compile
            torch.accelerator  # > torch.accelerator 2.6-
        def _used_elsewhere_as_well():
            torch.compile  # > torch.compile 2.0-
        def _unused():
            torch.compile  # > torch.compile 2.0-
        def _inner():
            torch.compile
        def _outer():
            _inner()
        def public():
            torch.compile  # > torch.compile 2.0-
        if hasattr(torch, "compile"):
            _new()
            _used_elsewhere_as_well()
            table = [_outer]
            public()
        _used_elsewhere_as_well()
    """,
    "a comparison that fails on a torch runs on neither branch there": """
        import torch
        if torch.__version__ >= (2, 0):
            torch.compile
        else:
            torch.autocast
            torch.compile  # > torch.compile 2.0-
    """,
    "conditions that are only partly known": """
        import torch
        if torch.__version__ >= "2.0" and flag:
            torch.compile
        else:
            torch.compile  # > torch.compile 2.0-
    """,
    "a patch": """
        import torch
        if not hasattr(torch, "compile"):
            torch.compile = lambda f: f
        torch.compile(f)
    """,
}

# Every style of version test in use: each must know that torch.compile (since 2.0) may be used behind it.
VERSION_TESTS = [
    "version.parse(torch.__version__) >= version.parse('2.0')",
    "version.parse(torch.__version__) >= version.parse(f'{2}.{0}')",
    "Version(torch.__version__) >= Version('2.0.0')",
    "parse(torch.__version__).release >= (2, 0)",
    "parse(torch.__version__) > parse('1.13.1')",
    "not version.parse(torch.__version__) < version.parse('2.0')",
    "version.parse('2.0') <= version.parse(torch.__version__)",
    "LooseVersion(torch.__version__) >= LooseVersion('2.0')",
    "LooseVersion(torch.__version__) >= '2.0'",
    "parse_version(torch.__version__) >= parse_version('2.0')",
    "torch.__version__ >= '2.0'",
    "torch.__version__.startswith('2.')",
    "torch.__version__[0] == '2'",
    "int(torch.__version__.split('.')[0]) >= 2",
    "int(torch.__version__[0]) > 1",
    "tuple(int(x) for x in torch.__version__.split('.')[:2]) >= (2, 0)",
    "[int(x) for x in torch.__version__.split('+')[0].split('.')] >= [2, 0]",
    "tuple(map(int, torch.__version__.split('.')[:2])) >= (2, 0)",
    "list(map(int, torch.__version__.split('+')[0].split('.')[:2])) >= [2, 0]",
    "tuple(int(x) for x in torch.__version__.split('.') if x.isdigit()) >= (2,)",
    "tuple(int(x) for x in re.match(r'(\\d+)\\.(\\d+)', torch.__version__).groups()) >= (2, 0)",
    "float('.'.join(torch.__version__.split('.')[:2])) >= 2.0",
    "MAJOR >= 2",
    "(MAJOR, MINOR) >= (2, 0)",
    "MAJOR > 1 or (MAJOR == 1 and MINOR > 13)",
    "TORCH_2",
    "torch_ge('2.0')",
    "torch_ge_parts(2, 0)",
    "compare_version('torch', operator.ge, '2.0.0')",
    "RequirementCache('torch>=2.0')",
    "is_torch_version('>=', '2.0')",
    "is_torch_greater_or_equal('2.0')",
    "version.parse(importlib.metadata.version('torch')) >= version.parse('2.0')",
    "version.parse(version.parse(torch.__version__).base_version) >= version.parse('2.0')",
    "version.parse(torch.__version__).major >= 2",
    "not torch.__version__.startswith(('0.', '1.'))",
    "torchcompat.at_least(2)",
    "torchcompat.torch_version >= (2, 0)",
    "not at_most(1)",
    "torchcompat.has('torch.compile')",
    "torch.__version__.split('.')[0] in ('2', '3')",
    "all([torch_ge('2.0'), torch_ge('1.13')])",
    "operator.ge(version.parse(torch.__version__), version.parse('2.0'))",
    "_compare('ge', '2.0')",
    "torch_version() >= (2, 0, 0)",
]

PREAMBLE = """
import importlib.metadata, operator, re, sys
import torch
from accelerate.utils import is_torch_version
from distutils.version import LooseVersion
from functools import lru_cache
from lightning_utilities.core.imports import RequirementCache, compare_version
from packaging import version
import torchcompat
from torchcompat import at_most
from packaging.version import Version, parse
from pkg_resources import parse_version
from transformers.utils.import_utils import is_torch_greater_or_equal

TORCH_VERSION = version.parse(version.parse(torch.__version__).base_version)
TORCH_2 = TORCH_VERSION >= version.parse("2.0")
MAJOR, MINOR = (int(part) for part in torch.__version__.split(".")[:2])

@lru_cache()
def torch_ge(wanted):
    return TORCH_VERSION >= version.parse(wanted)

def torch_ge_parts(major: int, minor: int = 0):
    if MAJOR != major:
        return MAJOR > major
    return MINOR >= minor

def torch_version(text: str = torch.__version__):  # as fairscale has it
    numbering = re.search(r"^(\\d+).(\\d+).(\\d+)([^\\+]*)(\\+\\S*)?$", text)
    if not numbering:
        return tuple()
    if numbering.group(4):
        print(f"a pre-release: {text}")
    return tuple(int(numbering.group(n)) for n in range(1, 4))

def _compare(how, wanted):
    if how == "ge":
        return TORCH_VERSION >= version.parse(wanted)
    return TORCH_VERSION < version.parse(wanted)

"""


@pytest.mark.parametrize("source", list(NAMES.values()), ids=list(NAMES))
def test_names(source):
    check(source)


@pytest.mark.parametrize("source", list(PARAMETERS.values()), ids=list(PARAMETERS))
def test_parameters(source):
    check(source)


@pytest.mark.parametrize("source", list(GUARDS.values()), ids=list(GUARDS))
def test_guards(source):
    check(source)


@pytest.mark.parametrize("condition", VERSION_TESTS)
def test_version_tests(condition):
    source = f"{PREAMBLE}if {condition}:\n    torch.compile(f)\n    torch.rfft(x, 1)\nelse:\n    torch.compile(f)\n"
    found = [(one.name, ranges(one.missing)) for one in check_source(source, "example.py")]
    assert found == [("torch.rfft", "2.0-"), ("torch.compile", "1.2-1.13")]


def test_what_runs_at_import():
    source = """
        import torch
        a = torch.compile
        def f(x=torch.compile):
            return torch.compile
        class C(torch.nn.RMSNorm):
            b = torch.inference_mode
            c = lambda: torch.inference_mode
        d = [torch.compile for _ in ()]
    """
    found = check_source(textwrap.dedent(source), "example.py")
    assert [(one.line, one.at_import) for one in found] == [
        (3, True),
        (4, True),
        (5, False),
        (6, True),
        (7, True),
        (8, False),
        (9, True),
    ]
