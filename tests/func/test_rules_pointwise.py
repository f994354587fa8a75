"""Pointwise operations under vmap: the loop over the samples is the oracle, for type promotion and writes too."""

import operator

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import assert_same, check, loop

from torchcompat import SHIMS
from torchcompat.func import _batched

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop"),  # native loops too
    pytest.mark.filterwarnings("ignore:floor_divide is deprecated"),  # 1.7
    pytest.mark.filterwarnings("ignore:__r?floordiv__ is deprecated"),  # 1.8 to 1.12
    pytest.mark.filterwarnings("ignore:nn.functional.*is deprecated"),  # tanh and sigmoid of 1.7
]


def values(*shape):
    """In (0.1, 0.9), where all the functions below are defined and smooth."""
    return torch.rand(*shape, dtype=torch.float64) * 0.8 + 0.1


UNARY = (
    "abs acos angle asin atan ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac lgamma log log10 "
)
UNARY += "log1p log2 logit neg rad2deg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc "
UNARY += "clone contiguous nan_to_num sinc arccos asinh atanh i0 positive"
ACTIVATIONS = "relu relu6 leaky_relu selu celu elu gelu silu mish hardswish hardsigmoid hardtanh hardshrink softshrink "
ACTIVATIONS += "tanhshrink softsign softplus logsigmoid tanh sigmoid"


@pytest.mark.parametrize("name", UNARY.split())
def test_unary(impl, no_loop, name):
    check(impl, lambda x: getattr(x, name)(), values(3, 4), nested=True)
    check(impl, lambda x: getattr(x, name)(), values(3))


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_activations(impl, no_loop, name):
    check(impl, lambda x: getattr(F, name)(x), values(3, 4) - 0.5, in_dims=1, nested=True)


BINARY = "add sub mul div true_divide pow atan2 hypot fmod remainder max min maximum minimum logaddexp copysign xlogy"


@pytest.mark.parametrize("name", BINARY.split())
def test_binary(impl, no_loop, name):
    def function(x, y):
        return getattr(torch, name)(x, y)

    for first, second in [((4,), (4,)), ((2, 4), (4,)), ((4,), (2, 1)), ((), (4,)), ((4,), ()), ((), ())]:
        x, y = values(3, *first), values(3, *second)
        check(impl, function, x, y, in_dims=(0, 0), nested=True)
        check(impl, function, x[0], y, in_dims=(None, 0), nested=True)
        check(impl, function, x, y[0], in_dims=(0, None), nested=True)


NUMERIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod, operator.floordiv]
COMPARE = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
BITS = [operator.and_, operator.or_, operator.xor]


@pytest.mark.parametrize("function", NUMERIC + COMPARE, ids=lambda function: function.__name__)
def test_operators(impl, no_loop, function):
    x, y = values(3, 4), values(3, 4)
    gradient = function in NUMERIC and function is not operator.floordiv
    if function is operator.mod:
        y = y.detach() + 1
    check(impl, function, x, y, in_dims=(0, 0), gradient=gradient)
    check(impl, function, x, y[0], in_dims=(0, None), gradient=gradient)
    check(impl, function, y[0], x, in_dims=(None, 0), gradient=gradient)
    check(impl, lambda x: function(x, 2), x, gradient=gradient)
    if function is not operator.mod:  # torch 1.7 has no number % tensor
        check(impl, lambda x: function(2, x), x, gradient=gradient)


@pytest.mark.parametrize("function", BITS, ids=lambda function: function.__name__)
def test_operators_of_bits(impl, no_loop, function):
    x, y = torch.randint(0, 8, (3, 4)), torch.randint(0, 8, (3, 4))
    check(impl, function, x, y, in_dims=(0, 0), gradient=False)
    check(impl, lambda x: ~function(x, 3), x, gradient=False)


DTYPES = [torch.uint8, torch.int64, torch.float16, torch.float32, torch.float64, torch.bool]
PROMOTING = {
    "mul": torch.mul,
    "lt": torch.lt,
    "add": lambda x, y: x + y,
    "number": lambda x, y: x * 2 + y * 1.5,
}


@pytest.mark.parametrize("ranks", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=str)
@pytest.mark.parametrize("second", DTYPES, ids=str)
@pytest.mark.parametrize("first", DTYPES, ids=str)
def test_types_are_promoted_as_those_of_one_sample(impl, no_loop, first, second, ranks):
    x, y = (torch.arange(1, 7).reshape(3, 2)[(slice(None), 0) if rank == 0 else ()] for rank in ranks)
    x, y = x.to(first), y.to(second)
    for function in PROMOTING.values():
        check(impl, function, x, y, in_dims=(0, 0), gradient=False)
        check(impl, function, x[0], y, in_dims=(None, 0), gradient=False)
        check(impl, function, x, y[0], in_dims=(0, None), gradient=False)


@pytest.mark.limit("where")
@pytest.mark.parametrize("ranks", [(1, 0), (0, 0)], ids=str)
def test_where_promotes_as_of_one_sample(impl, no_loop, ranks):
    x, y = (torch.ones(3, 2)[(slice(None), 0) if rank == 0 else ()] for rank in ranks)
    y, condition = y.double() * 2, torch.tensor([True, False])
    if ranks == (1, 0):
        check(impl, lambda x, y: torch.where(condition, x, y), x, y, in_dims=(0, 0), gradient=False)
        check(impl, lambda x, y: x.where(condition, y), x[0], y, in_dims=(None, 0), gradient=False)
    check(
        impl,
        lambda x, y: torch.where(condition, x, y),
        x[:, 0] if x.dim() > 1 else x,
        y[0],
        in_dims=(0, None),
        gradient=False,
    )


@pytest.mark.skipif(not _batched.VECTORISES, reason="not in torch 1.2; 1.6 is looped")
def test_the_result_type_is_that_of_one_sample(impl):
    seen = []

    def function(x, y):
        seen.append((torch.result_type(x, y), torch.result_type(x, 2.5), torch.result_type(x.sum(), y)))
        return x

    impl(function, in_dims=(0, None))(torch.ones(3), torch.ones(2, dtype=torch.float64))
    impl(function, in_dims=(0, None))(torch.ones(3, 2), torch.tensor(1.0, dtype=torch.float64))
    assert seen == [(torch.float64, torch.float32, torch.float64), (torch.float32, torch.float32, torch.float64)]


def test_where_with_every_argument_batched_or_not(impl, no_loop):
    condition, x, y = torch.rand(3, 4) > 0.5, values(3, 4), values(3, 4)
    check(impl, torch.where, condition, x, y, in_dims=(0, 0, 0), nested=True)
    check(impl, torch.where, condition, x[0], y[0], in_dims=(0, None, None), nested=True)
    check(impl, torch.where, condition[0], x, y[0], in_dims=(None, 0, None), nested=True)
    check(impl, lambda c, x: torch.where(c, x, x.sum()), condition, x, in_dims=(0, 0))
    with pytest.raises(RuntimeError):
        impl(torch.where)(condition)


@pytest.mark.parametrize("value", [2.0, "plain", "batched"])
def test_masked_fill(impl, no_loop, value):
    x, mask = values(3, 4), torch.rand(3, 4) > 0.5
    dim = 0 if value == "batched" else None
    value = {"plain": torch.tensor(2.0, dtype=torch.float64), "batched": values(3)}.get(value, value)
    check(impl, lambda x, m, v: x.masked_fill(m, v), x, mask, value, in_dims=(0, 0, dim))
    check(impl, lambda x, m, v: x.masked_fill(m, v), x, mask[0], value, in_dims=(0, None, dim))
    check(impl, lambda x, m, v: x.masked_fill(m, v), x[0], mask, value, in_dims=(None, 0, dim))
    check(impl, lambda x, m, v: x.clone().masked_fill_(m, v), x, mask, value, in_dims=(0, 0, dim))


@pytest.mark.parametrize("bounds", [("low", "high"), ("low", None), (None, "high")], ids=str)
def test_clamp_with_tensors(impl, no_loop, bounds):
    x, low, high = values(3, 4), values(3, 4) / 2, values(3, 4) / 2 + 0.5
    given = {"low": low, "high": high, None: None}
    low, high = (given[bound] for bound in bounds)
    dims = tuple(None if bound is None else 0 for bound in (low, high))
    check(impl, lambda x, low, high: torch.clamp(x, low, high), x, low, high, in_dims=(0, *dims))
    check(impl, lambda x, low, high: x.clamp(min=low, max=high), x[0], low, high, in_dims=(None, *dims))


def test_clamp_with_numbers(impl, no_loop):
    check(impl, lambda x: x.clamp(0.2, max=0.6), values(3, 4))
    check(impl, lambda x: torch.clamp_min(x, 0.3), values(3, 4))


TERNARY = {
    "lerp": torch.lerp,
    "addcmul": lambda x, y, z: torch.addcmul(x, y, z, value=0.5),
    "addcdiv": lambda x, y, z: x.addcdiv(y, z, value=2.0),
    "lerp_": lambda x, y, z: x.clone().lerp_(y, z),
    "addcmul_": lambda x, y, z: x.clone().addcmul_(y, z, value=0.5),
}


@pytest.mark.parametrize("name", TERNARY)
def test_of_three_tensors(impl, no_loop, name):
    x, y, z = values(3, 4), values(3, 4), values(3, 4)
    check(impl, TERNARY[name], x, y, z, in_dims=(0, 0, 0), nested=True)
    check(impl, TERNARY[name], x, y[0], z, in_dims=(0, None, 0))
    check(impl, TERNARY[name], x, y, z[0], in_dims=(0, 0, None))


CONVERSIONS = {
    "to a dtype": lambda x: x.to(torch.float64),
    "to a device and dtype": lambda x: x.to("cpu", torch.float64),
    "to another": lambda x: x.to(x.double()),
    "to a plain one": lambda x: x.to(torch.ones(2, 2, 2, dtype=torch.int64)),
    "type_as": lambda x: x.type_as(x.double().sum()),
    "type_as of more dimensions": lambda x: x.sum().type_as(x.long()),
    "double": lambda x: x.double(),
    "half": lambda x: x.half(),
    "long": lambda x: (x * 5).long(),
    "bool": lambda x: (x > 0.5).bool(),
    "type": lambda x: x.type(torch.float64),
    "zeros_like": lambda x: torch.zeros_like(x, dtype=torch.int64),
    "ones_like": lambda x: x + torch.ones_like(x),
    "full_like": lambda x: torch.full_like(x, 2.5),
    "clone": lambda x: x.clone(memory_format=torch.preserve_format),
    "contiguous": lambda x: x.t().contiguous(),
    "detach": lambda x: x.detach(),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions(impl, no_loop, name):
    if name == "contiguous":
        return check(impl, lambda x: x.contiguous() * 2, torch.rand(3, 4, 2).transpose(1, 2), gradient=False)
    check(impl, CONVERSIONS[name], torch.rand(3, 4), gradient=False, nested=True)
    return None


@pytest.mark.skipif(not _batched.VECTORISES, reason="the whole function is looped")
def test_a_memory_format_of_the_sample_does_not_disturb(no_loop):
    for function in (
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.clone(memory_format=torch.channels_last),
        lambda x: x.to(memory_format=torch.channels_last),
        lambda x: x.to(torch.float64, memory_format=torch.channels_last),
        lambda x: torch.zeros_like(x, memory_format=torch.channels_last),
    ):
        check(SHIMS["func.vmap"].fallback, function, torch.rand(3, 2, 2, 2, 2), gradient=False)


COPIED = {
    "clone": lambda x: x.clone(memory_format=torch.contiguous_format),
    "clone of a clone": lambda x: x.clone().clone(memory_format=torch.contiguous_format),
}


@pytest.mark.skipif(not _batched.VECTORISES, reason="the whole function is looped; 1.2 has no clone(memory_format=)")
@pytest.mark.parametrize("name", sorted(COPIED))
def test_a_contiguous_copy_can_be_viewed(impl, name):
    x = torch.rand(2, 3, 4)
    result = impl(lambda x: COPIED[name](x).view(-1), in_dims=1)(x)
    assert_same(result, torch.stack([COPIED[name](sample).view(-1) for sample in x.unbind(1)]))


# Writes


IN_PLACE = "add_ sub_ mul_ div_ fmod_ copy_ atan2_ __iadd__ __isub__ __imul__ __itruediv__"
IN_PLACE_UNARY = (
    "abs_ acos_ ceil_ cos_ erf_ exp_ expm1_ floor_ log_ log1p_ neg_ reciprocal_ relu_ round_ rsqrt_ sigmoid_ "
)
IN_PLACE_UNARY += "sin_ sqrt_ square_ tan_ tanh_ trunc_ zero_"


@pytest.mark.parametrize("name", IN_PLACE.split())
def test_writes_of_two_tensors(impl, no_loop, name):
    def function(x, y):
        target = x * 1.0
        alias = target.view_as(target)
        assert getattr(target, name)(y) is target
        return target, alias * y

    for first, second in [((4,), (4,)), ((2, 4), (4,)), ((2, 4), ()), ((), ())]:
        x, y = values(3, *first), values(3, *second)
        check(impl, function, x, y, in_dims=(0, 0))
        check(impl, function, x, y[0], in_dims=(0, None))


@pytest.mark.limit("pow_")
@pytest.mark.parametrize("name", ["pow_", "cumprod_"])
def test_writes_whose_gradient_needs_the_result(impl, no_loop, name):
    if name == "pow_":
        check(impl, lambda x, y: x.clone().pow_(y), values(3, 4), values(3, 4), in_dims=(0, 0), nested=True)
    else:
        check(impl, lambda x: x.clone().cumprod_(-1), values(3, 4), nested=True)


@pytest.mark.parametrize("name", IN_PLACE_UNARY.split())
def test_writes_of_one_tensor(impl, no_loop, name):
    def function(x):
        target = x.clone()
        assert getattr(target, name)() is target
        return target + 0 * x

    check(impl, function, values(3, 4), nested=True)


@pytest.mark.parametrize("value", [2.0, "plain", "batched"])
def test_fill(impl, no_loop, value):
    dim = 0 if value == "batched" else None
    value = {"plain": torch.tensor(2.0, dtype=torch.float64), "batched": values(3)}.get(value, value)
    check(impl, lambda x, v: x.clone().fill_(v) * x, values(3, 4), value, in_dims=(0, dim))


def test_operators_that_write(impl, no_loop):
    def function(x, y):
        total = x.clone()
        total += y
        total *= 2
        total -= y.sum()
        total /= y
        return total

    check(impl, function, values(3, 4), values(3, 4), in_dims=(0, 0), nested=True)


def test_activations_that_write(impl, no_loop):
    functions = [
        lambda x: F.relu(x, inplace=True),
        lambda x: F.relu(x, True),
        lambda x: F.hardtanh(x, -0.2, 0.2, inplace=True),
        lambda x: F.leaky_relu(x, 0.1, inplace=True),
        lambda x: F.elu(x, inplace=True),
        lambda x: F.relu6(x, inplace=True),
        lambda x: F.threshold(x, 0.1, 0.0, inplace=True),
        torch.nn.ReLU(inplace=True),
        torch.relu_,
    ]
    for function in functions:

        def whole(x, function=function):
            y = x * 1.0
            z = function(y)
            return z, y

        check(impl, whole, values(3, 4) - 0.5)


@pytest.mark.limit("unmapped_writes")
def test_a_write_to_what_is_not_batched_raises(impl):
    target = torch.zeros(4)
    for function in (
        lambda x: target.add_(x),
        lambda x: target.copy_(x),
        lambda x: target.mul_(x),
        lambda x: target.fill_(x[0]),
        lambda x: target.masked_fill_(x > 0, 1.0),
    ):
        with pytest.raises(RuntimeError):
            impl(function)(torch.ones(3, 4))


def test_a_write_that_would_widen_the_sample_raises(impl):
    for function in (lambda x, y: x.clone().add_(y), lambda x, y: x.sum().mul_(y)):
        with pytest.raises(RuntimeError):
            impl(function)(torch.ones(3, 4), torch.ones(3, 2, 4))


@pytest.mark.limit("unmapped_writes")
def test_out_is_refused(impl):
    out = torch.zeros(3, 4)
    for function in (
        lambda x: torch.add(x, x, out=out),
        lambda x: torch.exp(x, out=out),
        lambda x: torch.sum(x, 0, out=out),
        lambda x: torch.matmul(x, x, out=out),
    ):
        with pytest.raises(RuntimeError):
            impl(function)(torch.ones(3, 4))


@pytest.mark.skipif(not _batched.VECTORISES, reason="torch 1.2 itself refuses to compare with None")
def test_comparison_with_what_is_no_tensor(impl):
    seen = []
    impl(lambda x: (seen.append((x == None, x != None)), x)[1])(torch.ones(3, 4))  # noqa: E711
    assert seen == [(False, True)]
    with pytest.raises(TypeError):
        impl(lambda x: x + "text")(torch.ones(3, 4))


def test_an_empty_batch(impl):
    if not _batched.VECTORISES:
        pytest.skip("the whole function is looped")
    result = impl(lambda x, y: (torch.exp(x) * y).double())(torch.ones(0, 4), torch.ones(0, 2, 4))
    assert_same(result, torch.ones(0, 2, 4, dtype=torch.float64))


def test_the_oracle_does_what_it_should():
    assert torch.equal(loop(torch.add, (0, None))(torch.ones(2), torch.tensor(1.0)), torch.full((2,), 2.0))
