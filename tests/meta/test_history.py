"""The history that `torchcompat api` and `torchcompat check` read tells the truth of the torch that is installed."""

import functools
import importlib
import importlib.util
import inspect
import operator
import random
import re
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest
import torch

from torchcompat import torch_version
from torchcompat_check._minors import INDEX
from torchcompat_check.history import Record, load

# They import every module of torch, some of which change torch: on 2.9 torch.backends.cudnn.rnn becomes another object.
pytestmark = pytest.mark.last

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
# It adds to torch.Tensor when it is imported; up to torch 2.9 its classes say that they are of a module "_C".
ELSEWHERE += ("functorch.dim",)
# It wants the package etcd, up to torch 2.6.
ELSEWHERE += ("torch.distributed.elastic.rendezvous.etcd_rendezvous",)

# Modules that are others by now, whose submodules are three levels below a private one; and those that torch.onnx has
# under these names until somebody imports the modules of these names.
MOVED = ("torch.distributed._sharded_tensor.api", "torch.distributed._sharding_spec.api", "torch.onnx.symbolic_")
MOVED += ("torch.onnx.utils",)

NAMES = load().names()
ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("protocol_of_the_history", str(ROOT / "history" / "protocol.py"))
PROTOCOL = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(PROTOCOL)
# The Pythons with which the history was made: another one's classes may have more.
DUMPED = sys.version_info[:2] in ((3, 7), (3, 11))


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


@functools.lru_cache(maxsize=None)
def owner_of(name):
    """The object under a dotted name, or None: whatever goes wrong."""
    try:
        return found(name)
    except Exception:
        return None


def records():
    """(name, minors that have it by its own line, minors on which it is a class) of every name of the history."""
    for text in re.split("\n(?=[^ ])", load()._text):
        name, _, rest = text.strip("\n").partition(" ")
        if name.partition(".")[0] in ("torch", "functorch"):
            record = Record(name, rest)
            yield name, functools.reduce(operator.or_, record.homes.values(), record.own), record.kinds.get("class", 0)


def in_class(cls, name):
    """The class from which a class has a name, or None; `object` gives nothing that is told."""
    owners = [each for each in cls.__mro__ if each is not object and name in vars(each)]
    return owners[0] if owners and vars(owners[0])[name] is not None else None


def is_found(owner, name):
    """Whether an attribute is found. `type` has some special methods by which no instance can be used."""
    if inspect.isclass(owner) and name.startswith("__"):
        return in_class(owner, name) is not None
    try:
        getattr(owner, name)
    except Exception:
        return False
    return True


def test_no_name_that_is_found_is_said_to_be_gone_or_to_come():
    """Of all names that any torch has: whether it is the module's own, inherited, or imported from elsewhere."""
    wrongly, looked = [], 0
    for name, told, _ in records():
        parent, _, last = name.rpartition(".")
        if told & BIT or not parent or name.startswith(ELSEWHERE + MOVED):
            continue
        owner = owner_of(parent) if is_told(parent) and not is_told(name) else None
        # What an object has by its class is told of the class alone, and nothing of a class that is another library's.
        if inspect.ismodule(owner) or (inspect.isclass(owner) and is_own(owner) and is_class(parent)):
            looked += 1
            wrongly += [name] if is_found(owner, last) else []
    assert looked > 500
    assert wrongly == []


def is_class(name):
    """Whether the history tells the members: a class that no module of a told name has is told as data."""
    return any(kind == "class" and minors & BIT for kind, minors in load().find(name).kinds)


@functools.lru_cache(maxsize=None)
def classes():
    """{name: class} of torch's public classes that are described on this torch."""
    names = [name for name, _, as_class in records() if as_class & BIT and is_public(name)]
    held = {name: owner_of(name) for name in names if not name.startswith(ELSEWHERE)}
    return {name: cls for name, cls in held.items() if inspect.isclass(cls) and type(cls).__name__ != "tensortype"}


def is_told(name):
    """Whether the history knows that this torch has a name."""
    entry = load().find(name)
    return entry is not None and bool(entry.present & BIT)


def test_whatever_makes_a_class_usable_without_a_name_is_told():
    """In `with`, called, iterated, indexed, by operators; also what it inherits from one of Python's own."""
    left, looked = [], 0
    for name, cls in classes().items():
        for each in sorted(PROTOCOL.PROTOCOL.intersection(*[set().union(*map(vars, cls.__mro__[:-1]))])):
            owner = in_class(cls, each)
            if owner is not None and (DUMPED or is_own(owner)):
                looked += 1
                if not is_told(name + "." + each):
                    left.append(f"{name}.{each}")
    assert looked > 500
    assert left == []


def test_no_class_is_said_to_be_usable_in_a_way_in_which_it_is_not():
    wrongly, looked = [], 0
    for name, told, _ in records():
        parent, _, last = name.rpartition(".")
        # Python gives `__match_args__` from 3.10 on.
        if told & BIT and last in PROTOCOL.PROTOCOL and last != "__match_args__" and parent in classes():
            looked += 1
            if in_class(classes()[parent], last) is None:
                wrongly.append(name)
    assert looked > 100
    assert wrongly == []


def test_public_members_of_classes_are_told_wherever_they_come_from():
    left, looked = [], 0
    for name, cls in classes().items():
        for owner in cls.__mro__[:-1]:
            for each in vars(owner) if DUMPED or is_own(owner) else ():
                if isinstance(each, str) and not each.startswith("_"):
                    looked += 1
                    if not is_told(name + "." + each):
                        left.append(f"{name}.{each}")
    assert looked > 5000
    assert left == []


PLACES = ["torch.nn", "torch.optim", "torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.utils.data"]
PLACES += ["torch.distributions", "torch.autograd.profiler", "torch.nn.utils.parametrize", "torch._dynamo"]


def given():
    """Values for parameters that have no default, by their names."""
    ones, optimizer = torch.ones(2), torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    values = dict.fromkeys(["in_features", "out_features", "in_channels", "out_channels", "num_features", "d_model"], 4)
    values.update(dict.fromkeys(["num_channels", "embed_dim", "input_size", "hidden_size", "normalized_shape"], 4))
    values.update(dict.fromkeys(["nhead", "num_heads", "num_groups", "num_embeddings", "embedding_dim", "size"], 2))
    values.update(dict.fromkeys(["step_size", "T_0", "T_max", "batch_size", "kernel_size", "padding", "dim"], 1))
    values.update(dict.fromkeys(["scale", "high", "rate", "concentration", "concentration0", "concentration1"], ones))
    values.update(dict.fromkeys(["datasets", "data_source", "dataset", "sampler", "indices"], (ones, ones)))
    values.update(loc=0 * ones, low=0 * ones, df=3 * ones, probs=ones / 2, total_count=2)
    values.update(params=[torch.nn.Parameter(ones)], optimizer=optimizer, lr_lambda=float, gamma=0.5, milestones=[1])
    values.update(lr=0.1, base_lr=0.1, max_lr=0.2, drop_last=False, num_samples=2, weights=[0.5, 0.5], seed=1)
    values.update(module=torch.nn.Linear(2, 2), mod=torch.nn.Linear(2, 2), model=torch.nn.Linear(2, 2), dynamo_ctx=None)
    return values


def instances():
    """(name, instance) of the classes that can be made of `given`."""
    for place in PLACES:
        module = owner_of(place)
        for name, cls in sorted(vars(module).items()) if module is not None else ():
            if not inspect.isclass(cls):
                continue
            try:
                maker = list(inspect.signature(cls.__init__).parameters.values())[1:]
                named = [each for each in maker if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
                wanted = [each.name for each in named if each.name == "lr" or each.default is each.empty]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    held = cls(**{each: given()[each] for each in wanted})
            except Exception:  # it wants other values
                continue
            yield place + "." + name, held


def test_attributes_that_instances_have_are_told():
    """Also those that a method gives to `self`, which are not in the class."""
    left, looked = [], 0
    for name, held in instances():
        names = set(getattr(held, "__dict__", ()))
        if isinstance(held, torch.nn.Module):
            names.update(*[held.__dict__[each] for each in ("_parameters", "_buffers", "_modules")])
        for each in sorted(each for each in names if not each.startswith("_") and each.isidentifier()):
            looked += 1
            if load().find(name) is not None and not is_told(name + "." + each):
                left.append(f"{name}.{each}")
    assert looked > 500
    assert left == []


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
            if is_there(name) is None:  # torch.utils.data.gen_pyi of 1.11, which wants torch's build tools
                continue
            value = found(name)
            function = vars(value).get("__init__") if inspect.isclass(value) else value
            if inspect.isfunction(function):
                listed = list(inspect.signature(function).parameters.values())
                owner = load().find(name.rpartition(".")[0])
                bound = inspect.isclass(value) or any(kind == "class" for kind, _ in owner.kinds)
                yield name, (listed[1:] if bound else listed) + taken_by_new(value)


def taken_by_new(value):
    """What a class takes by an inherited `__new__`: `torch.no_grad` a function to decorate, from torch 2.1 on."""
    function = inspect.isclass(value) and value.__new__
    if not inspect.isfunction(function) or "__new__" in vars(value):
        return []
    return [each for each in inspect.signature(function).parameters.values() if each.default is not each.empty]


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


ALONE = """
import sys, torch
for name in sys.argv[1:]:
    held = torch
    for part in name.split(".")[1:]:
        held = getattr(held, "__dict__", {}).get(part)
    if held is None or sys.modules.get(name) is not held:  # torch.fft of 1.7 is a function
        print(name)
"""


# Modules that newer torch imports when they are asked for as attributes.
ANSWERED = ("torch._dynamo", "torch._inductor", "torch._export", "torch.onnx", "torch.ao.ns", "torch.ao.pruning")
ANSWERED += ("torch.backends.cudnn",)


def test_modules_that_an_import_of_torch_does_not_bring():
    """The history tells them apart from those that are there as attributes of torch alone."""
    there = [name for name in NAMES if load().find(name).kind == "module" and name.count(".") <= 2]
    modules = [name for name in there if load().importable(name) & BIT and load().record(name).own & BIT]
    asked = [name for name in modules if name[:6] == "torch." and not name.startswith(("torch._C", *ANSWERED))]
    done = subprocess.run([sys.executable, "-c", ALONE, *asked], stdout=subprocess.PIPE, check=True)
    apart = set(done.stdout.decode().split())
    assert "torch.nn" in asked
    assert apart
    assert {name for name in asked if load().needs_import(name) & BIT} == apart
