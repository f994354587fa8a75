"""jvp and linearize: the value, and its derivative in a direction."""

import collections

import pytest
import torch
import torch.nn.functional as F
from derivative_laws import double, native_warnings, normal, on_a_graph, same, transforms

from torchcompat import has

pytestmark = [pytest.mark.shim("func.jvp"), *native_warnings]
linear = pytest.mark.shim("func.linearize")

Pair = collections.namedtuple("Pair", ["left", "right"])


# --- values


def test_the_value_and_the_derivative_in_a_direction(impl):
    x, tangent = normal(3), normal(3)
    same(impl(lambda x: x * x * x, (x,), (tangent,)), (x * x * x, 3 * x * x * tangent))


def test_a_matrix_product(impl):
    matrix, x, tangent = normal(2, 3), normal(3), normal(3)
    same(impl(lambda x: matrix @ x, (x,), (tangent,)), (matrix @ x, matrix @ tangent))


def test_the_directions_of_several_primals_add_up(impl):
    x, y, dx, dy = normal(3), normal(3), normal(3), normal(3)
    same(impl(lambda x, y: x * y, (x, y), (dx, dy)), (x * y, dx * y + x * dy))


def test_it_agrees_with_difference_quotients(impl):
    weight, x, tangent = normal(4, 3), normal(3), normal(3)

    def f(x):
        return torch.tanh(weight @ torch.sin(x)) * torch.exp(x.sum())

    step = 1e-5
    expected = (f(x + step * tangent) - f(x - step * tangent)) / (2 * step)
    same(impl(f, (x,), (tangent,)), (f(x), expected), tolerance=1e-7)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (2, 0)])
def test_the_tangent_has_the_shape_of_the_output(impl, shape):
    x = torch.ones(shape, dtype=torch.float64)
    same(impl(lambda x: x * x, (x,), (3 * x,)), (x, 6 * x))
    same(impl(lambda x: (x * x).sum(), (x,), (3 * x,))[1], (6 * x).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_tangent_has_the_dtype_of_the_output(impl, dtype):
    x = torch.ones(2, dtype=dtype)
    assert impl(lambda x: x * 2, (x,), (x,))[1].dtype == dtype


def test_a_change_of_dtype_inside(impl):
    x = torch.ones(2)
    same(impl(lambda x: x.double() * 2, (x,), (x,)), (2 * x.double(), 2 * x.double()))


def test_the_output_may_be_the_primal_or_a_view_of_it(impl):
    x, tangent = normal(3), normal(3)
    same(impl(lambda x: x, (x,), (tangent,)), (x, tangent))
    same(impl(lambda x: x[1:], (x,), (tangent,)), (x[1:], tangent[1:]))


def test_writing_to_an_intermediate_result(impl):
    def f(x):
        y = x * x
        y.mul_(x)
        y[0] = 1.0
        return y

    x, tangent = double([2.0, 3.0]), double([5.0, 7.0])
    same(impl(f, (x,), (tangent,)), (double([1.0, 27.0]), double([0.0, 27.0 * 7.0])))


def test_writing_to_the_argument(impl):
    def square_of_twice(x):
        x.mul_(2)
        return x * x

    x, tangent = normal(3), normal(3)
    before = x.clone()
    same(impl(square_of_twice, (x,), (tangent.clone(),)), (4 * before * before, 8 * before * tangent))
    same(x, 2 * before)


@pytest.mark.limit("expanded")
def test_an_expanded_primal(impl):
    x = double([2.0]).expand(3)
    same(impl(lambda x: x * x, (x,), (normal(3).fill_(1.0),)), (x * x, 2 * x))


def test_a_direction_of_zeros(impl):
    x = normal(3)
    same(impl(torch.sin, (x,), (torch.zeros_like(x),)), (torch.sin(x), torch.zeros_like(x)))


def test_an_expanded_direction(impl):
    x = normal(3)
    same(impl(torch.sin, (x,), (double(2.0).expand(3),)), (torch.sin(x), 2 * torch.cos(x)))


@pytest.mark.limit("padding_idx")
@pytest.mark.parametrize("options", [{}, {"scale_grad_by_freq": True}])
def test_the_row_of_an_embedding_that_has_no_gradient(impl, options):
    index, table = torch.tensor([[0, 2], [2, 1]]), normal(4, 3)
    lookup = lambda table: F.embedding(index, table, padding_idx=2, **options)  # noqa: E731
    same(impl(lookup, (table,), (2 * table,)), (table[index], 2 * table[index]))


def test_a_logarithm_of_sums(impl):
    if not has("torch.logcumsumexp"):
        pytest.skip("this torch has no logcumsumexp")
    x, tangent = normal(6), normal(6)
    weights = torch.exp(x)
    expected = torch.cumsum(weights * tangent, 0) / torch.cumsum(weights, 0)
    try:
        _, found = impl(lambda x: torch.logcumsumexp(x, 0), (x,), (tangent,))
    except NotImplementedError as error:
        pytest.skip(f"torch's own forward mode lacks it here: {error}")
    same(found, expected)


@pytest.mark.limit("layer_norm")
def test_layer_norm(impl):
    x, tangent = normal(4), normal(4)
    centred = x - x.mean()
    scale = (centred * centred).mean().rsqrt()
    normed = centred * scale
    expected = scale * (tangent - tangent.mean() - normed * (normed * tangent).mean())
    same(impl(lambda x: F.layer_norm(x, [4], eps=0.0), (x,), (tangent,))[1], expected)


# --- outputs that do not depend on the primals


def test_a_constant_output_has_a_tangent_of_zeros(impl):
    x = normal(3)
    constant = double([1.0, 2.0])
    same(impl(lambda x: constant, (x,), (x,)), (constant, torch.zeros_like(constant)))
    same(impl(lambda x: (x * 2, constant), (x,), (x,))[1], (2 * x, torch.zeros_like(constant)))
    same(impl(lambda x: x.detach(), (x,), (x,)), (x, torch.zeros_like(x)))


def test_an_integer_output_has_a_tangent_of_integer_zeros(impl):
    output, tangent = impl(lambda x: (x > 0).long(), (double([1.0, -1.0]),), (double([1.0, 1.0]),))
    same((output, tangent), (torch.tensor([1, 0]), torch.tensor([0, 0])))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.ones(2),
        lambda x: (x, torch.ones(2)),
        lambda x: x.detach(),
        lambda x: (x > 0).long(),
    ],
)
def test_strict_refuses_a_constant_output(impl, function):
    x = normal(3)
    with pytest.raises(RuntimeError, match="strict"):
        impl(function, (x,), (x,), strict=True)
    impl(function, (x,), (x,), strict=False)


def test_strict_asks_for_one_primal_only(impl):
    x = normal(3)
    same(impl(lambda x, y: y * 2, (x, x), (x, x), strict=True), (2 * x, 2 * x))


# --- pytrees


def test_pytrees_in_and_out(impl):
    primals = ({"x": double(2.0), "rest": [double(3.0)]}, Pair(double(5.0), (double(7.0),)))
    tangents = ({"x": double(1.0), "rest": [double(0.0)]}, Pair(double(0.0), (double(10.0),)))

    def f(tree, pair):
        product = tree["x"] * tree["rest"][0]
        return {"product": product, "more": [pair.left * pair.right[0], (product * pair.right[0],)]}

    output, tangent = impl(f, primals, tangents)
    same(output, f(*primals))
    same(tangent, {"product": double(3.0), "more": [double(50.0), (double(81.0),)]})


@pytest.mark.parametrize(
    ("primals", "tangents"),
    [
        (lambda x: (x, x), lambda x: (x,)),
        (lambda x: (x, x), lambda x: (x, x, x)),
        (lambda x: (x, x), lambda x: [x, x]),
        (lambda x: (x, [x]), lambda x: (x, (x,))),
        (lambda x: ({"a": x}, x), lambda x: ({"b": x}, x)),
    ],
)
def test_tangents_of_another_structure_are_refused(impl, primals, tangents):
    x = normal(3)
    with pytest.raises(RuntimeError, match=r"structure|tuple"):
        impl(lambda x, y: torch.ones(3), primals(x), tangents(x))


@pytest.mark.parametrize(
    ("primals", "tangents"),
    [
        (lambda x: (x, x), lambda x: (x, x, x)),
        (lambda x: ((x, x), x), lambda x: (x, x)),
    ],
)
def test_tangents_are_refused_before_the_function_is_called(impl, primals, tangents):
    x = normal(3)
    with pytest.raises(RuntimeError, match="structure"):
        impl(lambda x: x, primals(x), tangents(x))


@pytest.mark.parametrize("shape", [(), (1,), (2,), (1, 3), (3, 1)])
def test_tangents_of_another_shape_are_refused(impl, shape):
    with pytest.raises(RuntimeError, match=r"size|shape"):
        impl(torch.sin, (normal(3),), (torch.ones(shape, dtype=torch.float64),))


def test_primals_that_are_no_tuple_are_refused(impl):
    x = normal(3)
    with pytest.raises(RuntimeError, match="tuple"):
        impl(torch.sin, x, x)
    with pytest.raises(RuntimeError, match="tuple"):
        impl(torch.sin, [x], [x])


def test_no_primals_are_refused(impl):
    with pytest.raises(RuntimeError, match="at least one"):
        impl(lambda: double(1.0), (), ())
    with pytest.raises(RuntimeError, match="at least one"):
        impl(lambda x: double(1.0), ((),), ((),))


@pytest.mark.parametrize("leaf", [None, 1.0, "text"])
def test_primals_and_tangents_that_are_no_tensors_are_refused(impl, leaf):
    x = normal(3)
    with pytest.raises(RuntimeError, match=r"[Tt]ensor"):
        impl(lambda x, y: x, (x, leaf), (x, leaf))
    with pytest.raises(RuntimeError, match=r"[Tt]ensor"):
        impl(lambda x, y: x, (x, x), (x, leaf))


def test_primals_and_tangents_of_an_integer_dtype_are_refused(impl):
    x, integers = normal(3), torch.arange(3)
    with pytest.raises(ValueError, match="floating"):
        impl(lambda x: x.double(), (integers,), (integers,))
    with pytest.raises(ValueError, match="floating"):
        impl(lambda x: x.double(), (integers,), (x,))
    with pytest.raises(ValueError, match="floating"):
        impl(lambda x: x * 2, (x,), (integers,))


@pytest.mark.parametrize("output", [None, 1.0, "text", (), {}, [None]])
def test_an_output_without_tensors_is_refused(impl, output):
    with pytest.raises(RuntimeError, match=r"tensor|non-empty"):
        impl(lambda x: output, (normal(3),), (normal(3),))


def test_an_output_of_tensors_and_others_is_refused(impl):
    with pytest.raises(RuntimeError, match="tensors"):
        impl(lambda x: (x, None), (normal(3),), (normal(3),))


# --- auxiliary outputs


def test_aux_comes_last(impl):
    x = normal(3)
    output, tangent, aux = impl(lambda x: (x * x, {"sum": x.sum(), "x": [x]}), (x,), (x,), has_aux=True)
    same((output, tangent, aux), (x * x, 2 * x * x, {"sum": x.sum(), "x": [x]}))
    assert on_a_graph((output, tangent, aux)) == [False] * 4


def test_aux_that_holds_anything_but_tensors_is_refused(impl):
    with pytest.raises(RuntimeError, match="ensor"):
        impl(lambda x: (x, {"accuracy": 0.5}), (normal(3),), (normal(3),), has_aux=True)


@pytest.mark.parametrize("output", [lambda x: x, lambda x: (x,), lambda x: (x, x, x), lambda x: [x, x]])
def test_has_aux_wants_a_tuple_of_two(impl, output):
    with pytest.raises(RuntimeError, match="aux"):
        impl(output, (normal(3),), (normal(3),), has_aux=True)


# --- graphs and grad modes


def test_nothing_is_on_a_graph(impl):
    x, tangent = normal(3), normal(3)
    assert on_a_graph(impl(lambda x: x * x, (x,), (tangent,))) == [False, False]
    assert not x.requires_grad
    assert not tangent.requires_grad


def test_the_tangent_can_be_differentiated_by_a_primal(impl):
    x, tangent = double([2.0, 3.0]).requires_grad_(), double([5.0, 7.0])
    output, pushed = impl(lambda x: x * x * x, (x,), (tangent,))
    (found,) = torch.autograd.grad(pushed.sum(), x, retain_graph=True)
    same(found, (6 * x * tangent).detach())
    (found,) = torch.autograd.grad(output.sum(), x)
    same(found, (3 * x * x).detach())


def test_the_tangent_can_be_differentiated_by_itself_and_by_a_parameter(impl):
    x, tangent = double([2.0, 3.0]), double([5.0, 7.0]).requires_grad_()
    weight = double([11.0, 13.0]).requires_grad_()
    _, pushed = impl(lambda x: weight * x * x, (x,), (tangent,))
    by_tangent, by_weight = torch.autograd.grad(pushed.sum(), [tangent, weight])
    same((by_tangent, by_weight), ((2 * weight * x).detach(), (2 * x * tangent).detach()))


def test_no_grad_outside_does_not_stop_it(impl):
    x, tangent = normal(3), normal(3)
    with torch.no_grad():
        same(impl(lambda x: x * x, (x,), (tangent,)), (x * x, 2 * x * tangent))


@pytest.mark.limit("no_grad")
def test_no_grad_inside_does_not_stop_it(impl):
    def f(x):
        with torch.no_grad():
            return x * x

    x, tangent = normal(3), normal(3)
    same(impl(f, (x,), (tangent,)), (x * x, 2 * x * tangent))


def test_detach_inside_makes_constants(impl):
    x, tangent = normal(3), normal(3)
    same(impl(lambda x: x * x.detach(), (x,), (tangent,)), (x * x, x * tangent))


@pytest.mark.limit("inference")
def test_inference_mode_outside_does_not_stop_it(impl):
    if not has("torch.inference_mode"):
        pytest.skip("this torch has no inference mode")
    x = double([2.0, 3.0])
    with torch.inference_mode():
        same(impl(lambda x: x * x, (x,), (x,))[1], 2 * x * x)


# --- within each other


def test_the_second_derivative_in_two_directions(impl):
    x, one, two = normal(3), normal(3), normal(3)
    output, tangent = impl(lambda x: impl(lambda x: x * x * x, (x,), (one,))[1], (x,), (two,))
    same((output, tangent), (3 * x * x * one, 6 * x * one * two))


def test_perturbations_are_not_confused(impl):
    # d/dx (x d/dy (x y)) = d/dx (x x)
    one = double(1.0)
    inner = lambda x: impl(lambda y: x * y, (one,), (one,))[1]  # noqa: E731
    same(impl(lambda x: x * inner(x), (double(3.0),), (one,)), (double(9.0), double(6.0)))


def test_of_grad_and_grad_of_it(impl, shim):
    # Hessian-vector products of sum x^4 both ways.
    grad = transforms(impl, shim).grad
    quartic = lambda x: (x * x * x * x).sum()  # noqa: E731
    x, tangent = normal(3), normal(3)
    same(impl(grad(quartic), (x,), (tangent,))[1], 12 * x * x * tangent)
    same(grad(lambda x: impl(quartic, (x,), (tangent,))[1])(x), 12 * x * x * tangent)


def test_many_directions_at_once(impl, shim):
    x = normal(3)
    columns = transforms(impl, shim).vmap(lambda t: impl(lambda x: x * x, (x,), (t,))[1])(
        torch.eye(3, dtype=torch.float64)
    )
    same(columns, torch.diag(2 * x))


def test_many_primals_at_once(impl, shim):
    x, tangent = normal(5, 3), normal(5, 3)
    found = transforms(impl, shim).vmap(lambda x, t: impl(lambda x: x * x, (x,), (t,)))(x, tangent)
    same(found, (x * x, 2 * x * tangent))


# --- linearize


@linear
def test_linearize_gives_the_value_and_the_linear_map(impl):
    x, tangent = normal(3), normal(3)
    output, jvp_fn = impl(lambda x: x * x * x, x)
    same(output, x * x * x)
    same(jvp_fn(tangent), 3 * x * x * tangent)


@linear
def test_linearize_can_be_applied_again_and_is_linear(impl):
    weight, x, one, two = normal(2, 3), normal(3), normal(3), normal(3)
    _, jvp_fn = impl(lambda x: torch.tanh(weight @ x), x)
    same(jvp_fn(one + 2 * two), jvp_fn(one) + 2 * jvp_fn(two))


@linear
def test_linearize_agrees_with_jvp(impl, shim):
    weight, x, y, dx, dy = normal(2, 3), normal(3), normal(2), normal(3), normal(2)
    f = lambda x, y: torch.tanh(weight @ x) * torch.exp(y)  # noqa: E731
    output, jvp_fn = impl(f, x, y)
    same((output, jvp_fn(dx, dy)), transforms(impl, shim).jvp(f, (x, y), (dx, dy)))


@linear
def test_applying_the_linear_map_does_not_call_the_function(impl):
    calls = []

    def f(x):
        calls.append(1)
        return x * x

    _, jvp_fn = impl(f, normal(3))
    before = len(calls)
    jvp_fn(normal(3))
    jvp_fn(normal(3))
    assert len(calls) == before


@linear
def test_linearize_of_pytrees(impl):
    _, jvp_fn = impl(lambda tree: (tree["x"] * tree["y"][0], tree["x"]), {"x": double(2.0), "y": [double(3.0)]})
    same(jvp_fn({"x": double(1.0), "y": [double(10.0)]}), (double(23.0), double(1.0)))


@linear
def test_linearize_of_a_function_into_a_dict(impl):
    output, jvp_fn = impl(lambda x: {"square": x * x}, double(3.0))
    same((output, jvp_fn(double(1.0))), ({"square": double(9.0)}, {"square": double(6.0)}))


@linear
@pytest.mark.limit("constant")
def test_linearize_of_a_constant(impl):
    x = normal(3)
    constant = double([1.0, 2.0])
    tangent = impl(lambda x: constant, x)[1](x)
    assert torch.equal(tangent.detach(), torch.zeros_like(constant))
    first, second = impl(lambda x: (x * 2, constant), x)[1](x)
    same(first, 2 * x)
    assert torch.equal(second.detach(), torch.zeros_like(constant))


@linear
def test_linearize_refuses_tangents_of_another_structure_shape_or_dtype(impl):
    x = normal(3)
    _, jvp_fn = impl(lambda x: x * x, x)
    with pytest.raises(RuntimeError):
        jvp_fn(x, x)
    with pytest.raises(RuntimeError):
        jvp_fn([x])
    with pytest.raises(RuntimeError, match="shape"):
        jvp_fn(x[:2])
    with pytest.raises(RuntimeError, match="dtype"):
        jvp_fn(x.float())


@linear
def test_linearize_refuses_a_primal_of_an_integer_dtype(impl):
    with pytest.raises(ValueError, match="floating"):
        impl(lambda x: x * 1.0, torch.arange(3))


@linear
def test_what_linearize_returns_is_on_no_graph(impl):
    x = normal(3)
    output, jvp_fn = impl(lambda x: x * x, x)
    assert on_a_graph((output, jvp_fn(x))) == [False, False]


@linear
@pytest.mark.limit("nested")
def test_the_linear_map_can_be_differentiated_by_a_primal(impl):
    x, tangent = double([2.0, 3.0]).requires_grad_(), double([5.0, 7.0])
    output, jvp_fn = impl(lambda x: x * x * x, x)
    (found,) = torch.autograd.grad(jvp_fn(tangent).sum(), x, retain_graph=True)
    same(found, (6 * x * tangent).detach())
    (found,) = torch.autograd.grad(output.sum(), x)
    same(found, (3 * x * x).detach())


@linear
def test_the_linear_map_can_be_mapped(impl, shim):
    x = normal(3)
    _, jvp_fn = impl(lambda x: x * x, x)
    same(transforms(impl, shim).vmap(jvp_fn)(torch.eye(3, dtype=torch.float64)), torch.diag(2 * x))


@linear
@pytest.mark.limit("nested")
def test_linearize_within_grad(impl, shim):
    x, tangent = normal(3), normal(3)
    found = transforms(impl, shim).grad(lambda x: impl(lambda x: x * x * x, x)[1](tangent).sum())(x)
    same(found, 6 * x * tangent)


@linear
@pytest.mark.limit("nested")
def test_linearize_within_vmap(impl, shim):
    x, tangent = normal(5, 3), normal(5, 3)
    found = transforms(impl, shim).vmap(lambda x, t: impl(lambda x: x * x, x)[1](t))(x, tangent)
    same(found, 2 * x * tangent)


@linear
@pytest.mark.limit("nested")
def test_linearize_within_jvp(impl, shim):
    x, one, two = normal(3), normal(3), normal(3)
    _, found = transforms(impl, shim).jvp(lambda x: impl(lambda x: x * x * x, x)[1](one), (x,), (two,))
    same(found, 6 * x * one * two)
