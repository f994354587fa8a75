"""What optimisers ask before they use the functions over lists: ``torch.utils._foreach_utils``."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor

from .._lazy import attach as _attach
from .._shim import polyfill as _polyfill
from .._torch import at_least as _at_least
from .._torch import find as _find

__all__ = [
    "Indices",
    "TensorListList",
    "_device_has_foreach_support",
    "_foreach_supported_types",
    "_get_foreach_kernels_supported_devices",
    "_get_fused_kernels_supported_devices",
    "_group_tensors_by_device_and_dtype",
    "_has_foreach_support",
]

TensorListList = List[List[Optional[Tensor]]]
Indices = List[int]
# Other libraries add their own types to torch's list.
_foreach_supported_types: list[type] = _find("torch.utils._foreach_utils._foreach_supported_types") or [Tensor]


@_polyfill(
    "torch.utils._foreach_utils._get_foreach_kernels_supported_devices",
    since="2.1",
    link="https://github.com/pytorch/pytorch/blob/v2.1.2/torch/utils/_foreach_utils.py#L8",
)
def _get_foreach_kernels_supported_devices() -> list[str]:
    """List the types of the devices on which one kernel works on a whole list of tensors.

    In torch since 2.1. Fallback: CUDA from torch 1.7 on, which has the first of these kernels, and nothing before.

    Returns:
        A new list of strings. The CPU is not among them: there torch's own functions are loops, too.
    """
    return ["cuda"] if _at_least(1, 7) else []


@_polyfill(
    "torch.utils._foreach_utils._get_fused_kernels_supported_devices",
    since="2.1",
    link="https://github.com/pytorch/pytorch/blob/v2.1.2/torch/utils/_foreach_utils.py#L14",
)
def _get_fused_kernels_supported_devices() -> list[str]:
    """List the types of the devices that have optimisers in one kernel, ``fused=True``.

    In torch since 2.1. Fallback: CUDA from torch 1.13 on, which has the first fused optimiser, and nothing before.

    Returns:
        A new list of strings.
    """
    return ["cuda"] if _at_least(1, 13) else []


@_polyfill(
    "torch.utils._foreach_utils._group_tensors_by_device_and_dtype",
    since="2.1",
    link="https://github.com/pytorch/pytorch/pull/103912",
    reason="the indices are one more list of tensors",
)
def _group_tensors_by_device_and_dtype(
    tensorlistlist: TensorListList, with_indices: bool = False
) -> Dict[Tuple[torch.device, torch.dtype], Tuple[TensorListList, Indices]]:
    """Split lists of tensors into groups of one device and dtype.

    In torch since 2.1. Fallback: a loop over the first list, in its order.

    Args:
        tensorlistlist: lists of one length, or empty ones. The first decides, and holds tensors only; the others may
            hold None.
        with_indices: whether to say at which places of the first list the tensors of a group were.

    Returns:
        A dict whose keys are pairs of a device and a dtype. Its values are pairs: the lists, each with the tensors of
        that group alone, and the list of places, which is empty without *with_indices*.

    Raises:
        RuntimeError: there is no list, the first one is empty or holds None, or the lists have different lengths; a
            tensor is on another device or of another dtype than that of its place in the first list. A step may be on the
            CPU, and a step or state of another floating-point dtype.
        TypeError: *tensorlistlist* is no list of lists of tensors.
    """
    lists = _checked(tensorlistlist)
    found: dict[tuple[torch.device, torch.dtype], tuple[TensorListList, Indices]] = {}
    for place, tensor in enumerate(lists[0]):
        assert tensor is not None
        groups, indices = found.setdefault((tensor.device, tensor.dtype), ([[] for _ in lists], []))
        for group, values in zip(groups, lists):
            if values:
                _check_alike(tensor, values[place], place)
                group.append(values[place])
        if with_indices:
            indices.append(place)
    return found


def _checked(lists: TensorListList) -> TensorListList:
    if not isinstance(lists, (list, tuple)) or not all(isinstance(each, (list, tuple)) for each in lists):
        raise TypeError(f"tensorlistlist must be a list of lists of tensors, got {type(lists).__name__}")
    for each in (value for values in lists for value in values):
        if each is not None and not isinstance(each, Tensor):
            raise TypeError(f"tensorlistlist must hold tensors and None only, got {type(each).__name__}")
    if not lists or not lists[0]:
        raise RuntimeError("tensorlistlist must have a first list with at least one tensor")
    if any(each is None for each in lists[0]):
        raise RuntimeError("tensorlistlist: its first list must hold tensors only, got None")
    lengths = [len(each) for each in lists]
    if set(lengths) - {0, lengths[0]}:
        raise RuntimeError(f"tensorlistlist must have lists of one length, or empty ones, got lengths {lengths}")
    return lists


def _check_alike(first: Tensor, other: Tensor | None, place: int) -> None:
    if other is None or (other.device == first.device and other.dtype == first.dtype):
        return
    if other.dtype.is_floating_point and (other.device == first.device or other.device.type == "cpu"):
        return
    raise RuntimeError(
        f"tensorlistlist: at place {place} the first list has a tensor of {first.dtype} on {first.device}, and another "
        f"list one of {other.dtype} on {other.device}"
    )


@_polyfill(
    "torch.utils._foreach_utils._device_has_foreach_support",
    since="2.3",
    link="https://github.com/pytorch/pytorch/pull/120910",
)
def _device_has_foreach_support(device: torch.device) -> bool:
    """Whether the functions over lists are worth their while on a device.

    In torch since 2.3. Fallback: the CPU, and what ``_get_foreach_kernels_supported_devices`` lists.

    Args:
        device: a device.

    Returns:
        A bool; False where TorchScript compiles.
    """
    return device.type in [*_get_foreach_kernels_supported_devices(), "cpu"]


@_polyfill(
    "torch.utils._foreach_utils._has_foreach_support",
    since="2.0",
    link="https://github.com/pytorch/pytorch/blob/v2.0.1/torch/utils/_foreach_utils.py#L39",
)
def _has_foreach_support(tensors: list[Tensor], device: torch.device) -> bool:
    """Whether tensors on a device can be given to the functions over lists.

    In torch since 2.0. Fallback: asks for the type of the device, and of each tensor.

    Args:
        tensors: a list of tensors; it may hold None.
        device: the device that all of them are on.

    Returns:
        A bool; False if one is of a subclass of Tensor that ``_foreach_supported_types`` does not list, such as a
        Parameter.
    """
    return _device_has_foreach_support(device) and all(
        tensor is None or type(tensor) in _foreach_supported_types for tensor in tensors
    )


_attach(globals())
