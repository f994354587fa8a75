"""grad and grad_and_value: arguments, errors, auxiliary outputs, and what is attached to a graph."""

import collections

import pytest
import torch
from derivative_laws import difference_quotients, double, normal, on_a_graph, same

from torchcompat import at_least, has

pytestmark = pytest.mark.shim("func.grad")
and_value = pytest.mark.shim("func.grad_and_value")

Pair = collections.namedtuple("Pair", ["left", "right"])


def cubes(x):
    return (x * x * x).sum()


# --- values


def test_the_gradient_of_a_sum_of_cubes(impl):
    x = double([1.0, -2.0, 3.0])
    same(impl(cubes)(x), 3 * x * x)


@and_value
def test_the_gradient_and_the_value_in_this_order(impl):
    x = double([1.0, -2.0, 3.0])
    same(impl(cubes)(x), (3 * x * x, double(20.0)))


def test_the_gradient_agrees_with_difference_quotients(impl):
    weight = normal(4, 3)

    def f(x):
        return (torch.tanh(weight @ x) * torch.exp(torch.sin(x).sum())).sum()

    x = normal(3)
    same(impl(f)(x), difference_quotients(f, x), tolerance=1e-7)


def test_a_scalar_input(impl):
    same(impl(torch.sin)(double(0.5)), torch.cos(double(0.5)))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (2, 0, 3)])
def test_the_gradient_has_the_shape_of_the_input(impl, shape):
    x = normal(*shape) if shape else double(2.0)
    same(impl(lambda x: (x * x).sum())(x), 2 * x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_has_the_dtype_of_the_input(impl, dtype):
    x = torch.ones(3, dtype=dtype)
    assert impl(lambda x: (x.double() * 2).sum())(x).dtype == dtype


def test_the_gradient_by_the_real_part_of_a_complex_input_is_conjugated_as_autograd_s(impl):
    if not at_least(1, 7):
        pytest.skip("torch 1.6 has the first complex autograd, and warns of wrong gradients")
    z = torch.view_as_complex(double([[1.0, 2.0], [3.0, -4.0]]))
    gradient = impl(lambda z: (torch.view_as_real(z) * torch.view_as_real(z)).sum())(z)
    same(torch.view_as_real(gradient), 2 * torch.view_as_real(z))


def test_what_does_not_depend_on_the_input_has_gradient_zero(impl):
    x = normal(3)
    same(impl(lambda x: torch.ones((), dtype=torch.float64))(x), torch.zeros_like(x))
    same(impl(lambda x: double(2.0, 3.0).sum())(x), torch.zeros_like(x))


def test_an_argument_that_has_no_influence_has_gradient_zero(impl):
    x, y = normal(3), normal(2)
    same(impl(lambda x, y: x.sum(), argnums=(0, 1))(x, y), (torch.ones_like(x), torch.zeros_like(y)))


def test_an_integer_output_has_gradient_zero(impl):
    x = normal(3)
    same(impl(lambda x: (x > 0).sum())(x), torch.zeros_like(x))


def test_the_input_itself_as_output(impl):
    same(impl(lambda x: x)(double(3.0)), double(1.0))


@and_value
def test_the_value_may_be_the_input(impl):
    x = double(3.0)
    same(impl(lambda x: x)(x), (double(1.0), x))


def test_a_view_of_the_input_as_output(impl):
    same(impl(lambda x: x[1])(double([3.0, 4.0])), double([0.0, 1.0]))


def test_an_input_that_is_a_view_or_expanded(impl):
    x = normal(3, 4).t()
    same(impl(cubes)(x), 3 * x * x)
    x = double([2.0]).expand(3)
    same(impl(cubes)(x), double([12.0, 12.0, 12.0]))


def test_writing_to_an_intermediate_result(impl):
    def f(x):
        y = torch.sin(x)
        y.mul_(2.0)
        y[0] = 0.0
        return y.sum()

    x = normal(3)
    expected = 2 * torch.cos(x)
    expected[0] = 0
    same(impl(f)(x), expected)


def test_a_parameter_used_twice_collects_both_gradients(impl):
    x = double([2.0])
    same(impl(lambda x, y: (x * y).sum(), argnums=(0, 1))(x, x), (x, x))


# --- argnums


@pytest.mark.parametrize(("argnums", "factor"), [(0, "yz"), (1, "xz"), (2, "xy"), (-1, "xy"), (-2, "xz"), (-3, "yz")])
def test_argnums_names_one_argument(impl, argnums, factor):
    named = {"x": double(2.0), "y": double(3.0), "z": double(5.0)}
    gradient = impl(lambda x, y, z: x * y * z, argnums=argnums)(*named.values())
    same(gradient, named[factor[0]] * named[factor[1]])


@pytest.mark.parametrize("argnums", [(0,), (1, 0), (0, -1), (-1, -2)])
def test_argnums_of_a_tuple_gives_a_tuple_in_this_order(impl, argnums):
    args = (double(2.0), double(3.0))
    same(impl(lambda x, y: x * y, argnums=argnums)(*args), tuple(args[1 - number % 2] for number in argnums))


@and_value
def test_argnums_of_a_tuple_with_the_value(impl):
    same(impl(lambda x, y: x * y, argnums=(0, 1))(double(2.0), double(3.0)), ((double(3.0), double(2.0)), double(6.0)))


@pytest.mark.parametrize("argnums", [2, -3, (0, 2), (-3,), (), (0, 0), (1, -1), [0], None, "0", (0, "1"), 0.0])
def test_argnums_that_name_no_argument_or_one_twice_are_refused(impl, argnums):
    with pytest.raises(RuntimeError, match="arg"):
        impl(lambda x, y: x * y, argnums=argnums)(double(2.0), double(3.0))


def test_argnums_are_looked_at_only_when_called(impl):
    impl(cubes, argnums=7)


def test_a_call_without_positional_arguments_is_refused(impl):
    with pytest.raises(RuntimeError):
        impl(cubes)()
    with pytest.raises(RuntimeError):
        impl(cubes)(x=normal(3))


def test_other_arguments_may_be_anything(impl):
    seen = []

    def f(x, flag, text, numbers):
        seen.append((flag, text, numbers))
        return x.sum() * numbers["two"]

    same(impl(f)(double([1.0]), True, "text", {"two": 2, "none": None}), double([2.0]))
    assert seen == [(True, "text", {"two": 2, "none": None})]


def test_an_integer_tensor_may_be_an_argument_that_is_not_differentiated(impl):
    x = normal(4)
    same(impl(lambda x, index: x[index].sum())(x, torch.tensor([0, 2])), double([1.0, 0.0, 1.0, 0.0]))


def test_keyword_arguments_pass_through(impl):
    gradient = impl(lambda x, *, scale, shift=0.0: (x * scale + shift).sum())
    same(gradient(double([1.0, 2.0]), scale=double(3.0)), double([3.0, 3.0]))
    same(gradient(double([1.0, 2.0]), scale=4, shift=1.0), double([4.0, 4.0]))


# --- pytrees


def test_a_dict_of_parameters(impl):
    params = {"weight": normal(2, 3), "bias": normal(2)}
    x = normal(3)
    gradient = impl(lambda p: (p["weight"] @ x + p["bias"]).sum())(params)
    same(gradient, {"weight": x.expand(2, 3), "bias": torch.ones(2, dtype=torch.float64)})


def test_an_ordered_dict_stays_one(impl):
    params = collections.OrderedDict([("b", double(2.0)), ("a", double(3.0))])
    gradient = impl(lambda p: p["a"] * p["b"])(params)
    assert isinstance(gradient, collections.OrderedDict)
    assert list(gradient) == ["b", "a"]
    same(gradient, collections.OrderedDict([("b", double(3.0)), ("a", double(2.0))]))


def test_nested_lists_tuples_and_named_tuples(impl):
    tree = [double(2.0), (double(3.0), Pair(double(5.0), [double(7.0)])), {}]

    def product(t):
        return t[0] * t[1][0] * t[1][1].left * t[1][1].right[0]

    same(impl(product)(tree), [double(105.0), (double(70.0), Pair(double(42.0), [double(30.0)])), {}])


def test_an_empty_pytree_has_an_empty_gradient(impl):
    assert impl(lambda tree, x: x.sum(), argnums=(0, 1))({}, double([1.0]))[0] == {}


@pytest.mark.parametrize("leaf", [None, 1.0, 2, "text", object()])
def test_a_leaf_that_is_no_tensor_is_refused(impl, leaf):
    with pytest.raises(ValueError, match=r"[Tt]ensor"):
        impl(lambda tree: tree["x"].sum())({"x": double([1.0]), "y": leaf})
    with pytest.raises(ValueError, match=r"[Tt]ensor"):
        impl(lambda x: torch.ones(()))(leaf)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_an_argument_of_an_integer_or_bool_dtype_is_refused(impl, dtype):
    with pytest.raises(RuntimeError, match="floating"):
        impl(lambda x: x.sum().double())(torch.ones(3, dtype=dtype))


# --- outputs


@pytest.mark.parametrize("output", [lambda x: x, lambda x: x.sum().reshape(1), lambda x: x.expand(2, 3)])
def test_an_output_with_dimensions_is_refused(impl, output):
    with pytest.raises(RuntimeError, match=r"scalar|without dim"):
        impl(output)(normal(3))


@pytest.mark.parametrize("output", [None, 1.0, (), "text", {}])
def test_an_output_that_is_no_tensor_is_refused(impl, output):
    with pytest.raises(RuntimeError, match=type(output).__name__):
        impl(lambda x: output)(normal(3))


def test_a_tuple_or_list_of_tensors_as_output_is_refused(impl):
    with pytest.raises(RuntimeError, match="tuple"):
        impl(lambda x: (x.sum(), x.sum()))(normal(3))
    with pytest.raises(RuntimeError, match="list"):
        impl(lambda x: [x.sum()])(normal(3))


@pytest.mark.limit("complex")
def test_a_complex_output_is_refused(impl):
    if not at_least(1, 7):
        pytest.skip("torch 1.6 has the first complex autograd, and warns of wrong gradients")
    with pytest.raises(RuntimeError, match=r"real|complex|Complex"):
        impl(lambda x: torch.view_as_complex(x).sum())(normal(3, 2))


@and_value
@pytest.mark.limit("complex")
def test_with_the_value_a_complex_output_is_refused_too(impl):
    if not at_least(1, 7):
        pytest.skip("torch 1.6 has the first complex autograd, and warns of wrong gradients")
    with pytest.raises(RuntimeError, match=r"real|complex|Complex"):
        impl(lambda x: torch.view_as_complex(x).sum())(normal(3, 2))


def test_an_error_of_the_function_comes_through(impl):
    class Mine(Exception):
        pass

    def f(x):
        raise Mine("mine")

    with pytest.raises(Mine, match="mine"):
        impl(f)(normal(3))
    same(impl(cubes)(double([1.0])), double([3.0]))  # and leaves nothing behind


# --- auxiliary outputs


def test_aux_comes_beside_the_gradient(impl):
    x = double([1.0, 2.0])
    same(impl(lambda x: (x.sum(), x * 2), has_aux=True)(x), (torch.ones_like(x), x * 2))


@and_value
def test_aux_comes_beside_the_value(impl):
    x = double([1.0, 2.0])
    same(impl(lambda x: (x.sum(), x * 2), has_aux=True)(x), (torch.ones_like(x), (double(3.0), x * 2)))


def test_aux_may_be_a_pytree(impl):
    x = double([1.0, 2.0])
    gradient, aux = impl(lambda x: (x.sum(), {"out": [x * 2, (x,)], "const": double(1.0)}), has_aux=True)(x)
    same(aux, {"out": [x * 2, (x,)], "const": double(1.0)})
    same(gradient, torch.ones_like(x))


def test_aux_is_on_no_graph(impl):
    _, aux = impl(lambda x: (x.sum(), (x * 2, x)), has_aux=True)(normal(3))
    assert on_a_graph(aux) == [False, False]


@pytest.mark.parametrize("aux", [1.0, "text", {"accuracy": 0.5}])
def test_aux_that_holds_anything_but_tensors_is_refused(impl, aux):
    with pytest.raises(RuntimeError, match="ensor"):
        impl(lambda x: (x.sum(), aux), has_aux=True)(normal(3))


@pytest.mark.limit("aux_none")
def test_aux_of_none_is_refused(impl):
    with pytest.raises(RuntimeError, match="ensor"):
        impl(lambda x: (x.sum(), None), has_aux=True)(normal(3))


@pytest.mark.parametrize("output", [lambda s: s, lambda s: (s,), lambda s: (s, s, s), lambda s: [s, s]])
def test_has_aux_wants_a_tuple_of_two(impl, output):
    with pytest.raises(RuntimeError, match="aux"):
        impl(lambda x: output(x.sum()), has_aux=True)(normal(3))


@and_value
@pytest.mark.limit("aux_none")
def test_with_the_value_aux_of_none_is_refused_too(impl):
    with pytest.raises(RuntimeError, match="ensor"):
        impl(lambda x: (x.sum(), None), has_aux=True)(normal(3))


# --- graphs


def test_the_gradient_is_on_no_graph(impl):
    weight = normal(3)
    assert on_a_graph(impl(lambda x: (x * x * weight).sum())(normal(3))) == [False]


@and_value
def test_the_value_is_on_no_graph(impl):
    assert on_a_graph(impl(cubes)(normal(3))) == [False, False]


def test_the_input_is_left_as_it_was(impl):
    x = normal(3)
    before = x.clone()
    impl(cubes)(x)
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert x.grad is None
    assert x.grad_fn is None


def test_a_parameter_as_input_gets_no_grad(impl):
    weight = torch.nn.Parameter(normal(3))
    other = torch.nn.Parameter(normal(3))
    impl(lambda x: (x * x * other).sum())(weight)
    assert weight.grad is None
    assert other.grad is None
    assert weight.is_leaf


def test_the_gradient_by_an_input_that_requires_a_gradient_can_be_differentiated(impl):
    x = double([1.0, 2.0]).requires_grad_()
    gradient = impl(cubes)(x)
    assert gradient.requires_grad
    gradient.sum().backward()
    same(x.grad, 6 * x.detach())


@and_value
def test_the_value_at_an_input_that_requires_a_gradient_can_be_differentiated(impl):
    x = double([1.0, 2.0]).requires_grad_()
    _, value = impl(cubes)(x)
    value.backward()
    same(x.grad, 3 * (x * x).detach())


def test_the_gradient_can_be_differentiated_by_a_captured_parameter(impl):
    weight = double([3.0, 4.0]).requires_grad_()
    x = double([1.0, 2.0])
    gradient = impl(lambda x: (weight * weight * x * x).sum())(x)
    gradient.sum().backward()
    same(weight.grad, 4 * (weight * x).detach())


def test_the_gradient_can_be_differentiated_by_another_argument(impl):
    y = double([3.0, 4.0]).requires_grad_()
    gradient = impl(lambda x, y: (x * x * y).sum())(double([1.0, 2.0]), y)
    (found,) = torch.autograd.grad(gradient.sum(), y)
    same(found, double([2.0, 4.0]))


def test_aux_can_be_differentiated_by_an_input_that_requires_a_gradient(impl):
    x = double([1.0, 2.0]).requires_grad_()
    _, aux = impl(lambda x: (x.sum(), x * x), has_aux=True)(x)
    (found,) = torch.autograd.grad(aux.sum(), x)
    same(found, 2 * x.detach())


def test_an_input_on_a_graph_of_its_own(impl):
    weight = double([1.0, 2.0]).requires_grad_()
    gradient = impl(cubes)(weight * 2)
    (found,) = torch.autograd.grad(gradient.sum(), weight)
    same(found, 24 * weight.detach())


# --- grad modes


def test_no_grad_outside_does_not_stop_it(impl):
    x = double([1.0, 2.0])
    with torch.no_grad():
        same(impl(cubes)(x), 3 * x * x)
        assert not torch.is_grad_enabled()


def test_no_grad_outside_keeps_the_result_off_the_graph(impl):
    x = double([1.0, 2.0]).requires_grad_()
    with torch.no_grad():
        gradient = impl(cubes)(x)
    assert not gradient.requires_grad
    same(gradient, 3 * (x * x).detach())


def test_no_grad_inside_makes_constants(impl):
    def f(x):
        with torch.no_grad():
            constant = x * x
        return (x * constant).sum()

    x = double([1.0, 2.0])
    same(impl(f)(x), x * x)


def test_detach_inside_makes_constants(impl):
    x = double([1.0, 2.0])
    same(impl(lambda x: (x * x.detach()).sum())(x), x)


def test_inside_the_function_gradients_are_enabled(impl):
    modes = []

    def f(x):
        modes.append((torch.is_grad_enabled(), x.requires_grad))
        return x.sum()

    with torch.no_grad():
        impl(f)(normal(2))
    assert modes == [(True, True)]


def test_autograd_works_inside_the_function(impl):
    def f(x):
        y = x * x * x
        (inner,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return inner.sum()

    x = double([1.0, 2.0])
    same(impl(f)(x), 6 * x)


@pytest.mark.limit("inference")
def test_inference_mode_outside_does_not_stop_it(impl):
    if not has("torch.inference_mode"):
        pytest.skip("this torch has no inference mode")
    x = double([1.0, 2.0])
    with torch.inference_mode():
        same(impl(cubes)(x), 3 * x * x)


@and_value
@pytest.mark.limit("inference")
def test_inference_mode_outside_does_not_stop_it_with_the_value(impl):
    if not has("torch.inference_mode"):
        pytest.skip("this torch has no inference mode")
    x = double([1.0, 2.0])
    with torch.inference_mode():
        same(impl(cubes)(x), (3 * x * x, double(9.0)))


# --- nesting


@pytest.mark.parametrize(("times", "expected"), [(1, 4 * 3.0**3), (2, 12 * 3.0**2), (3, 24 * 3.0), (4, 24.0), (5, 0.0)])
def test_the_derivatives_of_the_fourth_power(impl, times, expected):
    derivative = lambda x: x * x * x * x  # noqa: E731
    for _ in range(times):
        derivative = impl(derivative)
    same(derivative(double(3.0)), double(expected))


@pytest.mark.parametrize("times", range(1, 6))
def test_the_derivatives_of_the_sine_go_round(impl, times):
    derivative = torch.sin
    for _ in range(times):
        derivative = impl(derivative)
    x = double(0.3)
    same(derivative(x), [torch.sin(x), torch.cos(x), -torch.sin(x), -torch.cos(x)][times % 4])


def test_perturbations_are_not_confused(impl):
    # d/dx (x d/dy (x y)) = d/dx (x x): one variable for both would give x, or 3 x.
    one = double(1.0)
    same(impl(lambda x: x * impl(lambda y: x * y)(one))(double(3.0)), double(6.0))
    same(impl(lambda x: x * impl(lambda y: x + y)(one))(double(3.0)), double(1.0))


def test_a_gradient_inside_the_function_at_its_own_input(impl):
    # d/dx sum (3 x^2)^2 = 36 x^3
    x = double([1.0, 2.0])
    same(impl(lambda x: (impl(cubes)(x) * impl(cubes)(x)).sum())(x), 36 * x * x * x)


def test_the_inner_gradient_closes_over_the_outer_variable(impl):
    # inner: d/dy sum(x y^2) = 2 x y at y = x^2, so 2 x^3; its derivative by x is 6 x^2.
    x = double([1.0, 2.0])
    same(impl(lambda x: impl(lambda y: (x * y * y).sum())(x * x).sum())(x), 6 * x * x)


@and_value
def test_nested_with_values(impl):
    inner = impl(lambda x: x * x * x)
    gradient, value = impl(lambda x: inner(x)[0] + inner(x)[1])(double(2.0))
    same(gradient, double(24.0))  # 6 x + 3 x^2
    same(value, double(20.0))  # 3 x^2 + x^3


# --- the function returned


def test_it_has_the_name_and_the_docstring_of_the_function(impl):
    def f(x):
        """Mine."""
        return x.sum()

    assert impl(f).__name__ == "f"
    assert impl(f).__doc__ == "Mine."


def test_it_takes_callables_without_a_name(impl):
    class Square:
        def __call__(self, x):
            return (x * x).sum()

    same(impl(Square())(double([3.0])), double([6.0]))


def test_it_can_be_called_again(impl):
    gradient = impl(cubes)
    same([gradient(double([1.0])), gradient(double([2.0, 3.0]))], [double([3.0]), double([12.0, 27.0])])


@pytest.mark.limit("autograd_functional")
@pytest.mark.parametrize("name", ["jacobian", "hessian"])
def test_the_derivatives_of_autograd_functional_are_refused(impl, name):
    if not has(f"torch.autograd.functional.{name}"):
        pytest.skip("this torch has none")
    derivative = getattr(torch.autograd.functional, name)
    with pytest.raises(RuntimeError, match=r"torch\.autograd\.functional"):
        impl(lambda x: derivative(cubes, x).sum())(normal(3))


def test_the_derivatives_of_autograd_functional_with_a_graph(impl, shim):
    if not has("torch.autograd.functional.jacobian"):
        pytest.skip("this torch has none")
    if impl is shim.native:
        pytest.skip("torch's own refuses it")
    x = normal(3)
    found = impl(lambda x: torch.autograd.functional.jacobian(cubes, x, create_graph=True).sum())(x)
    same(found, 6 * x)


def retained(x):
    y = x.sin()
    y.retain_grad()
    return y.sum()


def saved_on_the_cpu(x):
    with torch.autograd.graph.save_on_cpu():
        return cubes(x)


WITHIN = {"requires_grad_": lambda x: cubes(x.requires_grad_()), "retain_grad": retained}
if has("torch.autograd.graph.save_on_cpu"):
    WITHIN["saved-tensor hooks"] = saved_on_the_cpu


@pytest.mark.limit("hooks")
@pytest.mark.parametrize("case", sorted(WITHIN))
def test_what_belongs_to_plain_autograd_is_refused(impl, case):
    with pytest.raises(RuntimeError):
        impl(WITHIN[case])(normal(3))


@and_value
@pytest.mark.limit("hooks")
@pytest.mark.parametrize("case", sorted(WITHIN))
def test_with_the_value_it_is_refused_too(impl, case):
    with pytest.raises(RuntimeError):
        impl(WITHIN[case])(normal(3))
