"""One module, many sets of weights: an ensemble trained and averaged without a single copy of the module.

python examples/per_call_weights.py
"""

import sys

import torch
from torch import nn
from torch.nn.functional import mse_loss

from torchcompat.determinism import deterministic
from torchcompat.func import functional_module

MEMBERS, STEPS, LEARNING_RATE = 5, 300, 0.1


def curve(count):
    """Noisy points of a sine, and the sine itself at the same places."""
    x = torch.rand(count, 1) * 6 - 3
    return x, torch.sin(x) + 0.3 * torch.randn(count, 1), torch.sin(x)


def fitted(call, module, x, y):
    """Weights of one member: fresh ones, fitted by gradient descent to half of the points."""
    weights = {name: 0.5 * torch.randn_like(weight) for name, weight in module.named_parameters()}
    half = torch.randperm(len(x))[: len(x) // 2]
    for _ in range(STEPS):
        weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        loss = mse_loss(call(weights, x[half]), y[half])
        gradients = torch.autograd.grad(loss, list(weights.values()))
        weights = {name: w - LEARNING_RATE * g for (name, w), g in zip(weights.items(), gradients)}
    return weights


@deterministic(seed=0)
def main():
    """Returns the exit code."""
    module = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
    before = [weight.clone() for weight in module.parameters()]
    call = functional_module(module)  # prepared once; call(weights, x) from then on, from any thread

    x, y, _ = curve(60)
    ensemble = [fitted(call, module, x, y) for _ in range(MEMBERS)]

    x, _, truth = curve(500)
    with torch.no_grad():
        guesses = torch.stack([call(weights, x) for weights in ensemble])
    alone = [mse_loss(guess, truth).item() for guess in guesses]
    together = mse_loss(guesses.mean(0), truth).item()
    untouched = all(torch.equal(old, new) for old, new in zip(before, module.parameters()))
    print("mean squared error of each member:", " ".join(f"{error:.4f}" for error in alone))
    print(f"their mean {sum(alone) / MEMBERS:.4f}, the error of their mean {together:.4f}")
    print("the module's own weights are", "untouched" if untouched else "CHANGED")
    return 0 if untouched and together < sum(alone) / MEMBERS else 1


if __name__ == "__main__":
    sys.exit(main())
