"""What single schedulers do beyond the laws of all: momentum, metrics, sequences, chains, and arguments they refuse."""

import pickle
from fractions import Fraction

import pytest
import torch
from _lr_cases import BASES, Inverse, lrs_of, optimizer, run, wave

# Functions.


def about(name):
    return pytest.mark.shim("optim.lr_scheduler." + name)


@about("LambdaLR")
def test_one_function_for_each_group(impl):
    seen = run(impl(optimizer(), [lambda t: 1.0, lambda t: 2.0 + t]), 3)
    assert seen == [[1.0, 0.3 * (2 + t)] for t in range(4)]


@about("LambdaLR")
def test_lambda_state_keeps_the_attributes_of_objects_only(impl):
    first, second = (impl(optimizer(), [lambda t: 1.0, Inverse(rate)]) for rate in (0.5, 0.1))
    state = first.state_dict()
    assert state["lr_lambdas"] == [None, {"rate": 0.5}]
    second.load_state_dict(state)
    assert second.lr_lambdas[1].rate == 0.5
    assert run(first, 3) == run(second, 3)


@about("MultiplicativeLR")
def test_multiplicative_state(impl):
    first, second = (impl(optimizer(), [lambda t: 1.0, Inverse(rate)]) for rate in (0.5, 0.1))
    second.load_state_dict(first.state_dict())
    assert run(first, 3) == run(second, 3)


@about("MultiplicativeLR")
def test_multiplicative_refuses_what_is_no_function(impl):
    with pytest.raises(TypeError):
        impl(optimizer(), 0.5)


@about("LambdaLR")
def test_lambda_refuses_another_number_of_functions(impl):
    with pytest.raises(ValueError, match="3"):
        impl(optimizer(), [float, float, float])


@about("MultiplicativeLR")
def test_multiplicative_refuses_another_number_of_functions(impl):
    with pytest.raises(ValueError, match="1"):
        impl(optimizer(), [float])


# Factors.


@about("MultiStepLR")
def test_milestones_from_any_iterable(impl):
    assert run(impl(optimizer(), iter([2, 1]), 0.5), 3) == run(impl(optimizer(), [1, 2], 0.5), 3)


@about("ConstantLR")
def test_constant_refuses(impl):
    for factor in (1.5, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            impl(optimizer(), factor=factor)


@about("LinearLR")
def test_linear_refuses(impl):
    for factors in ({"start_factor": 0.0}, {"start_factor": 1.1}, {"end_factor": -0.1}, {"end_factor": 1.1}):
        made = optimizer()
        with pytest.raises(ValueError, match="factor"):
            impl(made, **factors)
        assert lrs_of(made) == BASES


@about("StepLR")
def test_a_rate_set_by_hand_is_built_upon(impl):
    scheduler = impl(optimizer(), 2, 0.5)
    scheduler.optimizer.param_groups[0]["lr"] = 16.0
    assert [each[0] for each in run(scheduler, 5)] == [16.0, 16.0, 8.0, 8.0, 4.0, 4.0]


@about("StepLR")
def test_a_group_that_is_added_later_is_stepped_too(impl):
    scheduler = impl(optimizer(), 2, 0.5)
    scheduler.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "lr": 8.0})
    assert [each[2] for each in run(scheduler, 4)] == [8.0, 8.0, 4.0, 4.0, 2.0]


# Cosine.


@about("CosineAnnealingLR")
def test_cosine_goes_on_from_a_rate_set_by_hand(impl):
    scheduler = impl(optimizer([1.0]), 10, eta_min=0.1)
    run(scheduler, 3)
    scheduler.optimizer.param_groups[0]["lr"] = 0.1 + 5 * wave(3, 10)
    seen = run(scheduler, 7)
    assert [each[0] for each in seen] == pytest.approx([0.1 + 5 * wave(t, 10) for t in range(3, 11)])
    # From the lowest rate no factor leads up: the next wave starts from the initial one.
    assert run(scheduler, 10)[-1] == pytest.approx([1.0])


@about("CosineAnnealingWarmRestarts")
def test_restarts_at_fractions(impl):
    scheduler = impl(optimizer(), 4, 2)
    for epoch, into, length in [(0.5, 0.5, 4), (3.75, 3.75, 4), (4, 0, 8), (11.5, 7.5, 8), (12.5, 0.5, 16), (1, 1, 4)]:
        scheduler.step(epoch)
        assert scheduler.get_last_lr() == pytest.approx([base * wave(into, length) for base in BASES])
        assert scheduler.last_epoch == int(epoch)


@about("CosineAnnealingWarmRestarts")
@pytest.mark.limit("restart")
def test_restarts_at_whole_epochs(impl):
    for factor in (2, 3, 5, 10):
        scheduler = impl(optimizer(), 1, factor)
        for wave_number in range(8):
            start = Fraction(factor**wave_number - 1, factor - 1)
            scheduler.step(int(start))
            assert scheduler.get_last_lr() == pytest.approx(BASES), (factor, wave_number)


@about("CosineAnnealingWarmRestarts")
def test_restarts_refuse(impl):
    for arguments in ((0,), (-1,), (2.5,), (3, 0), (3, 1.5), (3, 1, "0")):
        with pytest.raises(ValueError):
            impl(optimizer(), *arguments)
    with pytest.raises(ValueError, match="negative"):
        impl(optimizer(), 3).step(-1)


# Momentum.


def momentum_of(made):
    return [group["betas"][0] if "betas" in group else group["momentum"] for group in made.param_groups]


@about("CyclicLR")
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_cyclic_momentum(impl, kind):
    made = optimizer(kind=kind)
    scheduler = impl(made, 0.1, 0.5, step_size_up=4, base_momentum=0.6, max_momentum=[0.9, 0.7])
    for t in range(13):
        height = (t % 8) / 4 if t % 8 <= 4 else 2 - (t % 8) / 4
        assert momentum_of(made) == pytest.approx([0.9 - 0.3 * height, 0.7 - 0.1 * height])
        assert lrs_of(made) == pytest.approx([0.1 + 0.4 * height] * 2)
        if kind is torch.optim.Adam:
            assert all(group["betas"][1] == 0.999 for group in made.param_groups)
        made.step()
        scheduler.step()


@about("OneCycleLR")
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_momentum(impl, kind, three_phase):
    made = optimizer(kind=kind)
    scheduler = impl(
        made, [1.0, 2.0], 20, pct_start=0.25, anneal_strategy="linear", three_phase=three_phase, max_momentum=0.9
    )
    points = [(0, 0.9), (4, 0.85), (8 if three_phase else 19, 0.9), (19, 0.9)]
    for t in range(20):
        (start, before), (end, after) = next(pair for pair in zip(points, points[1:]) if pair[0][0] <= t <= pair[1][0])
        right = before + (after - before) * (t - start) / (end - start)
        assert momentum_of(made) == pytest.approx([right] * 2)
        if t < 19:
            made.step()
            scheduler.step()
    assert lrs_of(made) == pytest.approx([1 / 25e4, 2 / 25e4])


@pytest.mark.parametrize("kind", [torch.optim.Adagrad, torch.optim.Adadelta])
class TestNoMomentum:
    @about("CyclicLR")
    def test_cyclic(self, impl, kind):
        with pytest.raises(ValueError, match="momentum"):
            impl(optimizer(kind=kind), 0.1, 0.2)
        run(impl(optimizer(kind=kind), 0.1, 0.2, cycle_momentum=False), 3)

    @about("OneCycleLR")
    def test_one_cycle(self, impl, kind):
        with pytest.raises(ValueError, match="momentum"):
            impl(optimizer(kind=kind), 0.1, 9)
        run(impl(optimizer(kind=kind), 0.1, 9, cycle_momentum=False), 3)


@about("CyclicLR")
def test_cyclic_groups(impl):
    seen = run(impl(optimizer(), [0.1, 0.2], [0.5, 1.0], 2), 2)
    assert seen == [pytest.approx(each) for each in ([0.1, 0.2], [0.3, 0.6], [0.5, 1.0])]


@about("CyclicLR")
def test_cyclic_refuses(impl):
    made = optimizer()
    for arguments in ((made, [0.1], 0.2), (made, 0.1, [0.2] * 3), (made, 0.1, 0.2, 5, 5, "square")):
        with pytest.raises(ValueError):
            impl(*arguments)
    with pytest.raises(TypeError, match="Optimizer"):
        impl(None, 0.1, 0.2)


@about("CyclicLR")
def test_cyclic_state_can_be_saved(impl):
    for mode in ("triangular", "triangular2", "exp_range"):
        first = impl(optimizer(), 0.1, 0.5, step_size_up=3, mode=mode, gamma=0.9)
        run(first, 8)
        second = impl(optimizer(), 0.1, 0.5, step_size_up=3, mode=mode, gamma=0.9)
        second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
        assert run(first, 8)[1:] == run(second, 8)[1:]


@about("CyclicLR")
def test_cyclic_state_of_a_function_that_is_an_object(impl):
    first, second = (impl(optimizer(), 0.1, 0.5, 3, scale_fn=Inverse(rate)) for rate in (0.5, 0.1))
    assert first.state_dict()["_scale_fn_custom"] == {"rate": 0.5}
    second.load_state_dict(first.state_dict())
    assert run(first, 8) == run(second, 8)
    assert impl(optimizer(), 0.1, 0.5, 3, scale_fn=lambda t: 1.0).state_dict()["_scale_fn_custom"] is None


@about("OneCycleLR")
def test_one_cycle_refuses(impl):
    made = optimizer()
    wrong = [{}, {"epochs": 3}, {"total_steps": 0}, {"total_steps": 2.5}, {"epochs": 0, "steps_per_epoch": 3}]
    wrong += [{"epochs": 3, "steps_per_epoch": 1.5}, {"total_steps": 9, "pct_start": 1.5}]
    wrong += [{"total_steps": 9, "pct_start": 1}, {"total_steps": 9, "anneal_strategy": "square"}]
    for settings in wrong:
        with pytest.raises(ValueError):
            impl(made, 1.0, **settings)
    with pytest.raises(ValueError):
        impl(made, [1.0, 1.0, 1.0], 9)
    with pytest.raises(TypeError, match="Optimizer"):
        impl(None, 1.0, 9)


@about("OneCycleLR")
def test_one_cycle_ends(impl):
    scheduler = impl(optimizer(), 1.0, 5)
    run(scheduler, 5)
    with pytest.raises(ValueError, match="5"):
        scheduler.step()
