"""What is registered for operators by name, operators under vmap, their checks, and operators defined by schema."""

import itertools
import warnings
from typing import List, Tuple

import pytest
import torch
from assertions import close
from torch import Tensor

from torchcompat import SHIMS, UnsupportedError, at_least, library
from torchcompat.library import _eager, _torch_ops

EAGER = SHIMS["library.CustomOpDef"].fallback
OWN = at_least(2, 4)
VMAP = SHIMS["func.vmap"].fallback
_numbers = itertools.count()


def keys(limits):
    return {limit.key for limit in limits}


def fresh(stem="op"):
    """A name that no other operator has."""
    return f"tc_more::{stem}_{next(_numbers)}"


def eager(name, fn, mutates_args=(), device_types=None, schema=None, tags=None):
    """An operator in plain Python, on every torch."""
    return _eager.make(name, fn, mutates_args, device_types, schema, tags, EAGER)


def double(x: Tensor) -> Tensor:
    return x * 2


def named(by_name, op):
    return op._qualname if by_name else op


def both(impl, name):
    """The operator for a free function: of the public kind for torch's own function, and of both kinds for ours."""
    ops = [library.custom_op(fresh(), double, mutates_args=())]
    return ops if impl is SHIMS[name].native else [*ops, eager(fresh(), double)]


@pytest.mark.parametrize("by_name", [False, True], ids=["object", "name"])
class TestFreeFunctions:
    @pytest.mark.shim("library.register_kernel")
    def test_kernel(self, impl, by_name):
        for op in both(impl, "library.register_kernel"):
            impl(named(by_name, op), "cpu", lambda x: x * 5)
            assert op(torch.ones(1)).item() == 5
            impl(named(by_name, op), ["cpu"])(lambda x: x * 6)
            assert op(torch.ones(1)).item() == 6

    @pytest.mark.shim("library.register_autograd")
    def test_autograd(self, impl, by_name):
        for op in both(impl, "library.register_autograd"):
            kept = []
            impl(
                named(by_name, op),
                lambda ctx, grad: grad * 2,
                setup_context=lambda ctx, inputs, output, kept=kept: kept.append(inputs[0].item()),
            )
            x = torch.ones(1, requires_grad=True)
            op(x).backward()
            assert (x.grad.item(), kept) == (2, [1])

    @pytest.mark.skipif(not at_least(1, 9), reason="no tensors without data")
    @pytest.mark.shim("library.register_fake")
    def test_fake(self, impl, by_name):
        for op in both(impl, "library.register_fake"):
            empty = torch.empty(3, device="meta")
            impl(named(by_name, op), lambda x: x.new_empty(4), allow_override=True)
            assert op(empty).shape == (4,)
            impl(named(by_name, op))(lambda x: x.new_empty(5))
            assert op(empty).shape == (5,)

    @pytest.mark.shim("library.register_autocast")
    def test_autocast(self, impl, by_name):
        for op in both(impl, "library.register_autocast"):
            if OWN and not at_least(2, 7) and not isinstance(op, _eager.EagerOp):
                with pytest.raises(UnsupportedError, match=r"2\.7"):
                    impl(named(by_name, op), "cpu", torch.bfloat16)
            elif at_least(1, 10):
                impl(named(by_name, op), "cpu", torch.bfloat16)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    assert op(torch.ones(1)).dtype is torch.bfloat16

    @pytest.mark.shim("library.register_torch_dispatch")
    def test_torch_dispatch(self, impl, by_name):
        class Mode:
            pass

        op = eager(fresh(), double)
        if impl is SHIMS["library.register_torch_dispatch"].fallback:
            with pytest.raises(UnsupportedError, match=r"2\.5"):
                impl(named(by_name, op), Mode, lambda *_: None)
        else:
            op = library.custom_op(fresh(), double, mutates_args=())
            assert impl(named(by_name, op), Mode, len) is len


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("register_kernel", ("cpu", double)),
        ("register_fake", (double,)),
        ("register_autograd", (double,)),
        ("register_vmap", (double,)),
        ("register_autocast", ("cpu", torch.float32)),
        ("register_torch_dispatch", (object, double)),
    ],
)
def test_what_is_no_operator(name, args):
    function = SHIMS["library." + name].fallback
    with pytest.raises(ValueError, match=f"{name}.*unexpected type for op"):
        function(3, *args)
    if not OWN and not (name == "register_fake" and at_least(2, 2)):
        with pytest.raises(UnsupportedError, match=f"{name} of 'tc_more::nobody' needs torch"):
            function("tc_more::nobody", *args)


class TestVmap:
    """The fallback of vmap, which no torch but those without an own one needs, over operators in plain Python."""

    def test_sample_by_sample(self):
        def op(x: Tensor, n: int) -> Tuple[Tensor, List[Tensor], int]:
            assert x.dim() == 1
            return x * n, [x + n], n

        op = eager(fresh(), op)
        x = torch.arange(6.0).reshape(2, 3)
        first, (second,), number = VMAP(lambda x: op(x, 2), out_dims=(0, 0, None))(x) if at_least(1, 7) else op(x[0], 2)
        if at_least(1, 7):
            close(first, x * 2)
            close(second, x + 2)
        assert number == 2

    @pytest.mark.parametrize("in_dims", [(0, None), (1, 0), (None, 1)])
    def test_by_a_rule(self, in_dims):
        op = eager(fresh(), lambda x, y: x + y, schema="(Tensor x, Tensor y) -> Tensor")
        told = []

        def rule(info, dims, x, y):
            told.append((info.batch_size, info.randomness, dims))
            x = x.unsqueeze(0) if dims[0] is None else x.transpose(0, dims[0])
            y = y.unsqueeze(0) if dims[1] is None else y.transpose(0, dims[1])
            return (x + y).transpose(0, 1), 1

        op.register_vmap(rule)
        x, y = torch.arange(9.0).reshape(3, 3), torch.arange(9.0).reshape(3, 3) * 10
        x, y = (x[0] if in_dims[0] is None else x), (y[0] if in_dims[1] is None else y)
        expected = torch.stack(
            [
                (x if in_dims[0] is None else x.select(in_dims[0], at))
                + (y if in_dims[1] is None else y.select(in_dims[1], at))
                for at in range(3)
            ]
        )
        close(VMAP(op, in_dims=in_dims)(x, y), expected)
        if at_least(1, 7):
            assert told == [(3, "error", tuple(None if dim is None else 0 for dim in in_dims))]

    def test_nested_and_differentiated(self):
        op = eager(fresh(), double)
        op.register_autograd(lambda ctx, grad: grad * 2)
        op.register_vmap(lambda info, dims, x: (op(x), dims[0]))
        x = torch.arange(12.0).reshape(2, 3, 2)
        close(VMAP(VMAP(op))(x), x * 2)
        close(VMAP(VMAP(op, in_dims=1), in_dims=2)(x), (x * 2).permute(2, 1, 0))
        y = torch.ones(2, 3, requires_grad=True)
        VMAP(op)(y).sum().backward()
        close(y.grad, torch.full((2, 3), 2.0))

    @pytest.mark.shim("library.register_vmap")
    def test_registered(self, impl):
        ours = impl is SHIMS["library.register_vmap"].fallback
        op = eager(fresh(), double) if ours else library.custom_op(fresh(), double, mutates_args=())
        impl(op)(lambda info, dims, x: (x * 2, dims[0]))
        close((VMAP if ours else torch.vmap)(op)(torch.ones(2, 3)), torch.full((2, 3), 2.0))

    @pytest.mark.skipif(not at_least(1, 7), reason="vmap runs the whole function on each sample")
    def test_a_write(self):
        def add_(x: Tensor) -> None:
            x.add_(1)

        op = eager(fresh(), add_, mutates_args={"x"})
        with pytest.raises(RuntimeError, match="writes to its arguments"):
            VMAP(op)(torch.ones(2, 2))


def writes(x: Tensor) -> Tensor:
    y = x + 1
    x.detach().mul_(2)
    return y


def square(x: Tensor) -> Tensor:
    return x * x


def derived(op):
    op.register_autograd(
        lambda ctx, grad: grad * 2 * ctx.saved_tensors[0],
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    op.register_fake(torch.empty_like)
    return op


EAGER_TESTS = ("test_schema", "test_autograd_registration", "test_faketensor")


class TestOpcheck:
    @pytest.mark.shim("library.opcheck")
    def test_a_right_one(self, impl):
        if impl is SHIMS["library.opcheck"].native:
            ops = [library.custom_op(fresh(), square, mutates_args=())]
        else:
            ops = [eager(fresh(), square)] + [library.custom_op(fresh(), square, mutates_args=())] * OWN
        for op in map(derived, ops):
            x = torch.ones(3, requires_grad=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch's own, while it loads parts of itself
                found = impl(op, (x,), test_utils=EAGER_TESTS, atol=1e-6, rtol=1e-6)
            assert list(found) == list(EAGER_TESTS)
            assert all(one == "SUCCESS" or one.startswith("SKIPPED") for one in found.values())
            assert x.grad is None

    CASES = (
        ("test_schema", writes, lambda op: None, "not defined as mutable but was mutated"),
        ("test_schema", lambda x: x, lambda op: None, "may not alias any inputs"),
        ("test_autograd_registration", square, lambda op: None, "has no formula"),
        (
            "test_autograd_registration",
            square,
            lambda op: op.register_autograd(lambda ctx, grad: 1 / 0),
            "division by zero",
        ),
        ("test_faketensor", square, lambda op: None, "no fake impl registered"),
        ("test_faketensor", square, lambda op: op.register_fake(lambda x: x.new_empty(7)), "shape"),
        ("test_faketensor", square, lambda op: op.register_fake(lambda x: x.new_empty(3, dtype=torch.int64)), "dtype"),
    )

    @pytest.mark.parametrize(("test", "function", "prepare", "words"), CASES)
    def test_a_wrong_one(self, test, function, prepare, words):
        if test == "test_faketensor" and not at_least(1, 9):
            pytest.skip("no tensors without data")
        op = eager(fresh(), function, schema="(Tensor x) -> Tensor")
        prepare(op)
        opcheck = SHIMS["library.opcheck"].fallback
        x = torch.ones(3, requires_grad=True)
        with pytest.raises(Exception, match=words):
            opcheck(op, (x,), test_utils=test)
        found = opcheck(op, (x,), test_utils=[test], raise_exception=False)
        assert isinstance(found[test], Exception)
        assert x.tolist() == [1, 1, 1]

    def test_other_arguments(self):
        opcheck = SHIMS["library.opcheck"].fallback
        op = eager(fresh(), square)
        with pytest.raises(ValueError, match="expected a subset"):
            opcheck(op, (torch.ones(1),), test_utils="test_of_nothing")
        assert opcheck(op, (torch.ones(1),), {}, test_utils="test_aot_dispatch_dynamic") == {
            "test_aot_dispatch_dynamic": "SKIPPED: this torch has no compiler for custom operators"
        }
        op = eager(fresh(), square, schema="(Tensor y) -> Tensor")
        with pytest.raises(Exception, match="the function takes"):
            opcheck(op, (torch.ones(1),), test_utils="test_schema")


@pytest.mark.skipif(not _torch_ops.HAS_LIBRARY, reason="Python can define no operators")
class TestTorchOps:
    def test_of_a_custom_op(self):
        name = fresh("known")
        op = library.custom_op(name, square, mutates_args=())
        derived(op)
        found = getattr(torch.ops.tc_more, name.partition("::")[2])
        x = torch.full((2,), 3.0, requires_grad=True)
        found(x).sum().backward()
        assert x.grad.tolist() == [6, 6]
        library.custom_op(name, double, mutates_args=())
        found = getattr(torch.ops.tc_more, name.partition("::")[2])
        assert found(torch.full((1,), 3.0)).item() == 6

    @pytest.mark.shim("library.define")
    def test_defined(self, impl):
        name = fresh("defined")
        impl(name, "(Tensor x, int n=2) -> Tensor")
        library.impl(name, "default", lambda x, n=2: x * n)
        op = getattr(torch.ops.tc_more, name.partition("::")[2])
        assert op(torch.ones(1)).item() == 2
        assert op(torch.ones(1), 5).item() == 5
        for wrong in ("Tensor x", "name(Tensor x) -> Tensor"):
            with pytest.raises(ValueError, match="expected schema"):
                impl(fresh(), wrong)
        with pytest.raises(ValueError, match="namespace"):
            impl("nothing", "(Tensor x) -> Tensor")

    @pytest.mark.shim("library.impl")
    def test_kernels(self, impl):
        name = fresh("kernel")
        library.define(name, "(Tensor x) -> Tensor")
        impl(name, ["cpu"], lambda x: x + 3)
        assert getattr(torch.ops.tc_more, name.partition("::")[2])(torch.ones(1)).item() == 4
        name = fresh("kernel")
        library.define(name, "(Tensor x) -> Tensor")

        @impl(name, "cpu")
        def kernel(x):
            return x + 4

        assert getattr(torch.ops.tc_more, name.partition("::")[2])(torch.ones(1)).item() == 5

    @pytest.mark.shim("library.impl")
    @pytest.mark.limit("override")
    @pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, of the second kernel
    def test_a_second_kernel(self, impl):
        row = SHIMS["library.Library"]
        if impl is SHIMS["library.impl"].fallback and row.here == "native" and "override" in keys(row.limits_here()):
            pytest.skip("the fallback makes one of torch's own Library, whose limit it is")
        name = fresh("second")
        library.define(name, "(Tensor x) -> Tensor")
        impl(name, "cpu", lambda x: x + 3)
        impl(name, "cpu", lambda x: x + 4)
        assert getattr(torch.ops.tc_more, name.partition("::")[2])(torch.ones(1)).item() == 5

    @pytest.mark.shim("library.Library")
    def test_library(self, impl):
        namespace = fresh("ns").replace("::", "_")
        made = impl(namespace, "DEF")
        assert (made.ns, made.kind, made.dispatch_key) == (namespace, "DEF", "")
        assert "add" in made.define("add(Tensor x, Tensor y) -> Tensor", tags=())
        made.impl("add", lambda x, y: x - y, "CPU", with_keyset=False, allow_override=True)
        fragment = impl(namespace, "FRAGMENT")
        fragment.define("twice(Tensor x) -> Tensor")
        more = impl(namespace, "IMPL", "CPU")
        more.impl("twice", double)
        ops = getattr(torch.ops, namespace)
        assert ops.add(torch.ones(1), torch.ones(1)).item() == 0
        assert ops.twice(torch.ones(1)).item() == 2
        with pytest.raises(ValueError, match="Unsupported kind"):
            impl(namespace, "OTHER")
        with pytest.raises(ValueError, match="reserved namespace"):
            impl("prim", "DEF")
        with pytest.raises(TypeError, match="callable"):
            made.impl("add", 3, "CPU")
        _ALIVE.extend([made, fragment, more])

    @pytest.mark.shim("library.Library")
    @pytest.mark.limit("override")
    @pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, of the second kernel
    def test_a_second_kernel_of_a_library(self, impl):
        made = impl(fresh("ns").replace("::", "_"), "DEF")
        _ALIVE.append(made)
        made.define("f(Tensor x) -> Tensor")
        made.impl("f", lambda x: x + 3, "CPU")
        made.impl("f", lambda x: x + 4, "CPU")
        assert getattr(torch.ops, made.ns).f(torch.ones(1)).item() == 5

    def test_the_first_form(self):
        made = library.Library(fresh("ns").replace("::", "_"), "DEF")
        decorated = SHIMS["library.define"].fallback(made, "first(Tensor x) -> Tensor")(double)
        assert decorated is double
        made.define("second(Tensor x) -> Tensor")
        assert SHIMS["library.impl"].fallback(made, "second", "CPU")(double) is double
        ops = getattr(torch.ops, made.ns)
        assert ops.first(torch.ones(1)).item() == ops.second(torch.ones(1)).item() == 2
        _ALIVE.append(made)


# torch 1.13 crashes where an operator that was called goes away.
_ALIVE = []


@pytest.mark.skipif(_torch_ops.HAS_LIBRARY, reason="Python can define operators")
def test_no_library():
    for ask in (
        lambda: library.Library("tc_none", "DEF"),
        lambda: library.define("tc_none::f", "(Tensor x) -> Tensor"),
        lambda: library.impl("tc_none::f", "cpu", double),
    ):
        with pytest.raises(UnsupportedError, match=r"needs torch 1\.12 or newer"):
            ask()


class Kernel:
    """Looks as a kernel of Triton does."""

    def __getitem__(self, grid):
        return lambda x: x.mul_(grid)


class TestTriton:
    def test_an_operator(self):
        def tripled(x: Tensor) -> Tensor:
            y = x.clone()
            SHIMS["library.wrap_triton"].fallback(Kernel())[3](y)
            return y

        op = SHIMS["library.triton_op"].fallback(fresh(), mutates_args=())(tripled)
        assert op(torch.ones(1)).item() == 3
        assert isinstance(op, library.CustomOpDef)

    def test_what_is_no_kernel(self):
        for impl in filter(None, (SHIMS["library.wrap_triton"].fallback, SHIMS["library.wrap_triton"].native)):
            with pytest.raises(RuntimeError, match="triton"):
                impl(double)
