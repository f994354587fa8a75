"""Learn weights from which one gradient step fits a new sine (MAML), and compare them with plainly pretrained ones.

    python examples/maml_sinusoids.py [--steps 200] [--seed 0]

A task is to fit a sine of unknown amplitude and phase from ten points. The meta-learned weights minimise the loss
*after* a gradient step, which is differentiated through; vmap does it for many tasks in one call. The pretrained
weights minimise the plain loss on just as many tasks: as the phases cancel out, there is little to learn that way. Both
are then adapted to new tasks by gradient descent. The exit code is 0 if the meta-learned ones win after one step.
"""

import argparse
import math
import sys

import torch
from torch import nn
from torch.nn.functional import mse_loss

from torchcompat.determinism import deterministic
from torchcompat.func import functional_call, grad, vmap

TASKS, SHOTS, WIDTH = 8, 10, 40
INNER_RATE, OUTER_RATE = 0.05, 0.01
NEW_TASKS, MEASURED_AFTER = 20, [0, 1, 5, 10]

net = nn.Sequential(nn.Linear(1, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))


def first_weights():
    """Weights to start from, drawn anew."""
    for layer in net[::2]:
        layer.reset_parameters()
    return {name: weight.detach().clone() for name, weight in net.named_parameters()}


def sines(tasks):
    """Inputs and outputs of two draws of SHOTS points from each of some sines: four tensors (tasks, SHOTS, 1)."""
    amplitude = 1 + 2 * torch.rand(tasks, 1, 1)
    phase = 2 * math.pi * torch.rand(tasks, 1, 1)
    x = 10 * torch.rand(tasks, 2 * SHOTS, 1) - 5
    y = amplitude * torch.sin(x + phase)
    return x[:, :SHOTS], y[:, :SHOTS], x[:, SHOTS:], y[:, SHOTS:]


def loss_of(weights, x, y):
    return mse_loss(functional_call(net, weights, (x,)), y)


def step_down(weights, x, y):
    """The weights after one step of gradient descent."""
    gradients = grad(loss_of)(weights, x, y)
    return {name: weight - INNER_RATE * gradients[name] for name, weight in weights.items()}


def plain_loss(weights, x, y, new_x, new_y):
    """The loss on all points of a task, as they come."""
    return (loss_of(weights, x, y) + loss_of(weights, new_x, new_y)) / 2


def meta_loss(weights, x, y, new_x, new_y):
    """The loss on new points of a task after a step on the others."""
    return loss_of(step_down(weights, x, y), new_x, new_y)


def train(loss, start, steps):
    weights = {name: weight.clone().requires_grad_() for name, weight in start.items()}
    optimizer = torch.optim.Adam(list(weights.values()), lr=OUTER_RATE)
    each = vmap(grad(loss), in_dims=(None, 0, 0, 0, 0))
    for _ in range(steps):
        gradients = each(weights, *sines(TASKS))
        for name, weight in weights.items():
            weight.grad = gradients[name].detach().mean(0)
        optimizer.step()
    return {name: weight.detach() for name, weight in weights.items()}


def adapted(weights, x, y, new_x, new_y):
    """The losses on new points of a task after each of MEASURED_AFTER steps on the others."""
    losses = []
    for step in range(max(MEASURED_AFTER) + 1):
        if step in MEASURED_AFTER:
            losses.append(loss_of(weights, new_x, new_y))
        weights = step_down(weights, x, y)
    return torch.stack(losses)


def main():
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200, help="outer steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: %(default)s)")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    with deterministic(seed=options.seed):
        start = first_weights()
        tasks = sines(NEW_TASKS)
        print("loss on new points after     " + "".join(f"{step:8d}" for step in MEASURED_AFTER) + " steps")
        found = {}
        for name, loss in {"pretrained": plain_loss, "meta-learned": meta_loss}.items():
            weights = train(loss, start, options.steps)
            found[name] = vmap(adapted, in_dims=(None, 0, 0, 0, 0))(weights, *tasks).mean(0).tolist()
            print(f"  {name:<27}" + "".join(f"{value:8.3f}" for value in found[name]))
    ratio = found["pretrained"][1] / found["meta-learned"][1]
    print(f"after one step the meta-learned weights have a {ratio:.1f} times smaller loss")
    return 0 if ratio > 1.5 else 1


if __name__ == "__main__":
    sys.exit(main())
