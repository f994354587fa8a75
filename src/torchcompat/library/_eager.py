"""A custom operator in plain Python: it picks the kernel, checks what that returns, and is differentiated."""

from __future__ import annotations

import inspect
import logging
import sys
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import torch

from .._torch import UnsupportedError, hide_from_compiler
from . import _derivative
from ._infer import infer_schema, tags_of
from ._schema import Schema

log = logging.getLogger(__name__)
#: The operators of this kind, by name; a later one of the same name takes the place of an earlier one.
OPERATORS: dict[str, Any] = {}
_ALIASING = (
    "The output of this custom operator (1) must not also be an input to this custom operator and (2) may not alias "
    "any inputs to this custom operator or other returns. The most common way to trigger this error is if we have "
    "y = custom_op(x) and y and x are the same Tensor. Please instead return a clone of the offending output tensor(s) "
    "(e.g. return x.clone()) or refactor the custom operator to not return y."
)


def tensors_of(values: Any) -> Iterator[torch.Tensor]:
    """The tensors among *values*, and in lists and tuples there."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_of(value)


def _memory(tensor: Any) -> Any:
    """What tells the memory of tensors apart; the object itself where a tensor has no storage."""
    try:
        storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
        return storage._cdata
    except (RuntimeError, NotImplementedError, AttributeError):
        return id(tensor)


def _note_write(tensor: Any) -> None:
    """Tell autograd that *tensor* was written to, since NumPy does not."""
    if tensor.layout is torch.strided:
        tensor.detach().as_strided((0,), (1,)).zero_()


@hide_from_compiler
def _call(op: Any, args: Any, kwargs: Any) -> Any:
    return op._invoke(args, kwargs)


class EagerOp:
    """What :func:`torchcompat.library.custom_op` returns where torch has nothing of the kind."""

    def __init__(self, namespace: str, name: str, schema: str, fn: Callable[..., Any], tags: Any = None) -> None:
        self._namespace, self._name, self._schema, self._tags = namespace, name, schema, tags
        self._init_fn = fn
        self._parsed = Schema(schema)
        self._backend_fns: dict[str | None, Callable[..., Any]] = {}
        self._abstract_fn: Callable[..., Any] | None = None
        self._setup_context_fn: Callable[..., Any] | None = None
        self._backward_fn: Callable[..., Any] | None = None
        self._vmap_fn: Callable[..., Any] | None = None
        self._autocast: dict[str, torch.dtype] = {}
        self._disabled_kernel: set[str] = set()
        names = tags_of(tags)
        self._is_inplace, self._is_out = "inplace" in names, "out" in names
        if any(one.has_tensors for one in self._parsed.keywords) and not self._is_out:
            raise NotImplementedError(
                f"custom_op with kwarg-only Tensor args. Please make your tensors not kwarg-only. Got: {name}{schema}"
            )
        OPERATORS[self._qualname] = self

    @property
    def _qualname(self) -> str:
        return f"{self._namespace}::{self._name}"

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _call(self, args, kwargs)

    # Registration

    def register_kernel(self, device_types: Any, fn: Any = None) -> Any:
        """Have *fn* compute the operator on one device type, on several, or (None) wherever no other kernel does."""
        several = [device_types] if device_types is None or isinstance(device_types, str) else list(device_types)
        if device_types is not None and not self._parsed.has_tensors and self._parsed.device_argument is None:
            raise ValueError("Functions without tensor inputs are required to have a `device: torch.device` argument")

        def register(function: Any) -> Any:
            for device_type in several:
                self._backend_fns[device_type] = function
            return function

        return register if fn is None else register(fn)

    def register_fake(self, fn: Any) -> Any:
        """Have *fn* say what the results look like, for arguments on the device "meta"."""
        self._abstract_fn = fn
        return fn

    def register_autograd(self, backward: Any, *, setup_context: Any = None) -> None:
        """Have *backward* compute the gradients, from what *setup_context* keeps of a call."""
        parsed = self._parsed
        if self._is_out or parsed.mutated or not parsed.returns:
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self!r} with schema "
                f"{self._qualname}{self._schema}. Please create a functional operator and register an autograd formula "
                "for that."
            )
        self._backward_fn, self._setup_context_fn = backward, setup_context

    def register_vmap(self, func: Any = None) -> Any:
        """Have *func* compute the operator for a batch: ``func(info, in_dims, *args)`` gives (result, out_dims)."""

        def register(function: Any) -> Any:
            self._vmap_fn = function
            return function

        return register if func is None else register(func)

    def register_autocast(self, device_type: str, cast_inputs: torch.dtype) -> None:
        """Have arguments that are floating-point numbers cast where autocast is on for *device_type*."""
        from ..amp import is_autocast_available

        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise ValueError(f"Device type '{device_type}' does not support autocast.")
        self._autocast[device_type] = cast_inputs

    def register_torch_dispatch(self, torch_dispatch_class: Any, fn: Any = None) -> Any:
        """Refused: rules of that kind are for operators that torch itself knows."""
        raise UnsupportedError("register_torch_dispatch needs torch 2.5 or newer")

    @contextmanager
    def set_kernel_enabled(self, device_type: str, enabled: bool = True) -> Iterator[None]:
        """A context in which the kernel of a device type is used, or the function of the operator in its place."""
        was_disabled = device_type in self._disabled_kernel
        action = "enable" if enabled else "disable"
        if device_type not in self._backend_fns:
            log.warning(
                "Attempted to %s kernel for %s but no kernel was registered for this device type.", action, device_type
            )
        if was_disabled != enabled:
            log.warning("Attempted to %s kernel for %s but it was already %sd.", action, device_type, action)
        (self._disabled_kernel.discard if enabled else self._disabled_kernel.add)(device_type)
        try:
            yield
        finally:
            (self._disabled_kernel.add if was_disabled else self._disabled_kernel.discard)(device_type)

    # Calls

    def _invoke(self, args: Any, kwargs: Any) -> Any:
        values, named = self._parsed.bind(self._qualname, args, kwargs)
        tensors = list(tensors_of([*values, *named.values()]))
        batched = sys.modules.get("torchcompat.func._batched")
        if batched is not None and batched.active_levels() and batched.levels_of(*tensors):
            from ._vmap import mapped

            return mapped(self, values, named)
        if self._autocast:
            values = self._cast(values, tensors)
            tensors = list(tensors_of(values))
        if torch.is_grad_enabled() and any(one.requires_grad for one in tensors):
            if self._is_out:
                raise RuntimeError(
                    f"{self._name}(): functions with out=... arguments don't support automatic differentiation, but "
                    "one of the arguments requires grad."
                )
            if any(one.has_tensors for one in self._parsed.returns) and not self._is_inplace:
                return _derivative.apply(self, values, named)
        with torch.no_grad():
            return self._run(values, named)

    def _cast(self, values: list[Any], tensors: list[torch.Tensor]) -> list[Any]:
        from ..amp._state import is_autocast_enabled

        kind = next((one.device.type for one in tensors if one.device.type in self._autocast), None)
        if kind is None or not is_autocast_enabled(kind):
            return values
        wanted = self._autocast[kind]

        def cast(value: Any) -> Any:
            if isinstance(value, list):
                return [cast(one) for one in value]
            is_one = isinstance(value, torch.Tensor) and value.is_floating_point() and value.device.type == kind
            return value.to(wanted) if is_one and value.dtype is not torch.float64 else value

        return [cast(value) for value in values]

    def _run(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Run the kernel and check what it returns; autograd does not look on."""
        tensors = list(tensors_of([*args, *kwargs.values()]))
        kernel, is_fake = self._kernel(args, tensors)
        before = {_memory(one) for one in tensors}
        result = kernel(*args, **kwargs)
        for one, value in zip(self._parsed.positional, args):
            if one.mutable:
                for tensor in tensors_of([value]):
                    _note_write(tensor)
        for name in self._parsed.mutated.intersection(kwargs):
            _note_write(kwargs[name])
        if not is_fake:
            self._check(kernel, args, kwargs, result, before)
        return result

    def _kernel(self, args: list[Any], tensors: list[torch.Tensor]) -> tuple[Callable[..., Any], bool]:
        """The function for these arguments, and whether it is the one for tensors without data."""
        place = self._parsed.device_argument
        types = [one.device.type for one in tensors]
        kind: str | None = max(types, key=lambda one: (one == "meta", one != "cpu")) if types else None
        if not self._parsed.has_tensors and place is not None and any(self._backend_fns):
            kind = args[place].type if place < len(args) and args[place] is not None else "cpu"
            if kind not in self._backend_fns and None not in self._backend_fns:
                raise RuntimeError(
                    f"{self._name} does not have a kernel registered for {kind}. Please use register_kernel to do so."
                )
        if kind == "meta" and kind not in self._backend_fns:
            return self._fake(), True
        key = kind if kind in self._backend_fns else None
        if key not in self._backend_fns:
            raise NotImplementedError(
                f"Could not run '{self._qualname}' with arguments from the '{(kind or 'cpu').upper()}' backend. It has "
                f"kernels for {sorted(map(str, self._backend_fns))}; register another with register_kernel."
            )
        return (self._init_fn if key in self._disabled_kernel else self._backend_fns[key]), False

    def _fake(self) -> Callable[..., Any]:
        if self._abstract_fn is not None:
            return self._abstract_fn
        if self._is_inplace:
            return lambda first, *_, **__: first
        if self._parsed.mutated and not self._parsed.returns:
            return lambda *_, **__: None
        raise RuntimeError(
            f"There was no fake impl registered for {self!r}. This is necessary for torch.compile/export/fx tracing to "
            f"work. Please use `{getattr(self._init_fn, '__name__', 'it')}.register_fake` to add an fake impl."
        )

    def _check(self, kernel: Any, args: list[Any], kwargs: dict[str, Any], result: Any, memory: set[Any]) -> None:
        where = f"{self._name} (with implementation in {inspect.getmodule(kernel)}): "
        if self._is_inplace:
            if result is not args[0]:
                raise RuntimeError(f"{where}An operator tagged with torch.Tag.inplace must return its first argument.")
        elif self._is_out:
            wanted = [kwargs[one.name] for one in self._parsed.keywords if one.mutable]
            several = result if isinstance(result, tuple) else (result,)
            if len(several) != len(wanted) or any(one is not other for one, other in zip(several, wanted)):
                raise RuntimeError(
                    f"{where}An operator tagged with torch.Tag.out must return its mutable keyword-only arguments."
                )
        elif not self._parsed.is_view:
            for one in tensors_of([result]):
                if _memory(one) in memory:
                    raise RuntimeError(where + _ALIASING)
                memory.add(_memory(one))


def make(
    name: str, fn: Callable[..., Any], mutates_args: Any, device_types: Any, schema: str | None, tags: Any, kind: Any
) -> Any:
    """An operator of the class *kind*, as :func:`torchcompat.library.custom_op` makes it."""
    namespace, separator, last = name.partition("::")
    if not separator or not namespace or not last or "::" in last:
        raise ValueError(f'name must look like "namespace::name", got {name!r}')
    text = infer_schema(fn, mutates_args=mutates_args, tags=tags) if schema is None else schema
    if schema is not None and Schema(schema).mutated != set(mutates_args):
        raise ValueError(
            f"Attempted to create a custom op with `mutates_args={mutates_args}` and `schema={schema}. The schema "
            f"suggests that the op mutates {Schema(schema).mutated} which is different from what was provided to us in "
            "`mutates_args`. Please make these consistent."
        )
    op = kind(namespace, last, text, fn, tags)
    op.register_kernel(device_types)(fn)
    return op
