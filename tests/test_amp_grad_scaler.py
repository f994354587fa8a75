"""GradScaler on the CPU: the arithmetic, the order of calls, the state, and what it shares with torch's own."""

import copy
import math
import pickle
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchcompat import SHIMS, amp, at_least

pytestmark = pytest.mark.shim("amp.GradScaler")
INF, NAN = float("inf"), float("nan")
KEYS = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}


def parameter(value=1.0, grad=None, dtype=torch.float32):
    """A parameter of one element, with that gradient."""
    found = torch.nn.Parameter(torch.full((1,), value, dtype=dtype))
    if grad is not None:
        found.grad = torch.full((1,), grad, dtype=torch.float32).to(dtype)
    return found


def sgd(*parameters):
    return torch.optim.SGD(parameters, lr=1.0)


def started(impl, scale=4.0, **options):
    """A scaler that has scaled something."""
    scaler = impl("cpu", init_scale=scale, **options)
    scaler.scale(torch.ones(1))
    return scaler


def iterate(scaler, grads):
    """One iteration with these gradients, unscaled; whether a step was made."""
    weight = parameter(0.0)
    scaler.scale(torch.ones(1))
    weight.grad = torch.tensor([grads]) * scaler.get_scale()
    scaler.step(sgd(weight))
    scaler.update()
    return weight.item() != 0.0


# Scaling.


def test_a_loss_is_multiplied_and_gradients_come_back(impl):
    scaler = impl("cpu", init_scale=8.0)
    weight = parameter(3.0)
    optimizer = sgd(weight)
    scaled = scaler.scale((weight * weight).sum())
    assert scaled.item() == 72.0
    scaled.backward()
    assert weight.grad.item() == 48.0
    scaler.step(optimizer)
    assert weight.grad.item() == 6.0
    assert weight.item() == -3.0
    scaler.update()
    assert scaler.get_scale() == 8.0


def test_the_default_scale(impl):
    assert impl("cpu").get_scale() == 65536.0
    assert impl("cpu").is_enabled() is True


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_scaled_keeps_its_dtype(impl, dtype):
    scaled = impl("cpu", init_scale=4.0).scale(torch.ones(2, dtype=dtype))
    assert scaled.dtype == dtype
    assert scaled.tolist() == [4.0, 4.0]


def test_containers_are_scaled(impl):
    scaler = impl("cpu", init_scale=2.0)
    one = torch.ones(())
    first, (second, third) = scaler.scale([one, (one, one * 3)])
    assert [first.item(), second.item(), third.item()] == [2.0, 2.0, 6.0]
    assert type(scaler.scale([one])) is list
    assert type(scaler.scale((one,))) is tuple
    assert [tensor.item() for tensor in scaler.scale(tensor for tensor in (one, one))] == [2.0, 2.0]
    with pytest.raises(ValueError, match="iterable"):
        scaler.scale(3.0)


def test_a_step_returns_what_the_optimizer_returns(impl):
    class Telling(torch.optim.SGD):
        def step(self, *args, **kwargs):
            return args, kwargs

    weight = parameter(grad=1.0)
    assert started(impl).step(Telling([weight], lr=1.0), 1, key=2) == ((1,), {"key": 2})


# Unscaling.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_unscale_divides_in_place(impl, dtype):
    weight = parameter(grad=96.0, dtype=dtype)
    grad = weight.grad
    started(impl, 32.0).unscale_(sgd(weight))
    assert weight.grad is grad
    assert grad.dtype == dtype
    assert grad.float().item() == 3.0


@settings(max_examples=10)
@given(st.integers(1, 2**30), st.integers(-(2**24), 2**24))
def test_unscaling_is_exact_to_float32(scale_1024ths, grad_16ths):
    scale, grad = scale_1024ths / 1024, grad_16ths / 16
    for impl in {SHIMS["amp.GradScaler"].fallback, SHIMS["amp.GradScaler"].public}:
        weight = parameter(grad=grad)
        started(impl, scale).unscale_(sgd(weight))
        assert weight.grad.item() == pytest.approx(grad / scale, rel=3e-7, abs=1e-38)


def test_unscaled_gradients_can_be_clipped_before_the_step(impl):
    weight = parameter(0.0, grad=400.0)
    optimizer = sgd(weight)
    scaler = started(impl)
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_([weight], 1.0)
    scaler.step(optimizer)
    assert weight.item() == pytest.approx(-1.0, abs=1e-5)


def test_float16_gradients_are_refused(impl):
    with pytest.raises(ValueError, match=r"(?i)fp16|float16"):
        started(impl).unscale_(sgd(parameter(grad=1.0, dtype=torch.float16)))


def test_sparse_gradients(impl):
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=1.0)
    scaler = impl("cpu", init_scale=8.0)
    scaler.scale(embedding(torch.tensor([1, 1, 3])).sum()).backward()
    scaler.unscale_(optimizer)
    assert embedding.weight.grad.to_dense().tolist() == [[0.0, 0.0], [2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]
    before = embedding.weight.detach().clone()
    scaler.step(optimizer)
    assert torch.equal((before - embedding.weight.detach())[0], torch.zeros(2))


def test_parameters_without_and_with_empty_gradients(impl):
    empty = torch.nn.Parameter(torch.ones(0))
    empty.grad = torch.ones(0)
    weight = parameter(0.0, grad=4.0)
    started(impl).step(sgd(parameter(), empty, weight))
    assert weight.item() == -1.0


# Skipping, and the scale's way up and down.


@pytest.mark.parametrize("bad", [INF, -INF, NAN])
def test_a_step_with_a_gradient_that_is_not_finite_is_skipped(impl, bad):
    good, weight = parameter(1.0, grad=1.0), parameter(1.0, grad=bad)
    optimizer = sgd(good, weight)
    scaler = started(impl)
    assert scaler.step(optimizer) is None
    assert (good.item(), weight.item()) == (1.0, 1.0)
    scaler.update()
    assert scaler.get_scale() == 2.0


def test_the_scale_grows_after_a_number_of_good_steps_in_a_row(impl):
    scaler = impl("cpu", init_scale=4.0, growth_factor=3.0, backoff_factor=0.25, growth_interval=2)
    scales = []
    for grad in (1.0, 1.0, 1.0, INF, 1.0, 1.0):
        assert iterate(scaler, grad) is (grad == 1.0)
        scales.append(scaler.get_scale())
    assert scales == [4.0, 12.0, 12.0, 3.0, 3.0, 9.0]


def test_the_scale_does_not_grow_beyond_float32(impl):
    scaler = impl("cpu", init_scale=2.0**127, growth_interval=1)
    assert iterate(scaler, 0.5)
    assert scaler.get_scale() == 2.0**127


@settings(max_examples=20)
@given(
    overflows=st.integers(0, 63),
    growth=st.integers(101, 400).map(lambda percent: percent / 100),
    backoff=st.integers(10, 99).map(lambda percent: percent / 100),
    interval=st.integers(1, 3),
)
def test_the_scale_follows_the_rule(overflows, growth, backoff, interval):
    for impl in {SHIMS["amp.GradScaler"].fallback, SHIMS["amp.GradScaler"].public}:
        scaler = impl("cpu", 1024.0, growth, backoff, interval)
        scale, good = 1024.0, 0
        for grad in [INF if overflows >> bit & 1 else 1.0 for bit in range(6)]:
            iterate(scaler, grad)
            good = 0 if math.isinf(grad) else good + 1
            scale *= backoff if math.isinf(grad) else (growth if good == interval else 1.0)
            good %= interval
        assert scaler.get_scale() == pytest.approx(scale, rel=1e-5)
        assert scaler.state_dict()["_growth_tracker"] == good


def test_two_optimizers_and_one_overflow(impl):
    scaler = started(impl)
    good, bad = parameter(0.0, grad=4.0), parameter(0.0, grad=INF)
    for weight in (good, bad):
        scaler.step(sgd_of(weight))
    scaler.update()
    assert (good.item(), bad.item(), scaler.get_scale()) == (-1.0, 0.0, 2.0)


_kept = []


def sgd_of(weight):
    _kept.append(sgd(weight))  # a scaler tells optimizers apart by their id
    return _kept[-1]


def test_the_scale_can_be_set(impl):
    scaler = started(impl)
    scaler.update(16.0)
    assert scaler.get_scale() == 16.0
    scaler.update(torch.full((), 32.0))
    assert scaler.get_scale() == 32.0
    for wrong in (torch.ones(2), torch.ones(1, requires_grad=True)):
        with pytest.raises(AssertionError, match="new_scale"):
            scaler.update(wrong)


def test_factors_can_be_set_and_read(impl):
    scaler = impl("cpu")
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (2.0, 0.5, 2000)
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.25)
    scaler.set_growth_interval(1)
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (3.0, 0.25, 1)
    before = scaler.get_scale()
    iterate(scaler, 1.0)
    assert scaler.get_scale() == 3.0 * before


# The order of calls.


def test_a_closure_is_refused(impl):
    with pytest.raises(RuntimeError, match=r"(?i)closure"):
        started(impl).step(sgd(parameter(grad=1.0)), closure=lambda: None)


def test_unscale_only_once(impl):
    scaler, optimizer = started(impl), sgd(parameter(grad=1.0))
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="unscale_"):
        scaler.unscale_(optimizer)


def test_no_unscale_after_the_step(impl):
    scaler, optimizer = started(impl), sgd(parameter(grad=1.0))
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="unscale_"):
        scaler.unscale_(optimizer)


def test_one_step_for_each_update(impl):
    scaler, optimizer = started(impl), sgd(parameter(grad=1.0))
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="update"):
        scaler.step(optimizer)
    scaler.update()
    scaler.step(optimizer)


def test_nothing_before_scale(impl):
    optimizer = sgd(parameter(grad=1.0))
    with pytest.raises(AssertionError, match="scale"):
        impl("cpu").step(optimizer)
    with pytest.raises(AssertionError, match="scale"):
        impl("cpu").unscale_(optimizer)
    with pytest.raises(AssertionError, match="scale"):
        impl("cpu").update()


def test_no_update_without_a_step_and_no_step_without_gradients(impl):
    with pytest.raises(AssertionError):
        started(impl).update()
    with pytest.raises(AssertionError):
        started(impl).step(sgd(parameter()))


def test_factors_are_checked(impl):
    with pytest.raises(AssertionError, match="growth"):
        impl("cpu", growth_factor=1.0)
    with pytest.raises(AssertionError, match="backoff"):
        impl("cpu", backoff_factor=1.0)


# Disabled.


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_for_cuda_without_cuda_it_is_disabled_with_a_warning(impl):
    with pytest.warns(UserWarning, match="CUDA"):
        scaler = impl()
    assert scaler.is_enabled() is False


def test_disabled_it_steps_and_does_nothing_else(impl):
    scaler = impl("cuda", enabled=False)
    weight = parameter(1.0, grad=INF)
    loss = torch.ones(1)
    assert scaler.scale(loss) is loss
    assert scaler.get_scale() == 1.0
    optimizer = sgd(weight)
    scaler.unscale_(optimizer)
    scaler.step(optimizer, closure=None)
    scaler.update()
    assert weight.item() == -INF
    assert scaler.state_dict() == {}
    scaler.load_state_dict({})


# State.


def test_the_state(impl):
    scaler = impl("cpu", init_scale=4.0, growth_interval=10)
    iterate(scaler, 1.0)
    state = scaler.state_dict()
    assert state == {
        "scale": 4.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 10,
        "_growth_tracker": 1,
    }
    for other in (impl("cpu"), started(impl, 2.0)):
        other.load_state_dict(state)
        assert other.state_dict() == state
        other.set_growth_interval(2)
        iterate(other, 1.0)
        assert other.get_scale() == 8.0
    with pytest.raises(RuntimeError, match="empty"):
        impl("cpu").load_state_dict({})


def test_the_state_goes_both_ways_with_the_public_scaler(impl):
    here, there = impl("cpu", init_scale=4.0), amp.GradScaler("cpu")
    iterate(here, 1.0)
    there.load_state_dict(here.state_dict())
    assert there.state_dict() == here.state_dict()
    iterate(there, INF)
    here.load_state_dict(there.state_dict())
    assert here.get_scale() == 2.0


@pytest.mark.skipif(not at_least(1, 5), reason="torch has a scaler since 1.5")
def test_the_state_has_the_keys_of_the_scaler_for_cuda(impl):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is no CUDA; and the name is deprecated from 2.4
        native = torch.cuda.amp.GradScaler(enabled=torch.cuda.is_available())
    source = native.state_dict() or dict.fromkeys(KEYS, 1)
    assert set(source) == set(impl("cpu").state_dict()) == KEYS
    impl("cpu").load_state_dict(source)
    native.load_state_dict(impl("cpu").state_dict())


def test_the_state_is_of_plain_numbers(impl):
    scaler = impl("cpu", init_scale=4.0)
    iterate(scaler, 1.0)
    assert [type(value) for value in scaler.state_dict().values()] == [float, float, float, int, int]


def test_a_scaler_can_be_copied_between_iterations(impl):
    scaler = impl("cpu", init_scale=4.0, growth_interval=2)
    iterate(scaler, 1.0)
    twin = copy.deepcopy(scaler)
    iterate(twin, 1.0)
    assert (scaler.get_scale(), twin.get_scale()) == (4.0, 8.0)
    scaler.scale(torch.ones(1))
    scaler.unscale_(sgd(parameter(grad=1.0)))
    with pytest.raises(AssertionError):
        copy.deepcopy(scaler)


def test_the_public_scaler_can_be_pickled():
    scaler = amp.GradScaler("cpu", init_scale=4.0)
    iterate(scaler, 1.0)
    assert pickle.loads(pickle.dumps(scaler)).state_dict() == scaler.state_dict()


# Optimizers that unscale by themselves.


class Own(torch.optim.SGD):
    """Unscales in its step, as torch's fused optimizers do."""

    _step_supports_amp_scaling = True

    def step(self):
        self.seen = self.grad_scale if self.grad_scale is None else self.grad_scale.item(), self.found_inf.item()


class Older(torch.optim.SGD):
    """Asks the scaler, as torch's fused optimizers did in 1.13."""

    _step_supports_amp_scaling = True

    def step(self, *, grad_scaler=None):
        found = grad_scaler._check_inf_per_device(self)
        self.seen = grad_scaler._get_scale_async().item(), sum(found.values()).item()


@pytest.mark.parametrize(("grad", "found"), [(1.0, 0.0), (INF, 1.0)])
def test_an_optimizer_that_unscales_is_told(impl, grad, found):
    weight = parameter(grad=grad)
    optimizer, scaler = Own([weight], lr=1.0), started(impl)
    scaler.step(optimizer)
    assert optimizer.seen == (4.0, found)
    assert weight.grad.item() == grad
    assert not hasattr(optimizer, "grad_scale")
    scaler.update()
    assert scaler.get_scale() == (2.0 if found else 4.0)
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    assert optimizer.seen == (None, found)


@pytest.mark.limit("grad_scale")
def test_a_scale_that_the_optimizer_has_is_a_factor(impl):
    optimizer = Own([parameter(grad=1.0)], lr=1.0)
    optimizer.grad_scale = torch.full((), 3.0)
    started(impl).step(optimizer)
    assert optimizer.seen == (12.0, 0.0)


def test_an_optimizer_of_the_older_kind_gets_the_scaler(impl):
    optimizer, scaler = Older([parameter(grad=INF)], lr=1.0), started(impl)
    with pytest.warns(FutureWarning, match="grad_scale"):
        scaler.step(optimizer)
    assert optimizer.seen == (4.0, 1.0)
    scaler.update()
    assert scaler.get_scale() == 2.0
