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
    # https://github.com/intel/torch-xpu-ops/issues/1598
    "SYCL": "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
    # https://github.com/open-edge-platform/physical-ai-studio/issues/440
    "Level Zero": "Enqueue process failed.\nlevel_zero backend failed with error: 39 "
    "(UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
    # https://github.com/microsoft/DirectML/issues/579
    "DirectML": "Could not allocate tensor with 234881024 bytes. There is not enough GPU video memory available!",
    # https://github.com/pytorch/xla/issues/3532
    "TPU": "(0) RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 29.80G of 7.98G hbm. Exceeded",
    # https://github.com/pytorch/xla/issues/3470
    "TPU heap": "RESOURCE_EXHAUSTED: Attempting to reserve 6.48G at the bottom of memory. That was not possible.",
    # https://github.com/ggml-org/llama.cpp/pull/7010
    "Metal": "error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
    # https://github.com/PKU-YuanGroup/Open-Sora-Plan/issues/386
    "NCCL's log": "enqueue.cc:1085 NCCL WARN Cuda failure 'out of memory'",
    # https://github.com/pytorch/pytorch/issues/87861
    "shared memory": "unable to mmap 29764 bytes from file </torch_10182_3020184674_63991>: "
    "Cannot allocate memory (12)",
    # https://github.com/pytorch/pytorch/issues/140423
    "Triton's compiler": "std::bad_alloc",
    # The form of https://github.com/triton-lang/triton/blob/main/third_party/nvidia/backend/driver.c, with what
    # CUDA calls its error 2.
    "Triton": "Triton Error [CUDA]: out of memory",
    # The form of https://github.com/triton-lang/triton/blob/main/third_party/amd/backend/driver.c, with what HIP calls
    # its error 2; the word is spelled so there.
    "Triton on HIP": "Triton Error [HIP]:  Code: 2, Messsage: out of memory",
    # The form of https://github.com/intel/intel-xpu-backend-for-triton/issues/3481; the number is that of
    # ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY in https://oneapi-src.github.io/level-zero-spec/level-zero/latest/core/api.html
    "Triton on XPU": "Error during Intel loadBinary: Triton Error [ZE]: 0x70000003",
    "driver": "failed to allocate 17.79G (19104890880 bytes) from device: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
}
OTHERS = [
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: too many resources requested for launch",
    "CUDA error: invalid device ordinal",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input.",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    # https://github.com/pytorch/pytorch/issues/190972
    "level_zero backend failed with error: 20 (UR_RESULT_ERROR_DEVICE_LOST)",
    "level_zero backend failed with error: 2147483646 (UR_RESULT_ERROR_UNKNOWN)",
    # https://github.com/intel/torch-xpu-ops/issues/5061: a kernel's fault, not memory
    "level_zero backend failed with error: 40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)",
    # https://github.com/intel/intel-xpu-backend-for-triton/issues/3481 and 3016
    "Triton Error [ZE]: 0x78000011",
    "Triton Error [ZE]: 0x70000004",
    "Triton Error [CUDA]: an illegal memory access was encountered",
    "Triton Error [HIP]:  Code: 1, Messsage: invalid argument",
    # https://github.com/pytorch/pytorch/pull/181198: shared memory of one kernel
    "No valid triton configs. OutOfMemoryError: out of resource: triton_mm Required: 294912 Hardware limit:232448",
    # https://github.com/pytorch/xla/issues/9524: a core's scratch memory, at compile time
    "Bad StatusOr access: RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space vmem.",
    # https://github.com/kijai/ComfyUI-SUPIR/issues/151: larger than any buffer may be
    "Invalid buffer size: 19.38 GiB",
    # https://github.com/pytorch/pytorch/issues/123262
    "unable to mmap 4096 bytes from file <filename not specified>: No such device (19)",
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


# Every enumeration of a driver names it in the same way: CUDA, NVRTC, SYCL's adapters of three generations, Level Zero,
# OpenCL, Vulkan.
@pytest.mark.parametrize(
    "name",
    [
        "CUDA_ERROR_OUT_OF_MEMORY",
        "NVRTC_ERROR_OUT_OF_MEMORY",
        "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
        "UR_RESULT_ERROR_OUT_OF_HOST_MEMORY",
        "UR_RESULT_ERROR_MEM_OBJECT_ALLOCATION_FAILURE",
        "ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
        "ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY",
        "PI_ERROR_OUT_OF_HOST_MEMORY",
        "PI_ERROR_MEM_OBJECT_ALLOCATION_FAILURE",
        "CL_OUT_OF_HOST_MEMORY",
        "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    ],
)
def test_what_drivers_call_it(name):
    assert is_oom_error(RuntimeError(f"Native API failed. Native API returns: 39 ({name})"))
    other = name.rpartition("_OUT_")[0] or name.partition("_MEM_")[0]
    assert not is_oom_error(RuntimeError(f"Native API failed. Native API returns: 20 ({other}_DEVICE_LOST)"))


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
