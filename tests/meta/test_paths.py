"""Public names last: pickles and reprs name public modules only, and Python finds the code all the same."""

import inspect
import json
import pickle
import pickletools
import subprocess
import sys
from functools import reduce
from importlib import import_module
from pkgutil import walk_packages

import pytest
import torch

import torchcompat
from torchcompat import SHIMS, _moved
from torchcompat._shim import is_public

ROWS = [pytest.param(shim, id=name) for name, shim in sorted(SHIMS.items()) if shim.kind != "constant"]
PLACEHOLDERS = [shim for shim in SHIMS.values() if shim.kind == "absent"]
PUBLIC_MODULES = ["torchcompat"] + [
    module.name for module in walk_packages(torchcompat.__path__, "torchcompat.") if is_public(module.name)
]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
# Python looks for the code of a class in the file of the module that the class names. That file has not the class where
# a class is public at the top of the package alone, which loads nothing, or is made of by machinery that needs it.
WITHOUT_SOURCE = {
    "torchcompat.UnsupportedError",
    "torchcompat.attention.fastpath",
    "torchcompat.device.DeviceModule",
    "torchcompat.device.default_device",
    "torchcompat.utils.pytree.GetAttrKey",
    "torchcompat.utils.pytree.MappingKey",
    "torchcompat.utils.pytree.SequenceKey",
    "torchcompat.utils.pytree.TreeSpec",
}


def public_names():
    """{path: object} of every function and class of ours under a public name."""
    found = {}
    for module in map(import_module, PUBLIC_MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("torchcompat"):
                found[f"{module.__name__}.{name}"] = value
    return found


NAMES = public_names()


@pytest.mark.parametrize("shim", [row for row in ROWS if row.values[0] not in PLACEHOLDERS])
def test_a_fallback_says_that_it_is_of_a_public_module(shim):
    fallback = shim.fallback
    assert fallback.__name__ == fallback.__qualname__ == shim.name.rpartition(".")[2]
    assert is_public(fallback.__module__)
    there = getattr(import_module(fallback.__module__), fallback.__name__)
    assert there is shim.public is reduce(getattr, shim.name.split("."), torchcompat)


@pytest.mark.parametrize("path", sorted(NAMES))
def test_a_public_name_says_where_it_is_public(path):
    value = NAMES[path]
    assert is_public(value.__module__)
    assert getattr(import_module(value.__module__), value.__qualname__) is value
    if type(value) is type:
        assert repr(value) == f"<class '{value.__module__}.{value.__qualname__}'>"


def _code_of(value):
    lines, first = inspect.getsourcelines(value)
    source = "".join(lines)
    assert inspect.getsource(value) == source
    with open(inspect.getsourcefile(inspect.unwrap(value)), encoding="utf-8") as file:
        assert file.read().split("\n")[max(first - 1, 0)] == lines[0].rstrip("\n")
    assert inspect.getmodule(value) is sys.modules[value.__module__]
    return source


@pytest.mark.parametrize("shim", [row for row in ROWS if row.values[0] not in PLACEHOLDERS])
def test_the_code_of_a_fallback_is_found(shim):
    _check_code(f"{shim.fallback.__module__}.{shim.fallback.__name__}", shim.fallback)


@pytest.mark.parametrize("path", sorted(NAMES))
def test_the_code_of_a_public_name_is_found(path):
    _check_code(f"{NAMES[path].__module__}.{NAMES[path].__qualname__}", NAMES[path])


def _check_code(path, value):
    if SHIMS.get(path[len("torchcompat.") :], None) in PLACEHOLDERS:
        return  # which nobody defined
    if path in WITHOUT_SOURCE:
        # Not found is honest. That of another class of this name would not be.
        with pytest.raises(OSError):
            inspect.getsource(value)
        methods = [each for each in vars(value).values() if inspect.isfunction(each)]
        assert all("def " in _code_of(each) for each in methods if each.__module__.startswith("torchcompat"))
        return
    keyword = "class" if inspect.isclass(value) else "def"
    name = value.__name__
    if name.startswith("_foreach_"):
        # One definition makes many of these, under a name that says which kind they are of.
        name = value.__code__.co_name
        assert name in ("in_place" if value.__name__.endswith("_") else "out_of_place")
    assert f"{keyword} {name}" in _code_of(value)


@pytest.mark.parametrize("path", sorted(NAMES))
def test_a_public_name_is_pickled_by_reference(path):
    for protocol in PROTOCOLS:
        assert pickle.loads(pickle.dumps(NAMES[path], protocol)) is NAMES[path]


def test_pickles_are_read_where_nothing_of_ours_is_loaded():
    # pickle imports the module and asks it for the name, which may be one that is loaded when it is asked for.
    paths = ["at_least", "device.best_device", "func.functional_module", "utils.pytree.tree_map"]
    written = [(path, pickle.dumps(NAMES[path], 2).hex()) for path in map("torchcompat.{}".format, paths)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", inspect.cleandoc(READ)],
        input=json.dumps(written).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout.decode()


READ = """
    import importlib, json, pickle, sys

    for path, text in json.load(sys.stdin):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchcompat"]:
            del sys.modules[name]
        value = pickle.loads(bytes.fromhex(text))
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name) is value, path
"""


# What the releases before these paths wrote: the module and name of each object, and where it is public today.
OLD = {
    "torchcompat._compile compile": "compile",
    "torchcompat._default_device default_device": "device.default_device",
    "torchcompat._default_device set_default_device": "set_default_device",
    "torchcompat._fastpath_safe SafeFastpath": "attention.SafeFastpath",
    "torchcompat._fastpath_safe safe_forward": "attention.safe_forward",
    "torchcompat._fastpath_switch fastpath": "attention.fastpath",
    "torchcompat._grad_mode no_grad": "no_grad",
    "torchcompat._grad_mode set_grad_enabled": "set_grad_enabled",
    "torchcompat._meshgrid meshgrid": "meshgrid",
    "torchcompat._torch UnsupportedError": "UnsupportedError",
    "torchcompat._torch at_least": "at_least",
    "torchcompat.accelerator.memory memory_stats": "accelerator.memory_stats",
    "torchcompat.amp._grad_scaler GradScaler": "amp.GradScaler",
    "torchcompat.amp._state get_autocast_dtype": "get_autocast_dtype",
    "torchcompat.func._calls functional_call": "func.functional_call",
    "torchcompat.func._calls functional_module": "func.functional_module",
    "torchcompat.func._grad grad": "func.grad",
    "torchcompat.func._pytree Spec": "utils.pytree.TreeSpec",
    "torchcompat.func._vmap vmap": "func.vmap",
    "torchcompat.memory OutOfMemoryError": "OutOfMemoryError",
    "torchcompat.nn._decoder TransformerDecoder": "nn.TransformerDecoder",
    "torchcompat.nn._decoder TransformerDecoderLayer": "nn.TransformerDecoderLayer",
    "torchcompat.nn._multihead MultiheadAttention": "nn.MultiheadAttention",
    "torchcompat.nn._seq2seq Transformer": "nn.Transformer",
    "torchcompat.nn._transformer TransformerEncoder": "nn.TransformerEncoder",
    "torchcompat.nn._transformer TransformerEncoderLayer": "nn.TransformerEncoderLayer",
    "torchcompat.nn.attention._backends SDPBackend": "nn.attention.SDPBackend",
    "torchcompat.nn.attention._bias CausalBias": "nn.attention.bias.CausalBias",
    "torchcompat.nn.attention._flex_block_mask BlockMask": "nn.attention.flex_attention.BlockMask",
    "torchcompat.optim._adam Adam": "optim.Adam",
    "torchcompat.optim._adam AdamW": "optim.AdamW",
    "torchcompat.optim._adam Adamax": "optim.Adamax",
    "torchcompat.optim._adam SparseAdam": "optim.SparseAdam",
    "torchcompat.optim._adam_variants NAdam": "optim.NAdam",
    "torchcompat.optim._adam_variants RAdam": "optim.RAdam",
    "torchcompat.optim._adaptive Adadelta": "optim.Adadelta",
    "torchcompat.optim._adaptive Adagrad": "optim.Adagrad",
    "torchcompat.optim._adaptive RMSprop": "optim.RMSprop",
    "torchcompat.optim._lbfgs LBFGS": "optim.LBFGS",
    "torchcompat.optim._matrix Adafactor": "optim.Adafactor",
    "torchcompat.optim._matrix Muon": "optim.Muon",
    "torchcompat.optim._sgd ASGD": "optim.ASGD",
    "torchcompat.optim._sgd Rprop": "optim.Rprop",
    "torchcompat.optim._sgd SGD": "optim.SGD",
    "torchcompat.optim._states upgrade_state_dict": "optim.upgrade_state_dict",
    "torchcompat.optim.lr_scheduler StepLR": "optim.lr_scheduler.StepLR",
    "torchcompat.serialization load": "load",
    "torchcompat.utils._pytree_walk SequenceKey": "utils.pytree.SequenceKey",
}
# Of these pickles name a function that makes an object: it has a place of its own, for ever.
HELPERS = [
    "torchcompat._functional_call FunctionalModule",
    "torchcompat.nn._multihead _PlainLinear",
    "torchcompat.nn._states activation_of",
    "torchcompat.nn.attention._bias _rebuild",
    "torchcompat.optim._base _blank",
]


def reference(text):
    """A pickle, of protocol 2, of what ``"module name"`` says."""
    return b"\x80\x02c" + text.replace(" ", "\n").encode() + b"\n."


@pytest.mark.parametrize("text", sorted(OLD))
def test_old_pickles_give_what_is_public_today(text):
    assert pickle.loads(reference(text)) is reduce(getattr, OLD[text].split("."), torchcompat)


@pytest.mark.parametrize("text", HELPERS)
def test_old_pickles_find_their_helpers(text):
    assert callable(pickle.loads(reference(text)))


def test_an_old_pickle_of_an_optimiser():
    # {"defaults": {"lr": 0.5}, "state": {}, "param_groups": []} to a blank SGD, as they were written.
    state = b"}(X\x08\x00\x00\x00defaults}X\x02\x00\x00\x00lrG\x3f\xe0\x00\x00\x00\x00\x00\x00s"
    state += b"X\x05\x00\x00\x00state}X\x0c\x00\x00\x00param_groups]ub"
    blank = b"\x80\x02ctorchcompat.optim._base\n_blank\nX\x03\x00\x00\x00SGD\x85R"
    loaded = pickle.loads(blank + state + b".")
    assert type(loaded) is SHIMS["optim.SGD"].fallback
    assert loaded.defaults["lr"] == 0.5
    assert loaded.param_groups == []


def test_an_old_pickle_of_a_functional_module():
    made = torchcompat.functional_module(torch.nn.Identity(), strict=True)
    modern = pickle.dumps(made.module, 2)
    old = b"\x80\x02ctorchcompat._functional_call\nFunctionalModule\n" + modern[2:-1] + b"\x88\x88\x87R."
    loaded = pickle.loads(old)
    assert type(loaded) is type(made)
    assert loaded({}, torch.ones(1)) == 1
    assert repr(loaded) == repr(made)


def test_the_table_of_moved_names_holds():
    # A module keeps a name for old pickles alone: ours find it at its public path.
    for module, (public, names) in _moved.MOVED.items():
        for name in names.split():
            old = import_module("torchcompat." + module)
            assert name not in vars(old)
            assert getattr(old, name) is getattr(import_module("torchcompat." + public), name)
        with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
            old.no_such_name  # noqa: B018


def _linear():
    return torch.nn.Linear(2, 2)


# What users pickle, made of our fallbacks where those are public.
INSTANCES = {
    "amp.GradScaler": lambda cls: cls("cpu"),
    "attention.SafeFastpath": lambda cls: cls(torch.nn.MultiheadAttention(4, 2)),
    "device.device_module": lambda make: make("cpu"),
    "func.functional_module": lambda make: make(_linear(), tie_weights=False),
    "nn.MultiheadAttention": lambda cls: cls(4, 2),
    "nn.Transformer": lambda cls: cls(4, 2, 1, 1, 4),
    "nn.TransformerDecoderLayer": lambda cls: cls(4, 2, 4, activation="gelu"),
    "nn.TransformerEncoderLayer": lambda cls: cls(4, 2, 4),
    "nn.attention.bias.CausalBias": lambda cls: cls(torchcompat.nn.attention.bias.CausalVariant.UPPER_LEFT, 2, 3),
    "optim.Adam": lambda cls: cls(_linear().parameters()),
    "optim.AdamW": lambda cls: cls(_linear().parameters()),
    "optim.LBFGS": lambda cls: cls(_linear().parameters()),
    "optim.SGD": lambda cls: cls(_linear().parameters(), lr=0.1),
    "optim.lr_scheduler.StepLR": lambda cls: cls(torch.optim.SGD(_linear().parameters(), lr=0.1), 2),
    "optim.swa_utils.AveragedModel": lambda cls: cls(_linear()),
    "utils.pytree.tree_structure": lambda make: make({"a": [1, (2,)]}),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", sorted(INSTANCES))
def test_a_pickled_instance_names_public_modules_only(name):
    shim = SHIMS[name]
    if shim.public is not shim.fallback:
        pytest.skip("torch's own is public on this torch")
    made = INSTANCES[name](shim.public)
    for protocol in PROTOCOLS[2:]:
        text = pickle.dumps(made, protocol)
        assert type(pickle.loads(text)) is type(made)
    named = {value for code, value, _ in pickletools.genops(pickle.dumps(made, 2)) if code.name == "GLOBAL"}
    ours = {value.split()[0] for value in named if value.startswith("torchcompat")}
    assert ours
    assert all(map(is_public, ours)), ours
    assert is_public(type(made).__module__) or not inspect.isclass(shim.public)
