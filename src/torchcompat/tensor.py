"""Methods and attributes that ``torch.Tensor`` got after torch 1.2, as functions of a tensor.

A method cannot be added to torch's class without patching it. Here is what no function of torch does: for ``adjoint``,
``unflatten``, ``clip``, ``amax`` and their like, torch has functions of the same names, and so has torchcompat.
"""

from __future__ import annotations

from typing import Any

import torch

from ._functions._promote import is_complex
from ._lazy import attach as _attach
from ._shim import facade
from ._torch import UnsupportedError, find

__all__ = [
    "H",
    "as_subclass",
    "is_cpu",
    "is_meta",
    "is_mps",
    "is_xpu",
    "itemsize",
    "mH",
    "mT",
    "nbytes",
    "new_empty_strided",
    "numpy",
    "retains_grad",
    "untyped_storage",
]


@facade("tensor.mT")
def mT(input: torch.Tensor) -> torch.Tensor:
    """A batch of matrices, each transposed: a view with the last two axes exchanged.

    Not in torch as a function: the attribute ``Tensor.mT`` came with 1.11.

    Args:
        input: of two or more dimensions.

    Raises:
        RuntimeError: *input* has fewer dimensions.
    """
    if input.dim() < 2:
        raise RuntimeError("mT needs a matrix or a batch of matrices, got a tensor of fewer than two dimensions")
    return input.transpose(-2, -1)


@facade("tensor.mH")
def mH(input: torch.Tensor) -> torch.Tensor:
    """A batch of matrices, each transposed and conjugated.

    Not in torch as a function: the attribute ``Tensor.mH`` came with 1.11. A view of a real tensor; of a complex one a
    view where torch conjugates lazily (1.10), else new memory.

    Args:
        input: of two or more dimensions.

    Raises:
        RuntimeError: *input* has fewer dimensions.
    """
    if input.dim() < 2:
        raise RuntimeError("mH needs a matrix or a batch of matrices, got a tensor of fewer than two dimensions")
    swapped = input.transpose(-2, -1)
    if is_complex(input.dtype):  # torchcompat: needs torch >= 1.4
        return swapped.conj()
    return swapped


@facade("tensor.H")
def H(input: torch.Tensor) -> torch.Tensor:
    """A matrix, transposed and conjugated.

    Not in torch as a function: the attribute ``Tensor.H`` came with 1.11.

    Args:
        input: of two dimensions, or of none.

    Raises:
        RuntimeError: *input* has one dimension, or more than two.
    """
    if input.dim() not in (0, 2):
        raise RuntimeError(f"H needs a matrix, got a tensor of {input.dim()} dimensions; for batches there is mH")
    if input.dim() == 2:
        return mH(input)
    if is_complex(input.dtype):  # torchcompat: needs torch >= 1.4
        return input.conj()
    return input


@facade("tensor.itemsize")
def itemsize(input: torch.Tensor) -> int:
    """The bytes of one element.

    Not in torch as a function: the attribute ``Tensor.itemsize`` came with 2.1, and is ``Tensor.element_size()``.

    Args:
        input: any tensor.
    """
    return int(input.element_size())


@facade("tensor.nbytes")
def nbytes(input: torch.Tensor) -> int:
    """The bytes of all elements, whatever memory they share.

    Not in torch as a function: the attribute ``Tensor.nbytes`` came with 2.1.

    Args:
        input: a dense tensor.

    Raises:
        RuntimeError: *input* is sparse.
    """
    if input.layout != torch.strided:
        raise RuntimeError("nbytes is not defined for a sparse tensor: add the bytes of its indices and its values")
    return int(input.element_size() * input.numel())


@facade("tensor.numpy")
def numpy(input: torch.Tensor, *, force: bool = False) -> Any:
    """A tensor as an array of NumPy.

    Not in torch as a function: ``Tensor.numpy()`` has *force* since 1.13.

    Args:
        input: a tensor.
        force: also for a tensor that requires a gradient, is on another device, or is a view that is conjugated lazily:
            it is detached and copied where it has to be. False: these are errors, and the memory is shared.

    Raises:
        RuntimeError, TypeError: from torch, where *force* is False.
    """
    if not force:
        return input.numpy()
    found = input.detach().cpu()
    for name in ("resolve_conj", "resolve_neg"):
        # In torch since 1.10, as are the views that they resolve.
        found = getattr(found, name, lambda found=found: found)()
    return found.numpy()


@facade("tensor.as_subclass")
def as_subclass(input: torch.Tensor, cls: Any) -> Any:
    """A tensor of a subclass that shares memory and gradients.

    Not in torch as a function: ``Tensor.as_subclass()`` came with 1.6. Older torch has it under another name.

    Args:
        input: a tensor.
        cls: a subclass of ``torch.Tensor``.

    Raises:
        TypeError: *cls* is something else.
    """
    if not (isinstance(cls, type) and issubclass(cls, torch.Tensor)):
        raise TypeError(f"cls must be a subclass of Tensor, got {cls!r}")
    if find("torch.Tensor.as_subclass") is not None:
        return input.as_subclass(cls)
    made = input.view(input.shape) if input.requires_grad else input.detach()
    made.__class__ = cls
    return made


@facade("tensor.new_empty_strided")
def new_empty_strided(
    input: torch.Tensor, size: Any, stride: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> torch.Tensor:
    """An uninitialised tensor of given strides, by default of the dtype and on the device of another one.

    Not in torch as a function: ``Tensor.new_empty_strided()`` came with 1.8.

    Args:
        input: the other tensor.
        size, stride: tuples of ints.
        dtype, device, requires_grad: of the result. None: as *input* has it.
    """
    return torch.empty_strided(
        size, stride, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad
    )


@facade("tensor.retains_grad")
def retains_grad(input: torch.Tensor) -> bool:
    """Whether a tensor that is no leaf keeps its gradient, since ``retain_grad()`` was called.

    Not in torch as a function: the attribute ``Tensor.retains_grad`` came with 1.10.

    Args:
        input: any tensor.
    """
    # Up to 1.9 torch notes it on the tensor, only once it has been asked for.
    return bool(getattr(input, "retains_grad", False))


@facade("tensor.is_cpu")
def is_cpu(input: torch.Tensor) -> bool:
    """Whether a tensor is on the CPU.

    Not in torch as a function: the attribute ``Tensor.is_cpu`` came with 1.13.

    Args:
        input: any tensor.
    """
    return bool(input.device.type == "cpu")


@facade("tensor.is_meta")
def is_meta(input: torch.Tensor) -> bool:
    """Whether a tensor has a shape and no memory.

    Not in torch as a function: the attribute ``Tensor.is_meta`` came with 1.6.

    Args:
        input: any tensor.
    """
    return bool(input.device.type == "meta")


@facade("tensor.is_mps")
def is_mps(input: torch.Tensor) -> bool:
    """Whether a tensor is on Apple's GPU.

    Not in torch as a function: the attribute ``Tensor.is_mps`` came with 1.12.

    Args:
        input: any tensor.
    """
    return bool(input.device.type == "mps")


@facade("tensor.is_xpu")
def is_xpu(input: torch.Tensor) -> bool:
    """Whether a tensor is on a GPU of Intel's.

    Not in torch as a function: the attribute ``Tensor.is_xpu`` came with 1.8.

    Args:
        input: any tensor.
    """
    return bool(input.device.type == "xpu")


class _Memory:
    """The memory of a tensor, counted in bytes, where torch has typed storages alone."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.is_cuda = bool(storage.is_cuda)

    def data_ptr(self) -> int:
        return int(self._storage.data_ptr())

    def nbytes(self) -> int:
        return int(self._storage.size() * self._storage.element_size())

    size = __len__ = nbytes

    def element_size(self) -> int:
        return 1

    def __getattr__(self, name: str) -> Any:
        raise UnsupportedError(f"{name!r} of a storage without a type needs torch 2.0 or newer")


@facade("tensor.untyped_storage")
def untyped_storage(input: torch.Tensor) -> Any:
    """The memory that a tensor looks at, counted in bytes.

    Not in torch as a function: ``Tensor.untyped_storage()`` came with 2.0; ``storage()`` is deprecated there.

    Args:
        input: a dense tensor.

    Returns:
        Torch's own from 1.11 on. Before, an object with ``data_ptr()``, ``nbytes()``, ``size()``, ``element_size()``,
        ``is_cuda`` and a length; the rest raises UnsupportedError.
    """
    if find("torch.Tensor.untyped_storage") is not None:
        return input.untyped_storage()
    storage: Any = input.storage()
    inner = getattr(storage, "_storage", None)
    return _Memory(storage) if inner is None else inner


_attach(globals())
