"""Train ten networks at once, and let them say where they do not know.

    python examples/ensemble.py [--steps 200] [--seed 0]

The weights of all members are stacked, and vmap trains them in one call per step, each on its own draw of the data. A
member fits wherever there was data; elsewhere each goes its own way. So their spread tells what more data would cure,
and together with the noise of the data it gives intervals, which are tried here on fresh data inside and outside of the
training range. The exit code is 0 if the spread grows outside, and the intervals hold more of the data there than
those of a single network, which knows the noise alone.
"""

import argparse
import math
import sys

import torch
from torch import nn
from torch.nn.functional import mse_loss

from torchcompat.determinism import deterministic
from torchcompat.func import functional_call, grad_and_value, stack_module_state, vmap

MEMBERS, POINTS, NOISE, LEARNING_RATE, SCALE = 10, 60, 0.2, 0.01, 2.5
INSIDE, OUTSIDE = (-2.0, 2.0), (2.2, 3.2)
LEVELS = [0.5, 0.8, 0.95]


def data(count, low, high):
    """Points of a wave, with noise: x and y of shape (count, 1)."""
    x = low + (high - low) * torch.rand(count, 1)
    return x, torch.sin(2 * x) + NOISE * torch.randn(count, 1)


def network():
    """A network with larger weights than torch starts with: the more the members differ, the more their spread says."""
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    for layer in net[::2]:
        nn.init.normal_(layer.weight, std=SCALE / math.sqrt(layer.in_features))
        nn.init.normal_(layer.bias)
    return net


def train(net, weights, x, y, steps):
    """Fit all members at once, each to its own POINTS draws from the data; returns the mean loss of each step."""

    def loss_of(weights, x, y):
        return mse_loss(functional_call(net, weights, (x,)), y)

    draws = torch.randint(POINTS, (MEMBERS, POINTS))
    optimizer = torch.optim.Adam(list(weights.values()), lr=LEARNING_RATE)
    losses = []
    for _ in range(steps):
        gradients, loss = vmap(grad_and_value(loss_of))(weights, x[draws], y[draws])
        for name, weight in weights.items():
            weight.grad = gradients[name].detach()
        optimizer.step()
        losses.append(loss.mean().item())
    return losses


def predict(net, weights, x):
    """What each member says: (members, *shape of x)."""
    with torch.no_grad():
        return vmap(lambda one: functional_call(net, one, (x,)))(weights)


def coverage(error, deviation):
    """For each level, the share of errors within the interval of a normal distribution that should hold so many."""
    halves = [math.sqrt(2) * torch.erfinv(torch.tensor(level)) for level in LEVELS]
    return [(error.abs() <= half * deviation).float().mean().item() for half in halves]


def report(name, guesses, y, noise):
    """Print spread, error and coverage of the ensemble, and the members' own; returns the spread and both coverages."""
    spread = guesses.std(0)
    error = (guesses.mean(0) - y).pow(2).mean().sqrt().item()
    together = coverage(guesses.mean(0) - y, (spread**2 + noise**2).sqrt())
    alone = coverage(guesses - y, torch.full_like(y, noise))
    print(f"{name}: spread {spread.mean().item():.2f}, error {error:.2f}")
    for label, shares in (("the ensemble's", together), ("a member's", alone)):
        cells = ", ".join(f"{level:.0%} {share:.2f}" for level, share in zip(LEVELS, shares))
        print(f"  share of fresh data within {label:14} intervals: {cells}")
    return spread.mean().item(), together, alone


def main():
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="training steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: %(default)s)")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    with deterministic(seed=options.seed):
        x, y = data(POINTS, *INSIDE)
        net = network()
        weights, _ = stack_module_state([network() for _ in range(MEMBERS)])
        losses = train(net, weights, x, y, options.steps)
        print(f"{MEMBERS} members, loss {losses[0]:.3f} at first, {losses[-1]:.3f} after {options.steps} steps")
        held_x, held_y = data(POINTS, *INSIDE)
        noise = (predict(net, weights, held_x).mean(0) - held_y).pow(2).mean().sqrt().item()
        print(f"noise, estimated on held-out data: {noise:.2f} (in truth {NOISE:.2f})")
        found = {}
        for name, (low, high) in {"inside": INSIDE, "outside": OUTSIDE}.items():
            fresh_x, fresh_y = data(500, low, high)
            found[name] = report(name, predict(net, weights, fresh_x), fresh_y, noise)
    growth = found["outside"][0] / found["inside"][0]
    print(f"the spread grows {growth:.1f} times outside")
    return 0 if growth > 1.5 and found["outside"][1][-1] > found["outside"][2][-1] else 1


if __name__ == "__main__":
    sys.exit(main())
