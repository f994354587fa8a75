"""The whole of a training loop, the same on torch 1.2 and on 2.15: mixed precision, clipping, accumulation, resume.

    python examples/training_loop.py                            # some seconds on a CPU
    python examples/training_loop.py --precision bfloat16       # mixed precision, where this torch has it
    python examples/training_loop.py --stop 25 --save half.pt   # stop half-way, and
    python examples/training_loop.py --resume half.pt           # go on from there: the same losses, bit for bit

A small Transformer learns to tell which of four letters occurs most often in a text of twelve. Nothing is downloaded,
and nothing depends on torch's random numbers, which differ between its versions: in float32 on a CPU, the losses of any
two versions agree to four digits. The exit code is 0 if the averaged weights learned the task, else 1.
"""

import argparse
import json
import random
import sys

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import torchcompat
from torchcompat import SHIMS, UnsupportedError
from torchcompat.amp import GradScaler, autocast
from torchcompat.device import best_device
from torchcompat.nn import TransformerEncoderLayer
from torchcompat.nn.utils import clip_grad_norm_
from torchcompat.optim import AdamW
from torchcompat.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torchcompat.optim.swa_utils import AveragedModel, get_ema_avg_fn
from torchcompat.utils.checkpoint import checkpoint

USED = [
    "amp.GradScaler",
    "amp.autocast",
    "inference_mode",
    "load",
    "nn.TransformerEncoderLayer",
    "nn.utils.clip_grad_norm_",
    "optim.AdamW",
    "optim.lr_scheduler.SequentialLR",
    "optim.swa_utils.AveragedModel",
    "utils.checkpoint.checkpoint",
]
LETTERS, LENGTH, WIDTH, HEADS, LAYERS = 4, 12, 32, 4, 2
BATCH, PARTS, WARM_UP, LEARNING_RATE = 64, 2, 10, 3e-3
# What the weights are kept in, and what autocast computes in, if not in that.
PRECISIONS = {
    "float64": (torch.float64, None),
    "float32": (torch.float32, None),
    "bfloat16": (torch.float32, torch.bfloat16),
    "float16": (torch.float32, torch.float16),
}


class Model(nn.Module):
    """Logits of the most frequent letter. What its layers compute is not kept for the backward pass but repeated."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, WIDTH)
        self.position = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        # gelu: relu's kink would make a large difference of the last digit, in which versions differ.
        settings = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        layers = [TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, **settings) for _ in range(LAYERS)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(WIDTH, LETTERS)

    def forward(self, letters):
        x = self.embedding(letters) + self.position
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if torch.is_grad_enabled() else layer(x)
        return self.head(x.mean(1))


def initialise(model, seed):
    """Fill every matrix with Python's random numbers, the same on every torch, and every bias with zeros."""
    numbers = random.Random(seed)
    for name, parameter in sorted(model.named_parameters()):
        if parameter.dim() > 1:
            values = [numbers.gauss(0.0, parameter.shape[-1] ** -0.5) for _ in range(parameter.numel())]
            parameter.data.copy_(torch.tensor(values).view(parameter.shape))
        elif name.endswith("bias"):
            parameter.data.zero_()


def batch_of(seed, device):
    """(BATCH, LENGTH) letters, and for each text its most frequent one; texts without such a letter are left out."""
    numbers, texts, labels = random.Random(seed), [], []
    while len(texts) < BATCH:
        text = [numbers.randrange(LETTERS) for _ in range(LENGTH)]
        counts = [text.count(letter) for letter in range(LETTERS)]
        if counts.count(max(counts)) == 1:
            texts.append(text)
            labels.append(counts.index(max(counts)))
    return torch.tensor(texts, device=device), torch.tensor(labels, device=device)


class Training:
    """All that a run is made of, and all that a checkpoint of it holds."""

    def __init__(self, options, device):
        self.device, self.step = device, 0
        dtype, self.lower = PRECISIONS[options.precision]
        self.model = Model()
        initialise(self.model, options.seed)
        self.model.to(device, dtype)
        self.optimizer = AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        warm_up = LinearLR(self.optimizer, start_factor=0.1, total_iters=WARM_UP)
        decay = CosineAnnealingLR(self.optimizer, T_max=options.steps - WARM_UP, eta_min=LEARNING_RATE / 10)
        self.scheduler = SequentialLR(self.optimizer, [warm_up, decay], milestones=[WARM_UP])
        self.scaler = GradScaler(device.type)
        self.average = AveragedModel(self.model, avg_fn=get_ema_avg_fn(0.9))
        self.parts = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
            "average": self.average,
        }

    def save(self, file):
        """Write a checkpoint, which any torch can go on from."""
        states = {name: part.state_dict() for name, part in self.parts.items()}
        torchcompat.save({"step": self.step, **states}, file)

    def resume(self, file):
        """Go on from a checkpoint. No code in it is run."""
        states = torchcompat.load(file, map_location=self.device, weights_only=True)
        self.step = states["step"]
        for name, part in self.parts.items():
            part.load_state_dict(states[name])

    def loss_of(self, model, letters, labels):
        """The mean loss of a model that computes in the precision that was asked for."""
        with autocast(self.device.type, dtype=self.lower, enabled=self.lower is not None):
            logits = model(letters)
        return cross_entropy(logits.to(model.position.dtype), labels)

    def train_step(self):
        """One step of the optimiser, on the gradients of a batch that is taken in parts. Returns its loss."""
        self.step += 1
        letters, labels = batch_of(self.step, self.device)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in zip(letters.chunk(PARTS), labels.chunk(PARTS)):
            loss = self.loss_of(self.model, *part) / PARTS
            self.scaler.scale(loss).backward()
            total += loss.item()
        self.scaler.unscale_(self.optimizer)
        clip_grad_norm_(self.model.parameters(), max_norm=1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        self.average.update_parameters(self.model)
        return total

    @torchcompat.inference_mode()
    def accuracy(self, model):
        """The share of right answers in a batch that was not trained on."""
        letters, labels = batch_of(-1, self.device)
        return (model.eval()(letters).argmax(1) == labels).float().mean().item()


def describe(device):
    """Print what the names of torchcompat that are used here turned out to be on this torch."""
    print(f"torch {torch.__version__}, device {device}")
    for name in USED:
        shim = SHIMS[name]
        said = "torch's own" if shim.here == "native" else f"fallback: torch's own is {shim.why}"
        print(f"  torchcompat.{name:34} {said}")


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=50, help="steps of the whole run (default: %(default)s)")
    parser.add_argument("--stop", type=int, help="stop after this step (default: at the end)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: %(default)s)")
    parser.add_argument("--precision", choices=sorted(PRECISIONS), default="float32", help="default: %(default)s")
    parser.add_argument("--device", help="such as cpu, cuda:1, mps (default: the best there is)")
    parser.add_argument("--save", metavar="FILE", help="write a checkpoint at the end")
    parser.add_argument("--resume", metavar="FILE", help="go on from a checkpoint")
    parser.add_argument("--losses", metavar="FILE", help="write the loss of every step, as JSON")
    options = parser.parse_args()
    if options.steps <= WARM_UP:
        parser.error(f"--steps must be more than {WARM_UP}, got {options.steps}")
    return parser, options


def main():
    """Returns the exit code."""
    parser, options = arguments()
    try:
        training = Training(options, best_device(options.device))
        if options.resume:
            training.resume(options.resume)
        describe(training.device)
        losses = []
        while training.step < (options.stop or options.steps):
            losses.append(training.train_step())
    except (OSError, UnsupportedError, ValueError) as error:
        return parser.error(str(error))
    if options.save:
        training.save(options.save)
    if options.losses:
        with open(options.losses, "w", encoding="utf-8") as file:
            json.dump(losses, file)
    print(f"{len(losses)} steps, loss first {losses[0]:.4f}, last {losses[-1]:.4f}")
    last, averaged = training.accuracy(training.model), training.accuracy(training.average)
    print(f"right answers: last weights {last:.2f}, averaged weights {averaged:.2f}, by chance {1 / LETTERS:.2f}")
    return 0 if averaged > 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
