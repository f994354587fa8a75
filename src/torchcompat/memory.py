"""Out of memory: which exception says so, on any torch and any device."""

from __future__ import annotations

import errno
import re

from ._shim import SHIMS, facade, polyfill

__all__ = ["OutOfMemoryError", "is_oom_error"]


# One class under two paths, of which the older is everywhere that the newer is.
@polyfill(
    "torch.cuda.OutOfMemoryError",
    since="1.13",
    link="https://github.com/pytorch/pytorch/pull/83146",
    name="OutOfMemoryError",
)
class OutOfMemoryError(RuntimeError):
    """Raised by torch where an accelerator has no memory left: :func:`is_oom_error` tells more.

    In torch since 1.13. There it is ``torch.cuda.OutOfMemoryError`` up to 2.3, and from 2.4 on that and
    ``torch.OutOfMemoryError`` are one class. Fallback: a class of its own, so that code which names it can be imported.
    Torch up to 1.12 raises a plain RuntimeError, which ``except OutOfMemoryError`` does not catch: catching all of them
    would take every error for this one.
    https://docs.pytorch.org/docs/stable/generated/torch.OutOfMemoryError.html
    """


_row = SHIMS["OutOfMemoryError"]
_CLASSES = (_row.fallback, _row.native or _row.fallback, MemoryError)

# What torch and the libraries below it say. Each is a phrase that is said of nothing else; tests/test_memory.py has the
# messages, and where they were seen.
_PHRASES = (
    r"\b[A-Z]{2,} out of memory\b",  # the allocators of CUDA, HIP, XPU, NPU, MLU, MUSA
    r"\b(CUDA|HIP|MUSA|NPU|cuda runtime)( driver)? error( \(2\) )?: out of memory\b",
    r"\bTriton Error \[\w+\]:[^\n]*\bout of memory\b",  # Triton's driver, for CUDA and HIP
    r"\bTriton Error \[ZE\]: (0x7000000[23]|187904819[45])\b",  # the same for XPU: host and device, by number
    r"\b(Cuda|HIP) failure (2 )?'out of memory'",  # NCCL and RCCL
    r"\bwould exceed allowed memory\b",  # CUDA's own asynchronous allocator
    r"\bMPS backend out of memory\b",
    r"\bkIOGPUCommandBufferCallbackErrorOutOfMemory\b",  # Metal, on a command buffer
    r"\bnot enough GPU video memory available\b",  # DirectML
    r"\bAllocation is out of device memory\b",  # Intel's extension
    r"\bRESOURCE_EXHAUSTED: [^\n]*\b(memory space hbm|Out of memory|Attempting to (reserve|allocate))\b",  # XLA
    r"\bDefaultCPUAllocator: (can't allocate memory|not enough memory)\b",
    r"\bnot enough memory: you tried to allocate\b",
    r"\bunable to mmap \d+ bytes [^\n]*: Cannot allocate memory \(12\)",  # what the host says by ENOMEM elsewhere
    r"\bstd::bad_alloc\b",
    r"\b[A-Z]+_(STATUS_)?([A-Z_]+_)?ALLOC(ATION)?_FAILED\b",  # cuBLAS, cuDNN, cuSPARSE, cuSOLVER, cuFFT, hipBLAS
    r"\b(miopenStatusAllocFailed|rocblas_status_memory_error|cudaErrorMemoryAllocation|hipErrorOutOfMemory)\b",
    r"\b[A-Z]+(_[A-Z]+)*_OUT_OF_((DEVICE|HOST)_)?MEMORY\b",  # drivers: CUDA, Level Zero, SYCL, OpenCL, Vulkan
    r"\b[A-Z]+(_[A-Z]+)*_MEM_OBJECT_ALLOCATION_FAILURE\b",  # OpenCL, SYCL
    r"\bPT_DEVMEM Allocation failed\b",  # Gaudi
)


def _says_so(exc: BaseException) -> bool:
    if isinstance(exc, _CLASSES):
        return True
    if isinstance(exc, OSError):
        return exc.errno == errno.ENOMEM
    return isinstance(exc, RuntimeError) and re.search("|".join(_PHRASES), str(exc)) is not None


@facade("memory.is_oom_error")
def is_oom_error(exc: BaseException) -> bool:
    """Whether an exception means that memory ran out, of an accelerator or of the host.

    Not in torch: ``torch.OutOfMemoryError`` is there from 1.13 on, and even today the CPU, MPS, cuBLAS, cuDNN, NCCL
    and CUDA's late errors raise other classes with a message of their own.

    It is decided by the class, or by the text of a RuntimeError; an error that was raised ``from`` another also by that
    one. An error that only happened while another was handled is judged by itself. Errors that memory *may* be behind
    (``CUDNN_STATUS_NOT_SUPPORTED``, ``UR_RESULT_ERROR_DEVICE_LOST``, "unable to find an engine") are not counted: they
    have other causes.

    >>> try:                                                                             # doctest: +SKIP
    ...     loss = step(batch)
    ... except Exception as error:
    ...     if not is_oom_error(error):
    ...         raise
    ...     loss = None

    The exception holds the frames, and these the tensors: free memory after the ``except`` block, not in it.

    Args:
        exc: the exception, an instance.

    Raises:
        TypeError: *exc* is no exception.
    """
    if not isinstance(exc, BaseException):
        raise TypeError(f"exc must be an exception, got {exc!r}")
    seen: list[BaseException] = []
    cause: BaseException | None = exc
    while cause is not None and cause not in seen:
        if _says_so(cause):
            return True
        seen.append(cause)
        cause = cause.__cause__
    return False
