"""`OLD => NEW` in successors.txt: whatever call OLD takes NEW takes as well, and does the same. Run on both."""

import importlib
import inspect
import warnings
from collections import namedtuple

import pytest
import torch
from assertions import same

from torchcompat._torch import at_least
from torchcompat_check import history, shims
from torchcompat_check._minors import MINORS
from torchcompat_check._minors import at_least as minors_from

SAME = {old: shims.every()[old].name for old, arrow, _, _ in shims.successors() if arrow == "=>"}
Point = namedtuple("Point", "x y")
# torch 1.8 and 1.9 take a named tuple for a leaf.
PAIR = Point(3, {"c": 4}) if at_least(1, 10) else (3, {"c": 4})
TREE = {"b": [1, (2, None)], "a": PAIR}


def get(path):
    """The object of a dotted path; None where this torch has none."""
    parts = path.split(".")
    found = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for end in range(1, len(parts) + 1):
            try:
                found = importlib.import_module(".".join(parts[:end])) if end == 1 else getattr(found, parts[end - 1])
            except ImportError:
                return None
            except AttributeError:
                try:
                    found = importlib.import_module(".".join(parts[:end]))
                except Exception:
                    return None
    return found


def square(x):
    return (x * x).sum()


def outcome_of_grads(clip):
    one = torch.ones(4, requires_grad=True)
    square(one).backward()
    norm = clip([one], 1.0, norm_type=2.0)
    return float(norm), one.grad.tolist()


def registered(register):
    class Box:
        def __init__(self, held):
            self.held = held

    register(Box, lambda box: ([box.held], None), lambda leaves, _: Box(*leaves))
    from torchcompat.utils.pytree import tree_leaves

    return tree_leaves([Box(1), Box([2, 3])])


def dataclass_leaves(register):
    import dataclasses

    made = dataclasses.make_dataclass("Made", ["first", "second"])
    register(made)
    from torchcompat.utils.pytree import tree_leaves

    return tree_leaves(made(1, [2, 3]))


def paths(pairs):
    """Paths as text, since the keys of a path are of torch's types or of ours."""
    return [([str(key) for key in path], leaf) for path, leaf in pairs]


def noted(each):
    seen = []
    return each(seen.append, TREE) is TREE, seen


def marked(mark):
    return mark(torch.ones(2, 3), 0), mark(torch.ones(2, 3), [0, 1])


def patched(settings, name, value):
    with settings.patch(name, value):
        seen = [getattr(settings, name)]
    with settings.patch(**{name: value}):
        return [*seen, getattr(settings, name)]


def substituted(each):
    def original(x):
        return x + 1

    return each(original)(lambda x: x + 1)(1)


POINT = torch.tensor([1.0, 2.0, 3.0])
# What a call of each gives; None: it is used by others, below.
CALLS = {
    "functorch.functionalize": lambda f: f(square)(POINT),
    "functorch.grad": lambda f: f(square, argnums=0, has_aux=False)(POINT),
    "functorch.grad_and_value": lambda f: f(square)(POINT),
    "functorch.hessian": lambda f: f(square)(POINT),
    "functorch.jacfwd": lambda f: f(torch.sin)(POINT),
    "functorch.jacrev": lambda f: f(torch.sin)(POINT),
    "functorch.jvp": lambda f: f(torch.sin, (POINT,), (POINT,)),
    "functorch.vjp": lambda f: f(torch.sin, POINT)[1](POINT),
    "functorch.vmap": lambda f: f(torch.dot, in_dims=(0, None))(torch.ones(2, 3), POINT),
    "torch._C._OutOfMemoryError": lambda f: (issubclass(f, RuntimeError), f("x").args),
    "torch._utils.is_compiling": lambda f: f(),
    "torch._vmap_internals.vmap": lambda f: f(torch.mul, in_dims=(0, None), out_dims=1)(torch.ones(2, 3), POINT),
    "torch._dynamo.OptimizedModule": lambda f: (isinstance(torch.nn.Linear(1, 1), f), issubclass(torch.nn.Linear, f)),
    "torch._dynamo.allow_in_graph": lambda f: f(square) is square,
    "torch._dynamo.assume_constant_result": lambda f: f(square)(POINT),
    "torch._dynamo.config": lambda f: patched(f, "suppress_errors", True),
    "torch._dynamo.decorators.mark_unbacked": marked,
    "torch._dynamo.disable": lambda f: (f(square)(POINT), f()(square)(POINT)),
    "torch._dynamo.eval_frame.OptimizedModule": lambda f: isinstance(torch.nn.Linear(1, 1), f),
    "torch._dynamo.graph_break": lambda f: f(),
    "torch._dynamo.is_compiling": lambda f: f(),
    "torch._dynamo.mark_dynamic": marked,
    "torch._dynamo.mark_static": marked,
    "torch._dynamo.mark_static_address": lambda f: (f(torch.ones(2)), f(torch.ones(2), guard=True)),
    "torch._dynamo.maybe_mark_dynamic": marked,
    "torch._dynamo.reset": lambda f: f(),
    "torch._dynamo.substitute_in_graph": substituted,
    "torch._inductor.config": lambda f: patched(f, "max_fusion_size", 5),
    "torch.backends.mps.is_available": lambda f: f(),
    "torch.nn.utils.clip_grad_norm": outcome_of_grads,
    "torch.utils._pytree": None,
    "torch.utils._pytree.GetAttrKey": lambda f: (f("a").name, str(f("a"))),
    "torch.utils._pytree.MappingKey": lambda f: (f("a").key, str(f("a"))),
    "torch.utils._pytree.SequenceKey": lambda f: (f(1).idx, str(f(1))),
    "torch.utils._pytree.keystr": lambda f: f(()),
    "torch.utils._pytree.register_dataclass": dataclass_leaves,
    "torch.utils._pytree.register_pytree_node": registered,
    "torch.utils._pytree.tree_all": lambda f: (f(bool, TREE), f(lambda x: x != 4, TREE)),
    "torch.utils._pytree.tree_any": lambda f: (f(bool, TREE), f(lambda x: x == 5, TREE)),
    "torch.utils._pytree.tree_flatten": lambda f: f(TREE)[0],
    "torch.utils._pytree.tree_flatten_with_path": lambda f: paths(f(TREE)[0]),
    "torch.utils._pytree.tree_is_leaf": lambda f: (f(TREE), f(1), f(None)),
    "torch.utils._pytree.tree_iter": lambda f: list(f(TREE)),
    "torch.utils._pytree.tree_leaves": lambda f: f(TREE),
    "torch.utils._pytree.tree_leaves_with_path": lambda f: paths(f(TREE)),
    "torch.utils._pytree.tree_map": lambda f: f(str, TREE),
    "torch.utils._pytree.tree_map_": noted,
    "torch.utils._pytree.tree_map_only": lambda f: f(int, str, TREE),
    "torch.utils._pytree.tree_map_with_path": lambda f: f(lambda path, leaf: (str(path[-1]), leaf), TREE),
    "torch.utils._pytree.tree_structure": None,
    "torch.utils._pytree.tree_unflatten": None,
}


def test_each_has_an_example():
    assert set(CALLS) == set(SAME)


@pytest.mark.parametrize("old", [old for old, call in CALLS.items() if call])
def test_the_old_name_and_ours_do_the_same(old):
    theirs, ours = get(old), get(SAME[old])
    assert ours is not None
    if theirs is None:
        pytest.skip("this torch has no " + old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old ones say that they are old
        expected = CALLS[old](theirs)
    assert same(CALLS[old](ours), expected)


def test_a_structure_does_the_same():
    theirs, ours = get("torch.utils._pytree"), get(SAME["torch.utils._pytree"])
    if theirs is None:
        pytest.skip("this torch has no pytrees")
    trees = [[], {}, (), None, 1, [[1], (2,)], {"a": {"b": 1}}, TREE]
    for module in filter(None, (theirs, ours)):
        for tree in trees:
            leaves, structure = module.tree_flatten(tree)
            assert same(module.tree_unflatten(leaves, structure), tree)
            if hasattr(module, "tree_structure"):
                assert module.tree_structure(tree) == structure


@pytest.mark.parametrize("old", list(SAME))
def test_every_argument_of_the_old_name_is_taken(old):
    """Those of the newest torch, or the checker knows of it and offers nothing: `disable(wrapping=)`."""
    known = history.load()
    entry = known.find(old)
    for name, one in (entry.parameters or {}).items():
        if one.present & minors_from(MINORS[-1]) and shims.takes(known, SAME[old], name):
            assert takes(get(SAME[old]), name), name


def takes(function, name):
    parameters = inspect.signature(function).parameters
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
