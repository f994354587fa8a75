"""The history that `torchcompat api` and `torchcompat check` read tells the truth of the torch that is installed."""

import importlib
import inspect
import random
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest
import torch

from torchcompat import torch_version
from torchcompat_check._minors import INDEX
from torchcompat_check.history import load

MINOR = "{}.{}".format(*torch_version[:2])
BIT = 1 << INDEX[MINOR]
# Modules of which every name is looked at.
IMPORTANT = ["torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.optim.lr_scheduler"]
IMPORTANT += ["torch.utils.data", "torch.nn.utils", "torch.autograd", "torch.cuda", "torch.linalg", "torch.Tensor"]
IMPORTANT += ["torch.nn.Module", "torch.optim.Optimizer", "torch.distributions", "torch.jit", "torch.func"]
SAMPLES = 1500
# What comes and goes with the packages that are installed, and a variable that a loop leaves over.
ELSEWHERE = ("torch.utils.tensorboard", "torch.utils.cpp_extension", "torch.utils.benchmark", "torch.jit.method")
# Attributes of torch.nn.quantized are modules of torch.ao, and its own modules, when imported, others.
ELSEWHERE += ("torch.nn.quantized",)
# It wants the package etcd, up to torch 2.6.
ELSEWHERE += ("torch.distributed.elastic.rendezvous.etcd_rendezvous",)

NAMES = load().names()


def is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def found(name):
    """The object under a dotted name, reached by importing as little of it as possible; raises where there is none."""
    parts = name.split(".")
    problem = None
    for count in range(1, len(parts) + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                held = importlib.import_module(".".join(parts[:count]))
                for part in parts[count:]:
                    held = getattr(held, part)
            return held
        except (AttributeError, ImportError) as error:
            problem = error
    raise problem


def is_there(name):
    """Whether the name is there; None where its module wants a package that is not installed."""
    try:
        found(name)
    except ModuleNotFoundError as error:
        return False if error.name.partition(".")[0] in ("torch", "functorch") else None
    except (AttributeError, ImportError):
        return wants_a_package(name.rpartition(".")[0])
    except (AssertionError, NameError):
        # torch.backends.cuda.matmul asserts that it knows a name; functorch.dim.dim fails on torch 1.13 to 2.2.
        return False
    return True


def wants_a_package(name):
    """None if a module around a name fails for want of a package, else False."""
    for module in [name, name.rpartition(".")[0]]:
        try:
            importlib.import_module(module or "torch")
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] not in ("torch", "functorch"):
                return None
        except Exception:
            return None
    return False


def is_own(value):
    """Whether an object is torch's, and not what a module of torch imported from elsewhere or left over from a loop."""
    home = getattr(value, "__module__", None) or type(value).__module__
    return home.partition(".")[0] in ("torch", "functorch")


def is_sure(name):
    """Whether the name can be looked up: instances have attributes that their classes have not."""
    entry = load().find(name)
    if any(name.startswith(each) for each in ELSEWHERE):
        return False
    owner = load().find(name.rpartition(".")[0])
    in_class = owner is not None and any(kind == "class" for kind, _ in owner.kinds)
    return not (in_class and any(kind == "data" for kind, _ in entry.kinds))


def wrong(names):
    """Of the names, those that exist although the history says that they do not, or the other way round."""
    problems = []
    for name in names:
        says = bool(load().find(name).present & BIT)
        there = is_there(name) if is_sure(name) else None
        if there is not None and there != says and (says or is_own(found(name))):
            problems.append("{} is {}".format(name, "missing" if says else "there"))
    return problems


@pytest.mark.parametrize("module", IMPORTANT)
def test_every_name_of_a_module_is_there_exactly_when_the_history_says_so(module):
    owner = load().find(module)
    homes = {module, owner.home}
    assert wrong(name for name in NAMES if name.rpartition(".")[0] in homes and is_public(name)) == []


def test_a_sample_of_all_public_names():
    public = [name for name in NAMES if is_public(name)]
    assert wrong(random.Random(20260101).sample(public, SAMPLES)) == []


@pytest.mark.parametrize("module", IMPORTANT)
def test_no_public_name_of_a_module_is_left_out(module):
    entry = load().find(module)
    if not entry.present & BIT:
        return
    held = found(module)
    listed = getattr(held, "__all__", None) or [name for name in vars(held) if not name.startswith("_")]
    left = []
    for name in listed:
        value = getattr(held, name, None)
        ours = str(getattr(value, "__module__", "")).startswith("torch") and not isinstance(value, types.ModuleType)
        # functorch.dim gives Tensor an `index` when another test imports it; torch.jit.method is left over from a loop.
        if (
            ours
            and name not in ("index", "method")
            and not name.startswith("_")
            and load().find(f"{module}.{name}") is None
        ):
            left.append(name)
    assert left == []


def signatures():
    """(name, signature) of Python functions and classes of the important modules."""
    for name in NAMES:
        if name.rpartition(".")[0] in IMPORTANT and is_public(name) and load().find(name).present & BIT:
            value = found(name)
            function = vars(value).get("__init__") if inspect.isclass(value) else value
            if inspect.isfunction(function):
                listed = list(inspect.signature(function).parameters.values())
                owner = load().find(name.rpartition(".")[0])
                bound = inspect.isclass(value) or any(kind == "class" for kind, _ in owner.kinds)
                yield name, listed[1:] if bound else listed


def test_parameters_are_those_of_the_signatures():
    problems, looked = [], 0
    for name, listed in signatures():
        entry = load().find(name)
        stars = [one for one in listed if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
        if stars or entry.parameters is None:
            continue
        looked += 1
        takes = {each for each, one in entry.parameters.items() if one.present & BIT}
        if takes != {one.name for one in listed}:
            problems.append((name, sorted(takes ^ {one.name for one in listed})))
    assert looked > 300
    assert problems == []


def test_builtins_take_the_keywords_that_the_history_lists():
    """Of builtins without a signature, a call tells: torch's parser names a keyword that it does not know."""
    some = torch.ones(2, 2)
    calls = {
        "torch.zeros": ((2,), {}),
        "torch.sum": ((some,), {"dim": 0}),
        "torch.argmax": ((some,), {}),
        "torch.add": ((some, some), {}),
        "torch.div": ((some, some), {}),
        "torch.sort": ((some,), {"dim": 0}),
        "torch.zeros_like": ((some,), {}),
        "torch.nn.functional.gelu": ((some,), {}),
    }
    values = {"dtype": torch.float32, "memory_format": getattr(torch, "preserve_format", None), "stable": True}
    values.update(rounding_mode="floor", approximate="none", requires_grad=False, keepdim=True, alpha=1)
    for name, (positional, given) in calls.items():
        entry = load().find(name)
        for keyword, one in entry.parameters.items():
            if keyword not in values or keyword in given:
                continue
            try:
                found(name)(*positional, **{**given, keyword: values[keyword]})
                takes = True
            except TypeError:
                takes = False
            assert takes == bool(one.present & BIT), (name, keyword)


REACH = """
import sys
import torchcompat
from functools import reduce
from importlib import import_module
from torchcompat_check.shims import ON_DEMAND, every

names = sorted(shim.name for shim in every().values())
later = [name for name in names if any((name + ".").startswith(module + ".") for module in ON_DEMAND)]
for name in [*(name for name in names if name not in later), *ON_DEMAND, *later]:
    if name in ON_DEMAND:
        import_module(name)
    reduce(getattr, name.split(".")[1:], torchcompat)
"""


def test_every_shim_can_be_reached_by_the_import_that_fix_writes():
    assert subprocess.call([sys.executable, "-W", "ignore", "-c", REACH]) == 0


def test_the_list_of_shims_is_what_the_declarations_say():
    script = Path(__file__).resolve().parents[2] / "history" / "shims.py"
    assert subprocess.call([sys.executable, str(script), "--check"]) == 0
