"""vmap inside vmap, with modules, with grad, and under autograd; laws that hold for any function (Hypothesis)."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from vmap_laws import TOLERANCE, assert_same, check, loop

from torchcompat import SHIMS
from torchcompat.func import functional_call

pytestmark = [
    pytest.mark.shim("func.vmap"),
]

LAWS = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


def twin(impl, name):
    """The shim *name* of the same make as *impl*: native with native, fallback with fallback."""
    shim = SHIMS[name]
    return shim.native if impl is SHIMS["func.vmap"].native else shim.fallback


# --- vmap in vmap


def test_all_pairs(impl):
    x, y = normal(5, 3), normal(4, 3)
    distances = impl(lambda a: impl(lambda b: (a - b).norm())(y))(x)
    assert_same(distances, (x.unsqueeze(1) - y).norm(dim=2))
    assert_same(impl(impl(torch.dot, (None, 0)), (0, None))(x, y), x @ y.t())
    assert_same(impl(impl(torch.dot, (0, None)), (None, 0))(x, y), y @ x.t())


def test_every_level_has_its_own_size_and_place(impl):
    x, y, z = normal(2), normal(3), normal(4)
    result = impl(lambda a: impl(lambda b: impl(lambda c: a + 2 * b + 3 * c)(z))(y))(x)
    assert_same(result, x.reshape(2, 1, 1) + 2 * y.reshape(3, 1) + 3 * z)


def test_three_levels_of_one_tensor(impl):
    x, weight = normal(2, 3, 4, 5), normal(5)
    assert_same(impl(impl(impl(lambda x: x @ weight)))(x), x @ weight)
    assert_same(impl(impl(impl(lambda x: x.sum() * x)))(x), x.sum(3, keepdim=True) * x)


def test_each_level_maps_its_own_dimension(impl):
    x = normal(2, 3, 4)
    assert torch.equal(impl(impl(lambda x: x, in_dims=1), in_dims=1)(x), x.permute(1, 2, 0))
    assert torch.equal(impl(impl(lambda x: x), in_dims=-1)(x), x.permute(2, 0, 1))
    assert torch.equal(impl(impl(lambda x: x, out_dims=1), out_dims=-1)(x), x.permute(2, 1, 0))
    assert torch.equal(impl(impl(impl(lambda x: x, -1), -1), -1)(x), x.permute(2, 1, 0))


def test_the_function_sees_no_batch_dimension_of_any_level(impl):
    shapes = []

    def inner(a, b):
        shapes.append((tuple(a.shape), tuple(b.shape), tuple((a + b).shape)))
        return a + b

    impl(lambda a: impl(inner, (None, 1))(a, torch.ones(6, 7)))(torch.ones(2, 3, 6))
    assert set(shapes) == {((3, 6), (6,), (3, 6))}


def test_an_inner_argument_that_is_not_mapped_is_still_mapped_outside(impl):
    x, y = normal(3, 4), normal(3, 5, 4)
    result = impl(lambda x, y: impl(lambda x, y: x * y, (None, 0))(x, y))(x, y)
    assert_same(result, x.unsqueeze(1) * y)
    check(impl, torch.mul, x, normal(4), in_dims=(0, None), nested=True)


def test_a_result_of_the_outer_level_is_expanded_by_the_inner_one(impl):
    x, y = normal(3, 4), normal(5)
    assert_same(impl(lambda a: impl(lambda b: a)(y))(x), x.unsqueeze(1).expand(3, 5, 4))
    assert_same(impl(lambda a: impl(lambda b: b * 2)(y))(x), (2 * y).expand(3, 5))


@pytest.mark.limit("outer_none")
def test_a_result_of_the_outer_level_is_returned_once_by_the_inner_one(impl):
    x, y = normal(3, 4), normal(5)
    once, each = impl(lambda a: impl(lambda b: (a, b), out_dims=(None, 0))(y))(x)
    assert torch.equal(once, x)
    assert torch.equal(each, y.expand(3, 5))


def test_an_inner_vmap_over_an_outer_constant(impl):
    constant = normal(5, 4)
    assert_same(
        impl(lambda a: impl(lambda b: b.sum())(constant) * a)(torch.ones(3).double()), constant.sum(1).expand(3, 5)
    )


def test_inner_in_place_changes(impl):
    x, y = normal(3, 4), normal(3, 4)

    def inner(a, b):
        a = a.clone()
        a += b
        a[0] = b[1]
        return a

    function = lambda x, y: impl(inner, (0, None))(torch.stack([x, 2 * x]), y)  # noqa: E731
    check(impl, function, x, y, gradient=False)


@pytest.mark.limit("unmapped_writes")
def test_an_outer_tensor_cannot_take_inner_values(impl):
    x, y = normal(3, 4), normal(12)
    with pytest.raises(RuntimeError):
        impl(lambda a: impl(lambda b: a.add_(b))(y))(x)


def test_trees_through_two_levels(impl):
    tree = {"a": normal(2, 3, 4), "b": (normal(3, 2), normal(4))}

    def function(tree):
        return {"sum": tree["a"] + tree["b"][0] * tree["b"][1]}

    result = impl(impl(function, ({"a": 0, "b": (0, None)},)), ({"a": 0, "b": (1, None)},))(tree)
    assert_same(result["sum"], tree["a"] + tree["b"][0].t().unsqueeze(2) * tree["b"][1])


def test_the_inner_size_may_depend_on_an_outer_shape(impl):
    x = normal(3, 4)
    result = impl(lambda x: impl(lambda index: x.sum() + index)(torch.arange(x.shape[0]).double()))(x)
    assert_same(result, x.sum(1, keepdim=True) + torch.arange(4).double())


def test_chunks_of_an_inner_vmap(impl):
    x = normal(3, 5, 2)
    assert_same(impl(impl(torch.sum, chunk_size=2))(x), x.sum(2))
    assert_same(impl(impl(torch.sum), chunk_size=2)(x), x.sum(2))


# --- modules


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)
        self.register_buffer("scale", torch.rand(()) + 1)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x))) * self.scale


def an_ensemble(size):
    nets = [Net().double() for _ in range(size)]
    stacked = {}
    for kind in ("named_parameters", "named_buffers"):
        rows = [dict(getattr(net, kind)()) for net in nets]
        stacked.update({name: torch.stack([row[name].detach() for row in rows]) for name in rows[0]})
    return nets, stacked


def test_an_ensemble_on_one_minibatch(impl):
    nets, stacked = an_ensemble(4)
    x, skeleton = normal(7, 3), Net().double()
    outputs = impl(lambda tensors, x: functional_call(skeleton, tensors, (x,)), (0, None))(stacked, x)
    assert_same(outputs.detach(), torch.stack([net(x) for net in nets]).detach())


def test_an_ensemble_with_a_minibatch_for_each_model(impl):
    nets, stacked = an_ensemble(4)
    x, skeleton = normal(4, 7, 3), Net().double()
    function = lambda tensors, x: functional_call(skeleton, tensors, (x,))  # noqa: E731
    assert_same(impl(function)(stacked, x).detach(), torch.stack([net(row) for net, row in zip(nets, x)]).detach())
    # Over the models and over the samples too: the inner level maps the samples only.
    twice = impl(impl(function, (None, 0)))(stacked, x)
    assert_same(twice.detach(), impl(function)(stacked, x).detach())


def test_an_ensembles_gradients(impl):
    nets, stacked = an_ensemble(3)
    x, skeleton = normal(7, 3), Net().double()
    for tensor in stacked.values():
        tensor.requires_grad_()
    outputs = impl(lambda tensors, x: functional_call(skeleton, tensors, (x,)), (0, None))(stacked, x)
    outputs.pow(2).sum().backward()
    for index, net in enumerate(nets):
        net(x).pow(2).sum().backward()
        for name, parameter in net.named_parameters():
            assert_same(stacked[name].grad[index], parameter.grad, f"the gradient of {name} in model {index}")


# --- with grad of the same make


def test_gradients_for_each_sample(impl):
    grad = twin(impl, "func.grad")
    x = normal(5)
    assert_same(impl(grad(lambda x: x**3))(x), 3 * x**2)
    assert_same(impl(grad(grad(lambda x: x**3)))(x), 6 * x)
    assert_same(impl(impl(grad(torch.sin)))(normal(5, 2) * 0 + 1), torch.ones(5, 2).double().cos())


def test_gradients_of_the_parameters_for_each_sample(impl):
    grad, net, x, target = twin(impl, "func.grad"), Net().double(), normal(5, 3), normal(5, 2)
    tensors = {name: parameter.detach() for name, parameter in net.named_parameters()}

    def loss(tensors, x, target):
        return F.mse_loss(functional_call(net, tensors, (x.unsqueeze(0),)), target.unsqueeze(0))

    gradients = impl(grad(loss), (None, 0, 0))(tensors, x, target)
    for index in range(5):
        net.zero_grad()
        F.mse_loss(net(x[index]), target[index]).backward()
        for name, parameter in net.named_parameters():
            assert_same(gradients[name][index], parameter.grad, f"the gradient of {name} for sample {index}")


def test_the_gradient_of_a_mapped_loss(impl):
    grad, x, weight = twin(impl, "func.grad"), normal(5, 3), normal(3)
    gradient = grad(lambda weight: impl(lambda x: torch.tanh(x @ weight))(x).sum())(weight)
    assert_same(gradient, ((1 - torch.tanh(x @ weight) ** 2).unsqueeze(1) * x).sum(0))


# --- under autograd


def test_backward_reaches_inputs_and_captured_parameters(impl):
    gradients = []
    for run in (lambda function: impl(function, (0, None)), lambda function: loop(function, (0, None))):
        torch.manual_seed(1)
        x, shared, net = normal(5, 3).requires_grad_(), normal(3).requires_grad_(), Net().double()
        weights = normal(5, 2)
        captured = normal(2).requires_grad_()
        outputs = run(lambda x, shared, net=net, captured=captured: net(x * shared) + captured * x[0])(x, shared)
        assert outputs.requires_grad
        (outputs * weights).sum().backward()
        gradients.append([tensor.grad for tensor in [x, shared, captured, *net.parameters()]])
    for index, (mapped, looped) in enumerate(zip(*gradients)):
        assert_same(mapped, looped, f"gradient {index}")


def test_numerical_gradients(impl):
    mapped = impl(lambda x, y: (torch.tanh(x) @ y, x.sum() * y[0]), (1, None))
    inputs = (normal(3, 2).requires_grad_(), normal(3, 4).requires_grad_())
    assert torch.autograd.gradcheck(mapped, inputs)
    assert torch.autograd.gradgradcheck(mapped, inputs)
    assert torch.autograd.gradcheck(impl(impl(lambda x: x.exp() * x.sum())), (normal(2, 2, 3).requires_grad_(),))


def test_what_is_detached_inside_has_no_gradient(impl):
    x = normal(4, 3).requires_grad_()
    impl(lambda x: x * x.detach())(x).sum().backward()
    assert_same(x.grad, x.detach())


def test_no_grad_inside_and_outside(impl):
    x = normal(4, 3).requires_grad_()

    def inside(x):
        with torch.no_grad():
            y = x * 2
        return x * y

    impl(inside)(x).sum().backward()
    assert_same(x.grad, 2 * x.detach())
    with torch.no_grad():
        assert not impl(lambda x: x * 2)(x).requires_grad
    assert not impl(lambda x: x * 2)(x.detach()).requires_grad
    assert impl(lambda x: x * 2)(x).requires_grad


# --- laws: functions of a vector of n numbers to another, which compose

WEIGHTS = torch.linspace(-1, 1, 36, dtype=torch.float64).reshape(6, 6)
STEPS = {
    "sin": torch.sin,
    "halve": lambda x: x / 2,
    "relu": F.relu,
    "centre": lambda x: x - x.mean(),
    "softmax": lambda x: x.softmax(0),
    "cumsum": lambda x: torch.cumsum(x, 0),
    "flip": lambda x: x.flip(0),
    "sort": lambda x: x.sort()[0],
    "roll": lambda x: torch.cat([x[1:], x[:1]]),
    "matmul": lambda x: WEIGHTS[: len(x), : len(x)] @ x,
    "outer": lambda x: (x.unsqueeze(1) * x).sum(0),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "mask": lambda x: x.masked_fill(x > 1, 1.0),
    "expand": lambda x: x.reshape(1, -1).expand(3, -1).mean(0),
    "gather": lambda x: x.gather(0, x.argsort()),
    "in place": lambda x: x.clone().mul_(2).sub_(x[0]),
    "assign": lambda x: _first_is_last(x.clone()),
    "unmapped": lambda x: x + torch.arange(len(x)).double(),
}


def _first_is_last(x):
    x[0] = x[-1]
    return x


@st.composite
def functions(draw):
    names = draw(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4))

    def function(x):
        for name in names:
            x = STEPS[name](x)
        return x

    function.__name__ = " then ".join(names)
    return function


sizes = st.integers(1, 5)


def data(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(actual, expected):
    assert_same(actual, expected, tolerance=10 * TOLERANCE[torch.float64])


seeds = st.integers(0, 100)


@LAWS
@given(functions(), st.integers(2, 5), st.integers(2, 6), seeds)
def test_law_of_the_loop(impl, function, batch, length, seed):
    check(impl, function, data(seed, batch, length), nested=True)


@LAWS
@given(functions(), sizes, sizes, sizes, st.integers(-3, 2), seeds)
def test_law_of_in_dims_and_out_dims(impl, function, a, b, c, dim, seed):
    def flat(x):
        return function(x.reshape(-1)[:6]).sum() + x

    x = data(seed, a, b, c)
    order = [index for index in range(3) if index != dim % 3]
    in_front = x.permute(dim % 3, *order)
    whole = impl(flat)(in_front)
    close(impl(flat, in_dims=dim)(x), whole)
    back = [order.index(index) + 1 if index != dim % 3 else 0 for index in range(3)]
    close(impl(flat, in_dims=dim, out_dims=dim)(x), whole.permute(*back))


@LAWS
@given(functions(), sizes, sizes, st.integers(1, 6), seeds)
def test_law_of_two_levels_and_one(impl, function, outer, inner, length, seed):
    x = data(seed, outer, inner, length)
    close(impl(impl(function))(x), impl(function)(x.reshape(-1, length)).reshape(outer, inner, length))
    close(impl(impl(function), in_dims=1, out_dims=1)(x), impl(impl(function))(x))


@LAWS
@given(functions(), st.integers(1, 6), st.integers(1, 6), st.integers(1, 8), seeds)
def test_law_of_chunks(impl, function, batch, length, chunk_size, seed):
    x = data(seed, batch, length)
    close(impl(function, chunk_size=chunk_size)(x), impl(function)(x))


@LAWS
@given(functions(), functions(), sizes, st.integers(1, 6), seeds)
def test_law_of_composition(impl, first, second, batch, length, seed):
    x = data(seed, batch, length)
    close(impl(lambda x: second(first(x)))(x), impl(second)(impl(first)(x)))


@LAWS
@given(functions(), st.permutations(range(4)), st.integers(1, 6), seeds)
def test_law_of_permuted_samples(impl, function, order, length, seed):
    x = data(seed, 4, length)
    close(impl(function)(x[list(order)]), impl(function)(x)[list(order)])
