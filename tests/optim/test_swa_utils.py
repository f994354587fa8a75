"""Averages of weights: even and exponential, of any dtype, with buffers, states, and batch normalisation."""

import copy
import pickle

import pytest
import torch
from _lr_cases import lrs_of, optimizer, run, wave
from swa_tools import HALVES, about, tolerance
from torch import nn

from torchcompat import at_least
from torchcompat.optim import lr_scheduler, swa_utils

WIDE = [torch.float32, torch.float64] + ([torch.complex64] if at_least(1, 8) else [])


def numbers(tensor):
    return tensor.to(torch.complex128 if not tensor.dtype.is_floating_point else torch.float64).tolist()


def values(dtype, count=4):
    """*count* pairs of tensors."""
    return [
        [torch.tensor([i + 0.5, -2.0 * i]).to(dtype), torch.tensor([[i * i * 1.0]]).to(dtype)] for i in range(count)
    ]


# The functions.


def check_average(function, count):
    """*function* takes a quarter of what is new, in every dtype."""
    for dtype in WIDE + HALVES:
        average = values(dtype)[1][0]
        result = function(average, values(dtype)[3][0], count)
        assert result.dtype == dtype
        assert numbers(result) == pytest.approx([2.0, -3.0], rel=tolerance(dtype))
        assert numbers(average) == [1.5, -2.0]


def check_average_in_place(function, count):
    for dtype in WIDE + HALVES:
        averages, currents = values(dtype)[1], values(dtype)[3]
        assert function(tuple(averages), tuple(currents), count) is None
        assert numbers(averages[0]) == pytest.approx([2.0, -3.0], rel=tolerance(dtype))
        assert numbers(averages[1])[0] == pytest.approx([3.0], rel=tolerance(dtype))
        assert numbers(currents[0]) == [3.5, -6.0]


@about("get_ema_avg_fn")
def test_ema(impl):
    check_average(impl(0.75), torch.tensor(5))


@about("get_swa_avg_fn")
def test_swa(impl):
    for count in (3, torch.tensor(3)):
        check_average(impl(), count)


@about("get_ema_avg_fn")
def test_ema_of_whole_numbers(impl):
    result = impl(0.75)(torch.tensor([5, 7]), torch.tensor([10, 20]), 1)
    assert result.tolist() == pytest.approx([6.25, 10.25])


@about("get_swa_avg_fn")
def test_swa_of_whole_numbers(impl):
    result = impl()(torch.tensor([5, 7]), torch.tensor([10, 20]), torch.tensor(1))
    assert result.tolist() == pytest.approx([7.5, 13.5])


@about("get_ema_multi_avg_fn")
def test_ema_in_place(impl):
    check_average_in_place(impl(0.75), 5)


@about("get_swa_multi_avg_fn")
def test_swa_in_place(impl):
    for count in (3, torch.tensor(3)):
        check_average_in_place(impl(), count)


@about("get_ema_multi_avg_fn")
def test_ema_of_whole_numbers_in_place(impl):
    averages = [torch.tensor([5, 7]), torch.tensor(-9)]
    impl(0.75)(averages, [torch.tensor([10, 20]), torch.tensor(-10)], 1)
    assert [each.tolist() for each in averages] == [[6, 10], -9]


@about("get_swa_multi_avg_fn")
@pytest.mark.limit("integers")
def test_swa_of_whole_numbers_in_place(impl):
    for count in (1, torch.tensor(1)):
        averages = [torch.tensor([5, 7]), torch.tensor(-9)]
        impl()(averages, [torch.tensor([10, 20]), torch.tensor(-10)], count)
        assert [each.tolist() for each in averages] == [[7, 13], -9]


def no_gradients(function, *arguments):
    parameters = [nn.Parameter(each) for each in arguments]
    assert not function(*parameters, 1).requires_grad


@about("get_ema_avg_fn")
def test_ema_has_no_gradient(impl):
    no_gradients(impl(), torch.ones(2), torch.zeros(2))


@about("get_swa_avg_fn")
def test_swa_has_no_gradient(impl):
    no_gradients(impl(), torch.ones(2), torch.zeros(2))


@about("get_ema_multi_avg_fn")
def test_ema_changes_parameters(impl):
    averages = [nn.Parameter(torch.ones(2))]
    impl(0.5)(averages, [nn.Parameter(torch.zeros(2))], 1)
    assert averages[0].tolist() == [0.5, 0.5]


WRONG = [-0.1, 1.1, 2]


@about("get_ema_avg_fn")
@pytest.mark.limit("decay")
def test_ema_refuses(impl):
    for decay in WRONG:
        with pytest.raises(ValueError, match=f"Invalid decay.*{decay}"):
            impl(decay)


@about("get_ema_avg_fn")
def test_ema_at_both_ends(impl):
    assert impl(0.0)(torch.ones(1), torch.zeros(1), 1).item() == 0.0
    assert impl(1.0)(torch.ones(1), torch.zeros(1), 1).item() == 1.0


@about("get_ema_multi_avg_fn")
@pytest.mark.limit("decay")
def test_ema_in_place_refuses(impl):
    for decay in WRONG:
        with pytest.raises(ValueError, match=f"Invalid decay.*{decay}"):
            impl(decay)


# Batch normalisation.


def with_norms(momentum=0.3):
    model = nn.Sequential(nn.BatchNorm1d(3, momentum=momentum), nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    model(torch.randn(7, 3) * 9)
    return model


def batches():
    return [torch.randn(size, 3) * 2 + 1 for size in (8, 8, 8)]


@about("update_bn")
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x, None), lambda x: [x, 5, "y"]])
def test_statistics(impl, wrap):
    model, data = with_norms(), batches()
    data_given = (wrap(batch) for batch in data)
    running_mean = model[0].running_mean
    assert impl(data_given, model) is None
    norm = model[0]
    assert torch.allclose(norm.running_mean, torch.stack([batch.mean(0) for batch in data]).mean(0), atol=1e-6)
    assert torch.allclose(norm.running_var, torch.stack([batch.var(0) for batch in data]).mean(0), rtol=1e-5)
    assert norm.num_batches_tracked.item() == 3
    assert model[1][1].num_batches_tracked.item() == 3
    assert norm.running_mean is running_mean
    assert (norm.momentum, model[1][1].momentum) == (0.3, 0.1)


@about("update_bn")
@pytest.mark.parametrize("training", [False, True])
def test_mode_and_gradients(impl, training):
    model = with_norms().train(training)
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append((module.training, output.requires_grad)))
    impl(batches(), model)
    assert seen == [(True, False)] * 3
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())


@about("update_bn")
def test_nothing_to_do(impl):
    class Untouchable:
        def __iter__(self):
            raise AssertionError("read the data")

    model = nn.Linear(3, 2).eval()
    impl(Untouchable(), model)
    assert not model.training


@about("update_bn")
def test_momentum_of_none_and_no_statistics(impl):
    model = nn.Sequential(nn.BatchNorm1d(3, momentum=None), nn.BatchNorm1d(3, track_running_stats=False))
    impl(batches(), model, device="cpu")
    assert model[0].momentum is None
    assert model[1].momentum == 0.1
    assert model[0].num_batches_tracked.item() == 3
    assert model[1].running_mean is None


@about("update_bn")
@pytest.mark.limit("error")
def test_put_back_after_an_error(impl):
    def broken():
        yield torch.randn(8, 3)
        raise KeyError("loader")

    for loader, error in ((broken(), KeyError), ([torch.randn(8, 4)], Exception)):
        model = with_norms().eval()
        with pytest.raises(error):
            impl(loader, model)
        assert not model.training
        assert [norm.momentum for norm in (model[0], model[1][1])] == [0.3, 0.1]


@about("update_bn")
def test_of_an_averaged_model(impl):
    average = swa_utils.AveragedModel(with_norms())
    impl(batches(), average)
    assert average.module[0].num_batches_tracked.item() == 3


# The learning rate.


def annealed(base, target, epochs, linear):
    def at(t):
        done = 1.0 if not epochs else min(t, epochs) / epochs
        share = done if linear else 1 - wave(done, 1)
        return target * share + base * (1 - share)

    return at


ANNEALINGS = [
    ({"swa_lr": 0.05}, 0.05, 10, False),
    ({"swa_lr": 0.5, "anneal_epochs": 4, "anneal_strategy": "linear"}, 0.5, 4, True),
    ({"swa_lr": 0.5, "anneal_epochs": 0}, 0.5, 0, False),
    ({"swa_lr": 2.0, "anneal_epochs": 1, "anneal_strategy": "linear"}, 2.0, 1, True),
]


@about("SWALR")
@pytest.mark.parametrize(("settings", "target", "epochs", "linear"), ANNEALINGS)
def test_annealing(impl, settings, target, epochs, linear):
    for tensor in (False, True):
        made = optimizer(tensor=tensor)
        before = [group["lr"] for group in made.param_groups]
        scheduler = impl(made, **settings)
        given = [float(each) for each in scheduler.get_last_lr()]
        snapshot = scheduler.get_last_lr()
        for t, seen in enumerate(run(scheduler, 14)):
            right = [annealed(base, target, epochs, linear)(t) for base in (1.0, 0.3)]
            assert seen == pytest.approx(right, rel=1e-5 if tensor else 1e-9)
        assert [float(each) for each in snapshot] == given
        assert not tensor or all(group["lr"] is each for group, each in zip(made.param_groups, before))


@about("SWALR")
def test_annealing_of_groups(impl):
    scheduler = impl(optimizer(), [0.5, 0.1], 2, "linear")
    assert [pytest.approx(seen) for seen in run(scheduler, 3)] == [[1.0, 0.3], [0.75, 0.2], [0.5, 0.1], [0.5, 0.1]]
    assert isinstance(scheduler, lr_scheduler.LRScheduler)


@about("SWALR")
def test_annealing_state(impl):
    first, second = impl(optimizer(), 0.05, 6, "linear"), impl(optimizer(), 0.05)
    run(first, 3)
    state = pickle.loads(pickle.dumps(first.state_dict()))
    assert not any(callable(value) for value in state.values())
    second.load_state_dict(state)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    assert second.get_last_lr() == first.get_last_lr()
    assert run(second, 6) == run(first, 6)
    assert run(copy.deepcopy(first), 3) == run(first, 3)


@about("SWALR")
def test_annealing_state_of_another_torch(impl):
    scheduler = impl(optimizer(), 0.05, 6)
    state = dict(scheduler.state_dict(), anneal_func=max)
    scheduler.load_state_dict(state)
    assert run(scheduler, 6)[-1] == pytest.approx([0.05, 0.05])


@about("SWALR")
def test_annealing_refuses(impl):
    made = optimizer()
    wrong = [{"anneal_epochs": -1}, {"anneal_epochs": 1.5}, {"anneal_strategy": "square"}, {"swa_lr": [0.1]}]
    for settings in wrong:
        with pytest.raises(ValueError):
            impl(made, **dict({"swa_lr": 0.1}, **settings))
    assert lrs_of(made) == [1.0, 0.3]


@about("SWALR")
@pytest.mark.skipif(not at_least(2, 15), reason="the oracle is the native of torch 2.15")
@pytest.mark.parametrize(("settings", "target", "epochs", "linear"), ANNEALINGS)
def test_annealing_is_the_natives(shim, settings, target, epochs, linear):
    ours, torchs = shim.fallback(optimizer(), **settings), shim.native(optimizer(), **settings)
    for seen, right in zip(run(ours, 14), run(torchs, 14)):
        assert seen == pytest.approx(right, rel=1e-12)
    assert set(ours.state_dict()) == set(torchs.state_dict())
    torchs.load_state_dict(ours.state_dict())
    assert torchs.state_dict() == ours.state_dict()
    assert isinstance(torchs, shim.fallback)
