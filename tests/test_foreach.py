"""The functions over lists of tensors, each against torch's operation on every tensor, or NumPy's."""

import math

import numpy as np
import pytest
import torch
from assertions import close

from torchcompat import SHIMS

VALUES = [[1.25, -2.75, 0.25], [[0.375], [3.125]]]
POSITIVE = [[0.5, 0.25, 0.75], [[0.125], [0.875]]]
OTHERS = [[2.0, -1.0, 0.5], [[1.25], [-4.0]]]


# The name, NumPy's or another oracle, arguments at which it is smooth, whether integers become floating point.
UNARY = {
    "abs": (np.abs, VALUES, False),
    "acos": (np.arccos, POSITIVE, True),
    "asin": (np.arcsin, POSITIVE, True),
    "atan": (np.arctan, VALUES, True),
    "ceil": (np.ceil, VALUES, False),
    "cos": (np.cos, VALUES, True),
    "cosh": (np.cosh, VALUES, True),
    "erf": (np.vectorize(math.erf), VALUES, True),
    "erfc": (np.vectorize(math.erfc), VALUES, True),
    "exp": (np.exp, VALUES, True),
    "expm1": (np.expm1, VALUES, True),
    "floor": (np.floor, VALUES, False),
    "frac": (lambda values: values - np.trunc(values), VALUES, None),
    "lgamma": (np.vectorize(math.lgamma), POSITIVE, True),
    "log": (np.log, POSITIVE, True),
    "log10": (np.log10, POSITIVE, True),
    "log1p": (np.log1p, POSITIVE, True),
    "log2": (np.log2, POSITIVE, True),
    "neg": (np.negative, VALUES, False),
    "reciprocal": (np.reciprocal, VALUES, True),
    "round": (np.round, VALUES, False),
    "rsqrt": (lambda values: 1 / np.sqrt(values), POSITIVE, True),
    "sigmoid": (lambda values: 1 / (1 + np.exp(-values)), VALUES, True),
    "sign": (np.sign, VALUES, False),
    "sin": (np.sin, VALUES, True),
    "sinh": (np.sinh, VALUES, True),
    "sqrt": (np.sqrt, POSITIVE, True),
    "tan": (np.tan, POSITIVE, True),
    "tanh": (np.tanh, VALUES, True),
    "trunc": (np.trunc, VALUES, False),
}
# The name, and NumPy's function of two arrays.
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
}
WITH_A_TENSOR = ("add", "mul", "div")


def tensors(values, dtype=torch.float64, grad=False):
    return [torch.tensor(each, dtype=dtype, requires_grad=grad) for each in values]


def arrays(values):
    return [np.array(each, dtype=np.float64) for each in values]


def compare(made, expected):
    assert len(made) == len(expected)
    for one, other in zip(made, expected):
        close(one, other, 1e-7)


def derivative(function, values):
    """Of the sum of what *function* makes of arrays, by central differences."""
    step, found = 1e-6, []
    for number, each in enumerate(values):
        slopes = np.zeros_like(each)
        for place in np.ndindex(*each.shape):
            ends = []
            for sign in (1, -1):
                moved = [one.copy() for one in values]
                moved[number][place] += sign * step
                ends.append(sum(np.sum(one) for one in function(moved)))
            slopes[place] = (ends[0] - ends[1]) / (2 * step)
        found.append(slopes)
    return found


class Laws:
    """What holds for all of them. A subclass says `arguments()`, which follow the list, and `expected(arrays)`."""

    values = POSITIVE
    in_place = False
    differentiable = True

    def arguments(self):
        return ()

    def test_values(self, impl):
        given = tensors(self.values)
        kept = [each.clone() for each in given]
        made = impl(given, *self.arguments())
        compare(made, self.expected(arrays(self.values)))
        if self.in_place:
            assert made is given
        else:
            assert type(made) is tuple
            assert all(map(torch.equal, given, kept))
            assert not {each.data_ptr() for each in made} & {each.data_ptr() for each in given}

    def test_float32_and_tuples(self, impl):
        given = tuple(tensors(self.values, torch.float32))
        with torch.no_grad():
            arguments = [
                [x.float() for x in each] if isinstance(each, list) and isinstance(each[0], torch.Tensor) else each
                for each in self.arguments()
            ]
            made = impl(given, *arguments)
        assert [each.dtype for each in made] == [torch.float32] * len(given)
        for one, other in zip(made, self.expected(arrays(self.values))):
            close(one, other, 1e-5)
        assert (made is given) == self.in_place

    @pytest.mark.limit("gradient", shared=True)
    @pytest.mark.limit("own gradient", shared=True)
    def test_gradients(self, impl):
        if not self.differentiable:
            pytest.skip("it has no derivative")
        leaves = tensors(self.values, grad=True)
        made = impl([each * 1 for each in leaves] if self.in_place else leaves, *self.arguments())
        sum(each.sum() for each in made).backward()
        for one, other in zip(leaves, derivative(self.expected, arrays(self.values))):
            close(one.grad, other, 1e-4)

    def test_bad_lists(self, impl):
        with pytest.raises(RuntimeError):
            impl([], *[[] if isinstance(each, list) else each for each in self.arguments()])
        for bad in (None, 1, "ab", torch.ones(2), {}, iter([torch.ones(2)]), [1, 2], [torch.ones(2), None]):
            if not (isinstance(bad, int) and type(self).__name__ == "TestPow"):
                with pytest.raises(TypeError):
                    impl(bad, *self.arguments())
        with pytest.raises(TypeError):
            impl(tensors(self.values), *self.arguments(), no_such_argument=1)


class InPlace(Laws):
    """What holds for those that write to their tensors."""

    in_place = True

    def test_a_leaf_that_requires_grad_is_left_alone(self, impl):
        first, second = tensors(self.values)
        kept = first.clone()
        with pytest.raises(RuntimeError):
            impl([first, second.requires_grad_()], *self.arguments())
        assert torch.equal(first, kept)
        with torch.no_grad():
            impl([first, second], *self.arguments())
        compare([first, second], self.expected(arrays(self.values)))

    def test_views_are_written_through(self, impl):
        whole = torch.zeros(4, dtype=torch.float64)
        whole[1:] = torch.tensor(self.values[0], dtype=torch.float64)
        matrix = torch.zeros(2, 2, dtype=torch.float64)
        matrix[:, :1] = torch.tensor(self.values[1], dtype=torch.float64)
        impl([whole[1:], matrix[:, :1]], *self.arguments())
        compare([whole[1:], matrix[:, :1]], self.expected(arrays(self.values)))
        assert whole[0] == 0
        assert (matrix[:, 1] == 0).all()


class Unary(Laws):
    def expected(self, given):
        return [self.oracle(each) for each in given]

    def test_keywords(self, impl):
        compare(impl(self=tensors(self.values)), self.expected(arrays(self.values)))
        with pytest.raises(TypeError):
            impl(tensors(self.values), tensors(self.values))

    def test_integers(self, impl):
        if self.floating is None:
            pytest.skip("not for integers")
        whole = [torch.tensor([1, 1, 1]), torch.tensor([[1]])]
        if self.in_place and self.floating:
            kept = [each.clone() for each in whole]
            with pytest.raises(RuntimeError):
                impl(whole)
            assert all(map(torch.equal, whole, kept))
            return
        made = impl(whole)
        assert {each.dtype for each in made} == {torch.get_default_dtype() if self.floating else torch.int64}
        for one, other in zip(made, self.expected([np.ones(3), np.ones((1, 1))])):
            close(one, other, 1e-5)


class UnaryFloating:
    """In place, an integer tensor cannot hold the result."""

    @pytest.mark.limit("partial", shared=True)
    def test_nothing_is_written_before_an_error(self, impl):
        half = torch.tensor([0.5])
        with pytest.raises(RuntimeError):
            impl([half, torch.tensor([1])])
        assert half == 0.5


class Binary(Laws):
    other = 2.0

    def arguments(self):
        return (self.other,)

    def each_other(self):
        others = self.other
        if isinstance(others, torch.Tensor):
            return [float(others)] * 2
        return others if isinstance(others, list) else [others] * 2

    def expected(self, given):
        return [self.oracle(one, np.asarray(other)) for one, other in zip(given, self.each_other())]

    def ways(self):
        number = torch.tensor(2.0, dtype=torch.float64)
        yield 2, [2, 2]
        if self.name != "sub":
            yield True, [1, 1]
        yield [2.0, 0.5], [2.0, 0.5]
        yield (2, 0.5), [2.0, 0.5]
        yield number, [2.0, 2.0]
        yield tensors(OTHERS), arrays(OTHERS)
        yield tuple(tensors(OTHERS)), arrays(OTHERS)
        yield tensors([[2.0], 0.5]), arrays([[2.0], 0.5])

    def test_every_kind_of_operand(self, impl):
        for other, plain in self.ways():
            with np.errstate(invalid="ignore"):
                wanted = [self.oracle(one, np.asarray(two)) for one, two in zip(arrays(self.values), plain)]
            compare(impl(tensors(self.values), other), wanted)

    def test_keywords(self, impl):
        wanted = [self.oracle(one, 2.0) for one in arrays(self.values)]
        if self.name == "pow":
            compare(impl(self=tensors(self.values), exponent=2.0), wanted)
            return
        compare(impl(self=tensors(self.values), scalar=2.0), wanted)
        compare(impl(tensors(self.values), scalars=[2.0, 2.0]), wanted)
        compare(impl(tensors(self.values), other=tensors([2.0, 2.0])), wanted)
        for bad in ({}, {"scalar": "a"}, {"scalar": 1, "scalars": [1, 1]}, {"scalars": 1}):
            with pytest.raises(TypeError):
                impl(tensors(self.values), **bad)

    def test_bad_operands(self, impl):
        for bad in (None, "ab", {}, [1, "a"], [torch.ones(3), 1], [1, torch.ones(3)], iter([1, 2])):
            with pytest.raises(TypeError):
                impl(tensors(self.values), bad)
        for bad in ([1.0], [1.0] * 3, tensors(OTHERS)[:1], tensors(OTHERS) * 2, []):
            with pytest.raises(RuntimeError):
                impl(tensors(self.values), bad)
        with pytest.raises(RuntimeError if self.name in WITH_A_TENSOR else TypeError):
            impl(tensors(self.values), torch.ones(3))

    def test_promotion(self, impl):
        floating = self.name == "div"
        whole = torch.int64 if not floating else torch.float32
        rows = [
            ([torch.ones(2).long()], 2, whole),
            ([torch.ones(2).long()], 1.5, torch.float32),
            ([torch.ones(2)], [1.5], torch.float32),
            ([torch.ones(2).double()], 1.5, torch.float64),
            ([torch.ones(2).long()], [torch.ones(2)], torch.float32),
            ([torch.ones(2)], [torch.ones(2).double()], torch.float64),
            ([torch.ones(2).int()], [torch.ones(2).long()], whole),
            ([torch.ones(2)], [torch.tensor(1.0, dtype=torch.float64)], torch.float32),
        ]
        for given, other, dtype in rows:
            if self.in_place and dtype != given[0].dtype:
                if dtype == torch.float64 or not dtype.is_floating_point:
                    # Of one kind, so that the result is cast.
                    assert impl(given, other)[0].dtype == given[0].dtype
                else:
                    kept = given[0].clone()
                    with pytest.raises(RuntimeError):
                        impl(given, other)
                    assert torch.equal(given[0], kept)
            else:
                assert impl(given, other)[0].dtype == dtype, (given, other)

    def test_shapes(self, impl):
        given, other = torch.ones(3, dtype=torch.float64), torch.full((2, 1), 2.0, dtype=torch.float64)
        wanted = self.oracle(np.ones(3), np.full((2, 1), 2.0))
        if not self.in_place:
            compare(impl([given], [other]), [wanted])
            return
        with pytest.raises(RuntimeError):
            impl([given], [other])
        assert torch.equal(given, torch.ones(3, dtype=torch.float64))

    @pytest.mark.limit("partial", shared=True)
    def test_nothing_is_written_before_an_error(self, impl):
        if not self.in_place:
            pytest.skip("it writes nothing")
        first, whole = torch.full((2,), 2.0), torch.ones(2).long()
        other = torch.full((2,), 1.0 if self.name in ("minimum", "clamp_max") else 3.0)
        for given, bad in ((torch.ones(2), torch.ones(3)), (whole, torch.ones(2) * 1.5)):
            with pytest.raises(RuntimeError):
                impl([first, given], [other, bad])
        assert torch.equal(first, torch.full((2,), 2.0))

    @pytest.mark.limit("gradient", shared=True)
    def test_gradients_of_operands(self, impl):
        leaves = tensors(OTHERS, grad=True)
        sum(each.sum() for each in impl(tensors(self.values), leaves)).backward()

        def of_others(others):
            return [self.oracle(one, two) for one, two in zip(arrays(self.values), others)]

        for one, other in zip(leaves, derivative(of_others, arrays(OTHERS))):
            close(one.grad, other, 1e-4)


class WithTensor:
    """`add`, `mul` and `div` also take a tensor without dimensions, which takes part in gradients."""

    @pytest.mark.limit("tensor gradient", shared=True)
    def test_a_tensor_without_dimensions(self, impl):
        leaf = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
        made = impl(tensors(self.values), leaf)
        sum(each.sum() for each in made).backward()

        def of_other(others):
            return [self.oracle(one, others[0]) for one in arrays(self.values)]

        close(leaf.grad, derivative(of_other, [np.array(2.0)])[0], 1e-4)

    def test_its_dtype_weighs_little(self, impl):
        double = torch.tensor(2.0, dtype=torch.float64)
        assert impl([torch.ones(2)], double)[0].dtype == torch.float32
        if not self.in_place:
            # As a tensor, but for `add`: there it weighs no more than a number.
            wanted = torch.float32 if self.name == "add" else torch.float64
            assert impl([torch.ones(2).long()], double)[0].dtype == wanted


class WithAlpha:
    """`add` and `sub` multiply a list of tensors by `alpha`."""

    def test_alpha(self, impl):
        wanted = [self.oracle(one, 3.0 * two) for one, two in zip(arrays(self.values), arrays(OTHERS))]
        compare(impl(tensors(self.values), tensors(OTHERS), alpha=3), wanted)
        if self.name == "add":
            number = torch.tensor(2.0, dtype=torch.float64)
            made = impl(tensors(self.values), number, alpha=-0.5)
            compare(made, [one - 1.0 for one in arrays(self.values)])

    def test_alpha_is_for_tensors(self, impl):
        for other in (2.0, [2.0, 2.0]):
            with pytest.raises(TypeError):
                impl(tensors(self.values), other, alpha=2)
        with pytest.raises(RuntimeError):
            impl([torch.ones(2).long()], [torch.ones(2).long()], alpha=1.5)


class Pointwise(Laws):
    def arguments(self):
        return (tensors(VALUES), tensors(OTHERS), 0.5)

    def expected(self, given, factors=(0.5, 0.5)):
        return [
            one + factor * self.oracle(two, three)
            for one, two, three, factor in zip(given, arrays(VALUES), arrays(OTHERS), factors)
        ]

    def test_every_kind_of_factor(self, impl):
        lists = tensors(VALUES), tensors(OTHERS)
        packed = torch.tensor([2.0, -0.5], dtype=torch.float64)
        for factors, plain in (
            (2, [2, 2]),
            ([2.0, -0.5], [2.0, -0.5]),
            ((2, -0.5), [2.0, -0.5]),
            (packed, [2.0, -0.5]),
        ):
            compare(impl(tensors(self.values), *lists, factors), self.expected(arrays(self.values), plain))
        compare(impl(tensors(self.values), *lists), self.expected(arrays(self.values), [1, 1]))
        compare(impl(tensors(self.values), *lists, value=3), self.expected(arrays(self.values), [3, 3]))
        made = impl(self=tensors(self.values), tensor1=lists[0], tensor2=lists[1], scalars=[2.0, -0.5])
        compare(made, self.expected(arrays(self.values), [2.0, -0.5]))

    def test_bad_operands(self, impl):
        given, lists = tensors(self.values), [tensors(VALUES), tensors(OTHERS)]
        for bad in ((1, lists[1]), (lists[0], torch.ones(3)), (lists[0], [1, 2]), (*lists, "ab"), (*lists, [1, "a"])):
            with pytest.raises(TypeError):
                impl(given, *bad)
        with pytest.raises(TypeError):
            impl(given, *lists, 2, scalars=[1, 2])
        packed = torch.ones(2, 1), torch.ones(3), torch.tensor(1.0)
        for bad in (
            (lists[0][:1], lists[1]),
            (lists[0], lists[1][:1]),
            (*lists, [1.0]),
            *((*lists, x) for x in packed),
        ):
            with pytest.raises(RuntimeError):
                impl(given, *bad)
        compare(given, arrays(self.values))

    def test_promotion(self, impl):
        one, two = torch.ones(2), torch.ones(2).double()
        made = impl([one], [two], [two])
        assert made[0].dtype == (torch.float32 if self.in_place else torch.float64)
        if self.in_place:
            with pytest.raises(RuntimeError):
                impl([torch.ones(2).long()], [one], [one])

    @pytest.mark.limit("partial", shared=True)
    def test_nothing_is_written_before_an_error(self, impl):
        if not self.in_place:
            pytest.skip("it writes nothing")
        given = [torch.ones(2), torch.ones(2)]
        with pytest.raises(RuntimeError):
            impl(given, [torch.ones(2), torch.ones(3)], [torch.ones(2), torch.ones(3)])
        assert torch.equal(given[0], torch.ones(2))


class Lerp(Laws):
    def arguments(self):
        return (tensors(OTHERS), 0.25)

    def expected(self, given, weights=(0.25, 0.25)):
        return [one + weight * (two - one) for one, two, weight in zip(given, arrays(OTHERS), weights)]

    def test_every_kind_of_weight(self, impl):
        lists = tensors([[0.5] * 3, [[0.75]] * 2])
        for weight, plain in ((1, [1, 1]), ([0.5, 0.75], [0.5, 0.75]), ((0, 1.5), [0, 1.5]), (lists, [0.5, 0.75])):
            compare(impl(tensors(self.values), tensors(OTHERS), weight), self.expected(arrays(self.values), plain))
        made = impl(self=tensors(self.values), tensors1=tensors(OTHERS), weights=lists)
        compare(made, self.expected(arrays(self.values), [0.5, 0.75]))
        made = impl(tensors(self.values), tensors(OTHERS), weight=[0.5, 0.75])
        compare(made, self.expected(arrays(self.values), [0.5, 0.75]))

    def test_bad_operands(self, impl):
        given, ends = tensors(self.values), tensors(OTHERS)
        for bad in ((1, 0.5), (ends,), (ends, None), (ends, "ab"), (ends, [0.5, "a"]), (ends, torch.ones(3))):
            with pytest.raises(TypeError):
                impl(given, *bad)
        for bad in ((ends[:1], 0.5), (ends, [0.5]), (ends, ends[:1])):
            with pytest.raises(RuntimeError):
                impl(given, *bad)
        compare(given, arrays(self.values))

    @pytest.mark.limit("partial", shared=True)
    def test_nothing_is_written_before_an_error(self, impl):
        if not self.in_place:
            pytest.skip("it writes nothing")
        given = [torch.ones(2), torch.ones(2)]
        for bad in (torch.ones(3), torch.ones(2).double()):
            with pytest.raises(RuntimeError):
                impl(given, [torch.zeros(2), bad], 0.5)
        assert torch.equal(given[0], torch.ones(2))

    def test_one_dtype(self, impl):
        with pytest.raises(RuntimeError):
            impl([torch.ones(2)], [torch.ones(2).double()], 0.5)
        with pytest.raises(RuntimeError):
            impl([torch.ones(2).long()], [torch.ones(2).long()], 0.5)


def define():
    """A class for each function, under a name that pytest looks for."""

    def add(name, bases, **members):
        full = "_foreach_" + name
        title = "".join(part.title() for part in name.rstrip("_").split("_")) + ("InPlace" if name[-1] == "_" else "")
        made = type("Test" + title, bases, dict(members, name=name.rstrip("_"), shim=SHIMS[full]))
        globals()[made.__name__] = pytest.mark.shim(full)(made)

    for name, (oracle, values, floating) in UNARY.items():
        members = {"oracle": staticmethod(oracle), "values": values, "floating": floating}
        add(name, (Unary,), **members)
        add(name + "_", (UnaryFloating, Unary, InPlace) if floating else (Unary, InPlace), **members)
    for name, oracle in BINARY.items():
        extra = ((WithTensor,) if name in WITH_A_TENSOR else ()) + ((WithAlpha,) if name in ("add", "sub") else ())
        members = {"oracle": staticmethod(oracle)}
        add(name, (*extra, Binary), **members)
        add(name + "_", (*extra, Binary, InPlace), **members)
    for suffix, bases in (("", ()), ("_", (InPlace,))):
        add("addcmul" + suffix, (Pointwise, *bases), oracle=staticmethod(np.multiply))
        add("addcdiv" + suffix, (Pointwise, *bases), oracle=staticmethod(np.true_divide))
        add("lerp" + suffix, (Lerp, *bases))


define()
