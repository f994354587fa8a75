"""The law of vmap, for any function: it computes what a Python loop over the batch computes.

The oracle is the loop over plain slices, stacked; no vmap is involved in it. Import `check` for tests of operations::

    check(impl, lambda x, y: x @ y, torch.randn(4, 2, 3), torch.randn(3, 5), in_dims=(0, None))
"""

import pytest
import torch

from torchcompat import at_least

# Relative and absolute, for sums of some ten terms of size one, in another order than the loop's.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def check(impl, function, *args, in_dims=0, gradient=True, exact=False, nested=False):
    """Compare ``impl(function, in_dims)(*args)`` with the loop: values, dtypes, shapes and gradients.

    Args:
        impl: the vmap under test.
        function: takes slices of *args*; returns a tensor, or tuples, lists and dicts of tensors.
        args: tensors, other objects (whose in_dim must be None), or tuples, lists and dicts of them.
        in_dims: as vmap's; a tuple may be nested like *args*.
        gradient: also compare the gradients with respect to every floating tensor in *args*, through a random linear
            functional of the floating outputs.
        exact: values must be equal bit by bit, else they are compared with a tolerance that depends on the dtype.
        nested: also compare two nested vmaps with two nested loops, where the arguments whose in_dim is None are
            batched by the outer one only.

    A torch below 2.0 that cannot run the plain loop either lacks the operation: the test is skipped.
    """
    in_dims = _same_structure(in_dims, args)
    _compare("vmap", impl(function, in_dims), loop(function, in_dims), args, gradient, exact)
    if nested:
        outer_args = tuple(_two(arg, dim) for arg, dim in zip(args, in_dims))
        outer_dims = tuple(_outer(arg) for arg in args)
        twice = impl(impl(function, in_dims), outer_dims)
        loops = loop(loop(function, in_dims), outer_dims)
        _compare("vmap of vmap", twice, loops, outer_args, gradient, exact)


def loop(function, in_dims=0):
    """The oracle: *function* on every slice along *in_dims*, and the results stacked along dim 0."""

    def looped(*args):
        dims = _same_structure(in_dims, args)
        size = _batch_size(args, dims)
        return _stack([function(*_slice(args, dims, index)) for index in range(size)])

    return looped


def leaves(tree):
    """The tensors in nested tuples, lists and dicts, in order (of the keys, for a dict)."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in leaves(item)]
    return []


def assert_same(actual, expected, what="result", exact=False, tolerance=None):
    """Assert that two tensors have one dtype, one shape and, up to the dtype's tolerance, the same values."""
    assert isinstance(actual, torch.Tensor), f"{what}: a tensor was expected, not {type(actual).__name__}"
    assert actual.dtype == expected.dtype, f"{what}: dtype {actual.dtype}, of the loop {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, of the loop {tuple(expected.shape)}"
    if tolerance is None:
        tolerance = 0 if exact else TOLERANCE.get(actual.dtype, 0)
    actual, expected = _in_full(actual), _in_full(expected)
    both_nan = (actual != actual) & (expected != expected)
    near = (actual - expected).abs() <= tolerance + tolerance * expected.abs()
    wrong = ~(near | (actual == expected) | both_nan)
    if wrong.any():
        place = _a_place(wrong)
        raise AssertionError(
            f"{what}: {int(wrong.sum())} of {wrong.numel()} values differ from the loop's, at {list(place)} for one: "
            f"{actual[place].item()!r}, of the loop {expected[place].item()!r}"
        )


def _a_place(mask):
    """The indices of one true value; nonzero() warns on torch 1.6."""
    flat, place = int(mask.reshape(-1).long().argmax()), []
    for size in reversed(mask.shape):
        place.insert(0, flat % size)
        flat //= size
    return tuple(place)


def _compare(name, mapped, looped, args, gradient, exact):
    expected, weights, expected_gradients = _run_plain(looped, args, gradient)
    actual_args = _fresh(args, gradient)
    actual = mapped(*actual_args)
    assert _shape_of(actual) == _shape_of(expected), f"{name}: the structure of the result differs from the loop's"
    for index, (ours, theirs) in enumerate(zip(leaves(actual), leaves(expected))):
        assert_same(ours.detach(), theirs.detach(), f"{name}: output {index}", exact)
    if gradient:
        pairs = [pair for pair in zip(leaves(actual), leaves(expected)) if pair[1].requires_grad]
        assert pairs, "no floating output depends on a floating input: say gradient=False"
        for ours, _ in pairs:
            assert ours.requires_grad, f"{name}: an output is cut off from the inputs' gradients"
        gradients = _gradients([ours for ours, _ in pairs], weights, leaves(actual_args))
        # A gradient passes through every dtype on its way.
        tolerance = 10 * max(TOLERANCE.get(tensor.dtype, 0) for tensor in expected_gradients + weights)
        for index, (ours, theirs) in enumerate(zip(gradients, expected_gradients)):
            assert_same(ours, theirs, f"{name}: gradient with respect to input {index}", tolerance=tolerance)


def _run_plain(looped, args, gradient):
    """The loop's results, random weights for those that have a gradient, and the gradients of the weighted sum."""
    fresh = _fresh(args, gradient)
    try:
        result = looped(*fresh)
        outputs = [leaf for leaf in leaves(result) if leaf.requires_grad]
        weights = [torch.randn(leaf.shape).to(leaf.dtype) for leaf in outputs]
        return result, weights, _gradients(outputs, weights, leaves(fresh)) if outputs else []
    except (RuntimeError, TypeError, AttributeError, IndexError, ValueError) as error:
        if at_least(2, 0):
            raise
        return pytest.skip(f"not in this torch, without vmap either: {type(error).__name__}: {str(error)[:100]}")


def _gradients(outputs, weights, inputs):
    inputs = [leaf for leaf in inputs if leaf.requires_grad]
    gradients = torch.autograd.grad(outputs, inputs, weights, allow_unused=True)
    return [torch.zeros_like(leaf) if got is None else got for leaf, got in zip(inputs, gradients)]


def _in_full(tensor):
    """In float64, whose steps are finer than any tolerance here; integers below 2**53 are exact in it."""
    if tensor.dtype in (getattr(torch, "complex64", None), getattr(torch, "complex128", None)):
        tensor = torch.view_as_real(tensor)
    return tensor.double()


def _map(function, tree):
    if isinstance(tree, dict):
        return type(tree)((key, _map(function, value)) for key, value in tree.items())
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_map(function, item) for item in tree])
    if isinstance(tree, (tuple, list)):
        return type(tree)([_map(function, item) for item in tree])
    return function(tree)


def _map_two(function, tree, dims):
    """`function(leaf, dim)`, where *dims* is a tree like *tree*, as `_same_structure` makes it."""
    pairs = iter(_flat(dims))
    return _map(lambda leaf: function(leaf, next(pairs)), tree)


def _flat(tree):
    found = []
    _map(found.append, tree)
    return found


def _same_structure(dims, tree):
    """*dims*, in which an int or None may stand for a whole subtree, spread to the structure of *tree*."""
    if dims is None or isinstance(dims, int):
        return _map(lambda _: dims, tree)
    if isinstance(tree, dict):
        return type(tree)((key, _same_structure(dims[key], value)) for key, value in tree.items())
    spread = [_same_structure(dim, item) for dim, item in zip(dims, tree)]
    return type(tree)(*spread) if hasattr(tree, "_fields") else type(tree)(spread)


def _batch_size(args, dims):
    sizes = {leaf.size(dim) for leaf, dim in zip(_flat(args), _flat(dims)) if dim is not None}
    assert len(sizes) == 1, f"the test's own arguments have the batch sizes {sorted(sizes)}"
    (size,) = sizes
    assert size, "the loop over an empty batch has no result to compare with"
    return size


def _slice(args, dims, index):
    return _map_two(lambda leaf, dim: leaf if dim is None else leaf.select(dim, index), args, dims)


def _stack(results):
    first = results[0]
    if isinstance(first, torch.Tensor):
        return torch.stack(results)
    if isinstance(first, dict):
        return type(first)((key, _stack([result[key] for result in results])) for key in first)
    assert isinstance(first, (tuple, list)), f"the function must return tensors, got {type(first).__name__}"
    columns = [_stack(list(column)) for column in zip(*results)]
    return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)


def _shape_of(tree):
    return _map(lambda _: "leaf", tree)


def _fresh(args, gradient):
    """Copies that share nothing with *args*, so that a function may change its inputs."""

    def copy(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return leaf.detach().clone().requires_grad_(gradient and leaf.is_floating_point())

    return _map(copy, args)


# A second batch dimension for the nested case: the second outer sample is the first one with its batch reversed, so
# that every slice stays in the domain of the function.


def _two(arg, dim):
    def double(leaf, dim):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        # Not by flip, which torch 1.2 has not for bools.
        return torch.stack([leaf, leaf if dim is None else torch.stack(leaf.unbind(dim)[::-1], dim)])

    return _map_two(double, arg, dim)


def _outer(arg):
    return _map(lambda leaf: 0 if isinstance(leaf, torch.Tensor) else None, arg)
