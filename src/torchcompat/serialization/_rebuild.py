"""Tensors from storages, as torch's own functions of these names make them, with every number checked first.

``set_`` makes a storage larger that is too small for the tensor, and takes sizes whose product overflows; the functions
for sparse and quantized tensors take indices and scales as they come. So all is checked here, in Python's own integers.
"""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any, Callable

import torch

from .._torch import UnsupportedError, at_least, find
from . import _dtypes, _quantized, _sparse, _storages
from ._budget import GRADIENT, Budget
from ._state import States
from ._storages import Loaded, view

_LARGEST = 2**63 - 1
_MOST_DIMENSIONS = 64
_torch: Any = torch


def check_geometry(size: Any, stride: Any, offset: Any, name: str) -> tuple[int, int]:
    """Check sizes, strides and offset of a tensor of the dtype *name*.

    Returns:
        How many elements the tensor has, and how many its storage must have.
    """
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise UnpicklingError("a tensor's size and stride are not two tuples of one length")
    if len(size) > _MOST_DIMENSIONS:
        raise UnpicklingError(f"a tensor has more than {_MOST_DIMENSIONS} dimensions")
    for number in size + stride + (offset,):
        if type(number) is not int or not 0 <= number <= _LARGEST:
            raise UnpicklingError("a tensor's size, stride or offset is not an integer from 0 to 2**63 - 1")
    elements, filled, last = 1, 1, 0
    for length, step in zip(size, stride):
        elements *= length
        filled *= max(length, 1)
        last += max(length - 1, 0) * step
    end = offset + last + 1 if elements else offset
    width = _dtypes.item_size(name)
    if filled * width > _LARGEST or (offset + last + 1) * width > _LARGEST:
        raise UnpicklingError("a tensor's size and stride are larger than any memory")
    return elements, end


def checked_device(device: Any) -> torch.device:
    """*device* if it is one, or the name of one."""
    if not isinstance(device, (str, torch.device)):
        raise UnpicklingError(f"a device was expected, but got {type(device)}")
    if isinstance(device, str):
        return named_device(device)
    return device


def named_device(*arguments: Any) -> torch.device:
    """The device of that name, and with that number."""
    try:
        return torch.device(*arguments)
    except (RuntimeError, ValueError, OverflowError, TypeError) as error:
        name = ":".join(str(part)[:64] for part in arguments)
        raise UnpicklingError(
            f"the file holds a device {name!r}, which is none: {str(error).splitlines()[0]}"
        ) from error


def checked_dtype(dtype: Any) -> torch.dtype:
    """*dtype* if it is one."""
    if not isinstance(dtype, torch.dtype):
        raise UnpicklingError(f"a dtype was expected, but got {type(dtype)}")
    return dtype


def _check_hooks(hooks: Any) -> None:
    if hooks is not None and (not isinstance(hooks, (dict, list, tuple)) or len(hooks)):
        raise UnpicklingError("a tensor has backward hooks, which torch.save never writes")


class Rebuild:
    """The functions that a pickle calls for tensors, for one file.

    Args:
        loaded: what the pickle has of each of its storages, by the identity of the public object.
        subclass: the class, if it is one that the pickle may make tensors of; raises otherwise.
        call: how a function is called that the pickle names.
        device: where tensors go that have no storage of their own, given where the file says they were.
        is_users: whether a type is a class of the user's.
    """

    def __init__(
        self,
        budget: Budget,
        loaded: dict[int, Loaded],
        subclass: Callable[[Any], Any],
        call: Callable[[Any, Any], Any],
        device: Callable[[Any], Any],
        is_users: Callable[[type], bool] = lambda kind: False,
    ) -> None:
        self._budget = budget
        self._loaded, self._subclass, self._call, self._device = loaded, subclass, call, device
        self.states = States(budget, is_users)
        self._sparse = _sparse.Sparse(budget)

    def _storage(self, storage: Any) -> Loaded:
        found = self._loaded.get(id(storage))
        if found is None:
            raise UnpicklingError(f"a storage was expected, but got {type(storage)}")
        return found

    def _set_gradient(self, tensor: Any, requires_grad: Any, hooks: Any) -> Any:
        if not isinstance(requires_grad, bool):
            raise UnpicklingError(f"requires_grad is a bool, but got {type(requires_grad)}")
        _check_hooks(hooks)
        if requires_grad:
            self._budget.spend(GRADIENT)
            try:
                tensor.requires_grad_()
            except RuntimeError as error:
                raise UnpicklingError(f"a tensor of {tensor.dtype} cannot need a gradient") from error
        return tensor

    def _strided(self, storage: Any, offset: Any, size: Any, stride: Any, dtype: Any = None) -> torch.Tensor:
        loaded = self._storage(storage)
        dtype = checked_dtype(loaded.kind.dtype if dtype is None else dtype)
        name = _dtypes.name_of(dtype)
        _, end = check_geometry(size, stride, offset, name)
        if -(-end // _dtypes.elements_per_item(name)) * _dtypes.item_size(name) > loaded.nbytes:
            raise UnpicklingError(f"a tensor needs {end} elements of a storage that has only {loaded.nbytes} bytes")
        self._budget.spend_tensor(len(size))
        return view(loaded, dtype, offset, size, stride)

    def _rebuild_tensor(self, storage: Any, storage_offset: Any, size: Any, stride: Any) -> Any:
        return self._strided(storage, storage_offset, size, stride)

    def _rebuild_tensor_v2(
        self,
        storage: Any,
        storage_offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any,
        backward_hooks: Any,
        metadata: Any = None,
    ) -> Any:
        tensor = self._strided(storage, storage_offset, size, stride)
        return self._set_gradient(self._with_metadata(tensor, metadata), requires_grad, backward_hooks)

    def _rebuild_tensor_v3(
        self,
        storage: Any,
        storage_offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any,
        backward_hooks: Any,
        dtype: Any,
        metadata: Any = None,
    ) -> Any:
        tensor = self._strided(storage, storage_offset, size, stride, checked_dtype(dtype))
        return self._set_gradient(self._with_metadata(tensor, metadata), requires_grad, backward_hooks)

    def _rebuild_parameter(self, data: Any, requires_grad: Any, backward_hooks: Any) -> Any:
        if not isinstance(data, torch.Tensor) or not isinstance(requires_grad, bool):
            raise UnpicklingError(f"a parameter is made of a tensor and a bool, but got {type(data)}")
        _check_hooks(backward_hooks)
        self._budget.spend_tensor(data.dim(), GRADIENT)
        return torch.nn.Parameter(data, requires_grad)

    def _rebuild_parameter_with_state(self, data: Any, requires_grad: Any, backward_hooks: Any, state: Any) -> Any:
        return self.states.set(self._rebuild_parameter(data, requires_grad, backward_hooks), state)

    def _rebuild_from_type_v2(self, func: Any, new_type: Any, args: Any, state: Any) -> Any:
        cls = self._subclass(new_type)
        if type(args) is not tuple:
            raise UnpicklingError(f"the arguments of a call are a tuple, but got {type(args)}")
        if getattr(func, "__func__", None) in (Rebuild._rebuild_from_type, Rebuild._rebuild_from_type_v2):
            raise UnpicklingError(
                "a tensor of a subclass is made of a tensor of a subclass, which torch.save never writes"
            )
        tensor = self._call(func, args)
        if not isinstance(tensor, torch.Tensor):
            raise UnpicklingError(f"a tensor was expected, but got {type(tensor)}")
        if type(tensor) is not cls:
            self._budget.spend_tensor(tensor.dim())
            tensor = tensor.as_subclass(cls) if at_least(1, 7) else _torch.Tensor._make_subclass(cls, tensor)
        setter = getattr(cls, "__setstate__", None)
        if setter not in (None, torch.Tensor.__setstate__):  # type: ignore[attr-defined]
            self.states.note(tensor, state)
            tensor.__setstate__(state)
            return tensor
        return self.states.set(tensor, state)

    def _rebuild_from_type(self, func: Any, type: Any, args: Any, dict: Any) -> Any:
        return self._rebuild_from_type_v2(func, type, args, dict)

    def _rebuild_qtensor(self, storage: Any, storage_offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
        if len(rest) == 4:  # torch 1.2 wrote scale and zero point bare, having one scheme only
            rest = ((torch.per_tensor_affine, *rest[:2]), *rest[2:])
        quantizer_params, requires_grad, backward_hooks = rest
        loaded = self._storage(storage)
        name = loaded.kind.dtype_name
        elements, end = check_geometry(size, stride, storage_offset, name)
        held = loaded.nbytes // loaded.kind.item_size * _dtypes.elements_per_item(name)
        if max(elements, end) > held:
            raise UnpicklingError(f"a quantized tensor needs {max(elements, end)} elements of a storage of {held}")
        self._budget.spend_tensor(len(size))
        tensor = _quantized.empty(self._budget, size, loaded, quantizer_params)
        tensor.set_(loaded.public, storage_offset, size, stride)
        return self._set_gradient(tensor, requires_grad, backward_hooks)

    def _rebuild_sparse_tensor(self, layout: Any, data: Any) -> Any:
        return self._sparse.rebuild(layout, data)

    def _rebuild_sparse_csr_tensor(self, layout: Any, data: Any) -> Any:
        return self._sparse.rebuild(layout, data)

    def _rebuild_meta_tensor_no_storage(self, dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Any:
        check_geometry(size, stride, 0, _dtypes.name_of(checked_dtype(dtype)))
        self._budget.spend_tensor(len(size))
        if not at_least(1, 9):
            raise UnsupportedError("the file holds a tensor on the device 'meta', which torch has since 1.9")
        return self._set_gradient(torch.empty_strided(size, stride, dtype=dtype, device="meta"), requires_grad, None)

    def _rebuild_wrapper_subclass(
        self,
        cls: Any,
        dtype: Any,
        size: Any,
        stride: Any,
        storage_offset: Any,
        layout: Any,
        device: Any,
        requires_grad: Any,
    ) -> Any:
        check_geometry(size, stride, storage_offset, _dtypes.name_of(checked_dtype(dtype)))
        self._budget.spend_tensor(len(size))
        make = find("torch.Tensor._make_wrapper_subclass")
        if make is None:
            raise UnsupportedError("the file holds a tensor that wraps others, which torch has since 1.11")
        return make(
            self._subclass(cls),
            size,
            strides=stride,
            dtype=dtype,
            storage_offset=storage_offset,
            layout=layout,
            device=self._device(checked_device(device)),
            requires_grad=requires_grad,
        )

    def _rebuild_device_tensor_from_cpu_tensor(self, data: Any, dtype: Any, device: Any, requires_grad: Any) -> Any:
        if not isinstance(data, torch.Tensor) or data.layout != torch.strided or not _sparse.is_dense(data):
            raise UnpicklingError("a tensor was expected whose elements do not overlap")
        return self._set_gradient(self._moved(data, dtype, device), requires_grad, None)

    def _rebuild_device_tensor_from_numpy(self, data: Any, dtype: Any, device: Any, requires_grad: Any) -> Any:
        # An ndarray comes only from functions that the user has added to the safe globals.
        return self._set_gradient(self._moved(torch.from_numpy(data), dtype, device), requires_grad, None)

    def _moved(self, data: torch.Tensor, dtype: Any, device: Any) -> torch.Tensor:
        target = self._device(checked_device(device))
        width = _dtypes.item_size(_dtypes.name_of(checked_dtype(dtype)))
        if data.dtype != dtype or str(data.device) != str(target):
            self._budget.spend_tensor(data.dim(), 0 if str(target) == "meta" else data.numel() * width)
        return _storages.on_device(lambda: data.to(dtype=dtype, device=target), "a tensor", target)

    _rebuild_xla_tensor = _rebuild_device_tensor_from_numpy

    def set_tensor(self, tensor: Any, state: Any) -> Any:
        """What BUILD does to a bare tensor: the form in which the oldest torch wrote them."""
        if type(state) is not tuple or len(state) != 4:
            raise UnpicklingError("the state of a tensor is not a storage, an offset, a size and a stride")
        if not _sparse.is_plain(tensor) or tuple(tensor.shape) != (0,):
            raise UnpicklingError("a tensor that has been made is to be made again, which torch.save never writes")
        source = self._strided(*state)
        if source.dtype != tensor.dtype:
            raise UnpicklingError(f"a tensor of {tensor.dtype} is to be made of a storage of {source.dtype}")
        with torch.no_grad():
            tensor.set_(source)
        return tensor

    def _with_metadata(self, tensor: Any, metadata: Any) -> Any:
        """*tensor* as the lazy conjugate or negative that the file says it is."""
        if not metadata:
            return tensor
        if type(metadata) is not dict or not set(metadata) <= {"conj", "neg"}:
            raise UnpicklingError("the metadata of a tensor hold more than the bits 'conj' and 'neg'")
        if not all(type(value) is bool for value in metadata.values()):
            raise UnpicklingError("the metadata of a tensor are not a dict of bools")
        for key, bit in (("conj", find("torch.conj")), ("neg", find("torch._neg_view"))):
            if metadata.get(key):
                if not at_least(1, 10):
                    raise UnsupportedError(f"the file holds a tensor with the {key} bit, which torch has since 1.10")
                assert bit is not None
                self._budget.spend_tensor(tensor.dim())
                tensor = bit(tensor)
        return tensor

    def functions(self) -> dict[str, Any]:
        """The functions by their full names in torch."""
        ours = {name: getattr(self, name) for name in dir(self) if name.startswith("_rebuild_")}
        table = {"torch._utils." + name: function for name, function in ours.items() if "from_type" not in name}
        table["torch._tensor._rebuild_from_type_v2"] = ours["_rebuild_from_type_v2"]
        table["torch._tensor._rebuild_from_type"] = table["torch.tensor._rebuild_from_type"] = ours[
            "_rebuild_from_type"
        ]
        return table
