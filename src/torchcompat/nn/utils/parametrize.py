"""``torch.nn.utils.parametrize``: tensors of a module that are computed from others."""

from __future__ import annotations

from collections import abc
from contextlib import contextmanager
from typing import Any, Iterator

import torch
from torch import nn

from ..._shim import Limit, lacks, polyfill
from ..._torch import find
from . import _parametrize

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

# The names work on each other's classes and share one cache, so they are torch's own all together or not at all. Torch
# has most of them since 1.9, unsafe=True since 1.10, the last two since 1.12 and deep copies since 1.13; up to 1.13
# recurrent networks ignored their parametrizations.
FAMILY = "2.0"
LINK = "https://github.com/pytorch/pytorch/pull/91111"
# All names of the family are torch's own, or all are ours: they share classes and a cache.
RECURRENT = "recurrent networks ignore their parametrizations"
PATH = "torch.nn.utils.parametrize."

_native_cached = find(PATH + "cached")


@polyfill(
    PATH + "cached",
    since=FAMILY,
    link=LINK,
    limits=[Limit("copies", "a deep copy gets the value of the module that it was copied from", "native", FAMILY)],
    reason=RECURRENT,
)
@contextmanager
def cached() -> Iterator[None]:
    """Compute every parametrized tensor at most once inside a ``with`` block.

    In torch since 2.0. Fallback: a dictionary of the values; torch's own cache is turned on too, for what torch
    parametrized. Torch has the name since 1.9.

    The values are kept from their first use until the outermost block ends, whatever happens to what they were computed
    from. It holds for the whole process.

    Raises:
        RuntimeError: a parametrized module is traced inside the block.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.cached.html
    """
    _parametrize.cache.enter()
    try:
        if _native_cached is None:
            yield
        else:
            with _native_cached():
                yield
    finally:
        _parametrize.cache.leave()


@polyfill(
    PATH + "ParametrizationList",
    since=FAMILY,
    link=LINK,
    limits=[lacks("isinstance", last="1.13"), lacks("script", "1.9", "1.9")],
    reason=RECURRENT,
)
class ParametrizationList(nn.ModuleList):  # type: ignore[misc]
    """The parametrizations of one tensor, in order, and the tensors that the first one starts from.

    In torch since 2.0. Fallback: a module list of our own, with the names in the state dict that torch gives them.
    Torch has the name since 1.9. It is made by :func:`register_parametrization`, and is
    ``module.parametrizations[tensor_name]``.

    Args:
        modules: the parametrizations; at least one.
        original: the parameter or buffer that is parametrized.
        unsafe: let them change its dtype and shape.

    Attributes:
        original: the parameter or buffer, if the first ``right_inverse`` returns one tensor: the very object that was
            in the module, with another value. ``original0``, ``original1`` and so on if it returns several.
        is_tensor: whether it is one.
        ntensors: how many there are.

    Raises:
        ValueError: there is no module, or one returns what it may not.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.ParametrizationList.html
    """

    def __init__(self, modules: Any, original: Any, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("modules must have at least one parametrization, got none")
        super().__init__(modules)
        self.unsafe = unsafe
        dtype, shape = original.dtype, original.shape
        with torch.no_grad():
            new = _parametrize.invert(self, original)
        self.is_tensor = isinstance(new, torch.Tensor)
        if self.is_tensor:
            self.ntensors = 1
            self._keep(original, new)
        else:
            self._keep_several(original, new)
        if not unsafe:
            _parametrize.check_like(self(), dtype, shape, "a parametrization")

    def _keep(self, original: Any, new: Any) -> None:
        for what in ("dtype", "device"):
            old_value, new_value = getattr(original, what), getattr(new, what)
            if old_value != new_value:
                raise ValueError(f"right_inverse may not change the {what}, from {old_value} to {new_value}")
        with torch.no_grad():
            original.set_(new)
        _parametrize.register(self, "original", original)

    def _keep_several(self, original: Any, new: Any) -> None:
        wanted = "right_inverse must return a tensor or a sequence of tensors"
        if not isinstance(new, abc.Sequence):
            raise ValueError(f"{wanted}, got {type(new).__name__}")
        self.ntensors = len(new)
        for place, tensor in enumerate(new):
            if not isinstance(tensor, torch.Tensor):
                raise ValueError(f"{wanted}, got {type(tensor).__name__} in place {place}")
            if isinstance(original, nn.Parameter):
                tensor = nn.Parameter(tensor, original.requires_grad)
            tensor.requires_grad_(original.requires_grad)
            _parametrize.register(self, f"original{place}", tensor)

    def right_inverse(self, value: Any) -> None:
        """Set the originals such that the parametrized tensor becomes *value*, as far as the inverses are right.

        Args:
            value: the tensor that was assigned.

        Raises:
            RuntimeError: a parametrization has no ``right_inverse``.
            ValueError: one returned other tensors than when it was registered.
        """
        with torch.no_grad():
            for module in reversed(self):  # type: ignore[call-overload]
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"the tensor cannot be assigned: parametrization {type(module).__name__} has no right_inverse"
                    )
                value = module.right_inverse(value)
            names = ["original"] if self.is_tensor else [f"original{place}" for place in range(self.ntensors)]
            values = [value] if self.is_tensor else value
            if not isinstance(values, abc.Sequence) or len(values) != len(names):
                got = f"{len(values)}" if isinstance(values, abc.Sequence) else type(values).__name__
                raise ValueError(f"right_inverse must return a sequence of {len(names)} tensors, got {got}")
            originals = [getattr(self, name) for name in names]
            for name, original, new in zip(names, originals, values):
                if not isinstance(new, torch.Tensor):
                    raise ValueError(f"right_inverse must return a tensor for {name}, got {type(new).__name__}")
                if new.dtype != original.dtype:
                    raise ValueError(
                        f"right_inverse must return a tensor of dtype {original.dtype} for {name}, got {new.dtype}"
                    )
            for original, new in zip(originals, values):
                original.set_(new)

    def forward(self) -> Any:
        """Compute the parametrized tensor."""
        names = ["original"] if self.is_tensor else [f"original{place}" for place in range(self.ntensors)]
        value = self[0](*[getattr(self, name) for name in names])
        for place in range(1, len(self)):
            value = self[place](value)
        return value


@polyfill(
    PATH + "register_parametrization",
    since=FAMILY,
    link=LINK,
    limits=[Limit("copies", "a parametrization added to a deep copy breaks the module it is of", "native", FAMILY)],
    reason=RECURRENT,
)
def register_parametrization(
    module: nn.Module, tensor_name: str, parametrization: nn.Module, *, unsafe: bool = False
) -> nn.Module:
    """Let a parameter or a buffer of a module be computed by a module from what it was.

    In torch since 2.0. Fallback: gives the module a class of its own with a property for the tensor. Torch has the name
    since 1.9.

    ``module.weight`` is then ``parametrization(original)``, computed whenever it is read, where ``original`` is the
    parameter that it was, now ``module.parametrizations.weight.original``. If *parametrization* has a method
    ``right_inverse``, original starts as what that makes of the weight, and ``module.weight = tensor`` sets it. The
    first parametrization of a tensor may take several tensors, of which its ``right_inverse`` returns a sequence; they
    are ``original0``, ``original1`` and so on, new parameters if *tensor_name* was one. Further ones take what those
    before return. The module becomes one of a class of its own, ``ParametrizedLinear``.

    Args:
        module: whose tensor it is; it is changed.
        tensor_name: which tensor.
        parametrization: a module. It is put in the mode, training or evaluation, of *module*.
        unsafe: let it change dtype and shape, and do not call it to see.

    Returns:
        *module*.

    Raises:
        ValueError: *module* has no such tensor; or *parametrization* or its ``right_inverse`` returns something that is
            no tensor, or, unless *unsafe*, has another dtype or shape.
        AttributeError: *tensor_name* is a parameter or a buffer that is None.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _parametrize.check_addition(parametrization, getattr(module, tensor_name))
        chain = module.parametrizations[tensor_name]
        chain.append(parametrization)
        chain.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(f"{type(module).__name__} has no parameter or buffer named {tensor_name!r}")
    original = getattr(module, tensor_name)
    if original is None:
        raise AttributeError(f"{tensor_name!r} of {type(module).__name__} is None, which cannot be parametrized")
    parametrizations = ParametrizationList([parametrization], original, unsafe=unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _parametrize.inject_class(module)
        module.parametrizations = nn.ModuleDict()
    _parametrize.inject_property(module, tensor_name)
    module.parametrizations[tensor_name] = parametrizations
    return module


@polyfill(PATH + "is_parametrized", since=FAMILY, link=LINK, reason=RECURRENT)
def is_parametrized(module: nn.Module, tensor_name: str | None = None) -> bool:
    """Whether a module has a parametrization.

    In torch since 2.0. Fallback: looks into ``module.parametrizations``. Torch has the name since 1.9.

    Args:
        module: anything; what is no module has none.
        tensor_name: of which tensor; of any if None.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.is_parametrized.html
    """
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, nn.ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


@polyfill(
    PATH + "remove_parametrizations",
    since=FAMILY,
    link=LINK,
    limits=[Limit("copies", "to remove one from a deep copy breaks the module it is of", "native", FAMILY)],
    reason=RECURRENT,
)
def remove_parametrizations(module: nn.Module, tensor_name: str, leave_parametrized: bool = True) -> nn.Module:
    """Make a parametrized tensor an ordinary one again.

    In torch since 2.0. Fallback: takes the property out of the module's class. Torch has the name since 1.9. With the
    last one goes the class that the module had been given.

    Args:
        module: whose tensor it is; it is changed.
        tensor_name: which tensor.
        leave_parametrized: give it the value that it has; else that of the original. Either way it is the very
            parameter that it was before, unless that was parametrized by several.

    Returns:
        *module*.

    Raises:
        ValueError: the tensor is not parametrized, or is by several and *leave_parametrized* is False.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.remove_parametrizations.html
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{tensor_name!r} of {type(module).__name__} is not parametrized")
    chain = module.parametrizations[tensor_name]
    if chain.is_tensor:
        original = chain.original
        if leave_parametrized:
            with torch.no_grad():
                original.set_(getattr(module, tensor_name))
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = nn.Parameter(value) if value.requires_grad else value
    else:
        raise ValueError(f"leave_parametrized must be True for {tensor_name!r}: there is no single tensor that it was")
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _parametrize.register(module, tensor_name, original)
    if not is_parametrized(module):
        del module.parametrizations
        _parametrize.restore_class(module)
    return module


@polyfill(PATH + "type_before_parametrizations", since=FAMILY, link=LINK, reason=RECURRENT)
def type_before_parametrizations(module: nn.Module) -> type:
    """The class that a module had before it was parametrized, or the one that it has.

    In torch since 2.0. Fallback: the base of the class that the module was given. Torch has the name since 1.12.

    Args:
        module: anything.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.type_before_parametrizations.html
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


@polyfill(PATH + "transfer_parametrizations_and_params", since=FAMILY, link=LINK, reason=RECURRENT)
def transfer_parametrizations_and_params(
    from_module: nn.Module, to_module: nn.Module, tensor_name: str | None = None
) -> nn.Module:
    """Give another module the parametrizations of one, and the tensors that they start from; both share them.

    In torch since 2.0. Fallback: registers each parametrization with the other module, too. Torch has the name since
    1.12.

    Args:
        from_module: where they are; it stays as it is. If it is not parametrized nothing happens.
        to_module: where they go; it is changed. A tensor that it lacks is made.
        tensor_name: which tensor's; those of all parametrized ones if None.

    Returns:
        *to_module*.

    Raises:
        KeyError: *tensor_name* is not parametrized, though another tensor is.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.transfer_parametrizations_and_params.html
    """
    if not is_parametrized(from_module):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, nn.Parameter(getattr(from_module, name)))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        target = to_module.parametrizations[name]
        for original in ["original"] if source.is_tensor else [f"original{place}" for place in range(source.ntensors)]:
            setattr(target, original, getattr(source, original))
    return to_module
