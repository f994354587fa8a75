"""AveragedModel: against averages of what the parameters were."""

import copy
import pickle

import pytest
import torch
from swa_tools import HALVES, about, tolerance
from torch import nn

from torchcompat.optim.swa_utils import get_ema_avg_fn, get_ema_multi_avg_fn, get_swa_avg_fn, get_swa_multi_avg_fn

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
