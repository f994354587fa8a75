"""The table of schedulers, settings and closed forms: the learning rate of a group that starts at *base*, at epoch *t*.

The closed forms are those of the documentation of torch 2.15, not of any step-by-step rule.
"""

from bisect import bisect_right
from math import cos, pi

import torch

BASES = [1.0, 0.3]
STEPS = 30


def optimizer(lrs=BASES, kind=torch.optim.SGD, tensor=False, stepped=True, **options):
    """An optimizer with one group for each of *lrs*; *stepped* once, so that no scheduler complains."""
    if kind is torch.optim.SGD:
        options.setdefault("momentum", 0.5)
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in lrs]
    made = kind(groups, lr=0.1, **options)
    if tensor:
        for group in made.param_groups:
            group["lr"] = torch.tensor(group["lr"])
    return made


def lrs_of(made):
    return [float(group["lr"]) for group in made.param_groups]


def run(scheduler, steps=STEPS):
    """The learning rates at epoch 0 (now), 1, ..., *steps*."""
    seen = [lrs_of(scheduler.optimizer)]
    for group in scheduler.optimizer.param_groups:
        for param in group["params"]:  # torch 1.8's Adadelta reads what only a parameter with a gradient sets
            param.grad = torch.zeros_like(param)
    scheduler.optimizer.step()  # once is enough that no scheduler complains
    for _ in range(steps):
        scheduler.step()
        seen.append(lrs_of(scheduler.optimizer))
    return seen


class Inverse:
    """A function with a state, which can be pickled."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, t):
        return 1 / (1 + self.rate * t)


def falling(t):
    return 0.9**t


def milestones_passed(milestones, t):
    return bisect_right(sorted(milestones), t)


def wave(t, period):
    return (1 + cos(pi * t / period)) / 2


def in_wave(t, first, factor):
    """How far epoch *t* is into its wave, and how long the wave is."""
    while t >= first:
        t, first = t - first, first * factor
    return t, first


def cyclic(t, up, down, scale, low, high):
    cycle, done = divmod(t, up + down)
    height = done / up if done <= up else 1 - (done - up) / down
    return low + (high - low) * height * scale(cycle, t)


def one_cycle(t, points, linear):
    """Through (step, lr) *points*, in straight lines or half waves."""
    reached = next(index for index in range(1, len(points)) if t <= points[index][0])
    (start, before), (end, after) = points[reached - 1 : reached + 1]
    done = (t - start) / (end - start)
    return before + (after - before) * (done if linear else 1 - wave(done, 1))


def two_phases(top, total, share=0.3, div=25.0, final=1e4, linear=False):
    points = [(0, top / div), (share * total - 1, top), (total - 1, top / div / final)]
    return lambda base, t: one_cycle(t, points, linear)


def three_phases(top, total, share=0.3, div=25.0, final=1e4):
    points = [(0, top / div), (share * total - 1, top), (2 * share * total - 2, top / div)]
    points.append((total - 1, top / div / final))
    return lambda base, t: one_cycle(t, points, False)


# For each scheduler: settings, and the closed form.
CASES = {
    "LambdaLR": [
        ({"lr_lambda": falling}, lambda base, t: base * 0.9**t),
        ({"lr_lambda": Inverse(0.5)}, lambda base, t: base / (1 + 0.5 * t)),
    ],
    "MultiplicativeLR": [({"lr_lambda": Inverse(0.1)}, None)],
    "StepLR": [
        ({"step_size": 4}, lambda base, t: base * 0.1 ** (t // 4)),
        ({"step_size": 1, "gamma": 0.7}, lambda base, t: base * 0.7**t),
        ({"step_size": 40, "gamma": 0.7}, lambda base, t: base),
    ],
    "MultiStepLR": [
        ({"milestones": [3, 10, 11]}, lambda base, t: base * 0.1 ** milestones_passed([3, 10, 11], t)),
        ({"milestones": (11, 3, 3), "gamma": 0.5}, lambda base, t: base * 0.5 ** milestones_passed([3, 3, 11], t)),
    ],
    "ConstantLR": [
        ({}, lambda base, t: base / 3 if t < 5 else base),
        ({"factor": 0.5, "total_iters": 12}, lambda base, t: base * 0.5 if t < 12 else base),
    ],
    "LinearLR": [
        ({}, lambda base, t: base * (1 / 3 + 2 / 3 * min(t, 5) / 5)),
        (
            {"start_factor": 0.9, "end_factor": 0.2, "total_iters": 13},
            lambda base, t: base * (0.9 - 0.7 * min(t, 13) / 13),
        ),
        ({"start_factor": 1.0, "end_factor": 0.0, "total_iters": 7}, lambda base, t: base * (1 - min(t, 7) / 7)),
    ],
    "ExponentialLR": [({"gamma": 0.8}, lambda base, t: base * 0.8**t)],
    "PolynomialLR": [
        ({}, lambda base, t: base * (1 - min(t, 5) / 5)),
        ({"total_iters": 20, "power": 2.5}, lambda base, t: base * (1 - min(t, 20) / 20) ** 2.5),
    ],
    "CosineAnnealingLR": [
        ({"T_max": 10}, lambda base, t: base * wave(t, 10)),
        ({"T_max": 7, "eta_min": 0.05}, lambda base, t: 0.05 + (base - 0.05) * wave(t, 7)),
        ({"T_max": 50}, lambda base, t: base * wave(t, 50)),
    ],
    "CosineAnnealingWarmRestarts": [
        ({"T_0": 4}, lambda base, t: base * wave(*in_wave(t, 4, 1))),
        ({"T_0": 3, "T_mult": 2, "eta_min": 0.01}, lambda base, t: 0.01 + (base - 0.01) * wave(*in_wave(t, 3, 2))),
        ({"T_0": 1, "T_mult": 3}, lambda base, t: base * wave(*in_wave(t, 1, 3))),
    ],
    "CyclicLR": [
        (
            {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 4},
            lambda base, t: cyclic(t, 4, 4, lambda cycle, t: 1.0, 0.1, 1.0),
        ),
        (
            {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3, "step_size_down": 5, "mode": "triangular2"},
            lambda base, t: cyclic(t, 3, 5, lambda cycle, t: 0.5**cycle, 0.1, 1.0),
        ),
        (
            {"base_lr": 0.2, "max_lr": 0.6, "step_size_up": 5, "mode": "exp_range", "gamma": 0.95},
            lambda base, t: cyclic(t, 5, 5, lambda cycle, t: 0.95**t, 0.2, 0.6),
        ),
        (
            {"base_lr": 0.2, "max_lr": 0.6, "step_size_up": 5, "scale_fn": Inverse(1.0), "scale_mode": "cycle"},
            lambda base, t: cyclic(t, 5, 5, lambda cycle, t: 1 / (2 + cycle), 0.2, 0.6),
        ),
    ],
    "OneCycleLR": [
        ({"max_lr": 2.0, "total_steps": 31}, two_phases(2.0, 31)),
        (
            {"max_lr": 1.0, "epochs": 4, "steps_per_epoch": 10, "anneal_strategy": "linear", "pct_start": 0.5},
            two_phases(1.0, 40, share=0.5, linear=True),
        ),
        (
            {"max_lr": 1.0, "total_steps": 40, "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0},
            three_phases(1.0, 40, div=10.0, final=100.0),
        ),
    ],
}


def _products(base, t):
    product = base
    for epoch in range(1, t + 1):
        product /= 1 + 0.1 * epoch
    return product


CASES["MultiplicativeLR"] = [({"lr_lambda": Inverse(0.1)}, _products)]
