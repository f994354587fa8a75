"""The table of optimisers that the contract tests run over."""

import numpy as np
import optim_reference as reference
import torch
from assertions import close

from torchcompat import at_least

START = np.array([[0.5, -1.0, 2.0], [0.1, 0.0, -0.3]])
SCALES = np.array([[1.0, 3.0, 0.5], [2.0, 1.0, -4.0]])

ADAMS = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}


class Case:
    """One optimiser: its defaults in torch 2.15 (of what changes the result), and options worth a trajectory."""

    def __init__(self, step, defaults, variants=(), flags=(), tolerance=1e-9, too_small=(), state=()):
        self.step = step
        self.defaults = defaults
        self.variants = ({}, {"lr": 0.3}) + tuple(variants)
        self.flags = flags
        self.tolerance = tolerance
        self.too_small = {"lr": -0.1, **dict(too_small)}
        self.state = state

    def bound(self, options):
        """How far from :meth:`expected` a parameter may be."""
        # Muon iterates in bfloat16; each step is at most about lr.
        return 0.4 * options.get("lr", self.defaults["lr"]) if self.step is reference.muon else self.tolerance

    def expected(self, options, steps=6):
        """The parameter after each step."""
        o = {**self.defaults, **options}
        w, memory, all_w = START.copy(), {}, []
        for t in range(1, steps + 1):
            w = self.step(t, w, gradient(w, t), memory, o)
            all_w.append(w)
        return all_w


def gradient(w, t):
    """Of a bowl that wobbles, so that signs change; works on arrays and tensors."""
    scales = SCALES if isinstance(w, np.ndarray) else torch.as_tensor(SCALES).to(w.dtype)
    return scales * w + (-1) ** t * 0.4


DECAYS = ({"weight_decay": 0.1},)
COUPLED = ({"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True})
NEGATIVE = {"weight_decay": -1.0, "eps": -1.0}
CAPTURABLE = ("foreach", "capturable", "maximize", "differentiable")
FUSED = ("foreach", "fused", "maximize", "differentiable")
MOMENTS = ("step", "exp_avg", "exp_avg_sq")

CASES = {
    "SGD": Case(
        reference.sgd,
        {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False},
        DECAYS
        + (
            {"lr": 0.1, "momentum": 0.9},
            {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        ),
        FUSED,
        too_small={"momentum": -0.1, "weight_decay": -1.0},
    ),
    "Adam": Case(
        reference.adam,
        {"lr": 1e-3, "amsgrad": False, "decoupled_weight_decay": False, **ADAMS},
        COUPLED + ({"amsgrad": True, "betas": (0.5, 0.6), "lr": 0.1},),
        FUSED + ("capturable",),
        too_small=NEGATIVE,
        state=MOMENTS,
    ),
    "AdamW": Case(
        reference.adamw,
        {"lr": 1e-3, "amsgrad": False, "decoupled_weight_decay": True, **ADAMS, "weight_decay": 1e-2},
        DECAYS + ({"amsgrad": True, "betas": (0.5, 0.6), "lr": 0.1},),
        FUSED + ("capturable",),
        too_small=NEGATIVE,
        state=MOMENTS,
    ),
    "Adamax": Case(
        reference.adamax,
        {"lr": 2e-3, **ADAMS},
        DECAYS,
        CAPTURABLE,
        too_small=NEGATIVE,
        state=("step", "exp_avg", "exp_inf"),
    ),
    "NAdam": Case(
        reference.nadam,
        {"lr": 2e-3, "momentum_decay": 4e-3, "decoupled_weight_decay": False, **ADAMS},
        COUPLED + ({"momentum_decay": 0.5},),
        CAPTURABLE,
        # torch keeps mu_product in float32
        tolerance=1e-6,
        too_small={"momentum_decay": -1.0, **NEGATIVE},
        state=MOMENTS + ("mu_product",),
    ),
    "RAdam": Case(
        reference.radam,
        {"lr": 1e-3, "decoupled_weight_decay": False, **ADAMS},
        COUPLED + ({"betas": (0.9, 0.99), "lr": 0.1},),
        CAPTURABLE,
        too_small=NEGATIVE,
        state=MOMENTS,
    ),
    "Adadelta": Case(
        reference.adadelta,
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0},
        DECAYS + ({"rho": 0.5},),
        CAPTURABLE,
        too_small={"rho": -0.1, **NEGATIVE},
        state=("step", "square_avg", "acc_delta"),
    ),
    "Adagrad": Case(
        reference.adagrad,
        {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10},
        DECAYS + ({"lr_decay": 0.5, "initial_accumulator_value": 0.2, "eps": 0.1},),
        FUSED,
        too_small={"lr_decay": -1.0, "initial_accumulator_value": -1.0, **NEGATIVE},
        state=("step", "sum"),
    ),
    "RMSprop": Case(
        reference.rmsprop,
        {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False},
        DECAYS + ({"momentum": 0.9, "alpha": 0.5}, {"centered": True, "eps": 0.1}),
        CAPTURABLE,
        too_small={"alpha": -1.0, "momentum": -1.0, **NEGATIVE},
        state=("step", "square_avg"),
    ),
    "Rprop": Case(
        reference.rprop,
        {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)},
        ({"etas": (0.1, 3.0), "step_sizes": (0.05, 0.2)},),
        CAPTURABLE,
        state=("step", "prev", "step_size"),
    ),
    "ASGD": Case(
        reference.asgd,
        {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0},
        DECAYS + ({"lr": 0.1, "lambd": 0.3, "alpha": 0.5, "t0": 2},),
        CAPTURABLE,
        # torch keeps eta, which the next step takes, in float32
        tolerance=1e-6,
        too_small={"weight_decay": -1.0},
        state=("step", "ax", "eta", "mu"),
    ),
    "SparseAdam": Case(
        reference.sparse_adam,
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
        ({"betas": (0.5, 0.6), "eps": 0.1},),
        ("maximize",),
        too_small={"eps": -1.0},
        state=MOMENTS,
    ),
    "Adafactor": Case(
        reference.adafactor,
        {"lr": 1e-2, "beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1.0, "weight_decay": 0.0},
        DECAYS + ({"lr": 0.5, "beta2_decay": -0.5, "eps": (0.2, 0.5), "d": 1.5},),
        ("foreach", "maximize"),
        too_small={"d": 0.5, "weight_decay": -1.0},
        state=("step", "row_var", "col_var"),
    ),
    "Muon": Case(
        reference.muon,
        {
            "lr": 1e-3,
            "weight_decay": 0.1,
            "momentum": 0.95,
            "nesterov": True,
            "ns_coefficients": (3.4445, -4.7750, 2.0315),
            "eps": 1e-7,
            "ns_steps": 5,
            "adjust_lr_fn": None,
        },
        (
            {"nesterov": False, "lr": 0.01},
            {"adjust_lr_fn": "match_rms_adamw", "lr": 0.01, "ns_steps": 3},
            {"adjust_lr_fn": "spectral_unclamped", "lr": 0.01, "weight_decay": 0.0},
        ),
        too_small={"momentum": -1.0, "weight_decay": -1.0},
        state=("momentum_buffer",),
    ),
}
TAKES_COMPLEX = [name for name in CASES if name not in ("SparseAdam", "Adafactor", "Muon")]
HAS_COMPLEX = at_least(1, 8)


def of(shim):
    """The case of a row of the shim table."""
    return CASES[shim.name[len("optim.") :]]


def parameter(dtype=torch.float64, values=START):
    return torch.nn.Parameter(torch.tensor(values).to(dtype))


def differentiate(shim, param, t):
    """Put the gradient of step *t* on *param*, sparse where the optimiser wants that."""
    grad = gradient(param.detach(), t)
    param.grad = grad.to_sparse() if shim.name == "optim.SparseAdam" else grad


def trajectory(shim, optimizer, param, steps=6, first=1):
    """The parameter after each step, as arrays."""
    after = []
    for t in range(first, first + steps):
        differentiate(shim, param, t)
        optimizer.step()
        after.append(param.detach().double().numpy().copy())
    return after


def follows(actual, expected, tolerance, note=""):
    """Assert that the parameters after each step are close."""
    assert len(actual) == len(expected)
    for step, (a, e) in enumerate(zip(actual, expected), 1):
        close(a, e, tolerance, f"{note} step {step}")


def one_step(case, shim, optimizer, rates):
    """Step once, and hold each parameter to what its learning rate makes of it."""
    for param in rates:
        differentiate(shim, param, 1)
    optimizer.step()
    for param, lr in rates.items():
        follows([param.detach().numpy()], case.expected({"lr": lr}, 1), case.bound({"lr": lr}))


def goes_back(impl, options, steps):
    """Whether autograd finds the derivatives of that many steps by the parameter and by its gradient."""

    def stepped(w, g):
        param = w.clone()
        optimizer = impl([param], **{"lr": 0.05, **options}, differentiable=True)
        for step in range(steps):
            param.retain_grad()
            param.grad = g * (1 + step / 2)
            optimizer.step()
        return param

    w = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    g = torch.tensor([0.4, 1.3, -0.7], dtype=torch.float64, requires_grad=True)
    return torch.autograd.gradcheck(stepped, (w, g))


# The options with which torch's own can be differentiated through one step alone.
ONE_STEP = {
    "Adam": {"amsgrad": True},
    "AdamW": {"amsgrad": True},
    "Adamax": {},
    "RMSprop": {"centered": True},
    "Rprop": {},
}


def goes_back_one_step_only(shim, options):
    """Whether torch's own can be differentiated through one step, and not through two."""
    needed = ONE_STEP.get(shim.name[len("optim.") :])
    return needed is not None and needed.items() <= options.items()
