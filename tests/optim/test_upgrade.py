"""State dicts of older torch, as its own classes wrote them, brought into the form that is loaded here.

The states are those that torch 1.2.0, 1.3.1, 1.8.1 and 1.13.1 gave; what follows from them is computed here from the
schedules' definitions, or by the same class that was not interrupted.
"""

import copy
import types
from collections import Counter

import pytest
import torch

from torchcompat import SHIMS, optim

BEFORE_1_4 = {"base_lrs": [0.1], "last_epoch": 3, "_step_count": 4}
SINCE_1_7 = {**BEFORE_1_4, "verbose": False, "_get_lr_called_within_step": False}


def an_optimizer(name="SGD", **options):
    param = torch.nn.Parameter(torch.ones(2))
    return getattr(torch.optim, name)([param], **{"lr": 0.1, **options})


def classes(name):
    """Ours, and torch's own where it is the one of 2.15."""
    shim = SHIMS["optim.lr_scheduler." + name]
    return [shim.fallback, *([shim.public] if shim.public is not shim.fallback else [])]


def rates(scheduler, steps):
    result = []
    for _ in range(steps):
        scheduler.optimizer.step()
        scheduler.step()
        result.append(scheduler.optimizer.param_groups[0]["lr"])
    return result


def resumed(cls, state, lr, *args, group=(), **options):
    """A scheduler that was given *state*, whose optimiser had come to *lr*."""
    optimizer = an_optimizer(momentum=0.9)
    scheduler = cls(optimizer, *args, **options)
    optimizer.param_groups[0].update(lr=lr, initial_lr=0.1, **dict(group))
    before = copy.deepcopy({key: value for key, value in state.items() if not callable(value)})
    scheduler.load_state_dict(optim.upgrade_state_dict(scheduler, state))
    assert {key: value for key, value in state.items() if not callable(value)} == before
    return scheduler


@pytest.mark.parametrize("cls", classes("MultiStepLR"))
@pytest.mark.parametrize("milestones", [[2, 2, 5], Counter([2, 2, 5])], ids=["1.2", "1.8"])
def test_milestones(cls, milestones):
    scheduler = resumed(cls, {**BEFORE_1_4, "milestones": milestones, "gamma": 0.5}, 0.025, [2, 2, 5], gamma=0.5)
    assert scheduler.get_last_lr() == [0.025]
    assert rates(scheduler, 3) == pytest.approx([0.025, 0.0125, 0.0125])


class Scheduler12:
    def _triangular_scale_fn(self, x):
        raise AssertionError("that of the scheduler which was saved")

    _annealing_cos = _annealing_linear = _triangular_scale_fn


class Shrinking:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor ** (x - 1)


CYCLE = {
    "max_lrs": [0.3],
    "total_size": 4.0,
    "step_ratio": 0.5,
    "mode": "triangular",
    "gamma": 1.0,
    "scale_mode": "cycle",
    "cycle_momentum": True,
    "base_momentums": [0.8],
    "max_momentums": [0.9],
}
# Up from 0.1 to 0.3 in two steps and down in two: step 3 is half way down.
TRIANGLE = [0.1, 0.2, 0.3, 0.2]


@pytest.mark.parametrize("cls", classes("CyclicLR"))
@pytest.mark.parametrize(
    "functions",
    [
        {"scale_fn": Scheduler12()._triangular_scale_fn},
        {"_scale_fn_custom": None, "_scale_fn_ref": None},
        {"_scale_fn_custom": None},
    ],
    ids=["1.2", "1.13", "2.0"],
)
def test_cycles(cls, functions):
    scheduler = resumed(cls, {**BEFORE_1_4, **CYCLE, **functions}, 0.2, 0.1, 0.3, 2)
    assert rates(scheduler, 4) == pytest.approx(TRIANGLE)


@pytest.mark.parametrize("cls", classes("CyclicLR"))
@pytest.mark.parametrize("key", ["scale_fn", "_scale_fn_custom"])
def test_cycles_with_a_function_of_the_users(cls, key):
    """What an object says of itself is taken over, the function is the one that is there."""
    state = {**BEFORE_1_4, **CYCLE, key: Shrinking(0.5)}
    scheduler = resumed(cls, state, 0.2, 0.1, 0.3, 2, scale_fn=Shrinking(0.25))
    assert rates(scheduler, 3) == pytest.approx([0.1, 0.15, 0.2])
    assert isinstance(state[key], Shrinking)
    state = {**BEFORE_1_4, **CYCLE, key: lambda x: 7}
    scheduler = resumed(cls, state, 0.2, 0.1, 0.3, 2, scale_fn=lambda x: 0.5)
    assert rates(scheduler, 3) == pytest.approx([0.1, 0.15, 0.2])


@pytest.mark.parametrize("cls", classes("OneCycleLR"))
@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle_of_torch_1_3(cls, strategy):
    old = {"total_steps": 11, "step_size_up": 2.0, "step_size_down": 8.0, "cycle_momentum": True, "use_beta1": False}
    old["anneal_func"] = types.MethodType({"cos": _annealing_cos, "linear": _annealing_linear}[strategy], Scheduler12())
    whole = cls(an_optimizer(momentum=0.9), 0.3, total_steps=11, pct_start=3 / 11, anneal_strategy=strategy)
    expected = rates(whole, 8)
    group = {"max_lr": 0.3, "min_lr": 0.3 / 25 / 1e4, "max_momentum": 0.95, "base_momentum": 0.85}
    other = "linear" if strategy == "cos" else "cos"
    scheduler = resumed(
        *(cls, {**BEFORE_1_4, **old}, expected[2], 0.3),
        group=group,
        total_steps=11,
        pct_start=0.5,
        anneal_strategy=other,
    )
    scheduler.optimizer.param_groups[0]["initial_lr"] = 0.3 / 25
    assert rates(scheduler, 5) == pytest.approx(expected[3:])


def _annealing_cos(self, *arguments):
    raise AssertionError("that of the scheduler which was saved")


def _annealing_linear(self, *arguments):
    raise AssertionError("that of the scheduler which was saved")


@pytest.mark.parametrize("cls", classes("SequentialLR"))
def test_schedulers_within_schedulers(cls):
    lr_scheduler = SHIMS["optim.lr_scheduler.MultiStepLR"].public, SHIMS["optim.lr_scheduler.ConstantLR"].public

    def make():
        optimizer = an_optimizer()
        return cls(optimizer, [lr_scheduler[1](optimizer, 0.5, 1), lr_scheduler[0](optimizer, [2, 4], 0.1)], [3])

    whole, other = make(), make()
    expected = rates(whole, 4)
    state = copy.deepcopy(whole.state_dict())
    state.update(verbose=False)
    state["_schedulers"][1].update(milestones=[2, 4], verbose=False)
    other.optimizer.param_groups[0]["lr"] = expected[-1]
    upgraded = optim.upgrade_state_dict(other, state)
    other.load_state_dict(upgraded)
    assert "verbose" not in upgraded or "verbose" in vars(other)
    assert rates(other, 4) == pytest.approx(rates(whole, 4))
    del state["_schedulers"][0]
    with pytest.raises(ValueError, match="1 schedulers, and there are 2"):
        optim.upgrade_state_dict(other, state)


@pytest.mark.parametrize("cls", classes("ReduceLROnPlateau"))
def test_plateaus_of_torch_1_2(cls):
    old = {
        "factor": 0.1,
        "min_lrs": [0],
        "patience": 1,
        "verbose": False,
        "cooldown": 0,
        "cooldown_counter": 0,
        "mode": "min",
        "threshold": 1e-4,
        "threshold_mode": "rel",
        "best": 1.0,
        "num_bad_epochs": 1,
        "eps": 1e-8,
        "mode_worse": float("inf"),
        "last_epoch": 3,
    }
    optimizer = an_optimizer()
    scheduler = cls(optimizer, patience=1)
    upgraded = optim.upgrade_state_dict(scheduler, old)
    scheduler.load_state_dict(upgraded)
    assert upgraded["_last_lr"] == [0.1]
    scheduler.step(1.0)  # the second bad epoch
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


NAMES = ["Adam", "AdamW", "Adamax", "Adadelta", "Adagrad", "RMSprop", "Rprop", "ASGD", "SGD"]


@pytest.mark.parametrize("name", NAMES)
def test_optimizers(name):
    """The state without what torch 1.2 did not have: ids, numbers, no keywords that came later."""
    shim = SHIMS["optim." + name]
    for cls in {shim.fallback, shim.public}:
        params = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))]
        whole = cls(params, lr=0.1)
        steps(whole, params, 2)
        saved = whole.state_dict()
        old_keys = {"lr", "betas", "weight_decay", "rho", "lr_decay", "initial_accumulator_value", "momentum", "alpha"}
        old_keys |= {"etas", "step_sizes", "lambd", "t0", "dampening", "nesterov", "centered", "amsgrad"}
        old_keys |= {"eps"} if name != "Adagrad" else set()
        group = {key: value for key, value in saved["param_groups"][0].items() if key in old_keys}
        old = {"param_groups": [{**group, "params": [7001, 7002]}], "state": {}, "more": "kept"}
        for key, entries in saved["state"].items():
            numbers = {name: value.item() for name, value in entries.items() if is_scalar(value)}
            old["state"][7001 + key] = {**entries, **numbers, **({"step": int(numbers["step"])} if numbers else {})}
        if name == "SGD":
            old["state"] = {7001: {"momentum_buffer": None}}
        others = [torch.nn.Parameter(param.detach().clone()) for param in params]
        other = cls(others, lr=0.1)
        upgraded = optim.upgrade_state_dict(other, copy.deepcopy(old))
        assert upgraded["more"] == "kept"
        assert upgraded["param_groups"][0]["params"] == [0, 1]
        assert set(upgraded["param_groups"][0]) >= set(other.defaults)
        assert upgraded["param_groups"][0].get("decoupled_weight_decay", name == "AdamW") == (name == "AdamW")
        assert list(upgraded["state"]) == ([] if name == "SGD" else [0, 1])
        other.load_state_dict(upgraded)
        steps(whole, params, 3)
        steps(other, others, 3)
        for param, twin in zip(params, others):
            assert torch.allclose(param, twin, rtol=0, atol=1e-6)


def is_scalar(value):
    return isinstance(value, torch.Tensor) and value.dim() == 0


def steps(optimizer, params, count):
    for number in range(count):
        for param in params:
            param.grad = torch.full_like(param, 1.0 + number)
        optimizer.step()


def test_what_is_refused():
    with pytest.raises(TypeError, match="optimizer or a scheduler"):
        optim.upgrade_state_dict(torch.nn.Linear(1, 1), {})
    optimizer = an_optimizer()
    with pytest.raises(ValueError, match="other numbers"):
        optim.upgrade_state_dict(optimizer, {"state": {}, "param_groups": []})
