"""The public functions of pytrees. tests/func/test_pytree.py has the rest of what lies below them."""

import dataclasses
import os
import sys
import time
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from importlib import import_module
from types import MappingProxyType, SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import at_least, func, torch_version
from torchcompat._shim import NEWEST
from torchcompat.utils import pytree
from torchcompat.utils.pytree import GetAttrKey, MappingKey, SequenceKey, keystr

Point = namedtuple("Point", ["x", "y"])
TREE = {"b": [1, (2, None)], "a": Point(3, OrderedDict([("z", 4), ("y", deque([5]))]))}
LEAVES = [1, 2, None, 3, 4, 5]
PATHS = ["['b'][0]", "['b'][1][0]", "['b'][1][1]", "['a'].x", "['a'].y['z']", "['a'].y['y'][0]"]


def is_list(tree):
    return isinstance(tree, list)


# --- Leaves and structures


def test_there_and_back():
    leaves, spec = pytree.tree_flatten(TREE)
    assert leaves == LEAVES
    again = pytree.tree_unflatten(leaves, spec)
    assert again == TREE
    assert list(again) == ["b", "a"]
    assert type(again["a"]) is Point
    assert type(again["a"].y) is OrderedDict
    assert type(again["a"].y["y"]) is deque


def test_leaves():
    assert pytree.tree_leaves(TREE) == list(pytree.tree_iter(TREE)) == LEAVES
    assert pytree.tree_leaves(7) == list(pytree.tree_iter(7)) == [7]
    assert pytree.tree_leaves([]) == list(pytree.tree_iter({})) == []


def test_the_iterator_is_lazy():
    iterator = pytree.tree_iter([1, 2])
    assert next(iterator) == 1


def test_structures():
    assert pytree.tree_structure([1, (2,)]) == pytree.tree_structure([3, (4,)])
    assert pytree.tree_structure([1, (2,)]) != pytree.tree_structure([1, [2]])
    assert isinstance(pytree.tree_structure(1), pytree.TreeSpec)


class Below(Point):
    """Of a named tuple; it is a node too."""


@dataclasses.dataclass
class Record:
    """Not registered."""

    field: int


def kin():
    """What is like a node: (object, its leaves if it is one, the type that tree_map builds)."""
    leaves = [
        *(type("Derived", (base,), {})() for base in (list, tuple, dict, OrderedDict, defaultdict, deque)),
        *(Counter("ab"), ChainMap({"a": 1}), UserDict(a=1), MappingProxyType({"a": 1}), SimpleNamespace(a=1)),
        *(time.gmtime(0), sys.version_info, os.stat("."), {1, 2}, frozenset([1]), range(2), "ab", b"ab", slice(1, 2)),
        *(Record(1), torch.nn.ParameterList([]), torch.device("cpu"), torch.finfo(torch.float32)),
    ]
    rows = [(leaf, None, type(leaf)) for leaf in leaves]
    largest = torch.tensor([[1.0, 2.0]]).max(1)
    packed = torch.nn.utils.rnn.pack_sequence([torch.ones(2)])
    rows += [
        (torch.Size([2, 3]), [2, 3], tuple),
        (torch.ones(2, 3).shape, [2, 3], tuple),
        (torch.Size([]), [], tuple),
        (Point(torch.Size([2, 3]), 1), [2, 3, 1], Point),
        (Below(1, 2), [1, 2], Below),
        (defaultdict(int, a=1), [1], defaultdict),
        (deque([1, 2], 2), [1, 2], deque),
        (largest, list(largest), type(largest)),
        (packed, list(packed), type(packed)),
    ]
    if at_least(1, 8):
        fx = import_module("torch.fx.immutable_collections")
        rows += [(fx.immutable_list([1, 2]), [1, 2], fx.immutable_list)]
        rows += [(fx.immutable_dict(a=1), [1], fx.immutable_dict)]
    return rows


@pytest.mark.parametrize(("tree", "leaves", "kind"), kin())
def test_kin_of_nodes_are_taken_apart_alike_on_every_torch(tree, leaves, kind):
    assert pytree.tree_is_leaf(tree) is (leaves is None)
    found = pytree.tree_leaves(tree)
    expected = [tree] if leaves is None else leaves
    assert len(found) == len(expected)
    assert all(one is two or bool(one == two) for one, two in zip(found, expected))
    mapped = pytree.tree_map(lambda leaf: leaf, tree)
    assert type(mapped) is kind
    assert mapped is tree if leaves is None else pytree.tree_structure(mapped).count == len(leaves)
    assert pytree.tree_structure(tree).count == len(pytree.tree_leaves_with_path(tree)) == len(found)
    if torch_version[:2] >= NEWEST:
        theirs = import_module("torch.utils._pytree")
        native, spec = theirs.tree_flatten(tree)
        assert [type(one) for one in native] == [type(one) for one in found]
        assert type(theirs.tree_unflatten(native, spec)) is kind


def test_what_is_made_of_a_size_need_not_be_numbers():
    assert pytree.tree_map(str, {"shape": torch.Size([2, 3])}) == {"shape": ("2", "3")}
    assert pytree.tree_map(lambda a, b: a * b, torch.Size([2, 3]), torch.Size([4, 5])) == (8, 15)
    assert [keystr(path) for path, _ in pytree.tree_leaves_with_path([torch.Size([2, 3])])] == ["[0][0]", "[0][1]"]
    with pytest.raises(ValueError, match="expected Size, got tuple"):
        pytree.tree_map(lambda a, b: a, torch.Size([2]), (2,))
    with pytest.raises(ValueError, match="Size, which is a node already"):
        pytree.register_pytree_node(torch.Size, list, tuple)
    # What a transform hands on is a pytree too.
    assert func.vmap(lambda size, x: x * size[1], (None, 0))(torch.Size([2, 3]), torch.ones(2)).tolist() == [3, 3]


@pytest.mark.skipif(not at_least(1, 8), reason="torch has torch.fx since 1.8")
def test_paths_in_the_immutable_dict_of_fx():
    fx = import_module("torch.fx.immutable_collections")
    tree = fx.immutable_dict(a=1, b=fx.immutable_list([2]))
    assert [keystr(path) for path, _ in pytree.tree_leaves_with_path(tree)] == ["['a']", "['b'][0]"]
    assert pytree.tree_map(lambda leaf: leaf + 1, tree) == {"a": 2, "b": [3]}


def test_what_is_a_leaf():
    for leaf in (1, None, "text", torch.ones(1), {1, 2}, torch.Size):
        assert pytree.tree_is_leaf(leaf)
    for node in ([], (), {}, Point(1, 2), deque(), defaultdict(int), torch.ones(2, 2).max(0)):
        assert not pytree.tree_is_leaf(node)
    assert pytree.tree_is_leaf([1], is_leaf=is_list)


def test_what_the_caller_calls_a_leaf():
    assert pytree.tree_leaves(TREE, is_leaf=is_list) == [[1, (2, None)], 3, 4, 5]
    assert list(pytree.tree_iter(TREE, is_leaf=is_list)) == [[1, (2, None)], 3, 4, 5]
    leaves, spec = pytree.tree_flatten(TREE, is_leaf=is_list)
    assert pytree.tree_unflatten(leaves, spec) == TREE
    assert [keystr(path) for path, _ in pytree.tree_leaves_with_path(TREE, is_leaf=is_list)] == ["['b']", *PATHS[3:]]


@pytest.mark.parametrize("leaves", [[], [1], [1, 2, 3]])
def test_another_number_of_leaves(leaves):
    with pytest.raises(ValueError, match=rf"treespec has 2 leaves, but {len(leaves)} leaves are given"):
        pytree.tree_unflatten(leaves, pytree.tree_structure((0, [0])))


def test_what_is_no_structure():
    with pytest.raises(TypeError, match="treespec must be a TreeSpec"):
        pytree.tree_unflatten([1], [1])


# --- Mapping


def test_map():
    assert pytree.tree_map(str, TREE) == {
        "b": ["1", ("2", "None")],
        "a": Point("3", OrderedDict([("z", "4"), ("y", deque(["5"]))])),
    }
    assert pytree.tree_map(len, {"a": [1, 2]}, is_leaf=is_list) == {"a": 2}


def test_map_of_several():
    assert pytree.tree_map(lambda *all: sum(all), [1, {"a": 2}], [10, {"a": 20}], [100, {"a": 200}]) == [
        111,
        {"a": 222},
    ]
    assert pytree.tree_map(lambda a, b: (a, b), [1, 2], [[3], {"a": 4}]) == [(1, [3]), (2, {"a": 4})]


def test_the_order_of_keys_is_that_of_the_first():
    first, second = {"a": 1, "b": 2}, {"b": 20, "a": 10}
    mapped = pytree.tree_map(lambda a, b: a + b, first, second)
    assert list(mapped.items()) == [("a", 11), ("b", 22)]
    assert list(pytree.tree_map(lambda a, b: a + b, second, first).items()) == [("b", 22), ("a", 11)]


def test_kinds_of_dicts_go_together():
    others = [OrderedDict([("b", 20), ("a", 10)]), defaultdict(int, {"b": 20, "a": 10})]
    for other in others:
        assert pytree.tree_map(lambda a, b: a + b, {"a": 1, "b": 2}, other) == {"a": 11, "b": 22}
        mapped = pytree.tree_map(lambda a, b: a + b, other, {"a": 1, "b": 2})
        assert type(mapped) is type(other)
        assert mapped == {"a": 11, "b": 22}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1], (1,), "tree 2 does not fit the first one at the top: expected list, got tuple"),
        ({"a": [1, 2]}, {"a": [1]}, r"tree 2 .* at \['a'\]: expected 2 children, got 1"),
        ({"a": [1, (2,)]}, {"a": [1, 2]}, r"tree 2 .* at \['a'\]\[1\]: expected tuple, got int"),
        ({"a": 1}, {"b": 1}, r"tree 2 .* at the top: expected the keys \['a'\], got \['b'\]"),
        ([{"a": 1}], [[1]], r"tree 2 .* at \[0\]: expected dict, got list"),
        ([[1]], [{"a": 1}], r"tree 2 .* at \[0\]: expected list, got dict"),
        (Point([1], 2), Point(1, 2), r"tree 2 .* at \.x: expected list, got int"),
        (Point(1, 2), (1, 2), "expected Point, got tuple"),
        (deque([1]), [1], "expected deque, got list"),
    ],
)
def test_trees_that_differ(first, second, message):
    for function in (pytree.tree_map, pytree.tree_map_):
        with pytest.raises(ValueError, match=message):
            function(lambda a, b: a, first, second)
    with pytest.raises(ValueError, match=message.replace("tree 2", "tree 3")):
        pytree.tree_map(lambda a, b, c: a, first, first, second)


def test_map_in_place():
    tree, seen = {"a": torch.zeros(2), "b": [torch.ones(2)]}, []
    assert pytree.tree_map_(lambda tensor: tensor.add_(1), tree) is tree
    assert [leaf.tolist() for leaf in pytree.tree_leaves(tree)] == [[1, 1], [2, 2]]
    pytree.tree_map_(lambda a, b: seen.append((a, b)), [1, 2], [3, 4])
    assert seen == [(1, 3), (2, 4)]


def test_map_only():
    tree = [1, 2.0, "three", None, torch.ones(2)]
    assert pytree.tree_map_only(int, lambda leaf: -leaf, tree)[:2] == [-1, 2.0]
    assert pytree.tree_map_only((int, float), lambda leaf: -leaf, tree)[:3] == [-1, -2.0, "three"]
    assert pytree.tree_map_only(lambda leaf: leaf is None, lambda leaf: 0, tree)[3] == 0
    assert pytree.tree_map_only(torch.Tensor, lambda leaf: leaf.sum().item(), tree)[4] == 2
    assert pytree.tree_map_only(list, len, {"a": [1, 2]}, is_leaf=is_list) == {"a": 2}
    with pytest.raises(TypeError):
        pytree.tree_map_only(3, str, [])


def test_all_and_any():
    assert pytree.tree_all(lambda leaf: leaf > 0, [1, (2,)])
    assert not pytree.tree_all(lambda leaf: leaf > 1, [1, (2,)])
    assert pytree.tree_any(lambda leaf: leaf > 1, [1, (2,)])
    assert not pytree.tree_any(lambda leaf: leaf > 2, [1, (2,)])
    assert pytree.tree_all(bool, [])
    assert not pytree.tree_any(bool, [])
    assert pytree.tree_all(is_list, {"a": [0]}, is_leaf=is_list)


def test_no_further_than_needed():
    seen = []
    assert pytree.tree_any(lambda leaf: seen.append(leaf) or leaf == 2, [1, 2, 3])
    assert seen == [1, 2]


# --- Paths


def test_paths():
    pairs, spec = pytree.tree_flatten_with_path(TREE)
    assert [keystr(path) for path, _ in pairs] == PATHS
    assert [leaf for _, leaf in pairs] == LEAVES
    assert spec == pytree.tree_structure(TREE)
    assert pytree.tree_leaves_with_path(TREE) == pairs
    assert pairs[3][0] == (MappingKey("a"), GetAttrKey("x"))
    assert pytree.tree_leaves_with_path(7) == [((), 7)]
    assert keystr(()) == ""


def test_a_path_leads_to_its_leaf():
    for path, leaf in pytree.tree_leaves_with_path(TREE):
        found = TREE
        for key in path:
            found = key.get(found)
        assert found is leaf


def test_map_with_path():
    mapped = pytree.tree_map_with_path(lambda path, leaf, other: (keystr(path), leaf + other), {"a": [1]}, {"a": [2]})
    assert mapped == {"a": [("['a'][0]", 3)]}


# --- Registered classes


def _torchs_own():
    from torch.utils import _pytree as theirs

    return theirs


@pytest.fixture
def Box(request):
    """A class of its own for each test, forgotten afterwards."""

    class Box:
        def __init__(self, content, label):
            self.content, self.label = content, label

    yield Box
    pytree._pytree.REGISTERED.pop(Box, None)
    if at_least(1, 8):
        theirs = _torchs_own()
        if hasattr(theirs, "_deregister_pytree_node") and Box in theirs.SUPPORTED_NODES:
            theirs._deregister_pytree_node(Box)
        for name in ("SUPPORTED_NODES", "SUPPORTED_SERIALIZED_TYPES"):
            getattr(theirs, name, {}).pop(Box, None)


def register(Box, **options):
    pytree.register_pytree_node(
        Box, lambda box: ([box.content], box.label), lambda children, label: Box(next(iter(children)), label), **options
    )


def test_a_class_is_a_leaf_until_it_is_registered(Box):
    box = Box([1], "label")
    assert pytree.tree_leaves([box]) == [box]
    register(Box)
    assert pytree.tree_leaves([box]) == [1]
    mapped = pytree.tree_map(lambda leaf: leaf + 1, [box])[0]
    assert (type(mapped), mapped.content, mapped.label) == (Box, [2], "label")
    assert [keystr(path) for path, _ in pytree.tree_leaves_with_path([box])] == ["[0][0][0]"]


def test_what_a_class_has_beside_its_children_counts(Box):
    register(Box)
    assert pytree.tree_structure(Box(1, "a")) != pytree.tree_structure(Box(1, "b"))
    with pytest.raises(ValueError, match="expected 'a' beside the children, got 'b'"):
        pytree.tree_map(lambda a, b: a, Box(1, "a"), Box(1, "b"))


def test_keys_of_a_class(Box):
    register(Box, flatten_with_keys_fn=lambda box: ([(GetAttrKey("content"), box.content)], box.label))
    assert [keystr(path) for path, _ in pytree.tree_leaves_with_path([Box([1], "")])] == ["[0].content[0]"]


def test_registering_twice_keeps_the_first(Box):
    register(Box)
    pytree.register_pytree_node(Box, lambda box: ([], None), lambda children, context: None)
    assert pytree.tree_leaves(Box(1, "")) == [1]


def test_functions_see_it(Box):
    register(Box)
    gradient = func.grad(lambda box: (box.content**2).sum())(Box(torch.tensor([1.0, 2.0]), "x"))
    assert gradient.label == "x"
    assert gradient.content.tolist() == [2, 4]


@pytest.mark.skipif(not at_least(1, 8), reason="torch has pytrees since 1.8")
def test_torch_knows_it(Box):
    register(Box, serialized_type_name="tests.Box")
    theirs = _torchs_own()
    leaves, spec = theirs.tree_flatten([Box(1, "a"), 2])
    assert leaves == [1, 2]
    assert theirs.tree_unflatten([3, 4], spec)[0].content == 3


@pytest.mark.skipif(not at_least(1, 8), reason="torch has pytrees since 1.8")
def test_what_torch_knows_is_known(Box):
    theirs = _torchs_own()
    own = theirs.register_pytree_node if at_least(2, 2) else theirs._register_pytree_node
    own(Box, lambda box: ([box.content, box.content], None), lambda children, context: None)
    register(Box)  # no error, and no change
    assert pytree.tree_leaves(Box(1, "a")) == [1, 1]


@pytest.mark.parametrize("kind", [list, tuple, dict, OrderedDict, defaultdict, deque, Point])
def test_built_in_nodes_are_not_registered(kind):
    with pytest.raises(ValueError, match="cls must not be"):
        register(kind)


def test_what_cannot_be_registered(Box):
    with pytest.raises(TypeError, match="cls must be a class"):
        register(Box(1, ""))
    with pytest.raises(TypeError, match="flatten_fn must be a function"):
        pytree.register_pytree_node(Box, None, None)
    with pytest.raises(TypeError, match="unflatten_fn must be a function"):
        pytree.register_pytree_node(Box, list, None)
    assert pytree.tree_is_leaf(Box(1, ""))


def forget(cls):
    pytree._pytree.REGISTERED.pop(cls, None)


def test_a_dataclass():
    @dataclasses.dataclass
    class Output:
        loss: object
        logits: object = None

    pytree.register_dataclass(Output)
    pytree.register_dataclass(Output)
    leaves, spec = pytree.tree_flatten(Output([1, 2]))
    assert leaves == [1, 2]
    assert pytree.tree_unflatten([3, 4], spec) == Output([3, 4])
    assert pytree.tree_map(str, Output(1, 2)) == Output("1", "2")
    assert [keystr(path) for path, _ in pytree.tree_leaves_with_path(Output([1], 2))] == [".loss[0]", ".logits"]
    forget(Output)


def test_fields_that_are_left_out():
    @dataclasses.dataclass
    class Output:
        loss: object
        note: str = "none"

    pytree.register_dataclass(Output, field_names=["loss"], drop_field_names=["note"])
    assert pytree.tree_map(str, Output(1, "text")) == Output("1", "none")
    forget(Output)


def test_a_class_like_a_dataclass():
    class Output:
        def __init__(self, *, loss):
            self.loss = loss

    with pytest.raises(ValueError, match="field_names must be given"):
        pytree.register_dataclass(Output)
    pytree.register_dataclass(Output, field_names=["loss"])
    assert pytree.tree_map(str, Output(loss=1)).loss == "1"
    forget(Output)


def test_fields_that_do_not_fit():
    @dataclasses.dataclass
    class Output:
        loss: object
        note: str = "none"

    for names in (["loss"], ["loss", "note", "other"]):
        with pytest.raises(ValueError, match=r"field_names must be all fields of Output .*\['loss', 'note'\]"):
            pytree.register_dataclass(Output, field_names=names)


# --- Any tree

ANY = st.recursive(
    st.integers(0, 9),
    lambda children: st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.lists(children, max_size=3).map(deque),
        st.dictionaries(st.text(max_size=2), children, max_size=3),
    ),
    max_leaves=8,
)


@given(tree=ANY)
@settings(max_examples=25)
def test_any_tree(tree):
    leaves, spec = pytree.tree_flatten(tree)
    assert pytree.tree_unflatten(leaves, spec) == tree
    assert list(pytree.tree_iter(tree)) == leaves
    assert [leaf for _, leaf in pytree.tree_leaves_with_path(tree)] == leaves
    assert pytree.tree_map(lambda a, b: a - b, tree, tree) == pytree.tree_map(lambda leaf: 0, tree)


@pytest.mark.skipif(not at_least(2, 4), reason="torch's pytrees have all these functions since 2.4")
@given(tree=ANY)
@settings(max_examples=25)
def test_any_tree_as_torch_has_it(tree):
    theirs = _torchs_own()
    assert pytree.tree_leaves(tree) == theirs.tree_leaves(tree)
    assert [(keystr(path), leaf) for path, leaf in pytree.tree_leaves_with_path(tree)] == [
        (theirs.keystr(path), leaf) for path, leaf in theirs.tree_leaves_with_path(tree)
    ]
    assert pytree.tree_map(str, tree) == theirs.tree_map(str, tree)


def test_the_keys():
    assert [str(key) for key in (SequenceKey(0), MappingKey("a"), GetAttrKey("x"))] == ["[0]", "['a']", ".x"]
