"""Custom operators: torch's own kind, what stands in, and the kind in plain Python, which runs on every torch."""

import itertools
from typing import List, Optional, Sequence, Tuple

import pytest
import torch
from assertions import close
from torch import Tensor

import torchcompat
from torchcompat import SHIMS, UnsupportedError, at_least, library
from torchcompat.library import _eager

EAGER = SHIMS["library.CustomOpDef"].fallback
HAS_OWN = at_least(2, 4)
_numbers = itertools.count()


def fresh(stem="op"):
    """A name that no other operator has."""
    return f"tc_tests::{stem}_{next(_numbers)}"


def eager(name, fn=None, *, mutates_args, device_types=None, schema=None, tags=None):
    """`custom_op` in plain Python, on every torch."""
    if fn is None:
        return lambda function: _eager.make(name, function, mutates_args, device_types, schema, tags, EAGER)
    return _eager.make(name, fn, mutates_args, device_types, schema, tags, EAGER)


@pytest.fixture(params=["custom_op", "in plain Python"])
def make(request):
    """`custom_op`, and the one in plain Python."""
    return library.custom_op if request.param == "custom_op" else eager


def scale(x: Tensor, factor: float, times: int = 2, *, shift: float = 0.0) -> Tensor:
    assert type(factor) is float
    assert type(times) is int
    return x.clone() * factor * times + shift


def scale_backward(ctx, grad):
    return grad * ctx.factor, None, None


def keep_factor(ctx, inputs, keyword_only_inputs, output):
    _, factor, times = inputs
    assert keyword_only_inputs == {"shift": keyword_only_inputs["shift"]}
    assert not output.requires_grad
    ctx.factor = factor * times


CALLS = [
    ((2.0,), {}, 4.0),
    ((2,), {}, 4.0),
    ((), {"factor": 2.0}, 4.0),
    ((2.0, 3), {}, 6.0),
    ((2.0,), {"times": 3, "shift": 1.0}, 7.0),
]

WRONG = [
    ((), {}),
    ((2.0, 3, 1.0), {}),
    ((2.0,), {"unknown": 1}),
    ((2.0,), {"factor": 1.0}),
    (("2",), {}),
    ((2.0, 1.5), {}),
    ((2.0, "3"), {}),
    ((None,), {}),
]


class TestCalls:
    @pytest.mark.parametrize(("args", "kwargs", "expected"), CALLS)
    def test_values_and_gradients(self, make, args, kwargs, expected):
        op = make(fresh("scale"), scale, mutates_args=())
        op.register_autograd(scale_backward, setup_context=keep_factor)
        x = torch.ones(3, requires_grad=True)
        result = op(x, *args, **kwargs)
        close(result.detach(), torch.full((3,), expected))
        (grad,) = torch.autograd.grad(result, x, torch.ones(3))
        close(grad, torch.full((3,), expected - kwargs.get("shift", 0.0)))
        assert not op(x.detach(), *args, **kwargs).requires_grad
        with torch.no_grad():
            assert not op(x, *args, **kwargs).requires_grad

    @pytest.mark.parametrize(("args", "kwargs"), WRONG)
    def test_arguments_that_do_not_fit(self, make, args, kwargs):
        op = make(fresh("scale"), scale, mutates_args=())
        with pytest.raises(RuntimeError, match=op._qualname):
            op(torch.ones(2), *args, **kwargs)
        with pytest.raises(RuntimeError, match=r"'Tensor'.*'x'.*'int'"):
            op(3, 2.0)

    def test_a_decorator_and_its_name(self, make):
        name = fresh()

        @make(name, mutates_args=())
        def op(x: Tensor) -> Tensor:
            return x + 1

        assert op(torch.zeros(1)).item() == 1
        assert repr(op) == f"<CustomOpDef({name})>"
        assert isinstance(op, (library.CustomOpDef, EAGER))

    def test_a_later_one_of_the_same_name(self, make):
        name = fresh()
        make(name, lambda x: x + 1, mutates_args=(), schema="(Tensor x) -> Tensor")
        op = make(name, lambda x: x + 2, mutates_args=(), schema="(Tensor x) -> Tensor")
        assert op(torch.zeros(1)).item() == 2

    def test_no_tensor_and_several_results(self, make):
        def several(x: Tensor, n: int) -> Tuple[Tensor, int, List[Tensor]]:
            return x * 2, n + 1, [x + 1, x + 2]

        op = make(fresh(), several, mutates_args=())
        double, number, rest = op(torch.ones(2), 3)
        assert (double.tolist(), number, [one.tolist() for one in rest]) == ([2, 2], 4, [[2, 2], [3, 3]])

        def lucky(n: int) -> int:
            return n + 1

        assert make(fresh(), lucky, mutates_args=())(6) == 7

    def test_the_kernel_sees_no_autograd(self, make):
        def op(x: Tensor) -> Tensor:
            y = x * 2
            assert not y.requires_grad
            return y

        assert make(fresh(), op, mutates_args=())(torch.ones(2, requires_grad=True)).requires_grad


def sum_of(xs: Sequence[Tensor], weights: List[float], more: Optional[Tensor] = None) -> Tensor:
    assert type(xs) is list
    assert type(weights) is list
    return sum(x * weight for x, weight in zip(xs, weights)) + (0 if more is None else more)


class TestGradients:
    def test_of_lists(self, make):
        op = make(fresh("sum"), sum_of, mutates_args=())
        needs = []

        def backward(ctx, grad):
            needs.append(ctx.needs_input_grad)
            return ([grad * weight for weight in ctx.weights], None, grad)[: len(ctx.needs_input_grad)]

        def setup(ctx, inputs, output):
            _, ctx.weights, _ = inputs

        op.register_autograd(backward, setup_context=setup)
        x, y = torch.ones(2, requires_grad=True), torch.ones(2)
        op((x, y), (2, 3)).sum().backward()
        assert x.grad.tolist() == [2, 2]
        assert needs == [([True, False], False)]
        z = torch.ones(2, requires_grad=True)
        first, last = torch.autograd.grad(op([x, y], [4, 3], z).sum(), [x, z])
        assert (first.tolist(), last.tolist()) == ([4, 4], [1, 1])
        assert needs[1] == ([True, False], False, True)

    def test_twice(self, make):
        def cube(x: Tensor) -> Tensor:
            return x**3

        op = make(fresh("cube"), cube, mutates_args=())
        op.register_autograd(
            lambda ctx, grad: grad * 3 * ctx.saved_tensors[0] ** 2,
            setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
        )
        x = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(op, (x,))
        assert torch.autograd.gradgradcheck(op, (x,))

    def test_the_result_may_be_saved(self, make):
        def exponential(x: Tensor) -> Tensor:
            return x.exp()

        op = make(fresh("exp"), exponential, mutates_args=())
        op.register_autograd(
            lambda ctx, grad: grad * ctx.saved_tensors[0],
            setup_context=lambda ctx, inputs, output: ctx.save_for_backward(output),
        )
        x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(op, (x,))

    def test_results_without_gradients(self, make):
        def both(x: Tensor) -> Tuple[Tensor, Tensor, int, List[Tensor]]:
            return x * 2, x.long(), 3, [x * 5]

        op = make(fresh("both"), both, mutates_args=())
        got = []

        def backward(ctx, *grads):
            got.extend(grads)
            return grads[0] * 2 + grads[3][0] * 5

        op.register_autograd(backward)
        x = torch.ones(2, requires_grad=True)
        first, second, number, (third,) = op(x)
        assert (first.requires_grad, second.requires_grad, number, third.requires_grad) == (True, False, 3, True)
        (first + third).sum().backward()
        assert x.grad.tolist() == [7, 7]
        assert got[2] is None

    def test_without_a_formula(self, make):
        result = make(fresh("scale"), scale, mutates_args=())(torch.ones(2, requires_grad=True), 2.0)
        with pytest.raises(RuntimeError, match=r"Trying to backward through .* but no autograd formula was registered"):
            result.sum().backward()

    def test_a_formula_that_does_not_fit(self, make):
        op = make(fresh("scale"), scale, mutates_args=())
        op.register_autograd(lambda ctx, grad: (grad, None, None, grad, grad))
        with pytest.raises(RuntimeError):
            op(torch.ones(2, requires_grad=True), 2.0).sum().backward()
        op = make(fresh("sum"), sum_of, mutates_args=())
        op.register_autograd(lambda ctx, grad: (grad, None))
        with pytest.raises(RuntimeError, match="Expected the return from backward to be of the same structure"):
            op([torch.ones(2, requires_grad=True)], [1.0]).sum().backward()


def add_(x: Tensor, y: Tensor) -> None:
    x.add_(y)


class TestWrites:
    def test_what_is_written_to_is_noted(self, make):
        op = make(fresh("add_"), add_, mutates_args={"x"})
        x = torch.zeros(2)
        before = x._version
        assert op(x, torch.ones(2)) is None
        assert x.tolist() == [1, 1]
        assert x._version > before

    def test_autograd_knows_of_a_write_behind_its_back(self, make):
        def set_(x: Tensor) -> None:
            x.detach().numpy()[:] = 5

        op = make(fresh("set_"), set_, mutates_args=["x"])
        x = torch.ones(2)
        y = (torch.ones(2, requires_grad=True) * x).sum()
        op(x)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()

    def test_no_derivative(self, make):
        op = make(fresh("add_"), add_, mutates_args={"x"})
        with pytest.raises(RuntimeError, match="Cannot register autograd formula for non-functional operator"):
            op.register_autograd(lambda ctx, grad: grad)

    def same(x: Tensor) -> Tensor:
        return x

    def view(x: Tensor) -> Tensor:
        return x[1:]

    def twice(x: Tensor) -> Tuple[Tensor, Tensor]:
        y = x + 1
        return y, y

    @pytest.mark.parametrize("function", [same, view, twice])
    @pytest.mark.parametrize("needs_grad", [False, True])
    def test_results_that_share_memory(self, make, function, needs_grad):
        op = make(fresh(), function, mutates_args=())
        with pytest.raises(RuntimeError, match="may not alias any inputs"):
            op(torch.ones(3, requires_grad=needs_grad))


class TestKernels:
    def test_by_device(self, make):
        def default(x: Tensor) -> Tensor:
            return torch.zeros_like(x)

        op = make(fresh(), default, mutates_args=())
        assert op(torch.ones(1)).item() == 0
        function = op.register_kernel("cpu")(lambda x: torch.ones_like(x))
        assert function(torch.zeros(1)).item() == 1
        assert op(torch.ones(1)).item() == 1
        op.register_kernel(["cpu", "cuda"], lambda x: x + 4)
        assert op(torch.ones(1)).item() == 5

    def test_none_for_the_device(self, make):
        op = make(fresh(), lambda x: x + 1, mutates_args=(), device_types="cuda", schema="(Tensor x) -> Tensor")
        with pytest.raises(NotImplementedError, match=f"Could not run '{op._qualname}' with arguments from the 'CPU'"):
            op(torch.ones(1))

    @pytest.mark.skipif(not at_least(1, 9), reason="no tensors without data")
    def test_fake(self, make):
        def double(x: Tensor) -> Tensor:
            return torch.from_numpy(x.numpy() * 2)

        op = make(fresh(), double, mutates_args=())
        x = torch.empty(2, 3, device="meta")
        with pytest.raises(RuntimeError, match="There was no fake impl registered for"):
            op(x)
        function = op.register_fake(lambda x: torch.empty_like(x))
        assert function(x).shape == op(x).shape == (2, 3)
        assert op(x).device.type == "meta"
        op.register_fake(lambda x: x.new_empty(5))
        assert op(x).shape == (5,)
        assert make(fresh("add_"), add_, mutates_args={"x"})(x, x) is None


def disabled(make):
    def default(x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    op = make(fresh(), default, mutates_args=())
    op.register_kernel("cpu", lambda x: x + 4)
    with op.set_kernel_enabled("cpu", False):
        assert op(torch.ones(1)).item() == 0
        with op.set_kernel_enabled("cpu"):
            assert op(torch.ones(1)).item() == 5
        assert op(torch.ones(1)).item() == 0
    assert op(torch.ones(1)).item() == 5


def by_device(make):
    def ones(device: torch.device) -> Tensor:
        assert isinstance(device, torch.device)
        return torch.ones(2)

    op = make(fresh(), ones, mutates_args=(), device_types="cpu")
    assert op("cpu").tolist() == op(torch.device("cpu")).tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="does not have a kernel registered for cuda"):
        op(torch.device("cuda"))

    def count(n: int) -> Tensor:
        return torch.ones(n)

    with pytest.raises(ValueError, match=r"required to have a `device: torch\.device` argument"):
        make(fresh(), count, mutates_args=(), device_types="cpu")
    assert make(fresh(), count, mutates_args=())(3).tolist() == [1, 1, 1]


def cast(make):
    def double(x: Tensor, y: Tensor) -> Tensor:
        assert x.dtype is y.dtype
        return x * 2

    op = make(fresh(), double, mutates_args=())
    with pytest.raises(ValueError, match=r"does not support autocast|Unknown device type"):
        op.register_autocast("meta", torch.bfloat16)
    if at_least(1, 10):
        op.register_autocast("cpu", torch.bfloat16)
        x = torch.ones(2)
        with torchcompat.autocast("cpu", dtype=torch.bfloat16):
            assert op(x, x).dtype is torch.bfloat16
        assert op(x, x).dtype is torch.float32


@pytest.mark.shim("library.custom_op")
class TestWhatCameLater:
    @pytest.mark.limit("methods")
    def test_a_kernel_is_disabled(self, impl):
        disabled(impl)

    @pytest.mark.limit("device argument")
    def test_kernels_by_an_argument_that_is_a_device(self, impl):
        by_device(impl)

    @pytest.mark.limit("autocast")
    def test_autocast(self, impl):
        cast(impl)


@pytest.mark.parametrize("check", [disabled, by_device, cast])
def test_what_came_later_in_plain_python(check):
    check(eager)


def plain(x: Tensor, n: int) -> Tensor:
    return x + n


def test_a_schema_that_does_not_agree(make):
    with pytest.raises(ValueError, match="Please make these consistent"):
        make(fresh(), plain, mutates_args=(), schema="(Tensor(a!) x, int n) -> Tensor")
    with pytest.raises(ValueError, match="Please make these consistent"):
        make(fresh(), plain, mutates_args=("x",), schema="(Tensor x, int n) -> Tensor")
    op = make(fresh(), plain, mutates_args=(), schema="(Tensor y, int n=4) -> Tensor")
    assert op(torch.ones(1), 2).item() == 3


def test_tensors_by_keyword_only(make):
    def function(x: Tensor, *, y: Tensor) -> Tensor:
        return x + y

    with pytest.raises(NotImplementedError, match="kwarg-only Tensor args"):
        make(fresh(), function, mutates_args=())


@pytest.mark.parametrize("name", ["plain", "a::b::c"])
def test_a_name_without_a_namespace(make, name):
    with pytest.raises(ValueError, match=r"unpack|namespace"):
        make(name, plain, mutates_args=())


@pytest.mark.shim("library.custom_op")
def test_tags_are_taken(impl):
    if impl is SHIMS["library.custom_op"].fallback and HAS_OWN and not at_least(2, 8):
        with pytest.raises(UnsupportedError, match=r"2\.8"):
            impl(fresh(), plain, mutates_args=(), tags=torch.Tag.data_dependent_output)
        return
    tag = torch.Tag.data_dependent_output if at_least(2, 0) else "data_dependent_output"
    assert impl(fresh(), plain, mutates_args=(), tags=(tag,))(torch.ones(1), 2).item() == 3
