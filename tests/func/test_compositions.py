"""Transforms of transforms, and the laws that tie them together."""

import math

import pytest
import torch
from derivative_laws import double, native_warnings, normal, same, transforms
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.shim("func.grad"), *native_warnings]

few = settings(max_examples=12, deadline=None)
numbers = st.floats(-2, 2)


@pytest.fixture
def t(impl, shim):
    """All transforms, native or fallback."""
    return transforms(impl, shim)


def eye(size):
    return torch.eye(size, dtype=torch.float64)


def quartic(x):
    return (x * x * x * x).sum()


def layer(seed, outputs, inputs):
    """A smooth function of a vector, another for each seed."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    bias = torch.randn(outputs, generator=generator, dtype=torch.float64)
    return lambda x: torch.tanh(weight @ x + bias) * torch.exp(0.1 * x.sum())


def vector(seed, size):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- vmap and derivatives


def test_a_gradient_for_each_sample(t):
    x = normal(5, 3)
    same(t.vmap(t.grad(quartic))(x), 4 * x * x * x)


def test_a_gradient_for_each_sample_along_another_dimension(t):
    x = normal(3, 5)
    same(t.vmap(t.grad(quartic), in_dims=1, out_dims=1)(x), 4 * x * x * x)


def test_a_gradient_for_each_sample_by_what_all_share(t):
    weight, x = normal(3), normal(5, 3)
    found = t.vmap(t.grad(lambda w, x: (w * w * x).sum()), in_dims=(None, 0))(weight, x)
    same(found, 2 * weight * x)


def test_the_gradient_of_a_mapped_function(t):
    weight, x = normal(3), normal(5, 3)
    found = t.grad(lambda w: t.vmap(lambda x: (w * x).sum())(x).sum())(weight)
    same(found, x.sum(0))
    found = t.grad(lambda x: (t.vmap(lambda x: (weight * x).sum())(x) ** 2).sum())(x)
    same(found, 2 * (x @ weight).reshape(5, 1) * weight)


def test_vmap_of_grad_of_vmap(t):
    weight, x = normal(4, 3), normal(5, 4, 3)
    loss = lambda w, x: t.vmap(lambda w, x: (w * x).sum() ** 2)(w, x).sum()  # noqa: E731
    found = t.vmap(t.grad(loss), in_dims=(None, 0))(weight, x)
    same(found, 2 * (weight * x).sum(-1, keepdim=True) * x)


def test_grad_of_vmap_of_grad(t):
    x = normal(5, 3)
    found = t.grad(lambda x: t.vmap(t.grad(quartic))(x).sum())(x)
    same(found, 12 * x * x)


def test_vmap_of_vmap_of_grad(t):
    x = normal(2, 5, 3)
    same(t.vmap(t.vmap(t.grad(quartic)))(x), 4 * x * x * x)


def test_every_pair_of_a_gradient(t):
    x, y = normal(2, 3), normal(4, 3)
    pairs = t.vmap(t.vmap(t.grad(lambda x, y: (x * x * y).sum()), in_dims=(None, 0)), in_dims=(0, None))(x, y)
    same(pairs, 2 * x.reshape(2, 1, 3) * y)


def test_second_derivatives_for_each_sample(t):
    x = normal(5)
    same(t.vmap(t.grad(t.grad(torch.sin)))(x), -torch.sin(x))
    same(t.vmap(t.grad(t.grad(t.grad(torch.sin))))(x), -torch.cos(x))


def test_perturbations_are_not_confused_within_vmap(t):
    x = normal(5)
    found = t.vmap(t.grad(lambda x: x * t.grad(lambda y: x * y)(double(1.0))))(x)
    same(found, 2 * x)


def test_a_gradient_inside_the_function_of_each_sample(t):
    x, y = normal(5, 3), normal(5, 3)
    found = t.vmap(lambda x, y: (t.grad(quartic)(x) * y).sum())(x, y)
    same(found, (4 * x * x * x * y).sum(1))


def test_grad_and_value_for_each_sample(t):
    x = normal(5, 3)
    same(t.vmap(t.grad_and_value(quartic))(x), (4 * x * x * x, (x * x * x * x).sum(1)))


def test_aux_for_each_sample(t):
    x = normal(5, 3)
    found = t.vmap(t.grad(lambda x: (quartic(x), {"norm": (x * x).sum()}), has_aux=True))(x)
    same(found, (4 * x * x * x, {"norm": (x * x).sum(1)}))


def test_a_gradient_in_chunks(t):
    x = normal(5, 3)
    same(t.vmap(t.grad(quartic), chunk_size=2)(x), 4 * x * x * x)


def test_a_constant_for_each_sample_has_gradient_zero(t):
    x = normal(5, 3)
    same(t.vmap(t.grad(lambda x: double(1.0)))(x), torch.zeros_like(x))
    same(t.vmap(t.grad(lambda x, y: y.sum(), argnums=0))(x, x), torch.zeros_like(x))


def test_jacobians_and_hessians_for_each_sample(t):
    x = normal(5, 3)
    expected = torch.stack([torch.diag(12 * row * row) for row in x])
    cubes = lambda x: 4 * x * x * x  # noqa: E731
    same(t.vmap(t.jacrev(cubes))(x), expected)
    same(t.vmap(t.jacfwd(cubes))(x), expected)
    same(t.vmap(t.hessian(quartic))(x), expected)


def test_a_jacobian_for_each_sample_by_what_all_share(t):
    weight, x = normal(2, 3), normal(5, 3)
    expected = torch.einsum("ij,nk->nijk", eye(2), x)
    same(t.vmap(t.jacrev(lambda w, x: w @ x), in_dims=(None, 0))(weight, x), expected)
    same(t.vmap(t.jacfwd(lambda w, x: w @ x), in_dims=(None, 0))(weight, x), expected)


def test_directions_and_primals_mapped_together(t):
    x, tangent = normal(4, 3), normal(4, 3)
    same(
        t.vmap(lambda x, v: t.jvp(torch.sin, (x,), (v,)))(x, tangent),
        (torch.sin(x), torch.cos(x) * tangent),
    )


def test_cotangents_mapped(t):
    f, x = layer(0, 4, 3), normal(3)
    _, vjp_fn = t.vjp(f, x)
    same(t.vmap(vjp_fn)(eye(4))[0], t.jacfwd(f)(x))
    same(t.vmap(vjp_fn, in_dims=1)(2 * eye(4))[0], 2 * t.jacfwd(f)(x))


def test_cotangents_mapped_twice(t):
    x, cotangents = normal(3), normal(2, 4, 3)
    _, vjp_fn = t.vjp(torch.sin, x)
    same(t.vmap(t.vmap(vjp_fn))(cotangents)[0], cotangents * torch.cos(x))


def test_cotangents_mapped_where_an_argument_has_no_influence(t):
    x, y, cotangents = normal(3), normal(2), normal(4, 3)
    _, vjp_fn = t.vjp(lambda x, y: x * 2, x, y)
    same(t.vmap(vjp_fn)(cotangents), (2 * cotangents, torch.zeros(4, 2, dtype=torch.float64)))


# --- forward and reverse


def test_hessian_vector_products_four_ways(t):
    x, v = normal(3), normal(3)
    expected = 12 * x * x * v
    gradient = t.grad(quartic)
    same(t.jvp(gradient, (x,), (v,))[1], expected)
    same(t.vjp(gradient, x)[1](v)[0], expected)
    same(t.grad(lambda x: t.jvp(quartic, (x,), (v,))[1])(x), expected)
    same(t.grad(lambda x: (gradient(x) * v).sum())(x), expected)
    same(t.linearize(gradient, x)[1](v), expected)


@pytest.mark.parametrize("outer", ["jacfwd", "jacrev", "grad"])
@pytest.mark.parametrize("inner", ["jacfwd", "jacrev", "grad"])
def test_any_two_derivatives_of_a_scalar(t, outer, inner):
    x = double(0.7)
    same(getattr(t, outer)(getattr(t, inner)(lambda x: torch.exp(x) * x))(x), torch.exp(x) * (2 + x))


@pytest.mark.parametrize("order", ["rrr", "fff", "rfr", "frf", "rrf", "ffr"])
def test_third_derivatives(t, order):
    derivative = quartic
    for letter in order:
        derivative = (t.jacrev if letter == "r" else t.jacfwd)(derivative)
    x = normal(2)
    expected = torch.zeros(2, 2, 2, dtype=torch.float64)
    expected[0, 0, 0], expected[1, 1, 1] = 24 * x
    same(derivative(x), expected)


def test_jvp_of_vjp_and_vjp_of_jvp(t):
    x, v, c = normal(3), normal(3), normal(3)
    same(t.jvp(lambda x: t.vjp(torch.sin, x)[1](c)[0], (x,), (v,))[1], -torch.sin(x) * c * v)
    same(t.vjp(lambda x: t.jvp(torch.sin, (x,), (v,))[1], x)[1](c)[0], -torch.sin(x) * c * v)


def test_jvp_of_vmap_and_vmap_of_jvp(t):
    x, v = normal(4, 3), normal(4, 3)
    same(t.jvp(t.vmap(quartic), (x,), (v,))[1], (4 * x * x * x * v).sum(1))
    same(t.vmap(lambda x, v: t.jvp(quartic, (x,), (v,))[1])(x, v), (4 * x * x * x * v).sum(1))


def test_the_laplacian(t):
    # Of exp(a x): |a|^2 exp(a x).
    a, x = normal(3), normal(5, 3)

    def laplacian(f):
        def traced(x):
            along = lambda v: (t.jvp(t.grad(f), (x,), (v,))[1] * v).sum()  # noqa: E731
            return t.vmap(along)(eye(3)).sum()

        return traced

    found = t.vmap(laplacian(lambda x: torch.exp((a * x).sum())))(x)
    same(found, (a * a).sum() * torch.exp(x @ a))


def test_newton_s_method_finds_the_minimum_of_a_quadratic_in_one_step(t):
    root, start = normal(3, 3), normal(3)
    matrix = root @ root.t() + eye(3)
    target = normal(3)
    f = lambda x: (x - target) @ (matrix @ (x - target))  # noqa: E731
    step = torch.inverse(t.hessian(f)(start)) @ t.grad(f)(start)
    same(start - step, target)


def test_differentiating_through_steps_of_gradient_descent(t):
    # n steps on w^2 / 2 with rate r: w (1 - r)^n.
    def trained(rate):
        w = double(3.0)
        for _ in range(4):
            w = w - rate * t.grad(lambda w: w * w / 2)(w)
        return w

    rate = double(0.1)
    same(trained(rate), double(3 * 0.9**4))
    same(t.grad(trained)(rate), double(-12 * 0.9**3))
    rates = double([0.1, 0.2, 0.5])
    same(t.vmap(t.grad(trained))(rates), -12 * (1 - rates) ** 3)


def test_autograd_backward_through_mapped_gradients(t):
    weight, x = double([2.0, 3.0]).requires_grad_(), normal(5, 2)
    found = t.vmap(t.grad(lambda x: (weight * x * x).sum()))(x)
    same(found.detach(), 2 * weight.detach() * x)
    found.sum().backward()
    same(weight.grad, 2 * x.sum(0))


# --- laws


@few
@given(a=numbers, b=numbers, seed=st.integers(0, 1000))
def check_linear(t, a, b, seed):
    f, g = layer(seed, 1, 3), layer(seed + 1, 1, 3)
    x = vector(seed + 2, 3)
    combined = t.grad(lambda x: (a * f(x) + b * g(x)).sum())(x)
    same(combined, a * t.grad(lambda x: f(x).sum())(x) + b * t.grad(lambda x: g(x).sum())(x))


def test_the_gradient_is_linear_in_the_function(t):
    check_linear(t)


@few
@given(seed=st.integers(0, 1000), outputs=st.integers(1, 4), inputs=st.integers(1, 4))
def check_adjoint(t, seed, outputs, inputs):
    f, x = layer(seed, outputs, inputs), vector(seed + 1, inputs)
    cotangent, tangent = vector(seed + 2, outputs), vector(seed + 3, inputs)
    _, vjp_fn = t.vjp(f, x)
    _, pushed = t.jvp(f, (x,), (tangent,))
    same((vjp_fn(cotangent)[0] * tangent).sum(), (cotangent * pushed).sum())


def test_vjp_is_the_adjoint_of_jvp(t):
    check_adjoint(t)


@few
@given(seed=st.integers(0, 1000), sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
def check_chain(t, seed, sizes):
    g, f = layer(seed, sizes[1], sizes[0]), layer(seed + 1, sizes[2], sizes[1])
    x = vector(seed + 2, sizes[0])
    for jacobian in (t.jacrev, t.jacfwd):
        same(jacobian(lambda x: f(g(x)))(x), jacobian(f)(g(x)) @ jacobian(g)(x))


def test_the_chain_rule(t):
    check_chain(t)


@few
@given(seed=st.integers(0, 1000), outputs=st.integers(1, 4), inputs=st.integers(1, 4))
def check_jacobians(t, seed, outputs, inputs):
    f, x = layer(seed, outputs, inputs), vector(seed + 1, inputs)
    rows = t.jacrev(f)(x)
    _, vjp_fn = t.vjp(f, x)
    same(rows, t.jacfwd(f)(x))
    same(rows, torch.stack([vjp_fn(row)[0] for row in eye(outputs)]))
    same(rows, torch.stack([t.jvp(f, (x,), (column,))[1] for column in eye(inputs)], 1))


def test_jacobians_are_stacked_products(t):
    check_jacobians(t)


@few
@given(seed=st.integers(0, 1000), batch=st.integers(1, 5), inputs=st.integers(1, 4))
def check_mapped(t, seed, batch, inputs):
    f = layer(seed, 3, inputs)
    x = vector(seed + 1, batch * inputs).reshape(batch, inputs)
    gradient = t.grad(lambda x: f(x).sum())
    same(t.vmap(gradient)(x), torch.stack([gradient(row) for row in x]))


def test_a_mapped_gradient_is_the_gradient_of_each_sample(t):
    check_mapped(t)


@few
@given(order=st.integers(1, 5), x=st.floats(-1, 1))
def check_powers(t, order, x):
    derivative = lambda x: x * x * x * x * x  # noqa: E731
    for _ in range(order):
        derivative = t.grad(derivative)
    expected = math.factorial(5) / math.factorial(5 - order) * x ** (5 - order)
    same(derivative(double(x)), double(expected))


def test_derivatives_of_the_fifth_power(t):
    check_powers(t)
