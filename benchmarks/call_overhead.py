"""What a call costs: a native name (nothing, it is torch's own object), and each facade beside what it stands for."""

import timeit

import torch

import torchcompat
from torchcompat import SHIMS


def microseconds(function, repeat=15, seconds=0.05):
    """The fastest of *repeat* timings, a call."""
    timer = timeit.Timer(function)
    number = max(1, int(seconds / max(timer.timeit(1), 1e-7)))
    return min(timer.repeat(repeat, number)) / number * 1e6


def enter_and_leave(context):
    with context:
        pass


def bare_switch():
    """What `deterministic` stands for, without putting anything back."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def cases():
    """Name, ours, and what it is measured against."""
    layer = torch.nn.TransformerEncoderLayer(8, 2).eval()
    tensor = torch.zeros(1, 1, 8)
    yield "best_device()", torchcompat.best_device, torch.cuda.is_available
    yield "available_devices()", torchcompat.available_devices, torch.cuda.is_available
    native = getattr(torch, "get_float32_matmul_precision", None)
    yield "get_matmul_precision()", torchcompat.get_matmul_precision, native
    native = getattr(torch, "set_float32_matmul_precision", None)
    yield (
        "set_matmul_precision('high')",
        lambda: torchcompat.set_matmul_precision("high"),
        native and (lambda: native("high")),
    )
    yield "with matmul_precision('high')", lambda: enter_and_leave(torchcompat.matmul_precision("high")), None
    yield "with deterministic()", lambda: enter_and_leave(torchcompat.deterministic()), bare_switch
    yield "with deterministic(seed=0)", lambda: enter_and_leave(torchcompat.deterministic(seed=0)), bare_switch
    yield "why_not_fastpath(layer, x)", lambda: torchcompat.why_not_fastpath(layer, tensor), lambda: layer(tensor)
    yield "at_least(2, 4)", lambda: torchcompat.at_least(2, 4), lambda: torchcompat.torch_version >= (2, 4)


def main():
    print("call overhead, microseconds")
    for name, shim in sorted(SHIMS.items()):
        if shim.kind == "polyfill":
            same = "torch's own object: no overhead" if shim.public is shim.native else f"ours ({shim.why})"
            print(f"  {name:<46} {same}")
    level = torchcompat.get_matmul_precision()
    for name, ours, against in cases():
        cost = microseconds(ours)
        ratio = f"{cost / microseconds(against):7.2f} x what torch has for it" if against else ""
        print(f"  {name:<46} {cost:9.2f} {ratio}")
    torchcompat.set_matmul_precision(level)


if __name__ == "__main__":
    main()
