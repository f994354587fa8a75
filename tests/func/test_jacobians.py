"""jacrev, jacfwd and hessian: shapes, pytrees, arguments, chunks and closed forms."""

import collections

import pytest
import torch
from derivative_laws import difference_quotients, double, native_warnings, normal, on_a_graph, same, transforms

from torchcompat import at_least, has

pytestmark = native_warnings
reverse = pytest.mark.shim("func.jacrev")
forward = pytest.mark.shim("func.jacfwd")
second = pytest.mark.shim("func.hessian")

Pair = collections.namedtuple("Pair", ["left", "right"])


def eye(size):
    return torch.eye(size, dtype=torch.float64)


def check_negative(jacobian, argnums):
    """Argnums below 0 count from the end."""
    args = (normal(2), normal(2))
    found = jacobian(lambda x, y: x * y, argnums=argnums)(*args)
    if isinstance(argnums, int):
        same(found, torch.diag(args[1 - argnums % 2]))
    else:
        same(found, tuple(torch.diag(args[1 - number % 2]) for number in argnums))


def check_expanded(jacobian):
    """An argument of stride 0."""
    same(jacobian(lambda x: x * x)(double([2.0]).expand(3)), 4 * eye(3))


negative = pytest.mark.parametrize("argnums", [-1, -2, (-1,), (0, -1), (-1, -2)])


class JacobianContract:
    """What jacrev and jacfwd have in common."""

    # --- values

    def test_of_a_linear_function_is_its_matrix(self, impl):
        matrix = normal(2, 3)
        same(impl(lambda x: matrix @ x)(normal(3)), matrix)

    def test_of_an_elementwise_function_is_diagonal(self, impl):
        x = normal(4)
        same(impl(torch.sin)(x), torch.diag(torch.cos(x)))

    def test_agrees_with_difference_quotients(self, impl):
        weight = normal(4, 6)

        def f(x):
            return torch.tanh(weight @ torch.exp(x.reshape(6))).reshape(2, 2) * torch.sin(x.sum())

        x = normal(2, 3)
        same(impl(f)(x), difference_quotients(f, x), tolerance=1e-7)

    @pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (2, 0)])
    def test_has_the_shape_of_the_output_and_then_of_the_input(self, impl, shape):
        x = torch.ones(shape, dtype=torch.float64)
        assert impl(lambda x: x * 2)(x).shape == shape + shape
        assert impl(lambda x: x.sum())(x).shape == shape
        same(impl(lambda x: x.sum())(x), x)
        assert impl(lambda x: x.sum().expand(4, 1))(x).shape == (4, 1) + shape

    def test_of_an_output_without_elements(self, impl):
        assert impl(lambda x: x[:0] * 2)(normal(3)).shape == (0, 3)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_has_the_dtype_of_the_input(self, impl, dtype):
        assert impl(lambda x: x * 2)(torch.ones(2, dtype=dtype)).dtype == dtype

    def test_of_a_function_that_does_not_depend_on_the_input_is_zero(self, impl):
        constant = double([1.0, 2.0])
        same(impl(lambda x: constant)(normal(3)), torch.zeros(2, 3, dtype=torch.float64))
        first, other = impl(lambda x: (x * 2, constant))(normal(3))
        same((first, other), (2 * eye(3), torch.zeros(2, 3, dtype=torch.float64)))

    def test_of_the_input_itself_and_of_views(self, impl):
        x = normal(3)
        same(impl(lambda x: x)(x), eye(3))
        same(impl(lambda x: x[1:])(x), eye(3)[1:])
        same(impl(lambda x: x.expand(2, 3))(x), eye(3).expand(2, 3, 3))

    def test_with_writes_to_an_intermediate_result(self, impl):
        def f(x):
            y = x * x
            y.mul_(3.0)
            y[0] = 0.0
            return y

        x = double([1.0, 2.0, 3.0])
        same(impl(f)(x), torch.diag(double([0.0, 12.0, 18.0])))

    def test_of_a_transposed_input(self, impl):
        x = normal(2, 3).t()
        same(impl(lambda x: x.sum(0))(x), impl(lambda x: x.sum(0))(x.clone()))

    # --- arguments

    @pytest.mark.parametrize("argnums", [0, 1])
    def test_argnums_names_one_argument(self, impl, argnums):
        args = (normal(3), normal(3))
        same(impl(lambda x, y: x * y, argnums=argnums)(*args), torch.diag(args[1 - argnums]))

    @pytest.mark.parametrize("argnums", [(0,), (1,), (0, 1), (1, 0)])
    def test_argnums_of_a_tuple_gives_a_tuple_in_this_order(self, impl, argnums):
        args = (normal(2), normal(2))
        found = impl(lambda x, y: x * y, argnums=argnums)(*args)
        same(found, tuple(torch.diag(args[1 - number]) for number in argnums))

    @pytest.mark.parametrize("argnums", [2, -3, (0, 2), (), (0, 0), (1, -1), [0], "0", (0, "1")])
    def test_argnums_that_name_no_argument_or_one_twice_are_refused(self, impl, argnums):
        with pytest.raises(RuntimeError, match="arg"):
            impl(lambda x, y: x * y, argnums=argnums)(normal(2), normal(2))

    def test_other_arguments_may_be_anything(self, impl):
        same(impl(lambda x, flag, power: x * power["two"] if flag else x)(normal(2), True, {"two": 2}), 2 * eye(2))
        x, index = normal(3), torch.tensor([2, 0])
        same(impl(lambda x, index: x[index])(x, index), eye(3)[index])

    def test_keyword_arguments_are_refused(self, impl):
        with pytest.raises(TypeError):
            impl(lambda x, scale=1.0: x * scale)(normal(2), scale=2.0)

    # --- pytrees

    def test_pytrees_of_outputs_hold_pytrees_of_inputs(self, impl):
        x = {"a": normal(2), "b": [normal(3)]}
        found = impl(lambda x: {"sum": x["a"].sum() * x["b"][0], "more": (x["a"] * 2,)})(x)
        a, b = x["a"], x["b"][0]
        zero = torch.zeros(2, 3, dtype=torch.float64)
        same(
            found,
            {
                "sum": {"a": b.reshape(3, 1).expand(3, 2), "b": [a.sum() * eye(3)]},
                "more": ({"a": 2 * eye(2), "b": [zero]},),
            },
        )

    def test_named_tuples(self, impl):
        found = impl(lambda p: Pair(p.left * 2, p.right * 3))(Pair(double(1.0), double(1.0)))
        same(found, Pair(Pair(double(2.0), double(0.0)), Pair(double(0.0), double(3.0))))

    def test_a_tuple_of_outputs_by_a_tuple_of_arguments(self, impl):
        x, y = normal(2), normal(3)
        found = impl(lambda x, y: (x.sum() * y, x * 2), argnums=(0, 1))(x, y)
        zero = torch.zeros(2, 3, dtype=torch.float64)
        same(found, ((y.reshape(3, 1).expand(3, 2), x.sum() * eye(3)), (2 * eye(2), zero)))

    def test_an_empty_pytree_beside_an_argument(self, impl):
        same(impl(lambda e, x: x * 2, argnums=(0, 1))({}, normal(2)), ({}, 2 * eye(2)))

    # --- what is refused

    @pytest.mark.parametrize("leaf", [None, 1.0, {"x": None}])
    def test_an_argument_that_is_no_tensor_is_refused(self, impl, leaf):
        with pytest.raises((ValueError, AttributeError)):
            impl(lambda x: torch.ones(()))(leaf)

    def test_a_complex_argument_or_output_is_refused(self, impl):
        if not at_least(1, 7):
            pytest.skip("torch 1.6 has the first complex autograd, and warns of wrong gradients")
        with pytest.raises(RuntimeError, match=r"complex|real"):
            impl(lambda z: z * 2)(torch.view_as_complex(normal(3, 2)))
        with pytest.raises(RuntimeError, match=r"complex|real"):
            impl(torch.view_as_complex)(normal(3, 2))

    @pytest.mark.parametrize("output", [None, 1.0, "text", (), {}, [None]])
    def test_an_output_without_tensors_is_refused(self, impl, output):
        with pytest.raises(RuntimeError, match=r"tensor|non-empty"):
            impl(lambda x: output)(normal(3))

    # --- auxiliary outputs

    def test_aux_comes_beside_the_jacobian(self, impl):
        x = normal(3)
        found = impl(lambda x: (x * 2, {"sum": x.sum(), "x": [x]}), has_aux=True)(x)
        same(found, (2 * eye(3), {"sum": x.sum(), "x": [x]}))
        assert on_a_graph(found) == [False] * 3

    def test_aux_that_holds_anything_but_tensors_is_refused(self, impl):
        with pytest.raises(RuntimeError, match="ensor"):
            impl(lambda x: (x, {"accuracy": 0.5}), has_aux=True)(normal(3))

    @pytest.mark.parametrize("output", [lambda x: x, lambda x: (x,), lambda x: (x, x, x), lambda x: [x, x]])
    def test_has_aux_wants_a_tuple_of_two(self, impl, output):
        with pytest.raises(RuntimeError, match="aux"):
            impl(output, has_aux=True)(normal(3))

    # --- graphs and grad modes

    def test_is_on_no_graph(self, impl):
        x = normal(3)
        assert on_a_graph(impl(lambda x: x * x)(x)) == [False]
        assert not x.requires_grad
        assert x.grad is None

    def test_can_be_differentiated_by_the_input(self, impl):
        x = double([2.0, 3.0]).requires_grad_()
        (found,) = torch.autograd.grad(impl(lambda x: x * x * x)(x).sum(), x)
        same(found, (6 * x).detach())

    def test_can_be_differentiated_by_a_captured_parameter(self, impl):
        weight, x = double([2.0, 3.0]).requires_grad_(), double([5.0, 7.0])
        (found,) = torch.autograd.grad(impl(lambda x: weight * weight * x * x)(x).sum(), weight)
        same(found, (4 * weight * x).detach())

    def test_no_grad_outside_does_not_stop_it(self, impl):
        x = normal(3)
        with torch.no_grad():
            found = impl(lambda x: x * x)(x)
        same(found, torch.diag(2 * x))

    @pytest.mark.limit("inference")
    def test_inference_mode_outside_does_not_stop_it(self, impl):
        if not has("torch.inference_mode"):
            pytest.skip("this torch has no inference mode")
        x = double([2.0, 3.0])
        with torch.inference_mode():
            same(impl(lambda x: x * x)(x), torch.diag(2 * x))

    # --- within each other

    def test_twice_is_the_second_derivative(self, impl):
        x = normal(3)
        same(impl(impl(lambda x: (x * x * x).sum()))(x), torch.diag(6 * x))
        assert impl(impl(lambda x: (x * x).reshape(3, 1)))(x).shape == (3, 1, 3, 3)

    def test_perturbations_are_not_confused(self, impl):
        one = double(1.0)
        same(impl(lambda x: x * impl(lambda y: x * y)(one))(double(3.0)), double(6.0))

    def test_within_grad(self, impl, shim):
        x = normal(3)
        same(transforms(impl, shim).grad(lambda x: impl(lambda x: x * x * x)(x).sum())(x), 6 * x)

    def test_of_grad(self, impl, shim):
        x = normal(3)
        same(impl(transforms(impl, shim).grad(lambda x: (x * x * x).sum()))(x), torch.diag(6 * x))

    def test_mapped(self, impl, shim):
        x = normal(5, 3)
        weight = normal(2, 3)
        expected = (1 - torch.tanh(x @ weight.t()) ** 2).reshape(5, 2, 1) * weight
        same(transforms(impl, shim).vmap(impl(lambda x: torch.tanh(weight @ x)))(x), expected)

    def test_of_a_mapped_function(self, impl, shim):
        x = normal(4, 2)
        found = impl(transforms(impl, shim).vmap(lambda x: (x * x).sum()))(x)
        same(found, 2 * eye(4).reshape(4, 4, 1) * x)

    def test_keeps_the_name_of_the_function(self, impl):
        def f(x):
            """Mine."""

        assert impl(f).__name__ == "f"


@reverse
class TestJacrev(JacobianContract):
    def test_of_an_expanded_input(self, impl):
        check_expanded(impl)

    @negative
    def test_argnums_below_zero_count_from_the_end(self, impl, argnums):
        check_negative(impl, argnums)

    @pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 6, 100, None])
    def test_chunk_size_changes_nothing(self, impl, chunk_size):
        weight, x = normal(3, 4), normal(4)
        found = impl(lambda x: (torch.tanh(weight @ x), {"more": x[:2] * x[2:]}), chunk_size=chunk_size)(x)
        slope = 1 - torch.tanh(weight @ x) ** 2
        more = torch.cat([torch.diag(x[2:]), torch.diag(x[:2])], 1)
        same(found, (slope.reshape(3, 1) * weight, {"more": more}))

    @pytest.mark.parametrize("chunk_size", [1, 2])
    def test_chunk_size_with_aux_and_several_arguments(self, impl, chunk_size):
        x, y = normal(3), normal(3)
        found, aux = impl(lambda x, y: (x * y, x.sum()), argnums=(0, 1), has_aux=True, chunk_size=chunk_size)(x, y)
        same((found, aux), ((torch.diag(y), torch.diag(x)), x.sum()))

    @pytest.mark.parametrize("chunk_size", [0, -1])
    def test_a_chunk_size_below_one_is_refused_at_once(self, impl, chunk_size):
        with pytest.raises(ValueError, match="chunk_size"):
            impl(torch.sin, chunk_size=chunk_size)

    def test_has_aux_and_chunk_size_are_keyword_only(self, impl):
        with pytest.raises(TypeError):
            impl(torch.sin, 0, True)

    def test_an_argument_of_an_integer_dtype_is_refused(self, impl):
        with pytest.raises(RuntimeError, match="floating"):
            impl(lambda x: x.double())(torch.arange(3))

    @pytest.mark.parametrize("output", [lambda x: (x > 0).long(), lambda x: x > 0, lambda x: (x, (x > 0).sum())])
    def test_an_integer_output_is_refused(self, impl, output):
        with pytest.raises(RuntimeError, match="floating"):
            impl(output)(normal(3))

    def test_no_grad_inside_makes_constants(self, impl):
        def f(x):
            with torch.no_grad():
                constant = x * x
            return x * constant

        x = normal(3)
        same(impl(f)(x), torch.diag(x * x))

    def test_rows_are_those_of_vjp(self, impl, shim):
        weight, x = normal(3, 4), normal(4)
        f = lambda x: torch.tanh(weight @ x)  # noqa: E731
        _, vjp_fn = transforms(impl, shim).vjp(f, x)
        same(impl(f)(x), torch.stack([vjp_fn(row)[0] for row in eye(3)]))

    def test_calls_the_function_once(self, impl):
        calls = []

        def f(x):
            calls.append(1)
            return x * x

        impl(f)(normal(3))
        assert len(calls) == 1

    def test_random_numbers_are_those_of_one_call(self, impl):
        x = torch.ones(3, dtype=torch.float64)
        jacobian = impl(lambda x: x * torch.randn(3, dtype=torch.float64))(x)
        torch.manual_seed(0)
        same(jacobian, torch.diag(normal(3)))


@forward
class TestJacfwd(JacobianContract):
    @pytest.mark.limit("expanded")
    def test_of_an_expanded_input(self, impl):
        check_expanded(impl)

    @pytest.mark.limit("negative")
    @negative
    def test_argnums_below_zero_count_from_the_end(self, impl, argnums):
        check_negative(impl, argnums)

    def test_an_argument_of_an_integer_dtype_is_refused(self, impl):
        with pytest.raises(ValueError, match="floating"):
            impl(lambda x: x.double())(torch.arange(3))

    def test_an_integer_output_has_a_jacobian_of_integer_zeros(self, impl):
        same(impl(lambda x: (x > 0).long())(normal(3)), torch.zeros(3, 3, dtype=torch.int64))

    def test_columns_are_those_of_jvp(self, impl, shim):
        weight, x = normal(3, 4), normal(4)
        f = lambda x: torch.tanh(weight @ x)  # noqa: E731
        columns = [transforms(impl, shim).jvp(f, (x,), (column,))[1] for column in eye(4)]
        same(impl(f)(x), torch.stack(columns, 1))

    def test_random_numbers_are_refused_unless_asked_for(self, impl):
        with pytest.raises(RuntimeError, match="random"):
            impl(lambda x: x * torch.randn(3, dtype=torch.float64))(normal(3))

    def test_random_numbers_the_same_for_each_column(self, impl):
        jacobian = impl(lambda x: x.sum() * torch.randn(3, dtype=torch.float64), randomness="same")(normal(2))
        same(jacobian[:, 0], jacobian[:, 1])
        assert not torch.equal(jacobian[0], jacobian[1])

    def test_random_numbers_different_for_each_column(self, impl):
        jacobian = impl(lambda x: x.sum() * torch.randn_like(x), randomness="different")(normal(2))
        assert (jacobian[:, 0] != jacobian[:, 1]).all()

    def test_another_randomness_is_refused_in_the_call(self, impl):
        with pytest.raises(RuntimeError, match="random"):
            impl(torch.sin, randomness="some")(normal(3))


# --- hessian


@second
def test_the_hessian_of_a_quadratic_form(impl):
    matrix = normal(3, 3)
    same(impl(lambda x: x @ (matrix @ x))(normal(3)), matrix + matrix.t())


@second
def test_the_hessian_of_a_sum_of_cubes(impl):
    x = normal(4)
    same(impl(lambda x: (x * x * x).sum())(x), torch.diag(6 * x))


@second
@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0,)])
def test_the_hessian_has_the_shape_of_the_output_and_twice_of_the_input(impl, shape):
    x = torch.ones(shape, dtype=torch.float64)
    assert impl(lambda x: (x * x).sum())(x).shape == shape + shape
    assert impl(lambda x: (x * x).sum().expand(2, 1))(x).shape == (2, 1) + shape + shape


@second
def test_the_hessian_of_a_vector_is_a_hessian_for_each_component(impl):
    x = double([2.0, 3.0])
    found = impl(lambda x: torch.stack([x[0] * x[0] * x[1], x[1] * x[1]]))(x)
    same(found, double([[[6.0, 4.0], [4.0, 0.0]], [[0.0, 0.0], [0.0, 2.0]]]))


@second
def test_the_hessian_of_a_linear_function_and_of_a_constant_is_zero(impl):
    zero = torch.zeros(2, 2, dtype=torch.float64)
    same(impl(lambda x: x.sum())(normal(2)), zero)
    same(impl(lambda x: double(1.0))(normal(2)), zero)


@second
def test_the_blocks_of_the_hessian_by_two_arguments(impl):
    x, y = double([2.0]), double([3.0, 5.0])
    (xx, xy), (yx, yy) = impl(lambda x, y: (x * x).sum() * (y * y).sum(), argnums=(0, 1))(x, y)
    same(xx, 2 * (y * y).sum().reshape(1, 1))
    same(xy, 4 * x.reshape(1, 1) * y)
    same(yx, xy.t())
    same(yy, 2 * x * x * eye(2))


@second
def test_the_hessian_by_another_argument(impl):
    x, y = normal(2), normal(3)
    same(impl(lambda x, y: x.sum() * (y * y).sum(), argnums=1)(x, y), 2 * x.sum() * eye(3))


@second
@pytest.mark.limit("negative")
def test_the_hessian_by_the_last_argument(impl):
    x, y = normal(2), normal(3)
    same(impl(lambda x, y: x.sum() * (y * y).sum(), argnums=-1)(x, y), 2 * x.sum() * eye(3))


@second
def test_the_hessian_of_a_dict_of_parameters(impl):
    params = {"w": double([2.0, 3.0]), "b": double(5.0)}
    found = impl(lambda p: p["b"] * (p["w"] * p["w"]).sum())(params)
    same(found["w"]["w"], 2 * params["b"] * eye(2))
    same(found["w"]["b"], 2 * params["w"])
    same(found["b"]["w"], 2 * params["w"])
    same(found["b"]["b"], double(0.0))


def small_network():
    first, bias, last = normal(4, 3), normal(4), normal(4)
    return lambda x: last @ torch.tanh(first @ x + bias)


@second
def test_the_hessian_of_a_network_agrees_with_difference_quotients_of_its_gradient(impl, shim):
    f, x = small_network(), normal(3)
    same(impl(f)(x), difference_quotients(transforms(impl, shim).grad(f), x), tolerance=1e-7)


@second
@pytest.mark.parametrize("outer", ["jacfwd", "jacrev"])
@pytest.mark.parametrize("inner", ["jacfwd", "jacrev"])
def test_the_hessian_is_any_two_jacobians(impl, shim, outer, inner):
    t = transforms(impl, shim)
    f, x = small_network(), normal(3)
    same(impl(f)(x), getattr(t, outer)(getattr(t, inner)(f))(x))


@second
@pytest.mark.limit("expanded")
def test_the_hessian_by_an_expanded_argument(impl):
    same(impl(lambda x: (x * x * x).sum())(double([2.0]).expand(3)), 12 * eye(3))


@second
@pytest.mark.limit("inference")
def test_inference_mode_outside_does_not_stop_the_hessian(impl):
    if not has("torch.inference_mode"):
        pytest.skip("this torch has no inference mode")
    x = double([2.0, 3.0])
    with torch.inference_mode():
        same(impl(lambda x: (x * x * x).sum())(x), torch.diag(6 * x))


@second
def test_the_hessian_mapped(impl, shim):
    x = normal(5, 3)
    found = transforms(impl, shim).vmap(impl(lambda x: (x * x * x).sum()))(x)
    same(found, torch.stack([torch.diag(6 * row) for row in x]))


@second
def test_the_hessian_is_on_no_graph_but_that_of_the_input(impl):
    x = double([2.0, 3.0])
    assert on_a_graph(impl(lambda x: (x * x * x).sum())(x)) == [False]
    x.requires_grad_()
    (found,) = torch.autograd.grad(impl(lambda x: (x * x * x).sum())(x).sum(), x)
    same(found, double([6.0, 6.0]))


@second
def test_the_hessian_of_what_is_no_floating_tensor_is_refused(impl):
    with pytest.raises(ValueError, match="floating"):
        impl(lambda x: x.double().sum())(torch.arange(3))
    with pytest.raises((ValueError, AttributeError)):
        impl(lambda x: torch.ones(()))(1.0)
    with pytest.raises(RuntimeError, match="floating"):
        impl(lambda x: (x > 0).sum())(normal(3))
    with pytest.raises(RuntimeError, match="arg"):
        impl(lambda x: x.sum(), argnums=1)(normal(3))
    with pytest.raises(TypeError):
        impl(lambda x, scale=1.0: x.sum() * scale)(normal(3), scale=2.0)
