"""vmap: which dimensions it maps, what it accepts and refuses, chunks, and what the function sees inside.

Values of operations are compared with the loop in test_vmap_ops_*.py; nesting and gradients are in
test_vmap_nesting.py, random operations in test_vmap_randomness.py.
"""

import collections
import functools
import inspect
import threading

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import assert_same, check, loop

from torchcompat.func import _batched

pytestmark = [
    pytest.mark.shim("func.vmap"),
]

Pair = collections.namedtuple("Pair", ["left", "right"])


def numbers(*shape):
    """0, 1, 2, ... in this shape."""
    count = 1
    for size in shape:
        count *= size
    return torch.arange(float(count)).reshape(shape)


def move(tensor, source, target):
    """movedim, which torch has since 1.7."""
    order = list(range(tensor.dim()))
    order.insert(target % tensor.dim(), order.pop(source % tensor.dim()))
    return tensor.permute(*order)


def identity(x):
    return x


# --- in_dims


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_in_dims_names_the_mapped_dimension(impl, dim):
    x = numbers(2, 3, 4)
    assert torch.equal(impl(identity, in_dims=dim)(x), move(x, dim, 0))
    check(impl, lambda x: x.sum(0) * x[0], x, in_dims=dim)


def test_the_default_maps_dimension_0_of_every_argument(impl):
    result = impl(lambda x, y: x * y)(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0]))
    assert result.tolist() == [4.0, 10.0, 18.0]


def test_an_argument_with_in_dim_none_is_whole_in_every_call(impl):
    x, y = numbers(2, 3), torch.tensor([1.0, 0.0, -1.0])
    assert torch.equal(impl(torch.dot, in_dims=(0, None))(x, y), x @ y)
    assert torch.equal(impl(torch.dot, in_dims=(None, 1))(y, x.t()), x @ y)


def test_arguments_may_differ_in_their_dims(impl):
    x, y = numbers(2, 3), numbers(3, 2)
    assert torch.equal(impl(torch.add, in_dims=(0, -1))(x, y), x + y.t())


@pytest.mark.parametrize("other", [2.5, "text", None, object(), torch.float32], ids=lambda other: type(other).__name__)
def test_an_argument_that_is_no_tensor_passes_as_it_is(impl, other):
    seen = []

    def function(x, y):
        seen.append(y)
        return x

    impl(function, in_dims=(0, None))(numbers(2, 3), other)
    assert all(item is other for item in seen)
    assert seen


def test_in_dims_may_be_nested_like_the_arguments(impl):
    x, y, z = numbers(2, 3), numbers(3, 2), torch.tensor([1.0, 2.0, 3.0])

    def function(tree, scale):
        return tree["a"][0] + tree["a"][1] + tree["b"] * scale

    result = impl(function, in_dims=({"a": [0, 1], "b": None}, None))({"a": [x, y], "b": z}, 2.0)
    assert torch.equal(result, x + y.t() + 2 * z)


def test_one_int_stands_for_a_whole_subtree(impl):
    x = numbers(3, 2)
    result = impl(lambda tree: tree["a"] + tree["b"][0], in_dims=(1,))({"a": x, "b": (x,)})
    assert torch.equal(result, 2 * x.t())


def test_named_tuples_and_ordered_dicts_keep_their_type_inside_and_outside(impl):
    x, y = numbers(2, 3), numbers(3, 2)
    types = []

    def function(pair, mapping):
        types.append((type(pair), type(mapping), list(mapping)))
        return Pair(right=pair.left, left=pair.right), collections.OrderedDict([("z", mapping["z"]), ("a", pair.left)])

    dims = (Pair(0, 1), collections.OrderedDict([("z", None)]))
    pair, mapping = impl(function, in_dims=dims)(Pair(x, y), collections.OrderedDict([("z", x)]))
    assert set(map(str, types)) == {str((Pair, collections.OrderedDict, ["z"]))}
    assert isinstance(pair, Pair)
    assert torch.equal(pair.right, x)
    assert torch.equal(pair.left, y.t())
    assert isinstance(mapping, collections.OrderedDict)
    assert list(mapping) == ["z", "a"]
    assert torch.equal(mapping["z"], torch.stack([x, x]))


def test_keyword_arguments_are_not_mapped(impl):
    x = numbers(2, 3)
    assert torch.equal(impl(lambda x, y: x + y)(x, y=x), x.unsqueeze(1) + x)
    assert torch.equal(impl(lambda x, *, scale: x * scale)(x, scale=2), 2 * x)
    assert torch.equal(impl(lambda x, tree: x + tree["y"])(x, tree={"y": torch.ones(3)}), x + 1)


def test_every_layout_is_mapped(impl):
    x = numbers(4, 6)[::2, ::3].t()
    assert torch.equal(impl(lambda row: row * 2)(x), x * 2)
    assert torch.equal(impl(lambda row: row * 2)(torch.ones(1, 3).expand(4, 3)), torch.full((4, 3), 2.0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool], ids=str)
def test_every_dtype_is_mapped(impl, dtype):
    x = torch.tensor([[1, 0, 1], [0, 0, 1]]).to(dtype)
    result = impl(lambda x: x.reshape(3, 1))(x)
    assert_same(result, x.reshape(2, 3, 1), exact=True)


def test_a_batch_of_one(impl):
    check(impl, lambda x: x.sum() + x, numbers(1, 3))


# An empty batch shows which shapes an operation gives without any slice to try it on.
EMPTY = {
    "identity": (identity, (3,), torch.float32),
    "sum": (torch.sum, (), torch.float32),
    "compare": (lambda x: x.reshape(1, 3) > 0, (1, 3), torch.bool),
    "matmul": (lambda x: x @ torch.ones(3, 5), (5,), torch.float32),
    "unbatched": (lambda x: torch.ones(2, dtype=torch.int64), (2,), torch.int64),
}


@pytest.mark.limit("empty")
@pytest.mark.parametrize("case", sorted(EMPTY))
def test_an_empty_batch(impl, case):
    function, shape, dtype = EMPTY[case]
    result = impl(function)(torch.ones(0, 3))
    assert tuple(result.shape) == (0,) + shape
    assert result.dtype == dtype


# --- out_dims


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_out_dims_names_the_place_of_the_mapped_dimension(impl, dim):
    x = numbers(2, 3, 4)
    assert torch.equal(impl(identity, out_dims=dim)(x), move(x, 0, dim))


def test_out_dims_may_be_nested_like_the_outputs(impl):
    x = numbers(2, 3)
    result = impl(lambda x: {"a": x, "b": (x, [x])}, out_dims={"a": 1, "b": (0, [-1])})(x)
    assert torch.equal(result["a"], x.t())
    assert torch.equal(result["b"][0], x)
    assert torch.equal(result["b"][1][0], x.t())


def test_one_out_dim_stands_for_a_whole_subtree(impl):
    x = numbers(2, 3)
    first, (second, third) = impl(lambda x: (x, (x, x)), out_dims=(0, 1))(x)
    assert torch.equal(first, x)
    assert torch.equal(second, x.t())
    assert torch.equal(third, x.t())


def test_a_tuple_of_one_out_dim_serves_a_single_tensor(impl):
    x = numbers(2, 3)
    assert torch.equal(impl(identity, out_dims=(1,))(x), x.t())


def test_an_output_that_does_not_depend_on_the_inputs_is_expanded(impl):
    constant = numbers(4)
    assert torch.equal(impl(lambda x: constant)(torch.ones(3, 2)), constant.expand(3, 4))


@pytest.mark.limit("expanded")
@pytest.mark.parametrize("dim", [1, -1])
def test_an_output_that_does_not_depend_on_the_inputs_is_expanded_at_its_out_dim(impl, dim):
    constant = numbers(4)
    result = impl(lambda x: constant, out_dims=dim)(torch.ones(3, 2))
    assert torch.equal(result, move(constant.expand(3, 4), 0, dim))


def test_an_output_with_out_dim_none_is_returned_once(impl):
    constant = numbers(4)
    mapped, single = impl(lambda x: (x, constant), out_dims=(0, None))(torch.ones(3, 2))
    assert mapped.shape == (3, 2)
    assert torch.equal(single, constant)


@pytest.mark.parametrize("output", [2, "text", None, object()], ids=lambda output: type(output).__name__)
def test_an_output_with_out_dim_none_may_be_no_tensor(impl, output):
    mapped, same = impl(lambda x: (x, output), out_dims=(0, None))(torch.ones(3, 2))
    assert mapped.shape == (3, 2)
    assert same is output


def test_the_results_structure(impl):
    result = impl(lambda x: [x, (x.sum(),), {"k": x > 1}])(numbers(2, 3))
    assert isinstance(result, list)
    assert isinstance(result[1], tuple)
    assert result[1][0].tolist() == [3.0, 12.0]
    assert result[2]["k"].tolist() == [[False, False, True], [True, True, True]]
    assert impl(lambda x: ())(numbers(2, 3)) == ()


# --- what it is


def test_the_signature(impl):
    parameters = inspect.signature(impl).parameters
    assert list(parameters) == ["func", "in_dims", "out_dims", "randomness", "chunk_size"]
    defaults = [parameter.default for parameter in parameters.values()]
    assert defaults == [inspect.Parameter.empty, 0, 0, "error", None]
    assert parameters["chunk_size"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.limit("name")
def test_the_mapped_function_has_the_name_of_the_function(impl):
    assert impl(identity).__name__ == "identity"
    assert impl(identity).__wrapped__ is identity


def test_modules_partials_and_builtins_are_functions_too(impl):
    x, linear = numbers(2, 3), torch.nn.Linear(3, 4)
    assert torch.allclose(impl(linear)(x), linear(x), atol=1e-6)
    assert torch.equal(impl(functools.partial(torch.mul, 2))(x), 2 * x)
    assert torch.equal(impl(torch.sum)(x), x.sum(1))


def test_threads_do_not_share_levels(impl):
    """Each thread maps in a barrier's step with the other, one of them two levels deep."""
    barrier, results = threading.Barrier(2, timeout=20), {}

    def run(key, depth):
        def function(x):
            barrier.wait()
            return x * 2

        mapped = function
        for _ in range(depth):
            mapped = impl(mapped)
        x = numbers(1, 1, 3)
        results[key] = mapped(x)

    threads = [threading.Thread(target=run, args=(key, depth)) for key, depth in (("one", 1), ("two", 2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) == {"one", "two"}
    assert all(torch.equal(result, numbers(1, 1, 3) * 2) for result in results.values())


# --- errors


X = torch.ones(2, 3)
REFUSED = {
    "no inputs": (lambda vmap: vmap(lambda: X)(), ValueError, "input|argument"),
    "no tensors": (lambda vmap: vmap(lambda tree: X)([]), ValueError, "(?i)tensor|at least one"),
    "in_dims None": (lambda vmap: vmap(identity, None)(X), ValueError, "in_dims"),
    "in_dims all None": (lambda vmap: vmap(torch.add, (None, None))(X, X), ValueError, "(?i)tensor|at least one"),
    "in_dims a list": (lambda vmap: vmap(torch.add, [0, 0])(X, X), ValueError, "in_dims"),
    "in_dims a dict": (lambda vmap: vmap(identity, {"x": 0})(X), ValueError, "in_dims"),
    "in_dims text": (lambda vmap: vmap(identity, "0")(X), ValueError, "in_dims"),
    "in_dims a float": (lambda vmap: vmap(identity, 0.0)(X), ValueError, "in_dims"),
    "in_dim a float": (lambda vmap: vmap(identity, (0.0,))(X), ValueError, "in_dim"),
    "in_dims too many": (lambda vmap: vmap(identity, (0, 0))(X), ValueError, "in_dims"),
    "in_dims too few": (lambda vmap: vmap(torch.add, (0,))(X, X), ValueError, "in_dims"),
    "in_dims of another key": (lambda vmap: vmap(identity, ({"b": 0},))({"a": X}), ValueError, "in_dims"),
    "in_dims a list for a tuple": (lambda vmap: vmap(identity, ([0],))((X,)), ValueError, "in_dims"),
    "in_dim too large": (lambda vmap: vmap(identity, 2)(X), ValueError, "in_dim"),
    "in_dim too small": (lambda vmap: vmap(identity, -3)(X), ValueError, "in_dim"),
    "a tensor without dims": (lambda vmap: vmap(identity)(torch.tensor(1.0)), ValueError, "in_dim"),
    "a number with in_dim 0": (lambda vmap: vmap(torch.mul)(X, 2.0), ValueError, "in_dim"),
    "None with in_dim 0": (lambda vmap: vmap(lambda x, y: x)(X, None), ValueError, "in_dim"),
    "sizes that differ": (lambda vmap: vmap(torch.add)(X, torch.ones(3)), ValueError, "size"),
    "sizes that differ by dim": (lambda vmap: vmap(torch.add, (0, 1))(X, X), ValueError, "size"),
    "an output that is a number": (lambda vmap: vmap(lambda x: 2)(X), ValueError, "(?i)tensor"),
    "an output that is None": (lambda vmap: vmap(lambda x: (x, None))(X), ValueError, "(?i)tensor"),
    "an output that is a set": (lambda vmap: vmap(lambda x: {1})(X), ValueError, "(?i)tensor"),
    "out_dims too large": (lambda vmap: vmap(identity, 0, 2)(X), IndexError, "range"),
    "out_dims too small": (lambda vmap: vmap(identity, 0, -3)(X), IndexError, "range"),
    "out_dims too many": (lambda vmap: vmap(lambda x: (x, x), 0, (0, 1, 0))(X), ValueError, "out_dims"),
    "out_dims two for one": (lambda vmap: vmap(identity, 0, (0, 1))(X), ValueError, "out_dims"),
    "out_dims a list for a tuple": (lambda vmap: vmap(lambda x: (x, x), 0, [0, 1])(X), ValueError, "out_dims"),
    "out_dims of another key": (lambda vmap: vmap(lambda x: {"a": x}, 0, {"b": 0})(X), ValueError, "out_dims"),
    "out_dims text": (lambda vmap: vmap(identity, 0, "0")(X), ValueError, "out_dims"),
    "out_dims a float": (lambda vmap: vmap(identity, 0, 1.0)(X), ValueError, "out_dims"),
    "randomness unknown": (lambda vmap: vmap(identity, randomness="equal")(X), RuntimeError, "randomness"),
    "randomness None": (lambda vmap: vmap(identity, randomness=None)(X), RuntimeError, "randomness"),
    "chunk_size 0": (lambda vmap: vmap(identity, chunk_size=0), ValueError, "chunk_size"),
    "chunk_size negative": (lambda vmap: vmap(identity, chunk_size=-1), ValueError, "chunk_size"),
    "not a function": (lambda vmap: vmap(3)(X), TypeError, "callable"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_errors(impl, case):
    call, error, match = REFUSED[case]
    with pytest.raises(error, match=match):
        call(impl)
    assert torch.equal(impl(lambda x: x * 2)(X), 2 * X)


@pytest.mark.limit("looped_none")
def test_a_mapped_output_with_out_dim_none_is_refused(impl):
    with pytest.raises(ValueError, match="out_dim"):
        impl(identity, out_dims=None)(numbers(2, 3))


class Oops(Exception):
    """An error of the caller's own."""


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_error_in_the_function_passes_through_and_leaves_no_level_behind(impl, depth):
    kept = []

    def fails(x):
        kept.append(x)
        raise Oops

    mapped = fails
    for _ in range(depth):
        mapped = impl(mapped)
    with pytest.raises(Oops):
        mapped(numbers(2, 2, 2))
    assert kept
    seen = []
    assert impl(lambda x: seen.append(x.shape) or x.sum())(numbers(2, 3)).tolist() == [3.0, 12.0]
    assert set(seen) == {(3,)}
    assert type(torch.ones(2) + 1) is torch.Tensor
    with pytest.raises(ValueError, match="size"):
        impl(torch.add)(X, torch.ones(3))


def test_an_error_in_an_inner_vmap_can_be_caught_in_the_outer_one(impl):
    def inner(x):
        raise Oops

    def function(x):
        try:
            return impl(inner)(x)
        except Oops:
            return x * 2

    assert torch.equal(impl(function)(numbers(2, 3)), 2 * numbers(2, 3))


# --- chunks


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 7])
def test_chunks_give_the_same(impl, chunk_size):
    x, y, z = numbers(3, 5), numbers(5, 3), numbers(3)

    def function(tree, z):
        return {"sum": tree["x"] + tree["y"] * z, "dot": (tree["x"] * tree["y"]).sum(), "z": z}

    dims, out = ({"x": 1, "y": 0}, None), {"sum": 1, "dot": 0, "z": 0}
    whole = impl(function, dims, out)({"x": x, "y": y}, z)
    parts = impl(function, dims, out, chunk_size=chunk_size)({"x": x, "y": y}, z)
    assert list(parts) == list(whole)
    for key in whole:
        assert torch.equal(parts[key], whole[key]), key


def test_the_chunk_size_bounds_what_is_computed_at_once(impl):
    """The function runs once for every chunk at least, as often as there are chunks where it is not looped over."""
    calls = []
    impl(lambda x: calls.append(1) or x, chunk_size=2)(torch.ones(5, 3))
    assert len(calls) >= 3


# --- control flow that depends on values

CONTROL_FLOW = {
    "if": lambda x: x if x.sum() > 0 else -x,
    "bool": lambda x: x * bool(x.sum()),
    "and": lambda x: x.sum() and x,
    "item": lambda x: x * x.sum().item(),
    "int": lambda x: x * int(x.sum()),
    "float": lambda x: x * float(x.sum()),
    "tolist": lambda x: x * sum(x.tolist()),
    "numpy": lambda x: torch.as_tensor(x.numpy() + 1),
    "range": lambda x: x * len(range(x.sum().long())),
    "list index": lambda x: [x, 2 * x][x[0].long()],
}


@pytest.mark.limit("control_flow")
@pytest.mark.parametrize("case", sorted(CONTROL_FLOW))
def test_a_value_cannot_leave_the_batch(impl, case):
    with pytest.raises(RuntimeError):
        impl(CONTROL_FLOW[case])(numbers(2, 3))
    assert torch.equal(impl(lambda x: x * 2)(X), 2 * X)


SHAPES_BY_VALUES = {
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 1],
    "masked_select": lambda x: torch.masked_select(x, x > 1),
    "unique": lambda x: torch.unique(x),
}


@pytest.mark.filterwarnings("ignore:This overload of nonzero is deprecated:UserWarning")  # torch 1.5 and 1.6
@pytest.mark.parametrize("case", sorted(SHAPES_BY_VALUES))
def test_a_shape_cannot_depend_on_values(impl, case):
    with pytest.raises(RuntimeError):
        impl(SHAPES_BY_VALUES[case])(torch.tensor([[0, 1, 2], [3, 3, 3]]))


ESCAPED = {
    "unary": lambda x: x.sin(),
    "copy": lambda x: x.clone(),
    "conversion": lambda x: x.to(torch.float64),
    "unary write": lambda x: x.sin_(),
    "binary": lambda x: x + torch.ones(2),
    "reduction": lambda x: x.sum(0),
    "shape": lambda x: x.reshape(-1, 1),
    "layer": lambda x: torch.nn.functional.linear(x, torch.ones(2, 2)),
}


@pytest.mark.skipif(not _batched.VECTORISES, reason="each sample is a plain tensor")
@pytest.mark.parametrize("case", sorted(ESCAPED))
def test_a_tensor_that_escapes_is_of_no_use(impl, case):
    kept = []
    impl(lambda x: kept.append(x) or x)(torch.ones(3, 2))
    with pytest.raises(RuntimeError):
        ESCAPED[case](kept[0])


def test_control_flow_on_what_is_not_mapped_is_free(impl):
    flag = torch.tensor(True)
    assert torch.equal(impl(lambda x, y: x if flag and y.item() > 1 else -x, (0, None))(X, torch.tensor(2.0)), X)


# --- changes in place


def test_a_mapped_tensor_can_be_changed_in_place(impl):
    x, y = numbers(2, 3), numbers(2, 3) + 1

    def function(x, y):
        x.add_(y).mul_(2)
        x[0] = y[1]
        x[1:] -= 1
        return x

    expected = loop(function)(x.clone(), y)
    result = impl(function)(x, y)
    assert torch.equal(result, expected)
    assert torch.equal(x, expected), "the caller's tensor is changed too"


def test_new_tensors_of_a_mapped_one_take_mapped_values(impl):
    def function(x):
        new, like = x.new_zeros(4), torch.zeros_like(x)
        new[1] = x[0]
        like += x
        return new, like

    new, like = impl(function)(numbers(2, 3) + 1)
    assert new.tolist() == [[0.0, 1.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0]]
    assert torch.equal(like, numbers(2, 3) + 1)


def test_an_unmapped_tensor_can_be_changed_by_unmapped_values(impl):
    total = torch.zeros(3)
    result = impl(lambda x: total.clone().add_(1) * x)(X)
    assert torch.equal(result, X)


INTO_UNMAPPED = {
    "add_": lambda whole, x: whole.add_(x),
    "augmented": lambda whole, x: whole.__iadd__(x),
    "setitem": lambda whole, x: whole.__setitem__(0, x[0]),
    "copy_": lambda whole, x: whole.copy_(x),
}


@pytest.mark.limit("unmapped_writes")
@pytest.mark.parametrize("case", sorted(INTO_UNMAPPED))
def test_an_unmapped_tensor_cannot_take_mapped_values(impl, case):
    captured = torch.zeros(3)
    with pytest.raises(RuntimeError):
        impl(lambda x: INTO_UNMAPPED[case](captured, x))(numbers(2, 3) + 1)
    with pytest.raises(RuntimeError):
        impl(INTO_UNMAPPED[case], (None, 0))(torch.zeros(3), numbers(2, 3) + 1)


# --- what the function sees

VIEWS = {
    "type": lambda x: (isinstance(x, torch.Tensor), torch.is_tensor(x)),
    "shape": lambda x: (x.shape, x.size(), x.size(0), x.size(-1), x.shape[1], tuple(x.shape), len(x.shape)),
    "dim": lambda x: (x.dim(), x.ndim, x.ndimension(), len(x)),
    "numel": lambda x: (x.numel(), torch.numel(x), x.nelement()),
    "dtype": lambda x: (x.dtype, x.is_floating_point(), torch.is_floating_point(x), x.element_size()),
    "device": lambda x: (x.device, x.is_cuda),
    "layout": lambda x: x.layout,
    "made": lambda x: (torch.zeros_like(x).shape, x.new_ones(2, 5).shape, x.t().shape, x.T.shape, x[0].shape),
    "iterated": lambda x: [row.shape for row in x],
    "unpacked": lambda x: [a.shape for a, b in [tuple(x)]],
    "enumerated": lambda x: [(index, row.dim()) for index, row in enumerate(x.unbind(1))],
    "same": lambda x: (x is x, x in [x], {x: 1}[x]),
}


@pytest.mark.parametrize("case", sorted(VIEWS))
def test_the_function_sees_a_slice_of_the_batch(impl, case):
    view, x, seen = VIEWS[case], numbers(4, 2, 3), []
    impl(lambda x: seen.append(view(x)) or x, in_dims=1)(x.permute(1, 0, 2))
    assert seen
    assert all(item == view(x[0]) for item in seen)


def test_a_mapped_tensor_can_be_printed(impl):
    texts = []
    impl(lambda x: texts.append(repr(x) + str(x) + f"{x}") or x)(numbers(2, 3))
    assert all(texts)


CAPTURED = {
    "add": lambda w, x: w + x,
    "matmul": lambda w, x: w @ x,
    "function": lambda w, x: torch.matmul(w, x),
    "linear": lambda w, x: F.linear(x, w),
    "cat": lambda w, x: torch.cat([w[0], x]),
    "stack": lambda w, x: torch.stack([x, w[1]]),
    "where": lambda w, x: torch.where(x > 2, w, x),
    "out of place": lambda w, x: w.mul(x).sub(w),
    "gather": lambda w, x: w.gather(1, (x.long() % 3).reshape(1, 3)),
    "index_select": lambda w, x: w.index_select(1, x.long() % 3),
    "embedding": lambda w, x: F.embedding(x.long() % 3, w),
}


@pytest.mark.parametrize("case", sorted(CAPTURED))
def test_a_captured_tensor_is_whole(impl, case):
    weight = torch.randn(3, 3)
    check(impl, lambda x: CAPTURED[case](weight, x), numbers(2, 3) + 0.5, gradient=False)


@pytest.mark.limit("captured_index")
def test_a_captured_tensor_indexed_by_mapped_positions(impl):
    x = numbers(2, 3)
    result = impl(lambda positions: x[:, positions])(torch.tensor([[0, 2], [1, 1]]))
    assert torch.equal(result, torch.stack([x[:, [0, 2]], x[:, [1, 1]]]))


@pytest.mark.limit("index")
@pytest.mark.limit("captured_index")
def test_a_captured_tensor_indexed_by_one_mapped_position(impl):
    x = numbers(2, 3)
    assert torch.equal(impl(lambda position: x[:, position])(torch.tensor([0, 2])), x[:, [0, 2]].t())
