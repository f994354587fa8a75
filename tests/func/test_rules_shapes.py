"""vmap of shape operations, joins and new tensors is the loop over the samples, and does not loop itself."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat import SHIMS, at_least

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:The use of `x.T` on tensors:UserWarning"),
]
below_1_7 = pytest.mark.skipif(not at_least(1, 7), reason="below 1.7 the whole function is looped")


def both(first, second):
    return lambda x: (first(x), second(x))


# name: (function of one sample, shape of a sample). Batch sizes are 3; sizes differ, so that a mixed-up dim shows.
SHAPES = {
    "reshape": (lambda x: x.reshape(4, 2), (2, 4)),
    "reshape of a size": (lambda x: x.reshape(torch.Size([8])), (2, 4)),
    "reshape shape=": (lambda x: torch.reshape(x, shape=(-1, 2)), (2, 4)),
    "view": (both(lambda x: x.view(-1), lambda x: x.view((2, 2, 2))), (2, 4)),
    "view_as": (lambda x: x.view_as(torch.zeros(8)), (2, 4)),
    "reshape_as": (lambda x: x.t().reshape_as(x), (2, 4)),
    "flatten": (both(torch.flatten, lambda x: x.flatten(start_dim=-2)), (2, 4, 5)),
    "flatten a number": (torch.flatten, ()),
    "ravel": (lambda x: torch.ravel(x), (2, 4)),
    "unflatten": (lambda x: x.unflatten(-1, (2, 2)), (5, 4)),
    "transpose": (both(lambda x: x.transpose(0, -1), lambda x: torch.transpose(x, dim0=1, dim1=2)), (2, 4, 5)),
    "t": (both(lambda x: x.t(), torch.t), (2, 4)),
    "t of a vector": (lambda x: x.t(), (4,)),
    "T": (lambda x: x.T, (2, 4)),
    "T of a vector": (lambda x: x.T, (4,)),
    "T of more": (lambda x: x.T, (2, 4, 5)),
    "mT": (both(lambda x: x.mT, lambda x: x.mH), (2, 4, 5)),
    "H": (both(lambda x: x.H, lambda x: x.adjoint()), (2, 4)),
    "swapaxes": (both(lambda x: x.swapaxes(0, 2), lambda x: torch.swapdims(x, -1, 1)), (2, 4, 5)),
    "permute": (both(lambda x: x.permute(2, 0, 1), lambda x: x.permute((0, -1, 1))), (2, 4, 5)),
    "permute dims=": (lambda x: torch.permute(x, dims=(1, 0)), (2, 4)),
    "movedim": (both(lambda x: x.movedim(0, -1), lambda x: torch.movedim(x, (0, 1), (1, 2))), (2, 4, 5)),
    "squeeze": (both(lambda x: x.squeeze(), lambda x: x.squeeze(-1)), (1, 4, 1)),
    "squeeze nothing": (both(lambda x: x.squeeze(), lambda x: x.squeeze(dim=0)), (2, 4)),
    "squeeze a number": (both(lambda x: x.squeeze(), lambda x: x.squeeze(0)), ()),
    "squeeze several": (lambda x: x.squeeze((0, 2)), (1, 4, 1)),
    "unsqueeze": (both(lambda x: x.unsqueeze(-1), lambda x: torch.unsqueeze(x, dim=0)), (2, 4)),
    "unsqueeze a number": (lambda x: x.unsqueeze(-1), ()),
    "expand": (both(lambda x: x.expand(5, 2, 4), lambda x: x.expand(torch.Size([2, 2, -1]))), (1, 4)),
    "expand a number": (lambda x: x.expand(2, 4), ()),
    "expand_as": (lambda x: x.expand_as(torch.zeros(5, 2, 4)), (1, 4)),
    "broadcast_to": (lambda x: torch.broadcast_to(x, (2, 4)), (4,)),
    "repeat": (both(lambda x: x.repeat(2, 1), lambda x: x.repeat((2, 1, 2))), (2, 4)),
    "repeat a number": (lambda x: x.repeat(2), ()),
    "tile": (both(lambda x: torch.tile(x, (2,)), lambda x: x.tile(2, 1, 2)), (2, 4)),
    "repeat_interleave": (both(lambda x: x.repeat_interleave(2), lambda x: x.repeat_interleave(2, dim=-1)), (2, 4)),
    "repeat_interleave of a tensor": (lambda x: torch.repeat_interleave(x, torch.tensor([2, 0]), dim=0), (2, 4)),
    "narrow": (lambda x: x.narrow(-1, 1, 2), (2, 4)),
    "select": (both(lambda x: x.select(-1, -1), lambda x: torch.select(x, dim=0, index=1)), (2, 4)),
    "chunk": (both(lambda x: x.chunk(3, 1), lambda x: torch.chunk(x, 2)), (2, 4)),
    "split": (both(lambda x: x.split(3, 1), lambda x: torch.split(x, [1, 3], dim=-1)), (2, 4)),
    "split_with_sizes": (lambda x: x.split_with_sizes([3, 1], -1), (2, 4)),
    "tensor_split": (both(lambda x: x.tensor_split(3, 1), lambda x: x.tensor_split((1, 2), -1)), (2, 4)),
    "hsplit": (both(lambda x: x.hsplit(2), lambda x: torch.vsplit(x, [1])), (2, 4)),
    "dsplit": (lambda x: torch.dsplit(x, 2), (2, 5, 4)),
    "unbind": (both(lambda x: x.unbind(), lambda x: torch.unbind(x, -1)), (2, 4)),
    "iteration": (lambda x: [row.sum() for row in x], (2, 4)),
    "reversed": (lambda x: reversed(x), (2, 4)),
    "roll": (both(lambda x: x.roll(1), lambda x: torch.roll(x, (1, 2), (0, -1))), (2, 4)),
    "flip": (both(lambda x: x.flip(-1), lambda x: torch.flip(x, dims=(0, 1))), (2, 4)),
    "fliplr": (both(lambda x: torch.fliplr(x), lambda x: x.flipud()), (2, 4)),
    "rot90": (both(lambda x: torch.rot90(x), lambda x: x.rot90(3, (1, 0))), (2, 4)),
    "diagonal": (both(lambda x: x.diagonal(1), lambda x: x.diagonal(dim1=-1, dim2=0)), (4, 5)),
    "diag": (both(torch.diag, lambda x: x.diag(-1)), (4, 5)),
    "diag of a vector": (both(lambda x: x.diag(1), torch.diagflat), (4,)),
    "diag_embed": (both(torch.diag_embed, lambda x: x.diag_embed(1, 0, 2)), (2, 4)),
    "tril": (both(torch.tril, lambda x: x.triu(-1)), (2, 4, 5)),
    "tril_": (lambda x: x.clone().tril_(1), (4, 4)),
    "unfold": (lambda x: x.unfold(-1, 2, 1), (2, 4)),
    "as_strided": (lambda x: x.clone().as_strided((3, 2), (2, 1)), (2, 4)),
    "atleast": (lambda x: (torch.atleast_1d(x), torch.atleast_2d(x), torch.atleast_3d(x)), ()),
    "atleast of a vector": (lambda x: (torch.atleast_1d(x), torch.atleast_2d(x), torch.atleast_3d(x)), (4,)),
    "atleast of several": (lambda x: torch.atleast_3d(x, x[0]), (2, 4)),
    "in place": (lambda x: x.clone().unsqueeze_(0).transpose_(0, 1).squeeze_(1).t_(), (2, 4)),
    "slice_scatter": (lambda x: torch.slice_scatter(x, x[:, :2] * 2, dim=1, start=2), (2, 4)),
    "diagonal_scatter": (lambda x: torch.diagonal_scatter(x, x[:, 0] * 2), (2, 4)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (1, 4, 2, 5)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), (2, 4, 6)),
    "stack": (both(lambda x: torch.stack([x, x * 2], -1), lambda x: torch.stack((x, x), dim=1)), (2, 4)),
    "stacks": (lambda x: (torch.hstack([x, x]), torch.vstack([x, x]), torch.dstack([x, x])), (2, 4)),
    "stacks of vectors": (lambda x: (torch.hstack([x, x]), torch.vstack([x, x]), torch.dstack([x, x])), (4,)),
    "cat of numbers": (lambda x: torch.hstack([x, x]), ()),
    "cat with an empty vector": (lambda x: torch.cat([x.new_zeros(0), x, torch.zeros(0).double()], 1), (2, 4)),
    "block_diag": (lambda x: torch.block_diag(x, x[0], x[0, 0]), (2, 4)),
    "meshgrid": (lambda x: list(torch.meshgrid(x[:2], x)), (4,)),
    "meshgrid xy": (lambda x: list(torch.meshgrid(x[:2], x, x[0], indexing="xy")), (4,)),
    "broadcast_tensors": (lambda x: list(torch.broadcast_tensors(x[0], x, torch.zeros(5, 1, 1).double())), (2, 4)),
    "pad": (both(lambda x: F.pad(x, (1, 2)), lambda x: F.pad(x, (1, -1, 0, 2), value=7.0)), (2, 4)),
    "pad reflect": (lambda x: F.pad(x, (1, 2), mode="reflect"), (2, 5, 4)),
    "pad replicate": (lambda x: F.pad(x, (1, 2, 0, 1), "replicate"), (2, 5, 4, 6)),
    "pad circular": (lambda x: F.pad(x, (1, 2, 0, 1), mode="circular"), (2, 5, 4, 6)),
}


def batch(*sizes):
    return torch.randn((3,) + sizes, dtype=torch.float64)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_rules(impl, no_loop, name):
    function, sizes = SHAPES[name]
    check(impl, function, batch(*sizes), exact=True, nested=True)


WITHOUT_A_RULE_IN_TORCH = {
    "column_stack": lambda x: torch.column_stack([x, x[:, 0]]),
    "moveaxis": lambda x: torch.moveaxis(x, 0, 1),
    "new": lambda x: x.new(4).zero_().add_(x[0]),
    "new of a list": lambda x: x.new([1.0, 2.0, 3.0, 4.0]).add_(x[0]),
    "new_tensor of a dtype": lambda x: x.new_tensor([1, 2, 3, 4], dtype=torch.float64).add_(x[0]),
    "new_tensor": lambda x: x.new_tensor([1.0, 2.0, 3.0, 4.0]).add_(x[0]),
}


@pytest.mark.limit("no_rule")
@pytest.mark.parametrize("name", sorted(WITHOUT_A_RULE_IN_TORCH))
def test_rules_that_torch_lacks(impl, no_loop, name):
    check(impl, WITHOUT_A_RULE_IN_TORCH[name], batch(2, 4), exact=True, nested=True)


@pytest.mark.limit("select_scatter")
def test_select_scatter(impl, no_loop):
    check(impl, lambda x: torch.select_scatter(x, x[0] * 2, 0, 1), batch(2, 4), exact=True, nested=True)


LENIENT = {"expand": lambda x: x.expand(-1, 2, 4), "tril": lambda x: x[0].tril()}


@pytest.mark.limit("lenient")
@pytest.mark.parametrize("name", sorted(LENIENT))
def test_what_torch_takes_for_the_batch_and_not_for_the_sample(impl, name):
    with pytest.raises((RuntimeError, IndexError)):
        impl(LENIENT[name])(batch(2, 4))


@below_1_7
def test_reshape_of_an_empty_batch_infers_the_size_from_the_sample():
    got = SHIMS["func.vmap"].fallback(lambda x: x.reshape(-1, 2))(torch.zeros(0, 2, 4))
    assert tuple(got.shape) == (0, 4, 2)


@pytest.mark.parametrize("sizes", [(4, 5), (5, 4, 6)], ids=len)
@pytest.mark.parametrize("mode", ["reflect", "replicate"])  # "circular" takes no such sample
@pytest.mark.skipif(not at_least(2, 0), reason="took other ranks before")
def test_pad_without_a_dimension_for_the_batch(impl, no_loop, mode, sizes):
    check(impl, lambda x: F.pad(x, (1, 2) * (len(sizes) - 1), mode=mode), batch(*sizes), nested=True)


JOINS = {
    "cat": lambda x, y: torch.cat([x, y, x], -2),
    "stack": lambda x, y: torch.stack([x[0], y[0]], 1),
    "hstack": lambda x, y: torch.hstack([x[0], y[0]]),
    "vstack": lambda x, y: torch.vstack([x, y]),
    "block_diag": lambda x, y: torch.block_diag(x, y),
    "meshgrid": lambda x, y: list(torch.meshgrid(x[:, 0], y[:, 0])),
    "broadcast_tensors": lambda x, y: list(torch.broadcast_tensors(x[0], y)),
    "expand_as": lambda x, y: (x[0].expand_as(y), y[0].expand_as(x)),
}


@pytest.mark.parametrize("in_dims", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("name", sorted(JOINS))
def test_joins_of_what_is_mapped_and_what_is_not(impl, no_loop, name, in_dims):
    sizes = [(3,) * (dim is not None) + (rows, 4) for dim, rows in zip(in_dims, (2, 5))]
    x, y = (torch.randn(size, dtype=torch.float64) for size in sizes)
    check(impl, JOINS[name], x, y, in_dims=in_dims, exact=True, nested=True)


def test_joins_promote(impl):
    ints, floats = torch.arange(12).reshape(3, 4), torch.randn(3, 4)
    if not at_least(1, 5):
        pytest.skip("cat of two dtypes came with 1.5")
    check(impl, lambda x, y: torch.cat([x, y]), ints, floats, gradient=False, exact=True)


NEW = {
    "new_zeros": lambda x: x.new_zeros(4),
    "new_zeros of a tuple": lambda x: x.new_zeros((4,)),
    "new_zeros of a size": lambda x: x.new_zeros(x.shape),
    "new_zeros size=": lambda x: x.new_zeros(size=(4,)),
    "new_ones": lambda x: x.new_ones(4),
    "new_ones with a dtype": lambda x: x.new_ones((4,), dtype=torch.float32),
    "new_full": lambda x: x.new_full((4,), 2.0),
    "new_empty": lambda x: x.new_empty(4).zero_(),
    "zeros_like": lambda x: torch.zeros_like(x),
}


@pytest.mark.parametrize("name", sorted(NEW))
def test_new_tensors_take_what_differs_between_the_samples(impl, no_loop, name):
    def function(x):
        y = NEW[name](x)
        untouched = y.clone()
        y[0] = x[1]
        y[1:].add_(x[1:].to(y.dtype))
        return y, untouched

    check(impl, function, batch(4).float(), gradient=name != "new_ones with a dtype")


VIEWS = {
    "view": lambda x: x.view(8),
    "reshape": lambda x: x.reshape(-1, 2),
    "transpose": lambda x: x.transpose(0, 1),
    "t": lambda x: x.t(),
    "permute": lambda x: x.permute(1, 0),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(),
    "squeeze nothing": lambda x: x.squeeze(),
    "flatten": lambda x: x.flatten(),
    "select": lambda x: x.select(1, 2),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "chunk": lambda x: x.chunk(2, 1)[1],
    "split": lambda x: x.split([1, 3], 1)[1],
    "unbind": lambda x: x.unbind(0)[1],
    "diagonal": lambda x: x.diagonal(),
    "unfold": lambda x: x.unfold(1, 2, 2),
}


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_view_of_the_sample_is_a_view_of_the_batch(impl, no_loop, name):
    x, expected = batch(2, 4), None
    expected = x.clone()
    impl(lambda x: VIEWS[name](x).mul_(2))(x)
    for sample in expected:
        VIEWS[name](sample).mul_(2)
    assert torch.equal(x, expected)


OUT_OF_RANGE = {
    "transpose": lambda x: x.transpose(0, 2),
    "unsqueeze": lambda x: x.unsqueeze(3),
    "squeeze": lambda x: x.squeeze(2),
    "select": lambda x: x.select(2, 0),
    "unbind": lambda x: x.unbind(-3),
    "cat": lambda x: torch.cat([x, x], 2),
    "stack": lambda x: torch.stack([x, x], 3),
    "flatten": lambda x: x.flatten(0, 2),
    "flip": lambda x: x.flip(2),
    "roll": lambda x: x.roll(1, 2),
    "movedim": lambda x: x.transpose(-3, 0),
    "diagonal": lambda x: x.diagonal(0, 0, 2),
    "chunk": lambda x: x.chunk(2, -3),
}


@pytest.mark.parametrize("name", sorted(OUT_OF_RANGE))
def test_a_dimension_that_the_sample_does_not_have(impl, name):
    with pytest.raises(IndexError):
        impl(OUT_OF_RANGE[name])(batch(2, 4))


WRONG = {
    "reshape": lambda x: x.reshape(3, 8),
    "reshape into the batch": lambda x: x.reshape(24),
    "reshape -1 twice": lambda x: x.reshape(-1, -1),
    "view": lambda x: x.t().view(8),
    "expand": lambda x: x.expand(3, 4),
    "expand to less": lambda x: x.expand(4),
    "t": lambda x: x[None].t(),
    "stack": lambda x: torch.stack([x, x[0]]),
    "repeat": lambda x: x.repeat(2),
    "diag": lambda x: x[None].diag(),
    "permute": lambda x: x.permute(0),
    "permute twice": lambda x: x.permute(0, 0),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_does_not_fit_the_sample(impl, name):
    with pytest.raises(RuntimeError):
        impl(WRONG[name])(batch(2, 4))


@below_1_7
def test_an_empty_batch(impl):
    x = torch.zeros(0, 2, 4)
    got = impl(lambda x: (x.reshape(8), x.transpose(0, 1), torch.cat([x, x], 1), x.new_zeros(5), x.flatten()))(x)
    assert [tuple(tensor.shape) for tensor in got] == [(0, 8), (0, 4, 2), (0, 2, 8), (0, 5), (0, 8)]


def test_complex_numbers(impl):
    if not at_least(1, 12):
        pytest.skip("adjoint came with 1.11; too few complex operations before")
    x = torch.view_as_complex(batch(2, 4, 2))
    check(impl, lambda x: (x.mH + 0, x.H + 0, x.adjoint() + 0, x.t() + 0), x, gradient=False, exact=True)
    check(impl, lambda x: torch.view_as_complex(x), batch(4, 2), gradient=False, exact=True)


@pytest.mark.limit("view_dtype")
def test_a_view_of_another_dtype(impl):
    if not at_least(1, 10):
        pytest.skip("view(dtype) of another size came with 1.10")
    check(impl, lambda x: (x.view(torch.int32), x.view(torch.int64)), batch(4), gradient=False, exact=True)
