"""One optimiser step: our fallback beside torch's own loop; CPU time, best of several rounds in turn."""

import time

import torch

import torchcompat.optim  # noqa: F401  (fills the table of shims)
from torchcompat import SHIMS, _torch

NAMES = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"]
SHAPES = {"60 of 64": [(64,)] * 60, "6 of 512x512": [(512, 512)] * 6}


def stepper(cls, shapes):
    params = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
    for param in params:
        param.grad = torch.full_like(param, 0.1).detach()
    options = {"lr": 0.01}
    if "foreach" in _torch.parameters(cls.__init__):
        options["foreach"] = False
    return cls(params, **options).step


def seconds(step, rounds):
    start = time.process_time()
    for _ in range(rounds):
        step()
    return (time.process_time() - start) / rounds


def compare(name, shapes, rounds=30, repeats=8):
    """The best times of ours and of torch's own."""
    shim = SHIMS["optim." + name]
    steps = [stepper(cls, shapes) for cls in (shim.fallback, shim.native)]
    for step in steps:
        step()
    times = [[seconds(step, rounds) for step in steps] for _ in range(repeats)]
    return [min(column) for column in zip(*times)]


def main():
    torch.set_num_threads(1)
    print("one step on the CPU, 1 thread         ours    torch's own   ratio")
    for label, shapes in SHAPES.items():
        for name in NAMES:
            ours, own = compare(name, shapes)
            print(f"{name:10} {label:20} {ours * 1e6:8.0f} us {own * 1e6:8.0f} us {ours / own:8.2f}")


if __name__ == "__main__":
    main()
