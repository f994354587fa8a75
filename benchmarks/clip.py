"""Clipping the gradients of a model, which each step of training does: our fallback beside torch's own."""

import time

import torch

from torchcompat import SHIMS
from torchcompat.nn import utils  # noqa: F401  (fills the table of shims)

SHAPES = {"200 of 64": [(64,)] * 200, "50 of 20,000": [(20_000,)] * 50}


def parameters(shapes):
    made = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for parameter in made:
        parameter.grad = torch.ones_like(parameter).detach()
    return made


def seconds(clip, params, rounds):
    start = time.process_time()
    for _ in range(rounds):
        clip(params, 1.0)
    return (time.process_time() - start) / rounds


def compare(shapes, rounds=20, repeats=15):
    """The best times of ours and of torch's own, taken in turn."""
    shim = SHIMS["nn.utils.clip_grad_norm_"]
    params = parameters(shapes)
    times = [[seconds(clip, params, rounds) for clip in (shim.fallback, shim.native)] for _ in range(repeats)]
    return [min(column) for column in zip(*times)]


def main():
    torch.set_num_threads(1)
    print("clip_grad_norm_ on the CPU, 1 thread      ours    torch's own   ratio")
    for label, shapes in SHAPES.items():
        ours, own = compare(shapes)
        print(f"{label:36} {ours * 1e6:8.0f} us {own * 1e6:8.0f} us {ours / own:8.2f}")


if __name__ == "__main__":
    main()
