"""vmap of each random operation: how its numbers are shared between samples, and what it computes from them."""

import pytest
import torch
import torch.nn.functional as F
from vmap_laws import check

from torchcompat import at_least

pytestmark = [
    pytest.mark.shim("func.vmap"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]

ROWS = torch.full((4, 32), 0.5)
WIDE = torch.ones(4, 32, 1)


def in_place(name, *args):
    return lambda x: getattr(x.clone(), name)(*args)


# What draws numbers from a distribution that is the same for all samples.
SHARED = {
    "rand_like": torch.rand_like,
    "rand_like of a dtype": lambda x: torch.rand_like(x, dtype=torch.float64),
    "randn_like": torch.randn_like,
    "randint_like": lambda x: torch.randint_like(x, 3, 10**6),
    "uniform_": in_place("uniform_", 1, 2),
    "normal_": in_place("normal_", 3.0, 2.0),
    "exponential_": in_place("exponential_", 2.0),
    "random_": in_place("random_", 10**6),
    "log_normal_": in_place("log_normal_"),
    "cauchy_": in_place("cauchy_"),
    "bernoulli_": in_place("bernoulli_", 0.5),
    "bernoulli_ of plain odds": lambda x: x.clone().bernoulli_(torch.full((32,), 0.5)),
    "dropout": F.dropout,
    "dropout in-place": lambda x: F.dropout(x.clone(), inplace=True),
    "torch.dropout": lambda x: torch.dropout(x, 0.5, True),
    "Dropout": torch.nn.Dropout(0.3),
    "alpha_dropout": lambda x: F.alpha_dropout(x, training=True),
    "AlphaDropout": torch.nn.AlphaDropout(),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x.reshape(1, 32, 1), training=True),
    "dropout2d": lambda x: F.dropout2d(x.reshape(1, 32, 1, 1)),
    "dropout3d": lambda x: F.dropout3d(x.reshape(1, 32, 1, 1, 1)),
    "gumbel_softmax": F.gumbel_softmax,
    "hard gumbel_softmax": lambda x: F.gumbel_softmax(x.reshape(8, 4), hard=True),
}
if at_least(1, 6):  # 1.2 to 1.4 fill with ones
    SHARED["geometric_"] = in_place("geometric_", 0.01)
if at_least(1, 12):
    SHARED["dropout1d"] = lambda x: F.dropout1d(x.reshape(1, 32, 1))
    SHARED["dropout1d without a batch"] = lambda x: F.dropout1d(x.reshape(32, 1))
    SHARED["dropout3d without a batch"] = lambda x: F.dropout3d(x.reshape(32, 1, 1, 1))

# What draws from a distribution that is each sample's own.
OWN = {
    "bernoulli": torch.bernoulli,
    "bernoulli_": lambda p: torch.empty_like(p).bernoulli_(p),
    "normal": lambda x: torch.normal(x, 1.0),
    "normal of deviations": lambda x: torch.normal(0.0, x),
    "normal of both": lambda x: torch.normal(x, x),
    "multinomial": lambda p: torch.multinomial(p, 16),
    "multinomial of rows": lambda p: torch.multinomial(p.reshape(4, 8), 8, replacement=True),
    "poisson": lambda x: torch.poisson(x * 1000),
    "binomial": lambda x: torch.binomial(x * 1000, x),
}


def differ(samples):
    return len({tuple(sample.reshape(-1).tolist()) for sample in samples}) == len(samples)


def agree(samples):
    return all(torch.equal(sample, samples[0]) for sample in samples)


def function_of(table, case):
    if case == "binomial" and not hasattr(torch, "binomial"):
        pytest.skip("no binomial in this torch")
    return table[case]


@pytest.mark.parametrize("case", sorted(SHARED))
def test_randomness(impl, case):
    function = SHARED[case]
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(ROWS)
    assert agree(impl(function, randomness="same")(ROWS))
    assert differ(impl(function, randomness="different")(ROWS))
    with pytest.raises(RuntimeError, match="randomness"):
        impl(impl(function, randomness="same"))(ROWS.reshape(2, 2, 32))


@pytest.mark.limit("rrelu")
def test_rrelu(impl):
    def function(x):
        return F.rrelu(x, 0.2, 0.4, training=True)

    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(-ROWS)
    assert agree(impl(function, randomness="same")(-ROWS))
    result = impl(function, randomness="different")(-ROWS)
    assert differ(result)
    assert bool(((result <= -0.1) & (result >= -0.2)).all())
    assert torch.equal(impl(function, randomness="different")(ROWS), ROWS)


@pytest.mark.parametrize("case", sorted(OWN))
def test_randomness_of_a_distribution_for_each_sample(impl, case):
    function = function_of(OWN, case)
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(ROWS)
    assert differ(impl(function, randomness="different")(ROWS))


@pytest.mark.limit("same_distribution")
@pytest.mark.parametrize("case", sorted(OWN))
def test_a_distribution_for_each_sample_has_no_same_numbers(impl, case):
    with pytest.raises(RuntimeError, match="same"):
        impl(function_of(OWN, case), randomness="same")(ROWS)


@pytest.mark.parametrize("outer", ["different", "same"])
@pytest.mark.parametrize("inner", ["different", "same"])
@pytest.mark.parametrize("case", sorted(set(SHARED) - {"Dropout", "AlphaDropout"}))
def test_nested_levels(shim, case, outer, inner):
    rows = ROWS[0].expand(3, 2, 32)
    result = shim.fallback(shim.fallback(SHARED[case], randomness=inner), randomness=outer)(rows)
    for samples in result:
        assert (differ if inner == "different" else agree)(samples)
    for samples in result.transpose(0, 1):
        assert (differ if outer == "different" else agree)(samples)


@pytest.mark.parametrize("case", ["rand_like", "dropout", "alpha_dropout", "gumbel_softmax", "dropout2d", "bernoulli"])
def test_numbers_differ_over_a_level_that_the_input_is_not_mapped_by(shim, case):
    function = dict(SHARED, **OWN)[case]

    def outer(x, y):
        return shim.fallback(lambda y: function(y), randomness="different")(y) + 0 * x.sum()

    result = shim.fallback(outer, in_dims=(0, None), randomness="different")(ROWS, ROWS)
    assert differ(result.reshape(16, -1))


def test_filling_a_tensor_that_is_not_mapped_is_refused(impl):
    def function(x):
        return x + torch.zeros(32).uniform_()

    if at_least(1, 7):  # below, a loop cannot know
        with pytest.raises(RuntimeError):
            impl(lambda x, y: y.uniform_() + x, in_dims=(0, None))(ROWS, torch.zeros(32))
    assert agree(impl(function, randomness="same")(ROWS))


@pytest.mark.parametrize("case", sorted(SHARED))
def test_no_loop(no_loop, shim, case):
    shim.fallback(SHARED[case], randomness="different")(ROWS)
    shim.fallback(SHARED[case], randomness="same")(ROWS)


@pytest.mark.parametrize("case", sorted(OWN))
def test_no_loop_over_distributions(no_loop, shim, case):
    shim.fallback(function_of(OWN, case), randomness="different")(ROWS)


# --- what is computed from the numbers

P = 0.25
DROPOUTS = {"dropout": (F.dropout, 0), "dropout2d": (F.dropout2d, 2), "dropout3d": (F.dropout3d, 3)}


@pytest.mark.parametrize("randomness", ["same", "different"])
@pytest.mark.parametrize("name", sorted(DROPOUTS))
def test_dropout_scales_what_it_keeps_and_drops_whole_channels(impl, name, randomness):
    function, spatial = DROPOUTS[name]
    x = torch.rand([4, 5, 40] + [2] * spatial, dtype=torch.float64) + 1
    x.requires_grad_()
    result = impl(lambda x: function(x, P), randomness=randomness)(x)
    kept = (result != 0).double()
    assert torch.allclose(result, x * kept / (1 - P))
    channels = kept.reshape(4, 5, 40, -1)
    assert torch.equal(channels, channels[..., :1].expand_as(channels))
    # 200 or 800 channels, or elements; the standard deviation of their mean is at most 0.031.
    assert abs(float(kept.mean()) - (1 - P)) < 0.13
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert torch.allclose(gradient, kept / (1 - P))


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(impl, name):
    x = torch.randn(5, 4, 5000)
    result = impl(lambda x: getattr(F, name)(x, P, training=True), randomness="different")(x)
    expected = getattr(torch, name)(torch.full((20, 5000), 2.0), P, True)
    actual = impl(lambda x: getattr(F, name)(x, P, training=True), randomness="different")(
        torch.full((5, 4, 5000), 2.0)
    )
    assert torch.allclose(torch.stack([actual.min(), actual.max()]), torch.stack([expected.min(), expected.max()]))
    if name == "alpha_dropout":
        assert abs(float(result.mean())) < 0.03
        assert abs(float(result.var()) - 1) < 0.05


DROPS = ["dropout", "alpha_dropout", "dropout2d", "dropout3d", "feature_alpha_dropout"]


@pytest.mark.parametrize("name", DROPS)
def test_without_training_or_probability_nothing_is_drawn(impl, name):
    function = getattr(F, name)
    x = torch.randn(4, 2, 3, 2, 2, 2) if name != "dropout2d" else torch.randn(4, 2, 3, 2, 2)
    check(impl, lambda x: function(x, 0.5, training=False), x, exact=True)
    check(impl, lambda x: function(x, 0.0, training=True), x, exact=True, gradient=False)
    assert not (impl(lambda x: function(x, 1.0, training=True), randomness="different")(x) != 0).any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        impl(lambda x: function(x, 1.5, training=True), randomness="different")(x)


@pytest.mark.limit("rrelu")
def test_rrelu_without_training_is_leaky_relu(impl):
    check(impl, lambda x: F.rrelu(x, 0.2, 0.4), torch.randn(3, 4))


def test_numbers_follow_the_distribution_of_their_sample(impl):
    means = torch.tensor([[-5.0], [5.0]]).expand(2, 4000)
    normal = impl(lambda m: torch.normal(m, 0.1), randomness="different")(means)
    assert torch.allclose(normal.mean(1), means[:, 0], atol=0.02)
    assert torch.allclose(normal.std(1), torch.tensor([0.1, 0.1]), atol=0.02)
    choices = impl(lambda p: torch.multinomial(p, 3), randomness="different")(
        torch.tensor([[0.0, 1, 1, 1], [1, 1, 1, 0]])
    )
    assert sorted(choices[0].tolist()) == [1, 2, 3]
    assert sorted(choices[1].tolist()) == [0, 1, 2]
    counts = impl(torch.poisson, randomness="different")(torch.tensor([[4.0], [100.0]]).expand(2, 2000))
    assert torch.allclose(counts.mean(1), torch.tensor([4.0, 100.0]), atol=1.2)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dim", [-1, 0])
def test_gumbel_softmax_sums_to_one(impl, hard, dim):
    x = torch.randn(3, 4, 5, requires_grad=True)
    result = impl(lambda x: F.gumbel_softmax(x, tau=0.5, hard=hard, dim=dim), randomness="different")(x)
    assert torch.allclose(result.sum(dim + 1 if dim == 0 else dim), torch.ones(()))
    assert (len(set(result.detach().round().reshape(-1).tolist())) <= 2) or not hard
    assert torch.autograd.grad((result * result.detach().cumsum(1)).sum(), x)[0].abs().sum() > 0


def test_a_generator_of_ones_own(impl):
    def draw(seed):
        generator = torch.Generator()
        generator.manual_seed(seed)
        return impl(lambda x: x.clone().normal_(generator=generator), randomness="different")(ROWS)

    before = torch.get_rng_state()
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert torch.equal(torch.get_rng_state(), before)


# --- what no rule sees


def test_seeding_is_no_draw(impl):
    def function(x):
        torch.manual_seed(3)
        return x + 1

    for randomness in ("error", "different", "same"):
        assert torch.equal(impl(function, randomness=randomness)(ROWS), ROWS + 1)


def test_numbers_drawn_outside_are_no_draw(impl):
    numbers = torch.rand(32)
    assert torch.equal(impl(lambda x: x + numbers)(ROWS), ROWS + numbers)


def test_draws_without_a_mapped_tensor_differ(impl):
    assert differ(impl(lambda x: x + torch.rand(32), randomness="different")(ROWS))


def test_draws_without_a_mapped_tensor_are_the_same(impl):
    assert agree(impl(lambda x: x + torch.rand(32), randomness="same")(ROWS))
    with pytest.raises(RuntimeError, match="randomness"):
        impl(lambda x: x + torch.rand(32))(ROWS)


def test_after_an_error_the_next_call_is_not_affected(impl):
    for randomness in ("error", "different"):
        with pytest.raises(ZeroDivisionError):
            impl(lambda x: 1 // 0 * torch.rand(3), randomness=randomness)(ROWS)
        with pytest.raises(RuntimeError):
            impl(torch.rand_like)(ROWS)
        assert torch.equal(impl(lambda x: x * 2)(ROWS), ROWS * 2)
        torch.rand(3)
