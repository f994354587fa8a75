"""Which exceptions mean that memory ran out: those that torch raises here, and what others were seen to say."""

import errno

import pytest
import torch

from torchcompat import SHIMS, at_least, memory
from torchcompat.memory import is_oom_error

oom_class = pytest.mark.shim("OutOfMemoryError")

MESSAGES = {
    # https://github.com/mlverse/tabnet/issues/28
    "CUDA": "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 10.91 GiB total capacity; 10.20 GiB",
    # https://github.com/pytorch/pytorch/issues/148642
    "TorchScript": "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript (most "
    "recent call last):\nRuntimeError: CUDA out of memory. Tried to allocate 37252902.99 GiB.",
    # https://github.com/pytorch/pytorch/issues/138002
    "HIP": "HIP out of memory. Tried to allocate 6.64 GiB. GPU 0 has a total capacity of 19.92 GiB of which",
    # https://github.com/intel/torch-xpu-ops/issues/3157
    "XPU": "XPU out of memory. Tried to allocate 32.00 GiB. GPU 0 has a total capacity of 11.59 GiB",
    # https://github.com/vllm-project/vllm-ascend/issues/19
    "NPU": "NPU out of memory. Tried to allocate 22.00 MiB (NPU 0; 60.97 GiB total capacity; ",
    # https://github.com/Comfy-Org/ComfyUI/issues/2489
    "MPS": "MPS backend out of memory (MPS allocated: 5.56 GB, other allocations: 1.10 GB, max allowed: 6.80 GB). "
    "Tried to allocate 768.00 MB on private pool.",
    # https://github.com/Comfy-Org/ComfyUI/issues/13210
    "late": "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
    # https://github.com/pytorch/pytorch/issues/465
    "runtime": "cuda runtime error (2) : out of memory at /opt/conda/torch/lib/THC/generic/THCStorage.cu:65",
    # https://github.com/QwenLM/Qwen3/issues/873
    "cuBLAS": "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    # https://github.com/torch/torch7/issues/780
    "cuDNN": "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    # https://github.com/NVIDIA/nccl/issues/1235
    "NCCL": "NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.hpp:219, unhandled cuda error\n"
    "Last error:\nCuda failure 'out of memory'",
    # https://github.com/lllyasviel/Fooocus/issues/237
    "Windows": r"[enforce fail at ..\c10\core\impl\alloc_cpu.cpp:72] data. DefaultCPUAllocator: not enough memory: "
    "you tried to allocate 26214400 bytes.",
    # https://github.com/pytorch/pytorch/issues/5434
    "TH": "$ Torch: not enough memory: you tried to allocate 72GB. Buy new RAM!",
    # https://github.com/philip-huang/PIXOR/issues/31
    "driver": "failed to allocate 17.79G (19104890880 bytes) from device: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
}
OTHERS = [
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: too many resources requested for launch",
    "CUDA error: invalid device ordinal",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input.",
    "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)",
    "index 5 is out of bounds for dimension 0 with size 3",
    "Storage size calculation overflowed with sizes=[4611686018427387904]",
    "unsupported memory format option Preserve",
    "out of resource: shared memory, Required: 131072, Hardware limit: 101376",
    "Error(s) in loading state_dict: size mismatch for memory.weight",
    "The iterator ran out of memory cells",
    "",
]


def raised_by(function):
    with pytest.raises(Exception) as caught:
        function()
    return caught.value


@pytest.mark.parametrize("size", [2**45, 2**50])
def test_torchs_own_error_on_the_cpu(size):
    error = raised_by(lambda: torch.empty(size, dtype=torch.uint8))
    assert type(error) is RuntimeError
    assert is_oom_error(error)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_torchs_own_error_on_cuda():
    error = raised_by(lambda: torch.empty(2**45, dtype=torch.uint8, device="cuda"))
    assert is_oom_error(error)
    assert isinstance(error, memory.OutOfMemoryError) == at_least(1, 13)


@pytest.mark.parametrize("source", sorted(MESSAGES))
def test_messages_that_were_seen(source):
    assert is_oom_error(RuntimeError(MESSAGES[source]))
    assert is_oom_error(RuntimeError("Caught RuntimeError in replica 0 on device 0.\n" + MESSAGES[source]))


@pytest.mark.parametrize("library", ["CUSPARSE_STATUS", "CUSOLVER_STATUS", "HIPBLAS_STATUS", "CUFFT"])
def test_libraries_below_torch(library):
    assert is_oom_error(RuntimeError(f"CUDA error: {library}_ALLOC_FAILED when calling `create(handle)`"))
    assert not is_oom_error(RuntimeError(f"CUDA error: {library}_EXECUTION_FAILED when calling `create(handle)`"))


@pytest.mark.parametrize("message", OTHERS)
def test_other_errors_are_not_counted(message):
    assert not is_oom_error(RuntimeError(message))


@pytest.mark.parametrize("kind", [ValueError, KeyError, Exception, KeyboardInterrupt])
def test_text_counts_in_a_runtime_error_only(kind):
    assert not is_oom_error(kind(MESSAGES["CUDA"]))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: torch.ones(2, 3) @ torch.ones(2, 3),
        lambda: torch.ones(2)[5],
        lambda: torch.ones(2).view(3),
        lambda: torch.empty(-1),
    ],
)
def test_torchs_other_errors_are_not_counted(wrong):
    assert not is_oom_error(raised_by(wrong))


@pytest.mark.skipif(not at_least(2, 8), reason="torch has the class since 2.8")
def test_accelerator_error():
    assert is_oom_error(torch.AcceleratorError(MESSAGES["late"], 2))
    assert not is_oom_error(torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700))


def test_the_hosts_own_errors():
    assert is_oom_error(MemoryError())
    assert is_oom_error(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_oom_error(OSError(errno.ENOENT, "No such file"))
    assert is_oom_error(RuntimeError("std::bad_alloc"))


def chained(outer, inner, explicitly):
    try:
        try:
            raise inner
        except type(inner) as error:
            if explicitly:
                raise outer from error
            raise outer  # noqa: B904
    except type(outer) as error:
        return error


def test_a_cause_counts_and_what_merely_came_before_does_not():
    oom = RuntimeError(MESSAGES["CUDA"])
    assert is_oom_error(chained(ValueError("step 3"), oom, explicitly=True))
    assert is_oom_error(
        chained(KeyError("outer"), chained(ValueError("step 3"), oom, explicitly=True), explicitly=True)
    )
    assert not is_oom_error(chained(ValueError("while cleaning up"), oom, explicitly=False))


def test_a_ring_of_causes_ends():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert not is_oom_error(first)


def test_what_is_no_exception_is_refused():
    for wrong in (MESSAGES["CUDA"], RuntimeError, None):
        with pytest.raises(TypeError, match="exc"):
            is_oom_error(wrong)


# The class.


@oom_class
def test_the_class_is_a_runtime_error(impl):
    assert issubclass(impl, RuntimeError)
    assert impl is not RuntimeError
    assert impl.__name__ == "OutOfMemoryError"
    assert str(impl("words")) == "words"


@oom_class
def test_the_class_catches_itself_and_no_other_error(impl):
    with pytest.raises(impl):
        raise impl("words")
    assert not isinstance(RuntimeError("others"), impl)
    assert is_oom_error(impl("words"))


@pytest.mark.skipif(not at_least(1, 13), reason="torch has the class since 1.13")
def test_the_public_class_is_torchs_own():
    native = torch.OutOfMemoryError if at_least(2, 4) else torch.cuda.OutOfMemoryError
    assert SHIMS["OutOfMemoryError"].native is native
    assert memory.OutOfMemoryError is SHIMS["OutOfMemoryError"].public
