"""State dicts of older torch in the form that the optimiser or scheduler here takes."""

from __future__ import annotations

import types
from collections import Counter
from typing import Any

import torch

from .._shim import facade
from .._torch import at_least, find

# What it meant that a file has no such key, because it is of a torch that did not have the keyword yet.
# Adagrad's eps was this constant up to torch 1.2: https://github.com/pytorch/pytorch/pull/24980
BEFORE_THE_KEYWORD = {
    "amsgrad": False,
    "capturable": False,
    "centered": False,
    "decoupled_weight_decay": False,
    "differentiable": False,
    "eps": 1e-10,
    "foreach": None,
    "fused": None,
    "maximize": False,
    "momentum": 0,
    "nesterov": False,
}
_NUMBERS = ("SparseAdam", "LBFGS")  # these keep their counters as numbers
# Functions of the scheduler itself, or references to it, that states held: up to torch 2.0 and, in SWALR, 2.9.
_FUNCTIONS = ("scale_fn", "_scale_fn_ref", "anneal_func")


@facade("optim.upgrade_state_dict")
def upgrade_state_dict(obj: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
    """Bring *state_dict*, which any torch from 1.2 on wrote, into the form that ``obj.load_state_dict`` takes here.

    Not in torch, whose newest classes fail with some states of older versions: ``MultiStepLR`` with those of 1.2,
    ``CyclicLR`` with those of 1.2 and 1.8, ``Adagrad`` with those of 1.2. Our own fallbacks need no such call: they
    make it themselves. What is changed: parameters are named by their position and not by an ``id``, counters are
    tensors where *obj* keeps them as tensors, keys that came later mean what that torch did, and functions that
    were in the state of a scheduler are left to *obj*.

    Args:
        obj: an optimiser or a scheduler, torch's own or ours, made as the one was that gave the state. Of a scheduler
            the optimiser must have its state already: that of torch 1.2 and 1.3 does not say what the last learning
            rates were.
        state_dict: what ``state_dict()`` returned; it is left as it is.

    Returns:
        A new dict. Tensors in it are those of *state_dict*.

    Raises:
        TypeError: *obj* is neither an optimiser nor a scheduler.
        ValueError: the state has other numbers of groups, parameters or schedulers than *obj*.
    """
    if isinstance(obj, torch.optim.Optimizer):
        return _of_optimizer(obj, state_dict)
    if not isinstance(getattr(obj, "optimizer", None), torch.optim.Optimizer):
        raise TypeError(f"obj must be an optimizer or a scheduler, got {type(obj).__name__}")
    return of_scheduler(obj, state_dict)


# Optimisers


def scalar(value: Any, group: dict[str, Any], param: Any) -> Any:
    """*value* as torch keeps its counters: a tensor, on the CPU unless the group asks for a step without the host."""
    fused = group.get("fused")
    wide = torch.get_default_dtype() == torch.float64 and not fused
    device = param.device if fused or group.get("capturable") else torch.device("cpu")
    return torch.tensor(float(value), dtype=torch.float64 if wide else torch.float32, device=device)


def add_keywords(group: dict[str, Any], defaults: dict[str, Any], decoupled: bool) -> None:
    """Give *group* the keys of *defaults* that the torch that wrote it did not have."""
    for key in defaults:
        if key == "decoupled_weight_decay" and decoupled:
            group.setdefault(key, True)
        elif key in BEFORE_THE_KEYWORD:
            group.setdefault(key, BEFORE_THE_KEYWORD[key])


def _of_optimizer(optimizer: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
    groups, wanted = state_dict["param_groups"], optimizer.param_groups
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in wanted]:
        raise ValueError("the state has other numbers of groups or parameters than the optimizer")
    names = {cls.__name__ for cls in type(optimizer).__mro__}
    positions: dict[Any, int] = {}
    upgraded, owners = [], {}
    for group, ours in zip(groups, wanted):
        group = dict(group)
        add_keywords(group, optimizer.defaults, "AdamW" in names)
        for key, param in zip(group["params"], ours["params"]):
            position = positions.setdefault(key, len(positions))
            owners[position] = group, param
        group["params"] = [positions[key] for key in group["params"]]
        upgraded.append(group)
    counts = _counts_in_tensors(optimizer, names)
    state = {}
    for key, entries in state_dict["state"].items():
        position = positions.get(key, key)
        if position in owners and isinstance(entries, dict):
            if counts and isinstance(entries.get("step"), int):
                entries = {**entries, "step": scalar(entries["step"], *owners[position])}
            if entries == {"momentum_buffer": None}:  # torch 1.8 to 2.0 noted that there is none
                continue
        state[position] = entries
    return {**state_dict, "state": state, "param_groups": upgraded}


def _counts_in_tensors(optimizer: Any, names: set[str]) -> bool:
    """Whether *optimizer* keeps the number of steps as a tensor.

    Other numbers, such as ASGD's ``eta``, become tensors only when they are loaded: a tensor would be cast to the dtype
    of the parameter.
    """
    own = getattr(optimizer, "_scalars", None)
    if own is not None:
        return "step" in own
    # Torch's own of 2.4 and 2.15 were looked at. Older ones turn numbers into tensors themselves, where they have them.
    return at_least(2, 4) and type(optimizer).__module__.startswith("torch.optim.") and names.isdisjoint(_NUMBERS)


# Schedulers


def function_state(function: Any) -> dict[str, Any] | None:
    """What a state dict keeps of a user's callable: the attributes of an object, and of a plain function nothing."""
    return None if isinstance(function, types.FunctionType) else dict(getattr(function, "__dict__", {}))


def of_scheduler(scheduler: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
    """*state_dict* as ``scheduler.load_state_dict`` takes it."""
    has = vars(scheduler)
    state = {key: value for key, value in state_dict.items() if key not in _FUNCTIONS}
    if "verbose" not in has:  # torch 1.7 to 2.6 had it
        state.pop("verbose", None)
    _upgrade_cycle(scheduler, state, state_dict)
    if "_schedulers" in state:
        state["_schedulers"] = _upgrade_each(scheduler._schedulers, state["_schedulers"])
    if isinstance(has.get("milestones"), Counter):
        state["milestones"] = Counter(state["milestones"])  # up to torch 1.3 it was the list itself
    if "_last_lr" in has:
        state.setdefault("_last_lr", [group["lr"] for group in scheduler.optimizer.param_groups])
    for key, value in scheduler.state_dict().items():
        state.setdefault(key, value)
    return state


def _upgrade_each(schedulers: Any, states: Any) -> list[Any]:
    if len(schedulers) != len(states):
        raise ValueError(f"the state is of {len(states)} schedulers, and there are {len(schedulers)}")
    return [of_scheduler(each, state) for each, state in zip(schedulers, states)]


def _upgrade_cycle(scheduler: Any, state: dict[str, Any], old: dict[str, Any]) -> None:
    """What is about functions in the states of CyclicLR, OneCycleLR and SWALR."""
    has = vars(scheduler)
    if hasattr(scheduler, "step_ratio"):
        custom = state.pop("_scale_fn_custom", None)
        if custom is None and not hasattr(old.get("scale_fn"), "__func__"):
            custom = old.get("scale_fn")  # up to torch 1.12, and a method of the scheduler if it was not the user's
        if _loads_function_states(scheduler):
            state["_scale_fn_custom"] = custom if isinstance(custom, dict) else custom and function_state(custom)
    if "_schedule_phases" in has and "step_size_up" in state:  # up to torch 1.7
        rise, fall = scheduler._schedule_phases[0], scheduler._schedule_phases[-1]
        rise = {**rise, "end_step": state.pop("step_size_up")}
        state["_schedule_phases"] = [rise, {**fall, "end_step": state["total_steps"] - 1}]
        state.pop("step_size_down")
    name = getattr(old.get("anneal_func"), "__name__", "")
    for key in ("_anneal_func_type", "_anneal_strategy"):
        if key in has and key not in state and name:
            state[key] = "cos" if "cos" in name else "linear"


def _loads_function_states(scheduler: Any) -> bool:
    """Whether the CyclicLR takes the attributes of a function; torch's own up to 2.0 put the function's place."""
    base = find("torch.optim.lr_scheduler.LRScheduler") or find("torch.optim.lr_scheduler._LRScheduler")
    return type(scheduler).load_state_dict is not base.load_state_dict
