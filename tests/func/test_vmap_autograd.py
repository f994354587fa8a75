"""``torch.autograd.grad`` under vmap: of a graph that was made outside, for many cotangents at once."""

import pytest
import torch
from vmap_laws import assert_same, loop

from torchcompat import at_least

pytestmark = pytest.mark.shim("func.vmap")

MESSAGES = "autograd|backward|grad"


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


def leaf(*shape):
    return normal(*shape).requires_grad_()


def grad(*args, **kwargs):
    return torch.autograd.grad(*args, retain_graph=True, **kwargs)


def law(impl, function, *args, in_dims=0):
    actual, expected = impl(function, in_dims)(*args), loop(function, in_dims)(*args)
    assert len(actual) == len(expected)
    for index, (ours, theirs) in enumerate(zip(actual, expected)):
        assert_same(ours, theirs, f"gradient {index}")


def test_a_jacobian_by_rows(impl):
    x = leaf(3)
    y = x**2
    jacobian = impl(lambda v: grad(y, x, v)[0])(torch.eye(3, dtype=x.dtype))
    assert_same(jacobian, torch.diag(2 * x.detach()))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_an_output_of_one_number(impl, shape):
    x = leaf(3)
    y = (x**2).sum().reshape(shape)
    weights = normal(4, *shape)
    assert_same(impl(lambda v: grad(y, x, v)[0])(weights), weights.reshape(4, 1) * 2 * x.detach())
    assert_same(impl(lambda v: v * grad(y, x)[0])(weights.reshape(4, 1)), weights.reshape(4, 1) * 2 * x.detach())


def test_an_input_of_one_number(impl):
    x = leaf()
    y = x * torch.arange(3.0, dtype=x.dtype)
    assert_same(impl(lambda v: grad(y, x, v)[0])(torch.eye(3, dtype=x.dtype)), torch.arange(3.0, dtype=x.dtype))


def test_several_outputs_and_inputs(impl):
    x, w = leaf(3), leaf(2, 3)
    outputs = (w @ x, x.sin().sum(), w * w)
    law(impl, lambda *v: grad(outputs, (x, w), v), normal(4, 2), normal(4), normal(4, 2, 3))
    law(impl, lambda *v: grad(list(outputs), [x, w], list(v)), normal(4, 2), normal(4), normal(4, 2, 3))
    law(impl, lambda a, b: grad(outputs[:2], (x, w), (a, b)), normal(4, 2), normal(), in_dims=(0, None))
    law(impl, lambda a: grad(outputs[:2], (x, w), (a, None)), normal(4, 2))
    law(impl, lambda a: grad(outputs[0], w, grad_outputs=a), normal(2, 4), in_dims=1)


def test_what_follows_belongs_to_the_sample(impl):
    x, scale = leaf(3), normal(4, 3)
    y = x.exp()
    law(impl, lambda v, s: [(grad(y, x, v * s)[0] * s).sum()], normal(4, 3), scale)


def test_nested_levels(impl):
    x, v, w = leaf(3), normal(2, 5, 3), normal(5)
    y = x**3
    slope = 3 * x.detach() ** 2
    assert_same(impl(impl(lambda v: grad(y, x, v)[0]))(v), v * slope)
    mixed = impl(lambda w: impl(lambda v: w * grad(y, x, v)[0])(v[0]))(w)
    assert_same(mixed, w.reshape(5, 1, 1) * (v[0] * slope))
    outer = impl(lambda v: impl(lambda w: w * grad(y, x, v)[0])(w))(v[0])
    assert_same(outer, w.reshape(5, 1) * (v[0] * slope).unsqueeze(1))


def test_an_input_without_influence(impl):
    x, unused = leaf(3), leaf(2)
    y = x**2
    results = []

    def function(v):
        results.append(grad(y, (x, unused), v, allow_unused=True))
        return results[-1][0]

    assert_same(impl(function)(normal(4, 3)).detach() * 0, torch.zeros(4, 3, dtype=x.dtype))
    assert all(found[1] is None for found in results)
    with pytest.raises(RuntimeError):
        impl(lambda v: grad(y, (x, unused), v))(normal(4, 3))


@pytest.mark.skipif(not at_least(2, 1), reason="materialize_grads came with torch 2.1")
def test_zeros_for_an_input_without_influence(impl):
    x, unused = leaf(3), leaf(2)
    y = x**2
    law(impl, lambda v: grad(y, (x, unused), v, materialize_grads=True), normal(4, 3))


@pytest.mark.limit("grads_batched")
@pytest.mark.skipif(not at_least(1, 12), reason="is_grads_batched of one tensor came with torch 1.12")
def test_more_rows_for_each_sample(impl):
    x = leaf(3)
    y = x**2
    law(impl, lambda v: grad(y, x, v, is_grads_batched=True), normal(4, 5, 3))


def test_the_gradients_have_a_graph(impl):
    x, v = leaf(3), normal(4, 3)
    weights = normal(4, 3)
    y = x**3
    found = impl(lambda v: grad(y, x, v, create_graph=True)[0])(v)
    again = torch.autograd.grad((found * weights).sum(), x)[0]
    assert_same(again, (6 * x * weights * v).sum(0).detach())
    assert not impl(lambda v: grad(y, x, v)[0])(v).requires_grad


def test_cotangents_with_a_graph(impl):
    x, v = leaf(3), leaf(4, 3)
    y = x**3
    found = impl(lambda v: grad(y, x, v, create_graph=True)[0])(v)
    assert_same(torch.autograd.grad(found.sum(), v)[0], (3 * x**2).detach().expand(4, 3))


def test_a_network(impl):
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    network = network.double()
    y = network(normal(5, 3))
    law(impl, lambda v: grad(y, list(network.parameters()), v), normal(6, 5, 2))


def test_a_batch_in_chunks_and_without_a_mapped_cotangent(impl):
    x, v = leaf(3), normal(5, 3)
    y = x**2
    found = impl(lambda v: grad(y, x, v)[0], chunk_size=2)(v)
    assert_same(found, 2 * x.detach() * v)
    captured = normal(3)
    assert_same(impl(lambda v: grad(y, x, captured)[0] * v)(v), 2 * x.detach() * captured * v)


def test_random_numbers_beside_it(impl):
    x, v = leaf(3), torch.ones(4, 3, dtype=torch.float64)
    y = x**2
    for randomness in ("same", "different"):
        found = impl(lambda v: grad(y, x, v + torch.rand(3, dtype=v.dtype))[0], randomness=randomness)(v)
        assert len({tuple(row) for row in found.tolist()}) == (1 if randomness == "same" else 4)
    with pytest.raises(RuntimeError, match="randomness"):
        impl(lambda v: grad(y, x, v + torch.rand(3, dtype=v.dtype))[0])(v)


@pytest.mark.limit("again")
def test_a_function_that_differentiates_runs_once(impl):
    x, calls = leaf(3), []
    y = x**2
    impl(lambda v: calls.append(1) or grad(y, x, v)[0])(normal(4, 3))
    assert calls == [1]


@pytest.mark.limit("unseen_write")
def test_a_function_that_differentiates_and_writes_to_its_argument(impl):
    x, v = leaf(3), normal(4, 3)
    y, expected = x**2, 2 * x.detach() * (v + 1)
    assert_same(impl(lambda v: grad(y, x, v.add_(1))[0])(v), expected)


def test_wrong_calls_are_refused(impl):
    x = leaf(3)
    y = x**2
    with pytest.raises(RuntimeError):
        impl(lambda v: grad(y, x, v)[0])(normal(4, 2))
    with pytest.raises(RuntimeError):
        impl(lambda v: grad(y.detach(), x, v)[0])(normal(4, 3))
    with pytest.raises(RuntimeError):
        impl(lambda v: grad((y, y), x, (v, None))[0])(normal(4, 3))


@pytest.mark.limit("control_flow")
@pytest.mark.parametrize("shape", [(3,), ()])
def test_backward_is_refused(impl, shape):
    x = leaf(*shape)
    y = x**2
    for function in (
        lambda v: y.backward(v) or v,
        lambda v: torch.autograd.backward(y, v) or v,
        lambda v: torch.autograd.backward([y], [v]) or v,
    ):
        with pytest.raises(RuntimeError, match=MESSAGES):
            impl(function)(normal(4, *shape))
        assert x.grad is None
