"""The private module of pytrees: there and back, torch's own order of leaves, and prefixes such as in_dims."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import at_least
from torchcompat.func._pytree import LEAF, broadcast, flatten, tree_map, unflatten

Point = namedtuple("Point", ["x", "y"])
Empty = namedtuple("Empty", [])


class Shape(namedtuple("Shape", ["width", "height"])):
    """A named tuple with something of its own."""

    def area(self):
        return self.width * self.height


def spec_of(tree):
    return flatten(tree)[1]


def same(first, second):
    """Equal, of the same types all the way down, dicts in the same order."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        factories = getattr(first, "default_factory", None), getattr(second, "default_factory", None)
        return factories[0] is factories[1] and same(list(first.items()), list(second.items()))
    if isinstance(first, (tuple, list)):
        return len(first) == len(second) and all(same(*pair) for pair in zip(first, second))
    return first is second or first == second


def deep(value, levels):
    for _ in range(levels):
        value = [value]
    return value


TREES = [
    (5, [5]),
    (None, [None]),
    ("text", ["text"]),
    ([], []),
    ((), []),
    ({}, []),
    (OrderedDict(), []),
    (defaultdict(int), []),
    (Empty(), []),
    ([1, None, (2, [3])], [1, None, 2, 3]),
    ({"b": 1, "a": {"d": 2, "c": 3}}, [1, 2, 3]),
    ({3: 1, "a": 2, (1, 2): 3, None: 4}, [1, 2, 3, 4]),
    (OrderedDict([("b", [1, 2]), ("a", 3)]), [1, 2, 3]),
    (defaultdict(list, {"b": 1, "a": 2}), [1, 2]),
    (Point(1, [2, 3]), [1, 2, 3]),
    (Shape(Point(1, 2), {}), [1, 2]),
    ([[], ({}, [()]), {"a": Empty()}], []),
    ([[], 1, {"a": [], "b": (2,)}], [1, 2]),
    ({1, 2}, [{1, 2}]),
    (deep(1, 50), [1]),
]


@pytest.mark.parametrize(("tree", "leaves"), TREES)
def test_there_and_back(tree, leaves):
    found, spec = flatten(tree)
    assert found == leaves
    assert spec.count == len(leaves)
    assert same(unflatten(found, spec), tree)
    assert spec == spec_of(tree)
    assert hash(spec) == hash(spec_of(tree))


def test_leaves_are_the_same_objects():
    tensor, module = torch.ones(2), torch.nn.Tanh()
    leaves, spec = flatten({"a": [tensor, module]})
    assert leaves[0] is tensor
    assert leaves[1] is module
    assert unflatten(leaves, spec)["a"][0] is tensor


def test_the_tree_built_is_a_new_one():
    tree = {"a": [1]}
    leaves, spec = flatten(tree)
    unflatten(leaves, spec)["a"].append(2)
    assert tree == {"a": [1]}
    tree["b"] = 3
    assert unflatten(leaves, spec) == {"a": [1]}


def test_other_leaves():
    _, spec = flatten(Point([1, 2], {"a": 3}))
    assert same(unflatten("xyz", spec), Point(["x", "y"], {"a": "z"}))
    assert same(unflatten(iter([(1,), None, []]), spec), Point([(1,), None], {"a": []}))


def test_a_defaultdict_keeps_its_factory():
    tree = tree_map(lambda leaf: leaf, defaultdict(list, {"a": 1}))
    assert tree["new"] == []


def test_a_named_tuple_keeps_its_methods():
    assert tree_map(lambda leaf: leaf * 2, Shape(2, 3)).area() == 24


def test_tree_map():
    assert tree_map(lambda leaf: leaf + 1, {"a": (1, [2]), "b": 3}) == {"a": (2, [3]), "b": 4}
    assert tree_map(lambda leaf: leaf is None, [None, 1]) == [True, False]
    assert tree_map(str, 5) == "5"


def test_what_an_operation_returns():
    result = torch.tensor([[1.0, 3.0], [4.0, 2.0]]).max(0)
    leaves, spec = flatten([result])
    assert [leaf.tolist() for leaf in leaves] == [[4, 3], [1, 0]]
    (again,) = unflatten(leaves, spec)
    assert type(again) is type(result)
    assert again.values is result.values
    assert again.indices is result.indices


@pytest.mark.parametrize("trees", [
    [(1, 2), [1, 2], Point(1, 2), {0: 1, 1: 2}, OrderedDict([(0, 1), (1, 2)]), defaultdict(int, {0: 1, 1: 2})],
    [1, [1], (1,), [[1]], [1, []], [], {"a": 1}, {"b": 1}],
    [Point(1, 2), Shape(1, 2), Point(1, [2])],
    [defaultdict(int, {0: 1}), defaultdict(list, {0: 1})],
])  # fmt: skip
def test_structures_that_differ(trees):
    for i, first in enumerate(trees):
        for j, second in enumerate(trees):
            assert (spec_of(first) == spec_of(second)) == (i == j)


def test_a_structure_names_itself():
    assert repr(spec_of(1)) == "*"
    shown = repr(spec_of({"a": [1, 2]}))
    assert "'a'" in shown
    assert "list(*, *)" in shown
    assert spec_of(1) == LEAF != "*"


# --- torch.utils._pytree


@pytest.fixture
def registered():
    """A type that torch.utils._pytree knows."""

    class Box:
        def __init__(self, content, label):
            self.content, self.label = content, label

    module = pytest.importorskip("torch.utils._pytree", reason="torch has pytrees since 1.8")
    register = getattr(module, "register_pytree_node", None) or module._register_pytree_node
    register(Box, lambda box: ([box.content], box.label), lambda contents, label: Box(next(iter(contents)), label))
    yield Box
    forget(module, Box)


def forget(module, kind):
    if hasattr(module, "_deregister_pytree_node"):
        module._deregister_pytree_node(kind)
    for name in ("SUPPORTED_NODES", "SUPPORTED_SERIALIZED_TYPES"):
        getattr(module, name, {}).pop(kind, None)


def test_types_registered_with_torch(registered):
    tree = [registered({"a": 1, "b": registered(2, "inner")}, "outer"), 3]
    leaves, spec = flatten(tree)
    assert leaves == [1, 2, 3]
    box, last = unflatten([10, 20, 30], spec)
    assert (box.label, box.content["a"], last) == ("outer", 10, 30)
    assert (box.content["b"].label, box.content["b"].content) == ("inner", 20)
    assert spec != spec_of([registered({"a": 1, "b": registered(2, "other")}, "outer"), 3])


def test_types_that_nobody_registered():
    class Box(list):
        pass

    box = Box([1, 2])
    assert flatten([box])[0][0] is box
    assert spec_of(box) == LEAF


def test_a_deque_is_a_node():
    leaves, spec = flatten(deque([1, [2]], maxlen=4))
    assert leaves == [1, 2]
    assert unflatten(leaves, spec) == deque([1, [2]])
    assert unflatten(leaves, spec).maxlen == 4


@pytest.mark.skipif(not at_least(2, 2), reason="torch's pytrees have all these types but one since 2.2")
@pytest.mark.parametrize(("tree", "leaves"), TREES)
def test_the_order_of_torch(tree, leaves):
    from torch.utils import _pytree as theirs

    if isinstance(tree, Shape) and not at_least(2, 8):
        pytest.skip("subclasses of named tuples since 2.8")

    found, spec = theirs.tree_flatten(tree)
    assert flatten(tree)[0] == found
    assert same(unflatten(found, spec_of(tree)), theirs.tree_unflatten(found, spec))


# --- Any tree


LEAVES = st.one_of(st.integers(), st.none(), st.text(max_size=2))
KEYS = st.one_of(st.text(max_size=2), st.integers(0, 3))


def _containers(children):
    lists = st.lists(children, max_size=3)
    items = st.lists(st.tuples(KEYS, children), max_size=3)
    return st.one_of(
        lists,
        lists.map(tuple),
        items.map(dict),
        items.map(OrderedDict),
        items.map(lambda pairs: defaultdict(int, pairs)),
        st.tuples(children, children).map(lambda pair: Point(*pair)),
    )


ANY = st.recursive(LEAVES, _containers, max_leaves=5)


@given(tree=ANY)
@settings(deadline=None, max_examples=25)
def test_any_tree_and_back(tree):
    leaves, spec = flatten(tree)
    assert same(unflatten(leaves, spec), tree)
    numbered = unflatten(range(len(leaves)), spec)
    assert flatten(numbered) == (list(range(len(leaves))), spec)


@given(tree=ANY)
@settings(deadline=None, max_examples=25)
def test_any_tree_is_mapped_leaf_by_leaf(tree):
    assert flatten(tree_map(repr, tree))[0] == [repr(leaf) for leaf in flatten(tree)[0]]


@given(tree=ANY, cut=st.integers(0, 3))
@settings(deadline=None, max_examples=25)
def test_any_upper_part_is_a_prefix(tree, cut):
    spec = spec_of(tree)
    # Below the cut the prefix has one number where the tree has a subtree.
    numbers = iter(range(1000))

    def top(tree, depth):
        if depth == 0 or spec_of(tree) == LEAF:
            number = next(numbers)
            expected.extend([number] * spec_of(tree).count)
            return number
        if isinstance(tree, defaultdict):
            return defaultdict(tree.default_factory, [(key, top(value, depth - 1)) for key, value in tree.items()])
        if isinstance(tree, dict):
            return type(tree)([(key, top(value, depth - 1)) for key, value in tree.items()])
        children = [top(child, depth - 1) for child in tree]
        return Point(*children) if isinstance(tree, Point) else type(tree)(children)

    expected = []
    assert broadcast(top(tree, cut), spec) == expected


# --- Prefixes


@pytest.mark.parametrize(
    ("prefix", "tree", "values"),
    [
        (0, 1, [0]),
        (None, [1, 2], [None, None]),
        (0, {"a": 1, "b": [2, 3]}, [0, 0, 0]),
        (1, [], []),
        ((0, None), (1, [2, 3]), [0, None, None]),
        ((0, (None, 1)), (1, ([2, 3], 4)), [0, None, None, 1]),
        (({"a": 0, "b": None}, 1), ({"a": [1, 2], "b": 3}, 4), [0, 0, None, 1]),
        ([0, 1], [[1, 2], [[3]]], [0, 0, 1]),
        (Point(0, 1), Point([1, 2], 3), [0, 0, 1]),
        (((), 0), ((), 1), [0]),
    ],
)
def test_a_prefix_has_a_value_for_each_leaf(prefix, tree, values):
    assert broadcast(prefix, spec_of(tree)) == values


@pytest.mark.parametrize(
    ("prefix", "tree"),
    [
        ((0,), (1, 2)),
        ((0, 0, 0), (1, 2)),
        ([0, 0], (1, 2)),
        ((0, 0), [1, 2]),
        ((0, 0), 1),
        ((0, (0,)), (1, 2)),
        ({"a": 0}, {"b": 1}),
        ({"a": 0}, {"a": 1, "b": 2}),
        (Point(0, 0), (1, 2)),
        ((0, 0), Point(1, 2)),
        ((), (1,)),
        ((0,), ()),
    ],
)
def test_what_is_no_prefix(prefix, tree):
    assert broadcast(prefix, spec_of(tree)) is None
