"""How a tensor of one module becomes a property: the class made for the module, its copies, and the cache."""

from __future__ import annotations

import copy
import copyreg
from typing import Any

import torch
from torch import nn

_slot_names: Any = vars(copyreg)["_slotnames"]


class Cache:
    """What :func:`torchcompat.nn.utils.parametrize.cached` keeps, as long as one of its blocks is open."""

    def __init__(self) -> None:
        self.open = 0
        # By the id of a list of parametrizations, which is kept beside its tensor so that no other gets its id.
        self.tensors: dict[int, tuple[Any, Any]] = {}

    def enter(self) -> None:
        self.open += 1

    def leave(self) -> None:
        self.open -= 1
        if not self.open:
            self.tensors = {}

    def value(self, parametrizations: Any) -> Any:
        if torch._C._get_tracing_state() is not None:
            raise RuntimeError("a model cannot be traced while its parametrizations are cached")
        found = self.tensors.get(id(parametrizations))
        if found is None:
            found = self.tensors[id(parametrizations)] = (parametrizations, parametrizations())
        return found[1]


cache = Cache()


def register(module: Any, name: str, tensor: Any) -> None:
    """Register *tensor* as what it is, a parameter or a buffer."""
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _refuse_to_pickle(module: Any) -> Any:
    raise RuntimeError(
        "a parametrized module cannot be pickled: save its state_dict(), or remove the parametrizations first"
    )


def _deepcopy(module: Any, memo: dict[int, Any]) -> Any:
    """A copy with a class of its own: the properties of a class are those of one module."""
    if id(module) in memo:
        return memo[id(module)]
    made_for_one = type(module)
    own = {name: value for name, value in vars(made_for_one).items() if name not in ("__dict__", "__weakref__")}
    replica: Any = module.__new__(type(made_for_one.__name__, made_for_one.__bases__, own))
    memo[id(module)] = replica
    replica.__dict__ = copy.deepcopy(module.__dict__, memo)
    for name in _slot_names(made_for_one):
        if hasattr(module, name):
            setattr(replica, name, copy.deepcopy(getattr(module, name), memo))
    return replica


def _weights(module: Any) -> list[Any]:
    return [getattr(module, name, None) for name in module._flat_weights_names]


def _ignore(module: Any, value: Any) -> None:
    pass


def inject_class(module: Any) -> None:
    """Give *module* a class of its own, whose base is the class that it had."""
    before = type(module)
    namespace: dict[str, Any] = {"__getstate__": _refuse_to_pickle}
    if not hasattr(before, "__deepcopy__"):
        namespace["__deepcopy__"] = _deepcopy
    if isinstance(vars(module).get("_flat_weights"), list):
        # From 1.4 a recurrent network runs on this list of its parameters, and only from 2.0 does it look whether they
        # are still the same: https://github.com/pytorch/pytorch/pull/91111.
        namespace["_flat_weights"] = property(_weights, _ignore)
    module.__class__ = type("Parametrized" + before.__name__, (before,), namespace)


def restore_class(module: Any) -> None:
    """Give *module* back the class that it had."""
    module.__class__ = type(module).__bases__[0]
    if isinstance(vars(module).get("_flat_weights"), list):
        vars(module)["_flat_weights"] = _weights(module)


def inject_property(module: Any, name: str) -> None:
    """Let *name* of *module* be computed from its parametrizations, and be assigned through them."""

    def value(self: Any) -> Any:
        parametrizations = self.parametrizations[name]
        return cache.value(parametrizations) if cache.open else parametrizations()

    def assign(self: Any, new: Any) -> None:
        self.parametrizations[name].right_inverse(new)

    setattr(type(module), name, property(value, assign))


def invert(modules: Any, value: Any) -> Any:
    """What the first of *modules* is to get so that the last one gives *value*, as far as they have an inverse."""
    for module in reversed(modules):
        if hasattr(module, "right_inverse"):
            try:
                value = module.right_inverse(value)
            except NotImplementedError:
                pass  # taken for the identity, as one without an inverse is
    return value


_UNSAFE = "; unsafe=True lets it"


def check_like(new: Any, old_dtype: Any, old_shape: Any, what: str) -> None:
    """Raise ValueError unless *new* is a tensor of this dtype and shape."""
    if not isinstance(new, torch.Tensor):
        raise ValueError(f"{what} must return a tensor, got {type(new).__name__}")
    if new.dtype != old_dtype:
        raise ValueError(f"{what} may not change the dtype, from {old_dtype} to {new.dtype}{_UNSAFE}")
    if new.shape != old_shape:
        raise ValueError(f"{what} may not change the shape, from {tuple(old_shape)} to {tuple(new.shape)}{_UNSAFE}")


def check_addition(parametrization: Any, value: Any) -> None:
    """Raise ValueError unless *parametrization* maps tensors like *value* to such, and back."""
    name = f"parametrization {type(parametrization).__name__}"
    new = parametrization(value)
    check_like(new, value.dtype, value.shape, name)
    if hasattr(parametrization, "right_inverse"):
        try:
            back = parametrization.right_inverse(new)
        except NotImplementedError:
            return
        check_like(back, value.dtype, value.shape, f"right_inverse of {name}")
