"""What torch itself says of its precision, and the ways to set it."""

import functools
import itertools
import random
import re

import pytest
import torch

from torchcompat import at_least
from torchcompat.precision import (
    conv_precision,
    get_conv_precision,
    get_matmul_precision,
    matmul_precision,
    set_conv_precision,
    set_matmul_precision,
)

MATMUL_LEVELS = ["highest", "high", "medium"]


CONV_LEVELS = ["highest", "high"]


SIDES = [
    pytest.param(set_matmul_precision, get_matmul_precision, matmul_precision, MATMUL_LEVELS, id="matmul"),
    pytest.param(set_conv_precision, get_conv_precision, conv_precision, CONV_LEVELS, id="conv"),
]


both_sides = pytest.mark.parametrize(("set_level", "get_level", "context", "levels"), SIDES)


FLAGS = at_least(1, 7)


LEVEL = at_least(1, 12)


TREE = at_least(2, 9)


PARENTS = [("generic", "all"), ("cuda", "all"), ("mkldnn", "all")]


MATMUL_LEAVES = [("cuda", "matmul"), ("mkldnn", "matmul")]


CONV_LEAVES = [("cuda", "conv"), ("cuda", "rnn")]


OTHER_LEAVES = [("mkldnn", "conv"), ("mkldnn", "rnn")]


NODES = PARENTS + MATMUL_LEAVES + CONV_LEAVES + OTHER_LEAVES


needs_flags = pytest.mark.skipif(not FLAGS, reason="torch has had something to set since 1.7")


needs_tree = pytest.mark.skipif(not TREE, reason="torch has had two APIs to mix since 2.9")


# What torch itself says, and how to bring it about.


def read(node):
    return torch._C._get_fp32_precision_getter(*node)


def write(node, value):
    torch._C._set_fp32_precision_setter(*node, value)


def or_raises(function):
    try:
        return function()
    except RuntimeError:
        return "raises"


def old_getters():
    """What torch's getters from before 2.9 say."""
    seen = {}
    if FLAGS:
        seen["cublas"] = or_raises(lambda: torch.backends.cuda.matmul.allow_tf32)
        seen["cudnn"] = or_raises(lambda: torch.backends.cudnn.allow_tf32)
    if LEVEL:
        seen["level"] = or_raises(torch.get_float32_matmul_precision)
    return seen


def own_values():
    """The tree of 2.9 and later: the own value of every node, below parents that say nothing; and the older level."""
    parents = []
    for node in PARENTS:
        parents.append((node, read(node)))
        write(node, "none")
    own = {node: read(node) for node in MATMUL_LEAVES + CONV_LEAVES + OTHER_LEAVES}
    for node in MATMUL_LEAVES:
        write(node, "ieee")
    level = torch.get_float32_matmul_precision()
    for node in MATMUL_LEAVES:
        write(node, own[node])
    for node, value in parents:
        write(node, value)
    return dict(parents, level=level, **{"{}.{}".format(*node): value for node, value in own.items()})


def everything():
    """All that torch and torchcompat say about precision."""
    seen = old_getters()
    seen["ours"] = get_matmul_precision(), get_conv_precision()
    if TREE:
        seen["now"] = {node: read(node) for node in NODES}
        seen["own"] = own_values()
    return seen


def assigning(owner, name, value):
    return lambda: setattr(owner, name, value)


def steps():
    """Everything that some code could do to torch's settings, by name."""
    found = {}
    for level in MATMUL_LEVELS:
        found["ours " + level] = functools.partial(set_matmul_precision, level)
        if LEVEL:
            found["level " + level] = functools.partial(torch.set_float32_matmul_precision, level)
    for level in CONV_LEVELS:
        found["our conv " + level] = functools.partial(set_conv_precision, level)
    for value in (True, False) if FLAGS else ():
        found[f"cublas {value}"] = assigning(torch.backends.cuda.matmul, "allow_tf32", value)
        found[f"cudnn {value}"] = assigning(torch.backends.cudnn, "allow_tf32", value)
    for node in NODES if TREE else ():
        for value in ("none", "ieee", "tf32") + (() if node[0] == "cuda" else ("bf16",)):
            found["{}.{} {}".format(*node, value)] = functools.partial(write, node, value)
    return found


STEPS = steps()


OLD = [step for step in STEPS if re.match("level|cublas|cudnn", step)]


NEW = [step for step in STEPS if re.match(r"[a-z]+\.(all|matmul)|cuda", step)]


_random = random.Random(0)


HISTORIES = [
    (),
    *itertools.product(STEPS),
    *itertools.product(OLD, OLD),
    *itertools.product(OLD, NEW),
    *itertools.product(NEW, OLD),
    *(tuple(_random.choice(sorted(STEPS)) for _ in range(6)) for _ in range(100)),
]


def start():
    """The defaults, as far as torch can be brought back to them."""
    set_matmul_precision("high" if FLAGS and not LEVEL else "highest")
    set_conv_precision("high" if FLAGS else "highest")
    if TREE:
        for node in PARENTS + MATMUL_LEAVES + OTHER_LEAVES:
            write(node, "none")


def after(history):
    """Go through *history* from the defaults."""
    start()
    for step in history:
        STEPS[step]()


@pytest.fixture(autouse=True)
def _defaults():
    start()
    yield
    start()


def torch_agrees(matmul=None, conv=None):
    """Whether all of torch's getters can be read and say what the level means."""
    seen = old_getters()
    if matmul and LEVEL:
        assert seen["level"] == matmul
    if matmul and FLAGS:
        assert seen["cublas"] is (matmul != "highest")
    if conv and FLAGS:
        assert seen["cudnn"] is (conv != "highest")
    if matmul and TREE:
        leaves = {"highest": ["ieee", "ieee"], "high": ["tf32", "tf32"], "medium": ["tf32", "bf16"]}[matmul]
        assert [torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision] == leaves
    if conv and TREE:
        leaf = {"highest": "ieee", "high": "tf32"}[conv]
        assert [torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.rnn.fp32_precision] == [leaf, leaf]
    return True
