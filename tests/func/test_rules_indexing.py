"""vmap of indexing, gathers, scatters and masks is the loop over the samples, and does not loop itself.

The batch has 3 samples; no dimension of a sample that an index chooses has that size.
"""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat import at_least, is_version

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]


def batch(*sizes):
    return torch.randn((3,) + sizes, dtype=torch.float64)


MASK = torch.tensor([True, False, False, True])
AT = torch.tensor([3, 0, 3])
ROWS = torch.tensor([[1, 0], [-2, 0], [1, 1]])  # for each sample two positions in a dimension of 2 or more
PAIRS = torch.tensor([[[1, 0]], [[0, 1]], [[1, 1]]])


def names(table, limits):
    """The names in *table*, those in *limits* with the mark of their limit."""
    marks = {name: pytest.mark.limit(key) for key, those in limits.items() for name in those}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=[marks[name]] if name in marks else []) for name in sorted(table)]
    )


# name: (function of x, shape of a sample)
PLAIN = {
    "ints": (lambda x: (x[0], x[-1, 1], x[1, -2, 3]), (2, 4, 5)),
    "slices": (lambda x: (x[1:], x[:, ::2], x[..., -3:-1], x[5:]), (2, 4, 5)),
    "none and ellipsis": (lambda x: (x[None], x[:, None, 1], x[..., None], x[..., 0], x[0, ..., None, 1]), (2, 4, 5)),
    "mask": (lambda x: (x[:, MASK], x[0, MASK], x[..., None, MASK, :], x[1:, MASK, 2]), (2, 4, 5)),
    "mask of two dims": (lambda x: x[MASK.reshape(2, 2)], (2, 2, 5)),
    "positions": (lambda x: (x[:, AT], x[0, AT], x[..., AT], x[:, AT, None]), (2, 4, 5)),
    "matrix of positions": (lambda x: x[:, AT.reshape(1, 3)], (2, 4, 5)),
    "together": (lambda x: (x[AT % 2, AT], x[:, AT, AT], x[None, AT % 2, AT]), (2, 4, 5)),
    "apart": (lambda x: (x[AT % 2, :, AT], x[AT % 2, None, AT], x[AT % 2, 1, AT]), (2, 4, 5)),
    "mask and positions": (lambda x: (x[AT[:2] % 2, MASK], x[AT[:2] % 2, :, [1, 4]]), (2, 4, 5)),
    "list": (lambda x: (x[:, [2, 0]], x[[1, 0]], x[[]]), (2, 4)),
    "number in a tensor": (lambda x: (x[torch.tensor(1)], x[:, torch.tensor(-1)]), (2, 4)),
    "vector": (lambda x: (x[2], x[AT], x[MASK], x[None, 1:]), (4,)),
}


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_an_index_that_is_not_mapped(impl, no_loop, name):
    function, sizes = PLAIN[name]
    check(impl, function, batch(*sizes), exact=True, nested=True)


MAPPED = {
    "first": lambda x, i: x[i],
    "second": lambda x, i: x[:, i],
    "last": lambda x, i: x[..., i],
    "after an int": lambda x, i: x[0, i],
    "before an int": lambda x, i: x[i, 0],
    "matrix": lambda x, i: x[:, i.reshape(2, 1)],
    "together": lambda x, i: (x[i, i + 2], x[:, i, i], x[1:, i + 1, i.reshape(2, 1)]),
    "apart": lambda x, i: (x[i, :, i], x[i, None, i], x[i.reshape(2, 1), 1, i]),
    "with a captured one": lambda x, i: (x[i, AT[:2]], x[AT[:2] % 2, :, i], x[:, AT.reshape(3, 1), i]),
    "with a captured mask": lambda x, i: (x[i, MASK], x[:, MASK, i]),
    "slices and none": lambda x, i: (x[None, i, 1:], x[::2, None, i, :2], x[..., i, :, None]),
    "number": lambda x, i: (x[i[0]], x[:, i[1]]),
    "numbers": lambda x, i: x[i[0], i[1]],
    "number apart": lambda x, i: x[i[0], :, i],
    "number between": lambda x, i: x[i, i[0], i],
    "number first": lambda x, i: x[i[0], 1:, i[1]],
    "number last": lambda x, i: (x[i, :, i[0]], x[:, i[0], i]),
    "empty": lambda x, i: x[i[:0]],
    "index_select": lambda x, i: (x.index_select(1, i + 2), torch.index_select(x, dim=-1, index=i + 2)),
    "take": lambda x, i: torch.take(x, i),
    "gather": lambda x, i: (
        x.gather(1, (i + 2).reshape(2, 1, 1)),
        torch.gather(x, 0, index=(i + 2).reshape(1, 1, 2) % 2),
    ),
    "take_along_dim": lambda x, i: (
        torch.take_along_dim(x, (i + 2).reshape(1, 2, 1), 1),
        torch.take_along_dim(x, (i + 2).reshape(2, 1)),
    ),
}


@pytest.mark.parametrize("in_dims", [(0, 0), (0, None), (None, 0)])
@names(
    MAPPED,
    {"index_order": ["number apart"], "index": ["number between", "number first", "number last", "number", "numbers"]},
)
def test_an_index_that_is_mapped(impl, no_loop, name, in_dims):
    if in_dims[0] is None and not at_least(1, 8) and at_least(1, 7) and name not in DISPATCHED_BY_1_7:
        pytest.skip("torch 1.7 does not tell a subclass that it is an index")
    x = batch(2, 4, 5) if in_dims[0] == 0 else torch.randn(2, 4, 5, dtype=torch.float64)
    i = ROWS if in_dims[1] == 0 else ROWS[0]
    check(impl, MAPPED[name], x, i, in_dims=in_dims, exact=True, nested=True)


DISPATCHED_BY_1_7 = ("index_select", "take", "gather", "gather index=")


def assign(*index):
    """`x[index] = y`, where True in *index* stands for the positions."""

    def function(x, y, i):
        x = x.clone()
        x[tuple(i if item is True else item for item in index)] = y
        return x

    return function


# name: (function of x, y and i, shape of a sample of x, and of y)
ASSIGNED = {
    "int": (assign(0), (2, 4), (4,)),
    "ints": (assign(0, -1), (2, 4), ()),
    "slice": (assign(slice(None), slice(1, 3)), (2, 4), (2, 2)),
    "none": (assign(None, 0), (2, 4), (1, 4)),
    "ellipsis": (assign(Ellipsis, 1), (2, 4), (2,)),
    "broadcast": (assign(Ellipsis), (2, 4), (4,)),
    "leading ones": (assign(0), (2, 4), (1, 1, 4)),
    "captured mask": (assign(slice(None), MASK), (2, 4), (2, 2)),
    "captured mask and a number": (assign(slice(None), MASK), (2, 4), ()),
    "captured positions": (assign(slice(None), torch.tensor([2, 0])), (2, 4), (2, 1)),
    "captured apart": (assign(torch.tensor([0, 1]), slice(None), torch.tensor([2, 0])), (2, 4, 5), (2, 4)),
    "mapped": (assign(True), (4, 5), (2, 5)),
    "mapped second": (assign(slice(None), True), (2, 4), (2, 1)),
    "mapped, broadcast": (assign(slice(1, None), True), (2, 4), ()),
    "mapped after none": (assign(None, True, slice(0, 2)), (4, 5), (2, 1)),
    "mapped apart": (assign(True, slice(None), torch.tensor([2, 0])), (4, 2, 5), (2, 2)),
    "index_put": (lambda x, y, i: x.index_put((i, i + 1), y), (4, 5), (2,)),
    "index_put captured": (lambda x, y, i: x.index_put((AT[:2], AT[:2]), y, accumulate=True), (4, 5), ()),
    "index_put adds": (lambda x, y, i: x.clone().index_put_((i,), y, accumulate=True), (4, 5), (5,)),
    "index_add": (lambda x, y, i: x.index_add(0, i, y), (4, 5), (2, 5)),
    "index_add captured": (lambda x, y, i: x.clone().index_add_(-1, AT, y), (2, 4), (2, 3)),
    "index_copy": (lambda x, y, i: x.index_copy(1, i, y), (2, 4), (2, 2)),
    "index_copy captured": (lambda x, y, i: x.clone().index_copy_(1, AT[:2], y), (2, 4), (2, 2)),
    "index_fill": (lambda x, y, i: x.index_fill(1, i, 2.0) * y, (2, 4), ()),
    "index_fill_": (lambda x, y, i: x.clone().index_fill_(-1, AT, 2.0) * y, (2, 4), ()),
    "scatter": (lambda x, y, i: x.scatter(1, i.reshape(1, 2), y), (2, 4), (1, 2)),
    "scatter a number": (lambda x, y, i: x.scatter(0, i.reshape(2, 1), 2.0) * y, (4, 5), ()),
    "scatter_": (lambda x, y, i: x.clone().scatter_(-1, AT[:1].reshape(1, 1), y), (2, 4), (1, 1)),
    "scatter_add": (lambda x, y, i: x.scatter_add(0, i, y), (4,), (2,)),
    "scatter_add_": (lambda x, y, i: x.clone().scatter_add_(1, i.reshape(2, 1), src=y), (2, 4), (2, 1)),
    "masked_fill_": (lambda x, y, i: x.clone().masked_fill_(y > 0, 2.0), (2, 4), (4,)),
}


def _distinct(name):
    """Positions that are not negative, and that differ where two values for one place would have no order."""
    return torch.tensor([[1, 0], [2, 3], [0, 2]]) if "2" not in name else ROWS


@pytest.mark.parametrize("mapped_y", [True, False], ids=["mapped value", "captured value"])
@names(ASSIGNED, {"assignment": ["captured apart", "mapped after none", "mapped second"]})
def test_writes(impl, no_loop, name, mapped_y):
    function, x_sizes, y_sizes = ASSIGNED[name]
    y = batch(*y_sizes) if mapped_y else torch.randn(y_sizes, dtype=torch.float64)
    in_dims = (0, 0 if mapped_y else None, 0)
    # Nested, torch's own refuses to write into a clone, which is mapped twice, what only the outer vmap maps.
    nested = mapped_y or "clone" not in function.__code__.co_names
    check(impl, function, batch(*x_sizes), y, _distinct(name), in_dims=in_dims, exact=True, nested=nested)


@pytest.mark.limit("assigned_number")
def test_nested_writes_of_a_number_for_each_sample(impl, no_loop):
    # Torch 1.10 and 1.11 lose the gradient of y in a plain `x[0] = y`, and so in the loop.
    gradient = not (is_version(1, 10) or is_version(1, 11))
    check(impl, lambda x, y: assign(0)(x, y, None), batch(2, 4), batch(), gradient=gradient, exact=True, nested=True)


def test_writes_with_a_number(impl, no_loop):
    i = _distinct("")

    def function(x, i):
        x = x.clone()
        x[0], x[:, i], x[1, MASK] = 1.0, 2.0, 3
        return x

    check(impl, function, batch(2, 4), i, exact=True, nested=True)


def test_a_write_changes_the_input_itself(impl):
    x, y = torch.zeros(3, 2, 4), torch.arange(3.0)

    def function(x, y):
        x[0] = y
        x[1][2:] = y + 1
        return x.sum()

    impl(function)(x, y)
    expected = torch.zeros(3, 2, 4)
    expected[:, 0], expected[:, 1, 2:] = y.reshape(3, 1), y.reshape(3, 1) + 1
    assert torch.equal(x, expected)


WIDER = {
    "x[0] = y": assign(0),
    "x[:, mask] = y": assign(slice(None), MASK),
    "index_add_": lambda x, y, i: x.index_add_(1, i, y.expand(2, 2)),
    "scatter_": lambda x, y, i: x.scatter_(1, i.reshape(2, 1), y.expand(2, 1)),
}


@pytest.mark.skipif(not at_least(1, 7), reason="below 1.7 the whole function is looped")
@pytest.mark.parametrize("name", sorted(WIDER))
def test_a_tensor_that_is_not_mapped_cannot_take_what_is(impl, name):
    x = torch.zeros(2, 4)
    with pytest.raises(RuntimeError):
        impl(lambda y, i: WIDER[name](x, y, i))(torch.ones(3), _distinct(""))


DEPENDS_ON_VALUES = {
    "mask": lambda x: x[x > 0],
    "masked_select": lambda x: x.masked_select(x > 0),
    "nonzero": lambda x: x.nonzero(as_tuple=False) if at_least(1, 5) else x.nonzero(),
    "argwhere": lambda x: torch.argwhere(x.clamp(min=0)),
    "one_hot": lambda x: F.one_hot(x.abs().long()),
}


@pytest.mark.skipif(not at_least(1, 7), reason="below 1.7 the whole function is looped")
@pytest.mark.parametrize("name", sorted(DEPENDS_ON_VALUES))
def test_a_shape_that_depends_on_values(impl, name):
    if name == "argwhere" and not hasattr(torch, "argwhere"):
        pytest.skip("argwhere came with 1.11")
    with pytest.raises(RuntimeError):
        impl(DEPENDS_ON_VALUES[name])(torch.tensor([[1.0, -1.0], [2.0, 2.0], [-3.0, 3.0]]))


VALUES = {
    "one_hot": lambda x, i: F.one_hot(i, 4),
    "one_hot of a number": lambda x, i: F.one_hot(i[0], num_classes=5),
    "searchsorted": lambda x, i: torch.searchsorted(x.sort()[0], x + 0.1),
    "searchsorted captured": lambda x, i: torch.searchsorted(torch.tensor([-0.5, 0.5], dtype=x.dtype), x, right=True),
    "searchsorted for more": lambda x, i: torch.searchsorted(x.sort()[0], torch.stack([x, x + 1])),
    "bucketize": lambda x, i: torch.bucketize(x, torch.tensor([-0.5, 0.5], dtype=x.dtype)),
}


@names(VALUES, {"searchsorted": ["searchsorted for more"]})
def test_positions_of_values(impl, no_loop, name):
    check(impl, VALUES[name], batch(4), _distinct(""), gradient=False, exact=True, nested=True)


@pytest.mark.parametrize(
    "index",
    [2, (0, 5), (slice(None), slice(None), 0), MASK, [0, 7], (AT, AT)],
    ids=["int", "second", "dims", "mask", "list", "two"],
)
def test_an_index_that_does_not_fit(impl, index):
    with pytest.raises(IndexError):
        impl(lambda x: x[index])(batch(2, 4))


@pytest.mark.parametrize("sizes", [(2,), (3, 4), (2, 1, 4)], ids=str)
def test_a_value_that_does_not_fit(impl, sizes):
    with pytest.raises(RuntimeError):
        impl(lambda x, y: assign(0)(x, y, None))(batch(2, 4), batch(*sizes))
    with pytest.raises(RuntimeError):
        impl(lambda x: assign(0)(x, torch.zeros(sizes, dtype=torch.float64), None))(batch(2, 4))


def test_double_gradient_through_positions_that_are_mapped(impl):
    x, i = batch(2, 4), _distinct("")

    def twice(f, x):
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((f(x, i) ** 3).sum(), x, create_graph=True)
        return torch.autograd.grad((gradient**2).sum(), x)[0]

    mapped = twice(impl(lambda x, i: x[:, i]), x)
    looped = twice(lambda x, i: torch.stack([sample[:, at] for sample, at in zip(x, i)]), x)
    assert (mapped - looped).abs().max() < 1e-12
