"""vmap of draws from a generator of the caller's, and of draws without a mapped tensor: what `randomness` promises."""

import functools
import types

import pytest
import torch
from derivative_laws import native_warnings

from torchcompat import at_least

pytestmark = [pytest.mark.shim("func.vmap"), *native_warnings]

ROWS = torch.ones(6, 16)
HALF = torch.full((16,), 0.5)
GLOBAL = torch.Generator()
SPACE = types.ModuleType("space")
SPACE.generator = torch.Generator()

NEW = {
    "rand": lambda x, g: torch.rand(16, generator=g) * x,
    "rand of sizes": lambda x, g: torch.rand(2, 8, generator=g).reshape(16) * x,
    "randn": lambda x, g: torch.randn((16,), generator=g) * x,
    "randint": lambda x, g: torch.randint(5, 10**6, (16,), generator=g) * x.long(),
    "randint of a size": lambda x, g: torch.randint(10**6, size=(16,), generator=g) * x.long(),
    "randperm": lambda x, g: torch.randperm(16, generator=g) * x.long(),
    "normal": lambda x, g: torch.normal(0.0, 1.0, (16,), generator=g) * x,
    "captured bernoulli": lambda x, g: torch.bernoulli(HALF, generator=g) * x,
    "captured multinomial": lambda x, g: torch.multinomial(HALF, 16, True, generator=g) * x.long(),
    "captured gamma": lambda x, g: torch._standard_gamma(HALF, generator=g) * x,
    "captured dirichlet": lambda x, g: torch._sample_dirichlet(HALF, generator=g) * x,
    "captured means": lambda x, g: torch.normal(HALF, 1.0, generator=g) * x,
}
MAPPED = {
    "uniform_": lambda x, g: x.clone().uniform_(generator=g),
    "normal_": lambda x, g: x.clone().normal_(generator=g),
    "bernoulli_": lambda x, g: x.clone().bernoulli_(0.5, generator=g),
    "exponential_": lambda x, g: x.clone().exponential_(generator=g),
    "random_": lambda x, g: x.clone().random_(10**6, generator=g),
}
DISTRIBUTED = {
    "bernoulli": lambda x, g: torch.bernoulli(x * 0.5, generator=g),
    "means": lambda x, g: torch.normal(x, 1.0, generator=g),
    "multinomial": lambda x, g: torch.multinomial(x, 16, True, generator=g),
    "gamma": lambda x, g: torch._standard_gamma(x, generator=g),
    "dirichlet": lambda x, g: torch._sample_dirichlet(x, generator=g),
}
CASES = {**NEW, **MAPPED, **DISTRIBUTED}


def seeded(seed=1):
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def plain(function, generator):
    """What one sample gets without vmap; a test of what an old torch lacks is skipped."""
    try:
        return function(ROWS[0], generator)
    except (TypeError, RuntimeError) as error:
        if at_least(1, 8):
            raise
        return pytest.skip(f"not in this torch, without vmap either: {str(error)[:100]}")


def rows_differ(result):
    return len({tuple(row.reshape(-1).tolist()) for row in result}) == len(result)


@pytest.mark.parametrize("chunk_size", [None, 4])
@pytest.mark.parametrize("case", sorted(CASES))
def test_different_numbers_from_a_generator(impl, case, chunk_size):
    generator, function = seeded(), CASES[case]
    plain(function, seeded())
    before = torch.get_rng_state()
    mapped = impl(lambda x: function(x, generator), randomness="different", chunk_size=chunk_size)
    first, second = mapped(ROWS), mapped(ROWS)
    assert rows_differ(torch.cat([first, second]))
    assert torch.equal(torch.get_rng_state(), before)
    generator.manual_seed(1)
    assert torch.equal(mapped(ROWS), first)


@pytest.mark.parametrize("case", sorted(NEW) + sorted(MAPPED))
def test_the_same_numbers_from_a_generator(impl, case):
    same_numbers(impl, case, None)


@pytest.mark.limit("generator_in_chunks")
@pytest.mark.parametrize("case", sorted(NEW) + sorted(MAPPED))
def test_the_same_numbers_from_a_generator_in_chunks(impl, case):
    same_numbers(impl, case, 4)


def same_numbers(impl, case, chunk_size):
    generator, function = seeded(), {**NEW, **MAPPED}[case]
    expected = plain(function, seeded())
    mapped = impl(lambda x: function(x, generator), randomness="same", chunk_size=chunk_size)
    first, second = mapped(ROWS), mapped(ROWS)
    assert all(torch.equal(row, expected) for row in first)
    assert all(torch.equal(row, second[0]) for row in second)
    assert not torch.equal(second[0], expected)


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_generator_is_refused(impl, case):
    generator, function = seeded(), CASES[case]
    plain(function, seeded())
    with pytest.raises(RuntimeError, match="randomness"):
        impl(lambda x: function(x, generator))(ROWS)


class Holder:
    shared = torch.Generator()

    def __init__(self):
        self.generator = torch.Generator()
        self.within = {"deep": [self.generator]}

    def own(self, x):
        return torch.rand(16, generator=self.generator) * x

    def inside(self, x):
        return torch.rand(16, generator=self.within["deep"][0]) * x

    def of_class(self, x):
        return torch.rand(16, generator=self.shared) * x

    def __call__(self, x):
        return self.own(x)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator()

    def forward(self, x):
        return torch.rand(16, generator=self.generator) * x


def of_global(x):
    return torch.rand(16, generator=GLOBAL) * x


def of_module(x):
    return torch.rand(16, generator=SPACE.generator) * x


def by_default(x, generator=GLOBAL):
    return torch.rand(16, generator=generator) * x


def through_another(x):
    return (lambda: of_global(x))()


def of_list(made, x):
    return torch.rand(16, generator=made[0]) * x


def keyword(x, *, generator):
    return torch.rand(16, generator=generator) * x


WAYS = {
    "global": lambda: of_global,
    "attribute of a module": lambda: of_module,
    "default": lambda: by_default,
    "another function": lambda: through_another,
    "keyword": lambda: functools.partial(keyword, generator=seeded()),
    "method": lambda: Holder().own,
    "structure": lambda: Holder().inside,
    "class attribute": lambda: Holder().of_class,
    "object": Holder,
    "layer": Layer,
    "layers": lambda: torch.nn.Sequential(torch.nn.Identity(), Layer()),
    "list": lambda: functools.partial(of_list, [seeded()]),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_wherever_the_generator_is(impl, way):
    function = WAYS[way]()
    plain(lambda x, generator: function(x), None)
    assert rows_differ(impl(function, randomness="different")(ROWS))
    same = impl(function, randomness="same")(ROWS)
    assert all(torch.equal(row, same[0]) for row in same)
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(ROWS)
    twice = impl(impl(function, randomness="different"), randomness="different")(ROWS.reshape(2, 3, 16))
    assert rows_differ(twice.reshape(6, 16))


def test_a_generator_among_the_arguments(impl):
    def function(x, generator):
        return torch.rand(16, generator=generator) * x

    assert rows_differ(impl(function, (0, None), randomness="different")(ROWS, seeded()))
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function, (0, None))(ROWS, seeded())


@pytest.mark.limit("own_generator")
def test_a_generator_that_the_function_makes(impl):
    def function(x):
        return torch.rand(16, generator=seeded()) * x

    assert rows_differ(impl(function, randomness="different")(ROWS))


def test_a_generator_that_is_only_seeded_draws_nothing(impl):
    generator = torch.Generator()

    def function(x):
        generator.manual_seed(3)
        return x

    assert torch.equal(impl(function)(ROWS), ROWS)


@pytest.mark.limit("again")
def test_a_function_that_draws_runs_once(impl):
    calls = []
    impl(lambda x: calls.append(1) or torch.rand(16) * x, randomness="different")(ROWS)
    assert calls == [1]


@pytest.mark.limit("unseen_write")
def test_a_function_that_draws_and_writes_to_its_argument(impl):
    rows = ROWS.clone()
    result = impl(lambda x: x.add_(torch.rand(16)), randomness="different")(rows)
    assert torch.equal(result, rows)
    assert rows_differ(rows)
    assert float(rows.max()) < 2


@pytest.mark.parametrize("inner", ["same", "different"])
@pytest.mark.parametrize("outer", ["same", "different"])
def test_new_numbers_in_nested_levels(impl, outer, inner):
    x = torch.ones(3, 2, 16)
    for function in (lambda x: torch.rand(16) * x, lambda x: torch.randperm(16) * x.long()):
        numbers = impl(impl(function, randomness=inner), randomness=outer)(x)
        for dim, policy in ((0, outer), (1, inner)):
            assert rows_differ(numbers.transpose(0, dim)) == (policy == "different")


@pytest.mark.shim("func.jacfwd")
def test_jacfwd_refuses_a_generator(impl):
    generator = seeded()
    with pytest.raises(RuntimeError, match="randomness"):
        impl(lambda x: torch.rand(16, generator=generator) * x)(ROWS[0])


@pytest.mark.shim("func.hessian")
def test_hessian_refuses_a_generator(impl):
    generator = seeded()
    with pytest.raises(RuntimeError, match="randomness"):
        impl(lambda x: (torch.rand(16, generator=generator) * x * x).sum())(ROWS[0])


# --- torch.nn.init, of which torch does not see through every function


INITIALISE = {
    "uniform_": torch.nn.init.uniform_,
    "normal_": lambda x: torch.nn.init.normal_(x, 1.0, 2.0),
    "kaiming_uniform_": torch.nn.init.kaiming_uniform_,
    "xavier_normal_": torch.nn.init.xavier_normal_,
    "by keyword": lambda x: torch.nn.init.normal_(tensor=x, mean=1.0),
}


@pytest.mark.parametrize("case", sorted(INITIALISE))
def test_a_mapped_tensor_is_initialised(impl, case):
    def function(x):
        x = x.clone().reshape(4, 4)
        assert INITIALISE[case](x) is x
        return x

    assert rows_differ(impl(function, randomness="different")(ROWS))
    same = impl(function, randomness="same")(ROWS)
    assert all(torch.equal(row, same[0]) for row in same)
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(ROWS)


def test_a_mapped_tensor_is_filled(impl):
    assert torch.equal(impl(lambda x: torch.nn.init.constant_(x.clone(), 3.0))(ROWS), ROWS * 3)


@pytest.mark.parametrize("case", sorted(INITIALISE))
def test_a_new_tensor_is_initialised(impl, case):
    def function(x):
        return INITIALISE[case](torch.zeros(4, 4)) * x.reshape(4, 4)

    same = impl(function, randomness="same")(ROWS)
    assert all(torch.equal(row, same[0]) for row in same)
    with pytest.raises(RuntimeError, match="randomness"):
        impl(function)(ROWS)


@pytest.mark.limit("out")
def test_out_is_refused(impl):
    target = torch.zeros(16)
    for function in (lambda x: torch.rand(16, out=target), lambda x: torch.normal(HALF, HALF, out=target)):
        with pytest.raises(RuntimeError, match="out"):
            impl(function, randomness="same")(ROWS)
