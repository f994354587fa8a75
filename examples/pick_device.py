"""Pick the device to run on: what there is, what is best, what the user asks for.

python examples/pick_device.py [DEVICE]
TORCHCOMPAT_DEVICE=cpu python examples/pick_device.py
"""

import sys

import torch

from torchcompat.device import available_devices, best_device


def refusal(device):
    """What best_device says to a request that it cannot meet."""
    try:
        return f"is here: {best_device(device)}"
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


def main():
    """Returns the exit code."""
    asked = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        device = best_device(asked)
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("available, best first:", ", ".join(map(str, available_devices())))
    print("chosen:", device)
    print("one that takes float64:", best_device(dtype=torch.float64))
    print("one that is neither CUDA nor MPS:", best_device(exclude=["cuda", "mps"]))

    total = torch.ones(1000, device=device).sum().item()
    print(f"the sum of 1000 ones, computed on {device}: {total:g}")

    # A request is met or refused, never replaced by something else.
    for request in ("cuda:63", "gpu"):
        print(f"a request for {request!r}:", refusal(request))
    return 0


if __name__ == "__main__":
    sys.exit(main())
