"""Find mislabelled images by the gradient of each one, after training that lets no single image pull too hard.

    python examples/per_sample_gradients.py [--steps 30] [--seed 0]

Some of the labels are wrong. Every training step computes one gradient per image, all in one call, and clips each to
the same norm before averaging (as in differential privacy, without its noise). An image whose label is wrong keeps
pulling: the images with the largest gradients afterwards are mostly the mislabelled ones. The exit code is 0 if they
are, and if the gradients are those of a plain loop.
"""

import argparse
import sys

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy

from torchcompat.determinism import deterministic
from torchcompat.func import functional_call, grad, grad_and_value, vmap

IMAGES, SIZE, CLASSES, MISLABELLED = 192, 12, 6, 24
BATCH, LEARNING_RATE, LARGEST_NORM = 32, 0.5, 1.0


class Net(nn.Sequential):
    """Logits of images of shape (batch, 1, SIZE, SIZE)."""

    def __init__(self):
        features = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU()]
        super().__init__(*features, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, CLASSES))


def images_and_labels():
    """Noisy copies of one smooth pattern per class, their labels, and which of these were replaced by wrong ones."""
    patterns = 3 * avg_pool2d(torch.randn(CLASSES, 1, SIZE + 2, SIZE + 2), 3, stride=1)
    right = torch.arange(IMAGES) % CLASSES
    images = patterns[right] + torch.randn(IMAGES, 1, SIZE, SIZE)
    wrong = torch.randperm(IMAGES) < MISLABELLED
    others = (right + torch.randint(1, CLASSES, (IMAGES,))) % CLASSES
    return images, torch.where(wrong, others, right), wrong


def norms_of(gradients):
    """The norm of each sample's gradient: the dicts hold one gradient per sample, (samples, *shape of the weight)."""
    return sum(gradient.flatten(1).pow(2).sum(1) for gradient in gradients.values()).sqrt()


def train(weights, loss_of, images, labels, steps):
    """Gradient descent on the mean of clipped per-sample gradients; returns the weights and the shares clipped."""
    each = vmap(grad_and_value(loss_of), in_dims=(None, 0, 0))
    clipped, losses = [], []
    for _ in range(steps):
        batch = torch.randperm(IMAGES)[:BATCH]
        gradients, loss = each(weights, images[batch], labels[batch])
        factors = (LARGEST_NORM / norms_of(gradients)).clamp(max=1.0)
        for name, gradient in gradients.items():
            mean = torch.einsum("n,n...->...", factors, gradient) / BATCH
            weights[name] = weights[name] - LEARNING_RATE * mean
        clipped.append((factors < 1).float().mean().item())
        losses.append(loss.mean().item())
    return weights, clipped, losses


def loop_gradient(net, weights, image, label):
    """The gradient of one sample's loss, without any transform."""
    net.load_state_dict(weights)
    return torch.autograd.grad(cross_entropy(net(image[None]), label[None]), list(net.parameters()))


def report(net, weights, gradients, images, labels, wrong):
    """Print what the norms found; returns the precision, and the largest difference from a plain loop's gradient."""
    norms = norms_of(gradients)
    medians = norms[~wrong].median().item(), norms[wrong].median().item()
    found = norms.argsort(descending=True)[:MISLABELLED]
    precision = wrong[found].float().mean().item()
    print(f"median gradient norm: {medians[0]:.3f} with the right label, {medians[1]:.3f} with a wrong one")
    print(f"of the {MISLABELLED} largest, mislabelled: {precision:.2f} (by chance {MISLABELLED / IMAGES:.2f})")
    one = found[0]
    plain = loop_gradient(net, weights, images[one], labels[one])
    difference = max((a[one] - b).abs().max().item() for a, b in zip(gradients.values(), plain))
    print(f"largest difference from a plain loop's gradient: {difference:.1e}")
    return precision, difference


def main():
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=30, help="training steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: %(default)s)")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    with deterministic(seed=options.seed):
        images, labels, wrong = images_and_labels()
        net = Net()

        def loss_of(weights, image, label):
            return cross_entropy(functional_call(net, weights, (image[None],)), label[None])

        weights = {name: weight.detach() for name, weight in net.named_parameters()}
        weights, clipped, losses = train(weights, loss_of, images, labels, options.steps)
        print(f"loss {losses[0]:.2f} at first, {losses[-1]:.2f} after {options.steps} steps")
        print(f"gradients clipped: {clipped[0]:.2f} of them at first, {clipped[-1]:.2f} at last")
        gradients = vmap(grad(loss_of), in_dims=(None, 0, 0))(weights, images, labels)
        precision, difference = report(net, weights, gradients, images, labels, wrong)
    return 0 if precision > 3 * MISLABELLED / IMAGES and difference < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
