"""vmap of random operations: refused, the same for every sample, or different, as `randomness` says."""

import pytest
import torch
import torch.nn.functional as F

from torchcompat.func import _batched

pytestmark = pytest.mark.shim("func.vmap")

WITH_TENSOR = {
    "rand_like": torch.rand_like,
    "randn_like": torch.randn_like,
    "randint_like": lambda x: torch.randint_like(x, 10**6),
    "dropout": lambda x: F.dropout(x, 0.5),
    "feature dropout": lambda x: F.dropout2d(x.reshape(1, -1, 1, 1), 0.5),
    "uniform_": lambda x: x.clone().uniform_(),
    "normal_": lambda x: x.clone().normal_(),
    "bernoulli_": lambda x: x.clone().bernoulli_(0.5),
    "exponential_": lambda x: x.clone().exponential_(),
    "random_": lambda x: x.clone().random_(10**6),
}
# torch's refuses "same" where the distribution itself is batched.
DISTRIBUTED = {
    "bernoulli": lambda x: torch.bernoulli(x * 0.5),
    "normal": lambda x: torch.normal(x, 1.0),
    "multinomial": lambda x: torch.multinomial(x, 16),
}
FACTORIES = {
    "rand": lambda x: torch.rand(16) * x,
    "randn": lambda x: torch.randn(16) * x,
    "randint": lambda x: torch.randint(10**6, (16,)) * x.long(),
    "randperm": lambda x: torch.randperm(16) * x.long(),
    "normal": lambda x: torch.normal(0.0, 1.0, (16,)) * x,
    "captured": lambda x: torch.rand_like(X16) * x,
    "dropout of captured": lambda x: F.dropout(X16, 0.5) * x,
}
X16 = torch.ones(16)
ROWS = torch.ones(6, 16)


def rows_differ(result):
    rows = {tuple(row.reshape(-1).tolist()) for row in result}
    return len(rows) == len(result)


def rows_are_equal(result):
    return all(torch.equal(row, result[0]) for row in result)


@pytest.mark.parametrize("case", sorted(WITH_TENSOR) + sorted(DISTRIBUTED))
def test_different(impl, case):
    assert rows_differ(impl({**WITH_TENSOR, **DISTRIBUTED}[case], randomness="different")(ROWS))


@pytest.mark.parametrize("case", sorted(FACTORIES))
def test_different_without_a_mapped_tensor(impl, case):
    assert rows_differ(impl(FACTORIES[case], randomness="different")(ROWS))


@pytest.mark.parametrize("case", sorted(WITH_TENSOR) + sorted(FACTORIES))
def test_same(impl, case):
    assert rows_are_equal(impl({**WITH_TENSOR, **FACTORIES}[case], randomness="same")(ROWS))


@pytest.mark.parametrize("case", sorted(WITH_TENSOR) + sorted(DISTRIBUTED) + sorted(FACTORIES))
def test_error(impl, case):
    function = {**WITH_TENSOR, **DISTRIBUTED, **FACTORIES}[case]
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(ROWS)
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function, randomness="error")(ROWS)


@pytest.mark.parametrize("randomness", ["same", "different"])
@pytest.mark.parametrize("case", ["rand_like", "dropout", "normal_"])
def test_random_numbers_come_from_the_seed(impl, case, randomness):
    mapped = impl(WITH_TENSOR[case], randomness=randomness)
    torch.manual_seed(1)
    first, second = mapped(ROWS), mapped(ROWS)
    torch.manual_seed(1)
    again = mapped(ROWS)
    assert torch.equal(again, first)
    assert not torch.equal(second, first)


IN_MEMORY_ORDER = {
    "randint_like": lambda x: torch.randint_like(x, 10**6),
    "rand_like": torch.rand_like,
    "bernoulli_ of a number": lambda x: x.bernoulli_(0.5),
    "bernoulli_ of a tensor": lambda x: x.bernoulli_(torch.full((16,), 0.5)),
    "uniform_": lambda x: x.uniform_(),
}


@pytest.mark.skipif(not _batched.VECTORISES, reason="the whole function is looped")
@pytest.mark.parametrize("case", sorted(IN_MEMORY_ORDER))
def test_the_numbers_are_those_of_the_whole_batch(impl, case):
    """Batched or not, one seed fills the same memory in the same order."""
    function = IN_MEMORY_ORDER[case]
    torch.manual_seed(1)
    mapped = impl(function, in_dims=1, randomness="different")(torch.ones(16, 6))
    torch.manual_seed(1)
    assert torch.equal(mapped, function(torch.ones(16, 6).t()))


def test_random_numbers_follow_their_distribution(impl):
    ones = torch.ones(50, 400)
    uniform = impl(torch.rand_like, randomness="different")(ones)
    assert 0 <= float(uniform.min()) < 0.01 < 0.99 < float(uniform.max()) < 1
    # The standard deviation of the mean of 20000 uniform numbers is 0.002, of dropout's zeros and fours 0.012.
    assert abs(float(uniform.mean()) - 0.5) < 0.01
    dropped = impl(lambda x: F.dropout(x, 0.75), randomness="different")(ones)
    assert set(dropped.reshape(-1).tolist()) == {0.0, 4.0}
    assert abs(float(dropped.mean()) - 1) < 0.06
    tossed = impl(lambda p: torch.bernoulli(p), randomness="different")(torch.tensor([[0.0] * 9, [1.0] * 9]))
    assert tossed.tolist() == [[0.0] * 9, [1.0] * 9]


def test_what_is_not_random_needs_no_randomness(impl):
    x = torch.randn(2, 3)
    assert torch.equal(impl(lambda x: F.dropout(x, 0.5, training=False))(x), x)
    assert torch.equal(impl(torch.nn.Dropout().eval())(x), x)


def test_random_numbers_in_chunks(impl):
    assert rows_are_equal(impl(torch.rand_like, randomness="same", chunk_size=2)(ROWS))
    assert rows_differ(impl(torch.rand_like, randomness="different", chunk_size=2)(ROWS))


def test_randomness_of_nested_levels(impl):
    x = torch.ones(3, 2, 16)
    outer_differs = impl(impl(torch.rand_like, randomness="same"), randomness="different")(x)
    assert all(rows_are_equal(rows) for rows in outer_differs)
    assert rows_differ(outer_differs)
    inner_differs = impl(impl(torch.rand_like, randomness="different"), randomness="same")(x)
    assert rows_are_equal(inner_differs)
    assert rows_differ(inner_differs[0])
    for outer, inner in [("error", "same"), ("different", "error")]:
        with pytest.raises(RuntimeError, match="randomness"):
            impl(impl(torch.rand_like, randomness=inner), randomness=outer)(x)
