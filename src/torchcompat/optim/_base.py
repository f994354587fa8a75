"""What all fallback optimisers share: parameter groups, hooks, gradients, and checkpoints of every torch.

The methods stand for those of torch 2.15's ``Optimizer``; the class derives from this torch's own, so that isinstance
holds and schedulers, gradient scalers and samplers take it.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict
from copy import deepcopy
from itertools import chain
from typing import Any, Callable, Iterable

import torch
from torch.utils.hooks import RemovableHandle

from .._shim import SHIMS, at_home
from .._torch import at_least, find
from ._states import add_keywords, scalar

Hook = Callable[..., Any]

# Where torch has hooks around step(), it puts them, and a label for the profiler, around step() of any subclass:
# https://github.com/pytorch/pytorch/pull/89176
_TORCH_HAS_STEP_HOOKS = at_least(2, 0)


def twin(name: str) -> Any:
    """This torch's own optimiser of that name, for isinstance; where it has none, the class of all optimisers."""
    return find("torch.optim." + name) or torch.optim.Optimizer


def _blank(name: str) -> Any:
    """What a pickled optimiser starts as whose class has no public name on the torch that wrote it."""
    cls = SHIMS["optim." + name].fallback
    return cls.__new__(cls)


at_home(_blank, "torchcompat.optim")


def _hooked(step: Any) -> Any:
    def step_with_hooks(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = (self,) + args  # so hooks see it in torch
        for hook in tuple(self._optimizer_step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(f"a step pre-hook must return None or (args, kwargs), got {changed!r}")
                args, kwargs = changed
        result = step(*args, **kwargs)
        for hook in tuple(self._optimizer_step_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    step_with_hooks.__name__ = step_with_hooks.__qualname__ = "step"
    step_with_hooks.__doc__ = step.__doc__
    step_with_hooks.hooked = True  # type: ignore[attr-defined]
    return step_with_hooks


class Base(torch.optim.Optimizer):  # type: ignore[misc]
    """An optimiser with the groups, hooks and state dicts of torch 2.15."""

    _optimizer_step_pre_hooks: OrderedDict[int, Hook]
    _optimizer_step_post_hooks: OrderedDict[int, Hook]
    _optimizer_state_dict_pre_hooks: OrderedDict[int, Hook]
    _optimizer_state_dict_post_hooks: OrderedDict[int, Hook]
    _optimizer_load_state_dict_pre_hooks: OrderedDict[int, Hook]
    _optimizer_load_state_dict_post_hooks: OrderedDict[int, Hook]

    # The entries of a parameter's state that are kept as scalar tensors; older torch kept numbers.
    _scalars: tuple[str, ...] = ("step",)

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, torch.Tensor):
            raise TypeError("params must be an iterable of tensors, (name, tensor) pairs or dicts, got a tensor")
        if isinstance(params, set):
            text = "params is a set, whose order changes between runs; give a list"
            warnings.warn(text, FutureWarning, stacklevel=3)
        # Not super().__init__: next in line is this torch's own optimiser, whose arguments are others.
        torch.optim.Optimizer.__init__(self, list(params), defaults)
        self._get_ready()

    def _get_ready(self) -> None:
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())
        cls = type(self)
        if not _TORCH_HAS_STEP_HOOKS and not getattr(cls.step, "hooked", False):
            cls.step = _hooked(cls.step)

    def _hook_for_profile(self) -> None:
        """Torch 1.6 to 1.13 label step() for the profiler here; ours comes with hooks instead."""
        self._zero_grad_profile_name = f"Optimizer.zero_grad#{type(self).__name__}.zero_grad"

    # Copies and pickles.

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._get_ready()
        if _TORCH_HAS_STEP_HOOKS:
            self._patch_step_function()
        else:
            self._hook_for_profile()
        self.defaults.setdefault("differentiable", False)
        for group in self.param_groups:
            add_keywords(group, self.defaults, False)
            for param in group["params"]:
                entries = self.state.get(param, {})
                for key in self._scalars:
                    if key in entries and not isinstance(entries[key], torch.Tensor):
                        entries[key] = scalar(entries[key], group, param)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A pickle names a class by its module and name, which lead to torch's own class where that is the public one.
        name = type(self).__name__
        shim = SHIMS.get("optim." + name)
        if shim is None or shim.fallback is not type(self) or shim.public is type(self):
            return super().__reduce_ex__(protocol)
        return _blank, (name,), self.__getstate__()

    # Parameter groups.

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with options of their own.

        Args:
            param_group: ``"params"``, a tensor or an iterable of tensors or of (name, tensor) pairs, and any of the
                constructor's options; what is left out is as given to the constructor.

        Raises:
            TypeError: it is no dict, or its parameters are a set or no tensors.
            ValueError: a parameter is no leaf, or is in another group; or some groups have names and others not.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, got {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError('param_group["params"] must have an order that is the same in every run: a list, not a set')
        given = [params] if isinstance(params, torch.Tensor) else list(params)
        names = [item[0] for item in given if isinstance(item, tuple)]
        if names and len(names) != len(given):
            raise ValueError("all parameters of a group must have names, or none")
        tensors = [item[1] for item in given] if names else given
        self._check_new(tensors, bool(names) or "param_names" in param_group)

        param_group["params"] = tensors
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    def _check_new(self, tensors: list[Any], named: bool) -> None:
        for tensor in tensors:
            if not isinstance(tensor, torch.Tensor):
                raise TypeError(f"parameters must be tensors, got {type(tensor).__name__}")
            free = self.defaults.get("differentiable") or getattr(tensor, "retains_grad", False)
            if not free and not tensor.is_leaf:
                raise ValueError("parameters must be leaf tensors; this one was computed from others")
        if len(set(tensors)) != len(tensors):
            text = "a parameter is twice in a group, and will be stepped twice"
            warnings.warn(text, UserWarning, stacklevel=4)
        for group in self.param_groups:
            if named != ("param_names" in group):
                with_names, without = ("new", "earlier") if named else ("earlier", "new")
                raise ValueError(f"the {with_names} parameter group has names and the {without} one has not")
            if not set(group["params"]).isdisjoint(tensors):
                raise ValueError("a parameter is in two parameter groups")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters.

        Args:
            set_to_none: remove them; otherwise fill them with zeros.
        """
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                if set_to_none:
                    param.grad = None
                    continue
                if param.grad.grad_fn is not None:
                    param.grad.detach_()
                else:
                    param.grad.requires_grad_(False)
                param.grad.zero_()

    # State dicts.

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, with parameters replaced by their position, as torch 2.15 makes it."""
        for hook in tuple(self._optimizer_state_dict_pre_hooks.values()):
            hook(self)
        positions: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for position, param in enumerate(group["params"], start):
                positions.setdefault(id(param), position)
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [positions[id(param)] for param in group["params"]]
            start += len(group["params"])
            groups.append(packed)
        state = {
            positions[id(key)] if isinstance(key, torch.Tensor) else key: value for key, value in self.state.items()
        }
        result = {"state": state, "param_groups": groups}
        for hook in tuple(self._optimizer_state_dict_post_hooks.values()):
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state dict of this optimiser, made by this or torch's own class, on any torch.

        Tensors are cast to the dtype and moved to the device of their parameter, step counters are left as they are.
        As in torch 2.15, a tensor that fits already is taken as it is, so the next step changes it in *state_dict* too.

        Args:
            state_dict: what :meth:`state_dict` returned.

        Raises:
            ValueError: it has other numbers of groups or of parameters.
        """
        state_dict = state_dict.copy()
        for hook in tuple(self._optimizer_load_state_dict_pre_hooks.values()):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        groups = deepcopy(state_dict["param_groups"])
        ours, theirs = ([len(group["params"]) for group in some] for some in (self.param_groups, groups))
        if len(ours) != len(theirs):
            raise ValueError(f"state_dict has {len(theirs)} parameter groups, the optimiser has {len(ours)}")
        if ours != theirs:
            raise ValueError(f"state_dict has parameter groups of sizes {theirs}, the optimiser has {ours}")

        keys = chain.from_iterable(group["params"] for group in groups)
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        by_key = dict(zip(keys, params))
        on_device = {
            key for group in groups if group.get("fused") or group.get("capturable") for key in group["params"]
        }
        state: Any = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_key:
                state[by_key[key]] = _fitted(value, by_key[key], key in on_device)
            else:
                state[key] = value
        for mine, group in zip(self.param_groups, groups):
            group["params"] = mine["params"]
            if "param_names" in mine:
                group.setdefault("param_names", mine["param_names"])
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in tuple(self._optimizer_load_state_dict_post_hooks.values()):
            hook(self)

    # Hooks.

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return other (args, kwargs)."""
        return _add_hook(self._optimizer_step_pre_hooks, hook, False)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return _add_hook(self._optimizer_step_post_hooks, hook, False)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before a state dict is made."""
        return _add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` with each state dict made; it may change it or return another."""
        return _add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` with a copy of what is to be loaded; it may change or replace it."""
        return _add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after a state dict was loaded."""
        return _add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _add_hook(hooks: Any, hook: Hook, prepend: bool) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _fitted(value: Any, param: Any, on_device: bool, key: Any = None) -> Any:
    """*value*, whose tensors are brought to the dtype and device of *param*; step counters only where they must be."""
    if isinstance(value, torch.Tensor):
        if key == "step":
            return value.to(device=param.device, dtype=torch.float32) if on_device else value
        return value.to(device=param.device, dtype=param.dtype if param.is_floating_point() else None)
    if isinstance(value, dict):
        return {name: _fitted(item, param, on_device, name) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return type(value)(_fitted(item, param, on_device) for item in value)  # type: ignore[call-arg]
    return value


_HOOKS = [name for name in Base.__annotations__ if name.endswith("_hooks")]
