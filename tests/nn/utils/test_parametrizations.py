"""Orthogonal, weight-normalised and spectrally normalised weights: laws, gradients, state dicts, torch's own."""

import copy
import itertools
import math
import os
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from torchcompat import SHIMS, UnsupportedError, at_least
from torchcompat.nn.utils import _parametrizations as machinery
from torchcompat.nn.utils import parametrize

PREFIX = "nn.utils.parametrizations."
about_orthogonal = pytest.mark.shim(PREFIX + "orthogonal")
about_weight = pytest.mark.shim(PREFIX + "weight_norm")
about_spectral = pytest.mark.shim(PREFIX + "spectral_norm")
needs_complex = pytest.mark.skipif(not at_least(1, 9), reason="complex linear algebra is whole since torch 1.9")
needs_complex_tensors = pytest.mark.skipif(not at_least(1, 6), reason="torch has complex parameters since 1.6")
MAPS = ["matrix_exp", "cayley", "householder"]
DOUBLE = torch.float64
every_map = pytest.mark.parametrize("orthogonal_map", MAPS)
either_way = pytest.mark.parametrize("trivialized", [True, False])
SHAPES = [(3, 3), (4, 2), (2, 4), (2, 3, 3), (2, 2, 3, 2), (1, 1), (5, 1)]


def grid(shapes):
    """Each shape with each map, trivialized or not: in turns, or both ways each with TORCHCOMPAT_FULL."""
    cases = list(itertools.product(shapes, MAPS, [True, False]))
    if not os.environ.get("TORCHCOMPAT_FULL"):
        cases = [case for place, case in enumerate(cases) if place % 2 == place // 2 % 2]
    return pytest.mark.parametrize(("shape", "orthogonal_map", "trivialized"), cases)


class Holder(nn.Module):
    """A module with one parameter, of seeded values."""

    def __init__(self, *shape, dtype=DOUBLE):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape, dtype=dtype))

    def forward(self, x):
        return torch.matmul(x, self.weight)


def values(tensor):
    return tensor.detach().numpy().copy()


def assert_orthogonal(tensor):
    matrix = values(tensor)
    if matrix.shape[-2] < matrix.shape[-1]:
        matrix = np.swapaxes(matrix, -1, -2)
    gram = np.matmul(np.swapaxes(matrix.conj(), -1, -2), matrix)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(gram.shape[-1]), gram.shape), atol=1e-10)


def unconstrained(chain):
    """Lets what is learnt have any value, apart from the signs on the diagonal of a householder's."""
    with torch.no_grad():
        chain.original.add_(torch.randn(*chain.original.shape, dtype=chain.original.dtype).tril(-1) * 3)
        chain.original.add_(torch.randn(*chain.original.shape, dtype=chain.original.dtype).triu(1) * 3)


@about_orthogonal
@grid(SHAPES)
def test_always_orthogonal(impl, shape, orthogonal_map, trivialized):
    module = Holder(*shape)
    assert impl(module, "weight", orthogonal_map, use_trivialization=trivialized) is module
    assert module.weight.shape == shape
    assert_orthogonal(module.weight)
    unconstrained(module.parametrizations.weight)
    assert_orthogonal(module.weight)
    base = ["parametrizations.weight.0.base"] if trivialized else []
    assert list(module.state_dict()) == ["parametrizations.weight.original", *base]


@about_orthogonal
@grid([(3, 3), (4, 2), (2, 3)])
def test_starts_as_what_was_there_if_that_is_orthogonal(impl, shape, orthogonal_map, trivialized):
    module = Holder(*shape)
    with torch.no_grad():
        tall = np.linalg.qr(np.random.RandomState(0).randn(max(shape), max(shape)))[0]
        module.weight.copy_(torch.from_numpy(tall[: shape[0], : shape[1]].copy()))
    before = values(module.weight)
    impl(module, "weight", orthogonal_map, use_trivialization=trivialized)
    if trivialized or orthogonal_map == "householder":
        np.testing.assert_allclose(values(module.weight), before, atol=1e-10)


@about_orthogonal
@every_map
def test_the_step_is_in_the_right_direction(impl, orthogonal_map):
    """Gradients by finite differences, of everything that is learnt."""
    for shape in ((3, 3), (4, 2), (2, 3, 2)):
        module = Holder(*shape)
        impl(module, "weight", orthogonal_map)
        chain = module.parametrizations.weight
        unconstrained(chain)
        weights = torch.randn(*shape, dtype=DOUBLE)
        value = chain[0]
        original = chain.original.detach().clone()
        strictly = torch.ones(shape, dtype=DOUBLE)
        if shape[-2] >= shape[-1]:
            strictly = strictly.tril(-1)

        def loss(moved, value=value, original=original, strictly=strictly, weights=weights):
            return (value(original + moved * strictly) * weights).sum()

        moved = torch.zeros(shape, dtype=DOUBLE, requires_grad=True)
        assert torch.autograd.gradcheck(loss, (moved,))


@about_orthogonal
def test_matrices_of_closed_form(impl):
    angle = 0.7
    rotation = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    module = Holder(2, 2)
    impl(module, "weight", "matrix_exp", use_trivialization=False)
    with torch.no_grad():
        module.parametrizations.weight.original.copy_(torch.tensor([[9.0, 9.0], [angle, 9.0]]))
    np.testing.assert_allclose(values(module.weight), rotation, atol=1e-12)
    module = Holder(2, 2)
    impl(module, "weight", "cayley", use_trivialization=False)
    with torch.no_grad():  # of half the tangent of half the angle, twice
        module.parametrizations.weight.original.copy_(torch.tensor([[9.0, 9.0], [2 * math.tan(angle / 2), 9.0]]))
    np.testing.assert_allclose(values(module.weight), rotation, atol=1e-7)
    module = Holder(2, 1)
    impl(module, "weight", "householder", use_trivialization=False)
    with torch.no_grad():  # I - 2 v v^T / |v|^2 of v = (1, 2)
        module.parametrizations.weight.original.copy_(torch.tensor([[1.0], [2.0]]))
    np.testing.assert_allclose(values(module.weight), [[0.6], [-0.8]], atol=1e-12)


@about_orthogonal
@every_map
def test_assigning(impl, orthogonal_map):
    module = Holder(4, 2)
    impl(module, "weight", orthogonal_map)
    new = np.linalg.qr(np.random.RandomState(1).randn(4, 2))[0]
    module.weight = torch.from_numpy(new)
    np.testing.assert_allclose(values(module.weight), new, atol=1e-10)
    with pytest.raises(ValueError, match="shape"):
        module.weight = torch.ones(2, 2, dtype=DOUBLE)
    plain = Holder(4, 2)
    impl(plain, "weight", orthogonal_map, use_trivialization=False)
    if orthogonal_map == "householder":
        plain.weight = torch.from_numpy(new)
        np.testing.assert_allclose(values(plain.weight), new, atol=1e-10)
    else:
        with pytest.raises(NotImplementedError):
            plain.weight = torch.from_numpy(new)


@about_orthogonal
def test_a_state_dict_carries_the_base(impl):
    first, second = Holder(3, 3), Holder(3, 3)
    impl(first)
    impl(second)
    unconstrained(first.parametrizations.weight)
    second.load_state_dict(first.state_dict())
    np.testing.assert_allclose(values(second.weight), values(first.weight), atol=1e-12)
    replica = copy.deepcopy(first)
    np.testing.assert_array_equal(values(replica.weight), values(first.weight))


@about_orthogonal
def test_training_stays_on_the_manifold_and_goes_down(impl):
    layer = nn.Linear(3, 5).double()
    impl(layer)
    goal = torch.from_numpy(np.linalg.qr(np.random.RandomState(2).randn(5, 3))[0])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = ((layer.weight - goal) ** 2).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert_orthogonal(layer.weight)
    assert losses == sorted(losses, reverse=True)


@about_orthogonal
def test_the_recurrent_weights_of_a_network(impl):
    module, plain = nn.GRU(2, 3), nn.GRU(2, 3)
    impl(module, "weight_hh_l0")
    with torch.no_grad():
        for name in ("weight_hh_l0", "weight_ih_l0", "bias_hh_l0", "bias_ih_l0"):
            getattr(plain, name).copy_(getattr(module, name))
    unconstrained(module.parametrizations.weight_hh_l0)
    x = torch.ones(4, 1, 2)
    assert np.abs(values(module(x)[0]) - values(plain(x)[0])).max() > 1e-3
    with torch.no_grad():
        plain.weight_hh_l0.copy_(module.weight_hh_l0)
    np.testing.assert_allclose(values(module(x)[0]), values(plain(x)[0]), atol=1e-6)


@about_orthogonal
@needs_complex
@either_way
@pytest.mark.parametrize(
    ("shape", "orthogonal_map"), [((3, 3), "matrix_exp"), ((3, 2), "cayley"), ((2, 2, 3), "matrix_exp")]
)
def test_unitary(impl, shape, orthogonal_map, trivialized):
    module = Holder(*shape, dtype=torch.complex128)
    impl(module, "weight", orthogonal_map, use_trivialization=trivialized)
    assert_orthogonal(module.weight)


@about_orthogonal
@needs_complex
def test_complex_reflections_are_refused(impl):
    with pytest.raises(ValueError, match="householder"):
        impl(Holder(3, 2, dtype=torch.complex128), orthogonal_map="householder")


@pytest.mark.skipif(at_least(1, 9), reason="torch has complex linear algebra here")
@needs_complex_tensors
@pytest.mark.parametrize("name", ["orthogonal", "spectral_norm"])
def test_complex_tensors_are_refused_where_torch_cannot_compute_with_them(name):
    module = nn.Module()
    module.weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.complex64), requires_grad=False)
    with pytest.raises(UnsupportedError, match=r"1\.9"):
        SHIMS[PREFIX + name].fallback(module)


@about_orthogonal
def test_what_cannot_be_orthogonal(impl):
    with pytest.raises(ValueError):
        impl(Holder(3))
    with pytest.raises(ValueError):
        impl(nn.Linear(2, 2, bias=False), "bias")
    with pytest.raises(ValueError):
        impl(nn.Linear(2, 2), "in_features")
    module = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="cayley"):
        impl(module, orthogonal_map="euler")
    assert type(module) is nn.Linear


@about_orthogonal
@grid([(3, 3), (4, 2), (2, 4), (2, 3, 2)])
def test_the_same_as_torchs_own(impl, shape, orthogonal_map, trivialized):
    shim = SHIMS[PREFIX + "orthogonal"]
    made = []
    for function in (impl, shim.native if shim.meets_contract else shim.fallback):
        torch.manual_seed(7)
        module = Holder(*shape)
        function(module, "weight", orthogonal_map, use_trivialization=trivialized)
        unconstrained(module.parametrizations.weight)
        made.append(module)
    np.testing.assert_allclose(values(made[0].weight), values(made[1].weight), atol=1e-10)
    made[0].load_state_dict(made[1].state_dict())


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.5, 1.0, 30.0])
def test_the_exponential_of_a_rotation(scale):
    matrix = torch.tensor([[[0.0, -scale], [scale, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], dtype=DOUBLE)
    expected = [[[math.cos(scale), -math.sin(scale)], [math.sin(scale), math.cos(scale)]], np.eye(2)]
    np.testing.assert_allclose(values(machinery.matrix_exp(matrix)), expected, atol=1e-12)


@about_weight
@pytest.mark.parametrize("dim", [0, 1, None, -1])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_weight_norm_is_norm_times_direction(impl, dim, shape):
    module = Holder(*shape)
    before = values(module.weight)
    assert impl(module, "weight", dim) is module
    chain = module.parametrizations.weight
    assert list(module.state_dict()) == [f"parametrizations.weight.original{n}" for n in (0, 1)]
    np.testing.assert_allclose(values(module.weight), before, rtol=1e-12)
    axes = None if dim in (None, -1) else tuple(axis for axis in range(len(shape)) if axis != dim)
    norms = np.sqrt((before**2).sum(axis=axes, keepdims=axes is not None))
    assert chain.original0.shape == norms.shape
    np.testing.assert_allclose(values(chain.original0), norms, rtol=1e-12)
    np.testing.assert_allclose(values(chain.original1), before, rtol=1e-12)
    with torch.no_grad():
        chain.original0.mul_(2)
        chain.original1.mul_(5)
    np.testing.assert_allclose(values(module.weight), before * 2, rtol=1e-12)
    module.weight = torch.from_numpy(before * 3)
    np.testing.assert_allclose(values(chain.original0), norms * 3, rtol=1e-12)


@about_weight
def test_gradients_of_weight_norm(impl):
    module = Holder(3, 2)
    impl(module)
    inputs = [p.detach().clone().requires_grad_() for p in module.parametrizations.weight.parameters()]
    assert torch.autograd.gradcheck(module.parametrizations.weight[0], inputs)


@about_weight
def test_state_dicts_of_the_older_function_can_be_loaded(impl):
    old, new = nn.Sequential(nn.Linear(3, 2)), nn.Sequential(nn.Linear(3, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nn.utils.weight_norm(old[0])
    impl(new[0])
    state = old.state_dict()
    new.load_state_dict(state)
    x = torch.randn(4, 3)
    np.testing.assert_allclose(values(new(x)), values(old(x)), rtol=1e-6)
    assert sorted(state) == ["0.bias", "0.weight_g", "0.weight_v"]
    state.pop("0.weight_v")
    with pytest.raises(RuntimeError, match="weight_g"):
        new.load_state_dict(state)
    new.load_state_dict(new.state_dict())


@about_weight
def test_weight_norm_of_what_is_not_there(impl):
    with pytest.raises(ValueError, match="nope"):
        impl(nn.Linear(3, 2), "nope")


@about_weight
def test_weight_norm_of_two_tensors_and_removal(impl):
    cell = nn.GRUCell(2, 3)
    before = values(cell.weight_hh)
    impl(impl(cell, "weight_hh"), "weight_ih")
    cell(torch.ones(1, 2)).sum().backward()
    for name in ("weight_hh", "weight_ih"):
        assert all(p.grad is not None for p in cell.parametrizations[name].parameters())
        parametrize.remove_parametrizations(cell, name)
    assert type(cell) is nn.GRUCell
    np.testing.assert_allclose(values(cell.weight_hh), before, rtol=1e-6)


@about_spectral
@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (lambda: nn.Linear(4, 3), 0),
        (lambda: nn.Conv2d(2, 3, 2), 0),
        (lambda: nn.ConvTranspose1d(3, 2, 2), 1),
        (lambda: nn.ConvTranspose2d(2, 3, 2), 1),
    ],
)
def test_the_greatest_singular_value_becomes_1(impl, make, rows):
    module = make().double()
    before = values(module.weight)
    assert impl(module, n_power_iterations=100) is module
    matrix = np.moveaxis(before, rows, 0).reshape(before.shape[rows], -1)
    expected = before / np.linalg.norm(matrix, 2)
    np.testing.assert_allclose(values(module.weight), expected, rtol=1e-8)
    chain = module.parametrizations.weight
    assert [name for name, _ in chain.named_buffers()] == ["0._u", "0._v"]
    assert (chain[0]._u.shape, chain[0]._v.shape) == ((matrix.shape[0],), (matrix.shape[1],))
    np.testing.assert_allclose(values(chain.original), before)


@about_spectral
def test_the_vectors_move_in_training_only(impl):
    module = nn.Linear(4, 3).double()
    impl(module)
    inner = module.parametrizations.weight[0]
    with torch.no_grad():
        module.parametrizations.weight.original.copy_(torch.randn(3, 4))
    before = values(inner._u)
    module.eval()
    first = values(module.weight)
    np.testing.assert_array_equal(values(module.weight), first)
    np.testing.assert_array_equal(values(inner._u), before)
    module.train()
    module.weight  # noqa: B018
    assert np.abs(values(inner._u) - before).max() > 1e-6


@about_spectral
def test_other_dimensions(impl):
    module = impl(nn.Linear(4, 3), dim=-1)
    assert module.parametrizations.weight[0]._u.shape == (4,)
    bias = impl(nn.Linear(4, 3), "bias")
    assert np.linalg.norm(values(bias.bias)) == pytest.approx(1.0)
    assert list(bias.state_dict()) == ["weight", "parametrizations.bias.original"]


@about_spectral
def test_gradients_of_the_spectral_norm(impl):
    module = nn.Linear(3, 2).double()
    impl(module, n_power_iterations=50)
    module.eval()  # with the vectors held fast
    original = module.parametrizations.weight.original.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(module.parametrizations.weight[0], (original,))
    module.train()
    (module(torch.ones(1, 3).double()) - module(torch.zeros(1, 3).double())).sum().backward()
    assert module.parametrizations.weight.original.grad is not None


@about_spectral
@needs_complex
@pytest.mark.limit("complex")
def test_the_spectral_norm_of_a_complex_matrix(impl):
    module = Holder(3, 2, dtype=torch.complex128)
    before = values(module.weight)
    impl(module, n_power_iterations=100)
    np.testing.assert_allclose(values(module.weight), before / np.linalg.norm(before, 2), rtol=1e-8)


@about_spectral
def test_a_state_dict_of_the_spectral_norm(impl):
    first, second = impl(nn.Linear(4, 3)), impl(nn.Linear(4, 3))
    second.load_state_dict(first.state_dict())
    np.testing.assert_allclose(values(second.eval().weight), values(first.eval().weight), rtol=1e-6)


@about_spectral
def test_bad_arguments_of_the_spectral_norm(impl):
    module = nn.Linear(4, 3)
    with pytest.raises(IndexError):
        impl(module, dim=2)
    with pytest.raises(IndexError):
        impl(module, dim=-3)
    with pytest.raises(ValueError, match="n_power_iterations"):
        impl(module, n_power_iterations=0)
    with pytest.raises(ValueError):
        impl(module, "nope")
    assert type(module) is nn.Linear
