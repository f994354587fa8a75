"""Train a small Transformer to predict the next character of Python's standard library, on whatever torch is here.

    python examples/char_transformer.py             # half a minute on two cores
    python examples/char_transformer.py --check     # twice: every loss must be the same, bit for bit

Nothing is downloaded: the text is the source of the running interpreter's standard library. Every tenth file is held
out; on those the model must predict better than a bigram model that was fitted to all the rest. Losses are in bits per
character. The exit code is 0 if the model was better (and, with --check, both runs were the same), else 1.
"""

import argparse
import math
import sys
import sysconfig
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy, pad

from torchcompat import SHIMS
from torchcompat.determinism import deterministic
from torchcompat.device import best_device
from torchcompat.func import functional_call
from torchcompat.nn.functional import scaled_dot_product_attention
from torchcompat.precision import get_matmul_precision, matmul_precision

USED = [
    "device.best_device",
    "precision.matmul_precision",
    "determinism.deterministic",
    "nn.functional.scaled_dot_product_attention",
    "func.functional_call",
]
CHARACTERS = 128  # ASCII; whatever else there is in the sources becomes a question mark
CONTEXT, WIDTH, HEADS, LAYERS = 64, 64, 4, 2
BATCH, LEARNING_RATE, WARM_UP, AVERAGED_STEPS = 16, 5e-3, 20, 50
HELD_OUT_WINDOWS = 256


def encode(files):
    """The text of *files*, one after another, as a vector of ASCII codes."""
    texts = [file.read_text(encoding="utf-8", errors="replace").encode("ascii", errors="replace") for file in files]
    return torch.tensor(list(b"".join(texts)))


def standard_library():
    """Training text and held-out text: the standard library's top-level modules, every tenth of them held out."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py"))
    if len(files) < 100:
        sys.exit(f"error: {folder} holds {len(files)} source files, not a standard library to learn from")
    return encode(file for number, file in enumerate(files) if number % 10), encode(files[::10])


def held_out_windows(text):
    """Evenly spread windows of *text*: (windows, CONTEXT) of characters, and the characters that follow each."""
    windows = text[: len(text) // (CONTEXT + 1) * (CONTEXT + 1)].view(-1, CONTEXT + 1)
    windows = windows[:: max(1, len(windows) // HELD_OUT_WINDOWS)][:HELD_OUT_WINDOWS]
    return windows[:, :-1], windows[:, 1:]


def bigram_bits(text, inputs, targets):
    """Bits per character of a bigram model fitted to *text*, with Witten-Bell smoothing."""
    pairs = torch.bincount(text[:-1] * CHARACTERS + text[1:], minlength=CHARACTERS**2)
    pairs = pairs.view(CHARACTERS, CHARACTERS).double()
    alone = (pairs.sum(0) + 1) / (pairs.sum() + CHARACTERS)
    successors = (pairs > 0).sum(1, keepdim=True).double().clamp(min=1)
    probability = (pairs + successors * alone) / (pairs.sum(1, keepdim=True) + successors)
    return -probability[inputs, targets].log2().mean().item()


class Block(nn.Module):
    """Causal attention, then a feed-forward network, each added to its input."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.feed_forward = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        batch, length, _ = x.shape
        heads = self.query_key_value(self.norm1(x)).view(batch, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.feed_forward(self.norm2(x))


class Model(nn.Module):
    """Logits of the next character at every position. Input and output share one embedding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CHARACTERS, WIDTH)
        self.previous = nn.Embedding(CHARACTERS, WIDTH)
        self.position = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CHARACTERS, bias=False)
        self.head.weight = self.embedding.weight
        for embedding in (self.embedding, self.previous):
            nn.init.normal_(embedding.weight, std=0.1)

    def forward(self, characters):
        before = pad(characters[:, :-1], (1, 0))
        x = self.embedding(characters) + self.previous(before) + self.position
        return self.head(self.norm(self.blocks(x)))


def bits(logits, targets):
    """The mean loss in bits per character."""
    return cross_entropy(logits.reshape(-1, CHARACTERS), targets.reshape(-1)) / math.log(2)


class Progress:
    """A bar on a terminal, ten lines elsewhere; on stderr, so that stdout has the results alone."""

    def __init__(self, steps, quiet):
        self.steps, self.quiet, self.terminal = steps, quiet, sys.stderr.isatty()

    def show(self, step, loss):
        text = f"step {step}/{self.steps}  loss {loss:.3f} bits per character"
        if self.quiet:
            return
        if self.terminal:
            bar = ("#" * (30 * step // self.steps)).ljust(30, ".")
            print(f"\r[{bar}] {text}", end="\n" if step == self.steps else "", file=sys.stderr, flush=True)
        elif 10 * step // self.steps > 10 * (step - 1) // self.steps:
            print(text, file=sys.stderr, flush=True)


def train(text, held_out, device, options):
    """Train one model; returns the loss of every step, and the held-out losses of the model and of its average."""
    with deterministic(seed=options.seed), matmul_precision("high"):
        model = Model().to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
        # The head's weight is not in it: it is the embedding's, and functional_call keeps it so.
        average = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        window = torch.arange(CONTEXT + 1)
        progress = Progress(options.steps, options.quiet)
        losses = []
        for step in range(1, options.steps + 1):
            starts = torch.randint(len(text) - CONTEXT, (BATCH, 1))
            batch = text[starts + window].to(device)
            loss = bits(model(batch[:, :-1]), batch[:, 1:])
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, step / WARM_UP)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for name, parameter in model.named_parameters():
                average[name] += (parameter.detach() - average[name]) / min(step, AVERAGED_STEPS)
            losses.append(loss.item())
            progress.show(step, losses[-1])
        inputs, targets = (part.to(device) for part in held_out)
        with torch.no_grad():
            last = bits(model(inputs), targets).item()
            # The averaged weights predict better than the last ones. They are tried without a copy of the model, and
            # without touching it.
            averaged = bits(functional_call(model, average, (inputs,)), targets).item()
    return losses, last, averaged


def describe(device):
    """Print what the names of torchcompat that are used here turned out to be on this torch."""
    with matmul_precision("high"):
        print(f"torch {torch.__version__}, device {device}, matrix products at level {get_matmul_precision()!r}")
    for name in USED:
        shim = SHIMS[name]
        fallback = f"fallback: torch's own is {shim.why} (meets the contract since {shim.since})"
        said = {"native": "torch's own", "facade": "torchcompat's own: torch has none"}.get(shim.here, fallback)
        print(f"  torchcompat.{name:43} {said}")


def arguments():
    """The command line, and the device that it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=600, help="training steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: %(default)s)")
    parser.add_argument("--device", help="such as cpu, cuda:1, mps (default: the best there is)")
    parser.add_argument("--check", action="store_true", help="train twice and compare every loss")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps must be at least 1, got {options.steps}")
    try:
        deterministic(seed=options.seed)
        return options, best_device(options.device)
    except (ValueError, RuntimeError) as error:
        return parser.error(str(error))


def main():
    """Returns the exit code."""
    options, device = arguments()
    describe(device)
    text, rest = standard_library()
    held_out = held_out_windows(rest)
    bigram = bigram_bits(text, *held_out)
    run = train(text, held_out, device, options)
    losses, last, averaged = run
    print(f"bits per character, {len(losses)} steps: first {losses[0]:.4f}, last {losses[-1]:.4f}")
    print(f"held-out: last weights {last:.4f}, averaged weights {averaged:.4f}, bigram model {bigram:.4f}")
    print("The Transformer beats the bigram model." if averaged < bigram else "It does NOT beat the bigram model.")
    same = True
    if options.check:
        again = train(text, held_out, device, options)
        same = run == again
        for number, (steps, *ends) in enumerate((run, again), start=1):
            print(f"run {number}: last loss {steps[-1]!r}, held-out {ends[0]!r} and {ends[1]!r}")
        print("Every loss is the same in both runs." if same else "The two runs DIFFER.")
    return 0 if averaged < bigram and same else 1


if __name__ == "__main__":
    sys.exit(main())
