"""Averages of weights: even and exponential, of any dtype, with buffers, states, and batch normalisation."""

import copy
import pickle

import pytest
import torch
from _lr_cases import lrs_of, optimizer, run, wave
from torch import nn

from torchcompat import at_least
from torchcompat.optim import lr_scheduler, swa_utils
from torchcompat.optim.swa_utils import get_ema_avg_fn, get_ema_multi_avg_fn, get_swa_avg_fn, get_swa_multi_avg_fn


def about(name):
    return pytest.mark.shim("optim.swa_utils." + name)


HALVES = [torch.float16, torch.bfloat16] if at_least(1, 5) else [torch.float16]
WIDE = [torch.float32, torch.float64] + ([torch.complex64] if at_least(1, 8) else [])


def tolerance(dtype):
    return {torch.float16: 2e-3, torch.bfloat16: 1.6e-2}.get(dtype, 1e-6)


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


# The model.


class Net(nn.Module):
    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        self.tied = self.inner[0].weight
        self.other = nn.Parameter(torch.ones(2, dtype=torch.float64))
        self.register_buffer("whole", torch.tensor([0, 0]))
        self.to(dtype) if dtype in HALVES else None

    def forward(self, x, scale=1.0):
        return self.inner(x) * scale


def snapshots(model, count=4):
    """Fill *model* with other numbers, and yield what they are each time."""
    for i in range(count):
        with torch.no_grad():
            for place, parameter in enumerate(model.parameters()):
                parameter.copy_(torch.full(parameter.shape, float(i * i + place)))
            for place, buffer in enumerate(model.buffers()):
                buffer.copy_(torch.full(buffer.shape, float(3 * i + place)))
        yield [parameter.reshape(-1)[0].item() for parameter in model.parameters()]


def averaged(averages):
    return [parameter.reshape(-1)[0].item() for parameter in averages.module.parameters()]


def even(seen):
    return [sum(each) / len(seen) for each in zip(*seen)]


def exponential(seen, decay):
    average = seen[0]
    for new in seen[1:]:
        average = [decay * old + (1 - decay) * value for old, value in zip(average, new)]
    return average


WAYS = {
    "default": ({}, even),
    "swa": ({"avg_fn": get_swa_avg_fn()}, even),
    "multi swa": ({"multi_avg_fn": get_swa_multi_avg_fn()}, even),
    "ema": ({"avg_fn": get_ema_avg_fn(0.75)}, lambda seen: exponential(seen, 0.75)),
    "multi ema": ({"multi_avg_fn": get_ema_multi_avg_fn(0.75)}, lambda seen: exponential(seen, 0.75)),
    "latest": ({"avg_fn": lambda average, current, count: current}, lambda seen: seen[-1]),
    "own": ({"avg_fn": lambda average, current, count: average + current * count}, None),
}


@about("AveragedModel")
@pytest.mark.parametrize("way", [way for way in WAYS if way != "own"])
def test_average(impl, way):
    settings, right = WAYS[way]
    model = Net()
    average = impl(model, **settings)
    assert isinstance(average, nn.Module)
    seen = []
    for count, numbers_now in enumerate(snapshots(model)):
        average.update_parameters(model)
        seen.append(numbers_now)
        assert averaged(average) == pytest.approx(right(seen))
        assert average.n_averaged.item() == count + 1
        # Without use_buffers the buffers are the model's.
        assert [each.tolist() for each in average.module.buffers()] == [each.tolist() for each in model.buffers()]
    assert average.module.tied is average.module.inner[0].weight


@about("AveragedModel")
def test_a_function_of_the_count(impl):
    model = Net()
    average = impl(model, **WAYS["own"][0])
    for _ in snapshots(model, 3):
        average.update_parameters(model)
    assert averaged(average)[0] == 0 + 1 * 1 + 4 * 2
    assert average.n_averaged.dtype == torch.int64


@about("AveragedModel")
@pytest.mark.parametrize("way", ["default", "swa", "ema", "multi ema"])
def test_buffers(impl, way):
    settings, _ = WAYS[way]
    model = Net()
    average = impl(model, use_buffers=True, **settings)
    seen = []
    for _ in snapshots(model, 3):
        average.update_parameters(model)
        seen.append([float(buffer.reshape(-1)[0]) for buffer in model.buffers()])
        mine = [buffer.reshape(-1)[0].item() for buffer in average.module.buffers()]
        whole = [not buffer.dtype.is_floating_point for buffer in model.buffers()]
        if len(seen) == 1:
            expected = seen[0]
        else:
            weight = 0.25 if "ema" in way else 1 / len(seen)
            expected = [old + (new - old) * weight for old, new in zip(expected, seen[-1])]
        expected = [int(each) if cut else each for each, cut in zip(expected, whole)]
        assert mine == pytest.approx(expected)
        assert [buffer.dtype for buffer in average.module.buffers()] == [buffer.dtype for buffer in model.buffers()]


@about("AveragedModel")
@pytest.mark.parametrize("way", ["default", "swa", "ema", "multi swa", "multi ema"])
def test_half_precision(impl, way):
    settings, right = WAYS[way]
    for dtype in HALVES:
        model = nn.Linear(3, 2).to(dtype)
        average = impl(model, **settings)
        seen = []
        for numbers_now in snapshots(model):
            average.update_parameters(model)
            seen.append(numbers_now)
        assert averaged(average) == pytest.approx(right(seen), rel=tolerance(dtype))
        assert average.module.weight.dtype == dtype


@about("AveragedModel")
def test_average_in_more_precision_than_the_model(impl):
    model = nn.Linear(3, 2).half()
    average = impl(nn.Linear(3, 2), avg_fn=get_ema_avg_fn(0.5))
    for _ in snapshots(model):
        average.update_parameters(model)
    assert averaged(average) == pytest.approx(exponential([[0, 1], [1, 2], [4, 5], [9, 10]], 0.5))


@about("AveragedModel")
def test_model_is_left_alone(impl):
    model = Net()
    average = impl(model)
    list(snapshots(model, 2))
    assert averaged(average) != [parameter.reshape(-1)[0].item() for parameter in model.parameters()]
    before = copy.deepcopy(model.state_dict())
    for _ in range(2):
        average.update_parameters(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    x = torch.randn(4, 3)
    average.eval()
    assert torch.equal(average(x, scale=2.0), average.module(x) * 2)


@about("AveragedModel")
def test_names_in_the_state(impl):
    model = Net()
    average = impl(model, use_buffers=True)
    assert set(average.state_dict()) == {"n_averaged"} | {"module." + key for key in model.state_dict()}
    assert average.n_averaged.shape == ()
    assert (average.use_buffers, average.avg_fn, average.multi_avg_fn) == (True, None, None)


@about("AveragedModel")
@pytest.mark.parametrize("way", ["default", "multi ema"])
def test_state_goes_on(impl, way):
    settings, right = WAYS[way]
    model = Net()
    first, second = impl(model, **settings), impl(Net(), **settings)
    seen = []
    for numbers_now in snapshots(model, 5):
        seen.append(numbers_now)
        if len(seen) == 3:
            second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
        (first if len(seen) < 3 else second).update_parameters(model)
    assert averaged(second) == pytest.approx(right(seen))
    assert second.n_averaged.item() == 5


@about("AveragedModel")
def test_copies(impl):
    model = Net()
    average = impl(model, avg_fn=None)
    for _ in snapshots(model, 2):
        average.update_parameters(model)
    other = copy.deepcopy(average)
    assert averaged(other) == averaged(average)
    other.update_parameters(model)
    assert other.n_averaged.item() == 3
    assert average.n_averaged.item() == 2


@about("AveragedModel")
def test_average_of_an_average(impl):
    inner = impl(Net())
    outer = impl(inner)
    for _ in snapshots(inner.module, 2):
        outer.update_parameters(inner)
    assert outer.n_averaged.item() == 2
    assert averaged(outer.module) == pytest.approx(even([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]))


@about("AveragedModel")
def test_parameters_are_still_the_same_ones(impl):
    model = Net()
    average = impl(model)
    before = list(average.parameters())
    for _ in snapshots(model, 3):
        average.update_parameters(model)
    assert all(mine is one for mine, one in zip(average.parameters(), before))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in before)


@about("AveragedModel")
def test_device(impl):
    average = impl(nn.Linear(1, 1), device="cpu")
    assert average.n_averaged.device.type == average.module.weight.device.type == "cpu"


@about("AveragedModel")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("way", ["swa", "ema", "multi swa", "multi ema"])
def test_two_devices(impl, way):
    settings, right = WAYS[way]
    model = Net().cuda()
    on_cpu, on_gpu = impl(model, device="cpu", **settings), impl(model, device=torch.device("cuda", 0), **settings)
    seen = []
    for numbers_now in snapshots(model):
        seen.append(numbers_now)
        for average in (on_cpu, on_gpu):
            average.update_parameters(model)
    assert averaged(on_cpu) == pytest.approx(right(seen))
    assert averaged(on_gpu) == pytest.approx(right(seen))
    assert on_cpu.n_averaged.device.type == "cpu"
    assert on_gpu.n_averaged.device.type == "cuda"


@about("AveragedModel")
def test_two_functions_are_refused(impl):
    with pytest.raises(AssertionError):
        impl(Net(), avg_fn=get_ema_avg_fn(), multi_avg_fn=get_ema_multi_avg_fn())


@about("AveragedModel")
def test_kin_of_torchs(impl, shim):
    if shim.native is not None:
        assert isinstance(impl(Net()), shim.native)


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
