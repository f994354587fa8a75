"""The functions over lists that are of a kind of their own, and what all of them are for the rest of torch."""

import copy
import inspect
import math
import pickle
from typing import List

import numpy as np
import pytest
import torch
from assertions import close

import torchcompat
from torchcompat import SHIMS, at_least
from torchcompat._functions import _foreach

ROWS = {name: shim for name, shim in SHIMS.items() if name.startswith("_foreach_")}
VALUES = [[1.5, -2.0, 0.25], [[3.0, -4.0]]]


def tensors(values=VALUES, dtype=torch.float64, grad=False):
    return [torch.tensor(each, dtype=dtype, requires_grad=grad) for each in values]


def arrays(values=VALUES):
    return [np.array(each, dtype=np.float64) for each in values]


def compare(made, expected):
    assert len(made) == len(expected)
    for one, other in zip(made, expected):
        close(one, other, 1e-7)


@pytest.mark.shim("_foreach_norm")
class TestNorm:
    @pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5, -1, math.inf, -math.inf])
    def test_values(self, impl, order):
        made = impl(tensors(), order)
        assert type(made) is tuple
        compare(made, [np.linalg.norm(each.reshape(-1), order) for each in arrays()])

    def test_keywords(self, impl):
        wanted = [np.linalg.norm(each.reshape(-1)) for each in arrays()]
        compare(impl(tensors()), wanted)
        made = impl(self=tensors(dtype=torch.float32), ord=2, dtype=torch.float64)
        assert [each.dtype for each in made] == [torch.float64] * 2
        compare(made, wanted)

    def test_gradients(self, impl):
        leaves = tensors(grad=True)
        sum(impl(leaves)).backward()
        for leaf, each in zip(leaves, arrays()):
            close(leaf.grad, each / np.linalg.norm(each), 1e-7)

    def test_refused(self, impl):
        bad = [([], 2), ([torch.ones(2).long()], 2), ([torch.ones(0)], math.inf), ([torch.ones(2)], 2, torch.int32)]
        bad.append(([torch.ones(2).double()], 2, torch.float32))
        for arguments in bad:
            with pytest.raises(RuntimeError):
                impl(*arguments)
        for arguments in ((torch.ones(2),), ([1],), (tensors(), "fro"), (tensors(), [2, 2]), (tensors(), 2, "a")):
            with pytest.raises(TypeError):
                impl(*arguments)

    def test_nothing(self, impl):
        assert impl([torch.ones(0)])[0] == 0


@pytest.mark.shim("_foreach_powsum")
class TestPowsum:
    @pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5, -1])
    def test_values(self, impl, order):
        compare(impl(tensors(), order), [np.sum(np.abs(each) ** order) for each in arrays()])

    def test_keywords(self, impl):
        compare(impl(tensors()), [np.sum(each**2) for each in arrays()])
        made = impl(self=tensors(dtype=torch.float32), ord=3, dtype=torch.float64)
        assert [each.dtype for each in made] == [torch.float64] * 2

    @pytest.mark.limit("gradient")
    def test_gradients(self, impl):
        leaves = tensors(grad=True)
        sum(impl(leaves, 3)).backward()
        for leaf, each in zip(leaves, arrays()):
            close(leaf.grad, 3 * each * np.abs(each), 1e-7)

    def test_refused(self, impl):
        for arguments in (([],), ([torch.ones(2).long()],)):
            with pytest.raises(RuntimeError):
                impl(*arguments)
        with pytest.raises(TypeError):
            impl(tensors(), "fro")


@pytest.mark.shim("_foreach_max")
class TestMax:
    def test_values(self, impl):
        compare(impl(tensors()), [np.max(each) for each in arrays()])
        assert impl([torch.tensor([3, 5])])[0].dtype == torch.int64
        assert torch.isnan(impl([torch.tensor([1.0, math.nan])])[0])

    def test_equal_ones_share_the_gradient(self, impl):
        leaf = torch.tensor([2.0, 1.0, 2.0, 2.0], requires_grad=True)
        impl([leaf])[0].backward()
        close(leaf.grad, [1 / 3, 0, 1 / 3, 1 / 3], 1e-6)

    def test_refused(self, impl):
        for bad in ([], [torch.ones(0)]):
            with pytest.raises(RuntimeError):
                impl(bad)
        for bad in (torch.ones(2), [1]):
            with pytest.raises(TypeError):
                impl(bad)


@pytest.mark.shim("_foreach_zero_")
class TestZero:
    def test_values(self, impl):
        given = [*tensors(), torch.ones(2).long(), torch.tensor(True)]
        assert impl(given) is given
        assert all(bool((each == 0).all()) for each in given)

    def test_gradients(self, impl):
        leaf = torch.ones(2, requires_grad=True)
        sum(each.sum() for each in impl([leaf * 2])).backward()
        assert torch.equal(leaf.grad, torch.zeros(2))

    def test_refused(self, impl):
        kept = torch.ones(2)
        for error, bad in ((RuntimeError, []), (TypeError, torch.ones(2)), (TypeError, [kept, 1])):
            with pytest.raises(error):
                impl(bad)
        with pytest.raises(RuntimeError):
            impl([kept, torch.ones(2, requires_grad=True)])
        assert torch.equal(kept, torch.ones(2))


@pytest.mark.shim("_foreach_copy_")
class TestCopy:
    def test_values(self, impl):
        given = tensors()
        assert impl(given, [each * 2 for each in tensors()]) is given
        compare(given, [each * 2 for each in arrays()])
        impl(self=given, src=tensors([[1.0], [3.0, 4.0]]), non_blocking=True)
        compare(given, arrays([[1.0, 1.0, 1.0], [[3.0, 4.0]]]))

    def test_other_dtypes_are_cast(self, impl):
        given = [torch.zeros(2).long(), torch.zeros(2)]
        impl(given, [torch.tensor([1.5, -2.5]), torch.tensor([3, 4])])
        assert [each.tolist() for each in given] == [[1, -2], [3.0, 4.0]]
        assert [each.dtype for each in given] == [torch.int64, torch.float32]

    @pytest.mark.limit("gradient")
    def test_gradients(self, impl):
        leaves = tensors(grad=True)
        sum((2 * each).sum() for each in impl([torch.zeros(3).double(), torch.zeros(1, 2).double()], leaves)).backward()
        compare([leaf.grad for leaf in leaves], [np.full_like(each, 2) for each in arrays()])

    def test_refused(self, impl):
        given = tensors()
        for bad in ([], tensors()[:1]):
            with pytest.raises(RuntimeError):
                impl(given, bad)
        for bad in (1.0, [1.0, 2.0], None, torch.ones(2)):
            with pytest.raises(TypeError):
                impl(given, bad)
        compare(given, arrays())

    @pytest.mark.limit("partial")
    def test_nothing_is_written_before_an_error(self, impl):
        given = tensors()
        with pytest.raises(RuntimeError):
            impl(given, [torch.zeros(3), torch.zeros(3)])
        compare(given, arrays())


@pytest.mark.shim("_foreach_clone")
class TestClone:
    def test_values(self, impl):
        given = tensors()
        made = impl(self=given)
        assert type(made) is tuple
        compare(made, arrays())
        assert not {each.data_ptr() for each in made} & {each.data_ptr() for each in given}

    def test_strides(self, impl):
        given = torch.arange(6.0).reshape(2, 3).t()
        assert impl([given], memory_format=torch.contiguous_format)[0].is_contiguous()
        assert torch.equal(impl([given], memory_format=torch.contiguous_format)[0], given)
        if at_least(1, 5):
            assert impl([given])[0].stride() == given.stride()
            image = torch.ones(1, 2, 3, 4)
            made = impl([image], memory_format=torch.channels_last)[0]
            assert made.is_contiguous(memory_format=torch.channels_last)
        else:
            with pytest.raises(torchcompat.UnsupportedError, match=r"1\.5"):
                impl([given], memory_format=torch.channels_last)

    def test_gradients(self, impl):
        leaf = torch.ones(2, requires_grad=True)
        (impl([leaf])[0] * 3).sum().backward()
        assert torch.equal(leaf.grad, torch.full((2,), 3.0))

    def test_refused(self, impl):
        with pytest.raises(RuntimeError):
            impl([])
        for bad in (torch.ones(2), [1]):
            with pytest.raises(TypeError):
                impl(bad)


@pytest.mark.shim("_foreach_mm")
class TestMm:
    lists = [[[1.0, 2.0]], [[3.0], [4.0]]], [[[5.0], [6.0]], [[7.0, 8.0]]]

    def test_values(self, impl):
        wanted = [one @ two for one, two in zip(arrays(self.lists[0]), arrays(self.lists[1]))]
        compare(impl(tensors(self.lists[0]), tensors(self.lists[1])), wanted)
        compare(impl(self=tensors(self.lists[0]), mat2=tensors(self.lists[1])), wanted)

    def test_gradients(self, impl):
        leaves = tensors(self.lists[0], grad=True)
        sum(each.sum() for each in impl(leaves, tensors(self.lists[1]))).backward()
        wanted = [np.ones((one.shape[0], two.shape[1])) @ two.T for one, two in zip(*map(arrays, self.lists))]
        compare([leaf.grad for leaf in leaves], wanted)

    def test_refused(self, impl):
        ones = torch.ones(2, 2)
        for bad in (
            ([], []),
            ([ones], []),
            ([ones], [ones, ones]),
            ([torch.ones(2)], [ones]),
            ([ones], [ones.double()]),
        ):
            with pytest.raises(RuntimeError):
                impl(*bad)
        for bad in ((ones, [ones]), ([ones], ones), ([ones], [1])):
            with pytest.raises(TypeError):
                impl(*bad)


@pytest.mark.shim("_foreach_pow")
class TestPowerOfANumber:
    def test_values(self, impl):
        wanted = [2.0**each for each in arrays()]
        compare(impl(2, tensors()), wanted)
        compare(impl(self=2.0, exponent=tensors()), wanted)
        assert impl(2, [torch.tensor([3])])[0].tolist() == [8]
        assert impl(2.5, [torch.tensor([2])])[0].tolist() == [6.25]

    def test_integers(self, impl):
        assert impl([torch.tensor([2, 3])], 2)[0].tolist() == [4, 9]
        for exponent in (-1, [-1]):
            with pytest.raises(RuntimeError):
                impl([torch.tensor([2])], exponent)

    def test_gradients(self, impl):
        leaves = tensors(grad=True)
        sum(each.sum() for each in impl(2.0, leaves)).backward()
        compare([leaf.grad for leaf in leaves], [2.0**each * math.log(2.0) for each in arrays()])

    def test_refused(self, impl):
        for bad in (("ab", tensors()), (2, torch.ones(2)), (2, 2)):
            with pytest.raises(TypeError):
                impl(*bad)
        with pytest.raises(RuntimeError):
            impl(2, [])


# The sign, and the derivative at 1, 2 and 0 where the bound is the number 1.
EXTREMA = {
    "maximum": (1, [0.5, 1, 0]),
    "minimum": (-1, [0.5, 0, 1]),
    "clamp_min": (1, [0, 1, 0]),
    "clamp_max": (-1, [0, 0, 1]),
}


@pytest.mark.parametrize("name", sorted(EXTREMA))
def test_kinks_and_nan_of_the_fallback(name):
    sign, by_number = EXTREMA[name]
    impl = ROWS["_foreach_" + name].fallback
    for other in ([torch.tensor([1.0, math.nan, 1.0])], 1.0):
        made = impl([torch.tensor([math.nan, 2.0, 0.0])], other)[0]
        assert torch.isnan(made[0])
        assert torch.isnan(made[1]) == (other != 1.0)
        assert made[2] == max(0, sign)
    leaf, other = (torch.tensor(each, requires_grad=True) for each in ([1.0, 2.0, 0.0], [1.0, 1.0, 1.0]))
    impl([leaf], [other])[0].sum().backward()
    half = [0.5, float(sign > 0), float(sign < 0)]
    assert leaf.grad.tolist() == half
    assert other.grad.tolist() == [1 - each for each in half]
    again = torch.tensor([1.0, 2.0, 0.0], requires_grad=True)
    impl([again], 1.0)[0].sum().backward()
    assert again.grad.tolist() == by_number


def test_the_table_has_every_function_of_torch():
    there = {name for name in dir(torch) if name.startswith("_foreach_") and "scalar_list" not in name}
    assert there <= set(ROWS)
    assert len(ROWS) == 91
    assert {name for name in vars(_foreach) if name.startswith("_foreach_")} == set(ROWS)


def test_they_look_like_functions_of_ours():
    for name, shim in ROWS.items():
        fallback = shim.fallback
        assert getattr(torchcompat, name) is shim.public
        assert (fallback.__name__, fallback.__module__) == (name, "torchcompat")
        assert "self" in inspect.signature(fallback).parameters
        assert fallback.__doc__
        assert copy.deepcopy(shim.public) is shim.public
        assert pickle.loads(pickle.dumps(shim.public)) is shim.public


def test_kernels_are_used_where_they_are_right(monkeypatch):
    """Inside a fallback whose native is too old: one floating-point dtype and shape, and nothing to differentiate."""
    called = []
    made = {}

    def declare(function, name, *rest):
        made[name] = function
        return function

    from torchcompat._functions._foreach import _kinds

    def kernel(*arguments, **keywords):
        called.append(arguments)
        return arguments[0]

    monkeypatch.setattr(_kinds, "declare", declare)
    monkeypatch.setattr(_kinds, "kernels", lambda name, since: dict.fromkeys(["Scalar", "List", "ScalarList"], kernel))
    _kinds.binary_("mul", "2.4", "", tensor=True)
    mul_ = made["_foreach_mul_"]
    plain = [torch.ones(2), torch.ones(3)]
    assert mul_(plain, 2.0) is plain
    mul_(plain, [2.0, 3])
    mul_(plain, [torch.ones(2), torch.ones(3)])
    assert len(called) == 3
    leaf = torch.ones(2, requires_grad=True)
    # A tensor as the operand, other dtypes, broadcasting, gradients: the loop.
    for given, other in (
        (plain, torch.tensor(2.0)),
        ([torch.ones(2).long()], 2),
        ([torch.ones(2), torch.ones(2).double()], 2),
        (plain, [torch.tensor(2.0), torch.tensor(2.0)]),
        ([leaf * 1], 2.0),
        ([torch.ones(2)], [leaf]),
    ):
        mul_(given, other)
    assert len(called) == 3
    with torch.no_grad():
        mul_([leaf], 2.0)
    assert len(called) == 4


old_scripts = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore::DeprecationWarning")


@old_scripts
@pytest.mark.parametrize("name", ["_foreach_add", "_foreach_mul", "_foreach_maximum"])
def test_torchscript(name):
    shim = ROWS[name]
    if shim.native is None:
        pytest.skip("this torch has no such function, which TorchScript could call")
    function = shim.public

    def program(xs: List[torch.Tensor]) -> List[torch.Tensor]:
        return function(xs, xs)

    scripted = torch.jit.script(program)
    assert name in str(scripted.graph)
    compare(scripted(tensors()), ROWS[name].fallback(tensors(), tensors()))


@old_scripts
@pytest.mark.parametrize("name", ["add", "mul_", "sqrt", "lerp", "norm"])
def test_trace(name):
    impl = ROWS["_foreach_" + name].fallback
    extra = {"add": (2.0,), "mul_": (3.0,), "sqrt": (), "norm": ()}

    def program(one, two):
        lists = [one * 2, two * 2]
        arguments = ([two, one], 0.5) if name == "lerp" else extra[name]
        return tuple(impl(lists, *arguments))

    inputs, others = (torch.ones(2), torch.full((2,), 4.0)), (torch.full((2,), 9.0), torch.ones(2))
    traced = torch.jit.trace(program, inputs)
    for one, other in zip(traced(*others), program(*others)):
        close(one, other)


@pytest.mark.skipif(not at_least(1, 7), reason="below, vmap runs the whole function for each sample")
@pytest.mark.parametrize("name", ["add", "mul_", "exp", "addcmul_", "norm"])
def test_under_vmap_of_ours(name):
    vmap = SHIMS["func.vmap"].fallback
    batch, other = torch.arange(6.0).reshape(3, 2), torch.arange(6.0).reshape(3, 2) + 1
    extra = {"add": lambda one: ([one],), "mul_": lambda one: ([one],), "exp": lambda one: ()}
    extra.update({"norm": lambda one: (), "addcmul_": lambda one: ([one], [one], 0.5)})
    for impl in {ROWS["_foreach_" + name].fallback, ROWS["_foreach_" + name].public}:

        def program(one, two, impl=impl):
            return impl([one * 1], *extra[name](two))[0]

        made = vmap(program)(batch, other)
        close(made, torch.stack([program(one, two) for one, two in zip(batch, other)]), 1e-6)


@pytest.mark.skipif(not at_least(2, 1), reason="torch.compile is younger")
def test_compile():
    add_, mul = (ROWS["_foreach_" + name].fallback for name in ("add_", "mul"))

    def program(one, two):
        lists = [one * 1, two * 1]
        add_(lists, [two, one], alpha=2)
        return mul(lists, [2.0, 3.0])

    inputs = torch.ones(2), torch.full((2,), 4.0)
    made = torch.compile(program, backend="eager", fullgraph=True)(*inputs)
    for one, other in zip(made, program(*inputs)):
        close(one, other)
