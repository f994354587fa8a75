"""What each level of matmul_precision does to a float32 matrix product, on this machine's best device.

python examples/matmul_precision.py
"""

import sys

import torch

from torchcompat.device import best_device
from torchcompat.precision import get_matmul_precision, matmul_precision

SIZE = 512
FLOAT32_ERROR = 1e-5  # more than summing 512 float32 products costs, less than rounding them to TF32 does


def error_at(level, left, right, exact):
    """The error of ``left @ right`` at this level, relative to the largest entry of the exact product."""
    with matmul_precision(level):
        product = left @ right
    return ((product.cpu().double() - exact).abs().max() / exact.abs().max()).item()


def main():
    """Returns the exit code."""
    device = best_device()
    found = get_matmul_precision()
    torch.manual_seed(0)
    left, right = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    exact = left.double() @ right.double()
    left, right = left.to(device), right.to(device)
    print(f"torch {torch.__version__} on {device}; the level was {found!r} when the program started")
    errors = {}
    for level in ("highest", "high", "medium"):
        errors[level] = error_at(level, left, right, exact)
        said = "float32" if errors[level] < FLOAT32_ERROR else "coarser than float32"
        print(f"  {level:8} largest error {errors[level]:.1e}: computed in {said}")
    print(f"afterwards the level is {get_matmul_precision()!r} again")
    return 0 if errors["highest"] < FLOAT32_ERROR and get_matmul_precision() == found else 1


if __name__ == "__main__":
    sys.exit(main())
