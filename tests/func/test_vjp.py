"""vjp: the value, and the function from cotangents to gradients."""

import collections

import pytest
import torch
from derivative_laws import double, normal, on_a_graph, same, transforms

from torchcompat import at_least, has

pytestmark = pytest.mark.shim("func.vjp")

Pair = collections.namedtuple("Pair", ["left", "right"])


# --- values


def test_a_matrix_product_pulls_back_by_its_transpose(impl):
    matrix, x, cotangent = normal(2, 3), normal(3), normal(2)
    output, vjp_fn = impl(lambda x: matrix @ x, x)
    same(output, matrix @ x)
    same(vjp_fn(cotangent), (matrix.t() @ cotangent,))


def test_one_primal_gives_a_tuple_of_one(impl):
    _, vjp_fn = impl(torch.sin, double(0.5))
    same(vjp_fn(double(1.0)), (torch.cos(double(0.5)),))


def test_several_primals_give_a_tuple(impl):
    x, y = normal(3), normal(3)
    _, vjp_fn = impl(lambda x, y: x * y, x, y)
    same(vjp_fn(torch.ones_like(x)), (y, x))


def test_it_can_be_called_several_times(impl):
    x = normal(3)
    _, vjp_fn = impl(lambda x: torch.exp(x) * x, x)
    once, twice = vjp_fn(torch.ones_like(x)), vjp_fn(2 * torch.ones_like(x))
    same(once, (torch.exp(x) * (1 + x),))
    same(twice, (2 * once[0],))


def test_the_rows_of_the_jacobian(impl):
    x = double([2.0, 3.0])
    _, vjp_fn = impl(lambda x: torch.stack([x[0] * x[1], x[0] * x[0], x[1]]), x)
    rows = [vjp_fn(row)[0] for row in torch.eye(3, dtype=torch.float64)]
    same(torch.stack(rows), double([[3.0, 2.0], [4.0, 0.0], [0.0, 1.0]]))


def test_what_does_not_depend_on_the_primals_has_gradient_zero(impl):
    x, y = normal(3), normal(2)
    _, vjp_fn = impl(lambda x, y: (torch.ones(2, dtype=torch.float64), x * 2), x, y)
    same(vjp_fn((normal(2), torch.ones_like(x))), (2 * torch.ones_like(x), torch.zeros_like(y)))
    _, vjp_fn = impl(lambda x: torch.ones(2, dtype=torch.float64), x)
    same(vjp_fn(normal(2)), (torch.zeros_like(x),))


def test_the_output_may_be_the_primal(impl):
    x, cotangent = normal(3), normal(3)
    output, vjp_fn = impl(lambda x: x, x)
    same(output, x)
    same(vjp_fn(cotangent), (cotangent,))


def test_the_same_tensor_twice_in_the_output(impl):
    x = normal(3)
    _, vjp_fn = impl(lambda x: (x, x), x)
    same(vjp_fn((x, 2 * x)), (3 * x,))


def test_no_primals(impl):
    output, vjp_fn = impl(lambda: double(2.0))
    same(output, double(2.0))
    assert vjp_fn(double(1.0)) == ()


def test_a_complex_output(impl):
    if not at_least(1, 7):
        pytest.skip("torch 1.6 has the first complex autograd, and warns of wrong gradients")
    x, cotangent = normal(3, 2), normal(3, 2)
    _, vjp_fn = impl(torch.view_as_complex, x)
    same(vjp_fn(torch.view_as_complex(cotangent)), (cotangent,))


# --- pytrees


def test_pytrees_in_and_out(impl):
    params = {"w": normal(2, 3), "rest": [normal(2), Pair(double(2.0), (double(3.0),))]}

    def f(p, x):
        scale = p["rest"][1].left * p["rest"][1].right[0]
        return {"out": p["w"] @ x * scale, "more": [p["rest"][0], (x,)]}

    x, out, bias, more = normal(3), normal(2), normal(2), normal(3)
    output, vjp_fn = impl(f, params, x)
    same(output, f(params, x))
    gradients = vjp_fn({"out": out, "more": [bias, (more,)]})
    inner = (out * (params["w"] @ x)).sum()
    expected = {
        "w": 6.0 * out.reshape(2, 1) * x,
        "rest": [bias, Pair(3.0 * inner, (2.0 * inner,))],
    }
    same(gradients, (expected, 6.0 * (params["w"].t() @ out) + more))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x,
        lambda x: (x,),
        lambda x: [x, {"sum": x.sum()}],
        lambda x: (x, {"total": x.sum()}),
        lambda x: (x, {"sum": x.sum()}, x),
        lambda x: (x, x.sum()),
        lambda x: (x, {"sum": (x.sum(),)}),
    ],
)
def test_cotangents_of_another_structure_are_refused(impl, wrong):
    x = normal(3)
    _, vjp_fn = impl(lambda x: (x * 2, {"sum": x.sum()}), x)
    with pytest.raises(RuntimeError, match="structure"):
        vjp_fn(wrong(x))


@pytest.mark.parametrize("shape", [(), (1,), (2,), (1, 3), (3, 1)])
def test_cotangents_of_another_shape_are_refused(impl, shape):
    _, vjp_fn = impl(lambda x: x * 2, normal(3))
    with pytest.raises(RuntimeError, match="shape"):
        vjp_fn(torch.ones(shape, dtype=torch.float64))


def test_a_cotangent_that_is_no_tensor_is_refused(impl):
    _, vjp_fn = impl(torch.sin, double(1.0))
    with pytest.raises(TypeError, match=r"[Tt]ensor"):
        vjp_fn(1.0)


# --- what the function may take and return


@pytest.mark.parametrize("primal", [1.0, None, "text", {"x": None}, [2]])
def test_a_primal_that_is_no_tensor_is_refused(impl, primal):
    with pytest.raises(ValueError, match=r"[Tt]ensor"):
        impl(lambda x: torch.ones(()), primal)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_a_primal_of_an_integer_or_bool_dtype_is_refused(impl, dtype):
    with pytest.raises(RuntimeError, match="floating"):
        impl(lambda x: x.double(), torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("output", [None, 1.0, "text", (), {}, [], [None], {"x": 1}])
def test_an_output_without_tensors_is_refused(impl, output):
    with pytest.raises(RuntimeError, match=r"tensor|non-empty"):
        impl(lambda x: output, normal(3))


def test_an_output_of_tensors_and_others_is_refused(impl):
    with pytest.raises(RuntimeError, match="tensors"):
        impl(lambda x: (x, None), normal(3))
    with pytest.raises(RuntimeError, match="tensors"):
        impl(lambda x: {"x": x, "n": 3}, normal(3))


@pytest.mark.parametrize("output", [lambda x: (x > 0).long(), lambda x: x > 0, lambda x: (x, (x > 0).sum())])
def test_an_integer_or_bool_output_is_refused(impl, output):
    with pytest.raises(RuntimeError, match="floating"):
        impl(output, normal(3))


def test_keyword_arguments_are_refused(impl):
    with pytest.raises(TypeError):
        impl(lambda x, scale=1.0: x * scale, normal(3), scale=2.0)


# --- auxiliary outputs


def test_aux_comes_last(impl):
    x = normal(3)
    output, vjp_fn, aux = impl(lambda x: (x * 2, {"sum": x.sum(), "x": [x]}), x, has_aux=True)
    same((output, aux), (x * 2, {"sum": x.sum(), "x": [x]}))
    same(vjp_fn(x), (2 * x,))
    assert on_a_graph((output, aux)) == [False, False, False]


def test_aux_of_an_integer_dtype(impl):
    x = double([1.0, -1.0])
    _, _, aux = impl(lambda x: (x * 2, (x > 0).long()), x, has_aux=True)
    assert aux.tolist() == [1, 0]


def test_aux_that_holds_anything_but_tensors_is_refused(impl):
    with pytest.raises(RuntimeError, match="ensor"):
        impl(lambda x: (x, {"accuracy": 0.5}), normal(3), has_aux=True)


@pytest.mark.parametrize("output", [lambda x: x, lambda x: (x,), lambda x: (x, x, x), lambda x: [x, x]])
def test_has_aux_wants_a_tuple_of_two(impl, output):
    with pytest.raises(RuntimeError, match="aux"):
        impl(output, normal(3), has_aux=True)


# --- graphs and grad modes


def test_nothing_is_on_a_graph(impl):
    x = normal(3)
    output, vjp_fn = impl(lambda x: x * x, x)
    assert on_a_graph((output, vjp_fn(x))) == [False, False]
    assert not x.requires_grad
    assert x.grad is None


def test_the_gradient_can_be_differentiated_by_a_primal(impl):
    x, cotangent = double([2.0, 3.0]).requires_grad_(), double([5.0, 7.0])
    output, vjp_fn = impl(lambda x: x * x, x)
    (gradient,) = vjp_fn(cotangent)
    (found,) = torch.autograd.grad(gradient.sum(), x, retain_graph=True)
    same(found, 2 * cotangent)
    (found,) = torch.autograd.grad(output.sum(), x)
    same(found, (2 * x).detach())


def test_the_gradient_can_be_differentiated_by_a_captured_parameter(impl):
    weight, x = double([2.0, 3.0]).requires_grad_(), double([5.0, 7.0])
    _, vjp_fn = impl(lambda x: weight * x * x, x)
    (found,) = torch.autograd.grad(vjp_fn(torch.ones_like(x))[0].sum(), weight)
    same(found, 2 * x)


def test_the_gradient_can_be_differentiated_by_the_cotangent(impl):
    x, cotangent = double([2.0, 3.0]), double([5.0, 7.0]).requires_grad_()
    _, vjp_fn = impl(lambda x: x * x * x, x)
    (found,) = torch.autograd.grad(vjp_fn(cotangent)[0].sum(), cotangent)
    same(found, 3 * x * x)


def test_no_grad_outside_does_not_stop_it(impl):
    x = double([2.0, 3.0])
    with torch.no_grad():
        _, vjp_fn = impl(lambda x: x * x, x)
        same(vjp_fn(torch.ones_like(x)), (2 * x,))
    same(vjp_fn(torch.ones_like(x)), (2 * x,))


def test_no_grad_around_the_call_keeps_the_gradient_off_the_graph(impl):
    x = double([2.0, 3.0]).requires_grad_()
    _, vjp_fn = impl(lambda x: x * x, x)
    with torch.no_grad():
        (gradient,) = vjp_fn(torch.ones(2, dtype=torch.float64))
    assert not gradient.requires_grad
    same(gradient, 2 * x.detach())


def test_no_grad_inside_makes_constants(impl):
    def f(x):
        with torch.no_grad():
            constant = x * x
        return x * constant

    x = double([2.0, 3.0])
    _, vjp_fn = impl(f, x)
    same(vjp_fn(torch.ones_like(x)), (x * x,))


@pytest.mark.limit("inference")
def test_inference_mode_outside_does_not_stop_it(impl):
    if not has("torch.inference_mode"):
        pytest.skip("this torch has no inference mode")
    x = double([2.0, 3.0])
    with torch.inference_mode():
        _, vjp_fn = impl(lambda x: x * x, x)
        same(vjp_fn(torch.ones_like(x)), (2 * x,))


def test_the_graph_may_be_freed_by_the_last_call(impl):
    x = double([2.0, 3.0])
    _, vjp_fn = impl(lambda x: torch.exp(x), x)
    same(vjp_fn(torch.ones_like(x), retain_graph=False), (torch.exp(x),))
    with pytest.raises(RuntimeError, match="second time"):
        vjp_fn(torch.ones_like(x))


def test_no_graph_on_request(impl):
    x = double([2.0, 3.0]).requires_grad_()
    _, vjp_fn = impl(lambda x: x * x, x)
    (gradient,) = vjp_fn(torch.ones(2, dtype=torch.float64), create_graph=False)
    assert not gradient.requires_grad


# --- within each other


def test_the_pull_back_of_a_pull_back(impl):
    # The vjp is linear in its cotangent: pulling back through it multiplies by the Jacobian, here diag(2 x).
    x, cotangent, tangent = normal(3), normal(3), normal(3)
    _, vjp_fn = impl(lambda x: x * x, x)
    _, push = impl(lambda c: vjp_fn(c)[0], cotangent)
    same(push(tangent), (2 * x * tangent,))


def test_the_second_derivative(impl):
    x, cotangent = normal(3), normal(3)

    def first(x):
        _, vjp_fn = impl(lambda x: x * x * x, x)
        return vjp_fn(torch.ones_like(x))[0]

    output, vjp_fn = impl(first, x)
    same(output, 3 * x * x)
    same(vjp_fn(cotangent), (6 * x * cotangent,))


def test_within_grad(impl, shim):
    x, cotangent = normal(3), normal(3)
    grad = transforms(impl, shim).grad
    found = grad(lambda x: impl(lambda x: x * x * x, x)[1](cotangent)[0].sum())(x)
    same(found, 6 * x * cotangent)


def test_many_cotangents_at_once(impl, shim):
    x = normal(3)
    weight = normal(4, 3)
    _, vjp_fn = impl(lambda x: torch.tanh(weight @ x), x)
    rows = transforms(impl, shim).vmap(vjp_fn)(torch.eye(4, dtype=torch.float64))
    slope = 1 - torch.tanh(weight @ x) ** 2
    same(rows, (slope.reshape(4, 1) * weight,))


def test_many_primals_at_once(impl, shim):
    x, cotangent = normal(5, 3), normal(5, 3)
    found = transforms(impl, shim).vmap(lambda x, c: impl(lambda x: x * x, x)[1](c)[0])(x, cotangent)
    same(found, 2 * x * cotangent)


@pytest.mark.limit("no_grad")
def test_what_the_function_of_cotangents_gives_has_a_graph_where_it_is_called(impl):
    x = double([2.0, 3.0]).requires_grad_()
    with torch.no_grad():
        output, vjp_fn = impl(lambda x: x * x * x, x)
    assert on_a_graph(output) == [False]
    (found,) = vjp_fn(torch.ones_like(x))
    same(torch.autograd.grad(found.sum(), x)[0], (6 * x).detach())
    _, vjp_fn = impl(lambda x: x * x * x, x)
    with torch.no_grad():
        assert on_a_graph(vjp_fn(torch.ones_like(x))) == [False]
