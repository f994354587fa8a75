"""scaled_dot_product_attention: the fallback, torch's own and the plain formula side by side in one run, on CPU.

    python benchmarks/attention.py [--lengths 512 2048] [--train]

Prints CPU milliseconds of the best of a few alternating rounds on one thread, the ratios to the plain formula, and the
growth of the peak memory of a process that does nothing else. From L = 8192 on there are fewer heads, for the plain
formula's sake. Torch 2.0 to 2.4's own function serves inside the fallback; TORCHCOMPAT_FALLBACK=all leaves it out.
"""

import argparse
import math
import subprocess
import sys
import time

import torch

import torchcompat.nn.functional  # noqa: F401
from torchcompat import SHIMS

SHIM = SHIMS["nn.functional.scaled_dot_product_attention"]


def plain(query, key, value, is_causal=False):
    """The formula as everyone writes it."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    if is_causal:
        future = torch.ones(scores.shape[-2:], device=scores.device).triu(1) > 0
        scores = scores.masked_fill(future, float("-inf"))
    return scores.softmax(-1) @ value


def fallback(query, key, value, is_causal=False):
    return SHIM.fallback(query, key, value, None, 0.0, is_causal)


def native(query, key, value, is_causal=False):
    return SHIM.native(query, key, value, None, 0.0, is_causal)


CONTENDERS = [plain, fallback] + ([native] if SHIM.native else [])


def heads(length):
    return max(1, min(8, 2**27 // length**2))


def inputs(length, train):
    torch.manual_seed(0)
    return [torch.randn(1, heads(length), length, 64).requires_grad_(train) for _ in range(3)]


def once(attend, tensors, is_causal):
    out = attend(*tensors, is_causal=is_causal)
    if out.requires_grad:
        torch.autograd.grad(out.sum(), tensors)


def milliseconds(length, train, is_causal):
    tensors = inputs(length, train)
    best = dict.fromkeys(CONTENDERS, math.inf)
    for _ in range(max(2, min(30, 6000 // length))):
        for attend in CONTENDERS:
            start = time.process_time()
            once(attend, tensors, is_causal)
            best[attend] = min(best[attend], (time.process_time() - start) * 1e3)
    return best


def megabytes(attend, length, train, is_causal):
    """How much a fresh process grows at its peak; None for short sequences, and where there is no /proc."""
    if length < 1024 or not sys.platform.startswith("linux"):
        return None
    command = [sys.executable, __file__, "--memory-of", attend.__name__, "--lengths", str(length)]
    command += ["--train"] * train + ["--causal"] * is_causal
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


def resident(field):
    """Megabytes that the kernel notes of this process: "VmRSS" now, "VmHWM" at its peak."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def print_growth(name, length, train, is_causal):
    attend = {each.__name__: each for each in CONTENDERS}[name]
    once(attend, inputs(16, train), is_causal)
    tensors = inputs(length, train)
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # forget the peak of importing torch
    before = resident("VmRSS")
    once(attend, tensors, is_causal)
    print(resident("VmHWM") - before)


def compare(length, train, is_causal):
    times = milliseconds(length, train, is_causal)
    what = ("forward+backward" if train else "forward") + (" causal" if is_causal else "")
    for attend in CONTENDERS:
        grown = megabytes(attend, length, train, is_causal)
        memory = "" if grown is None else f"{grown:8.0f} MB"
        ratio = times[attend] / times[plain]
        case = f"{what:24} L={length:<5} heads={heads(length)} {attend.__name__:9}"
        print(f"{case} {times[attend]:9.2f} ms {ratio:5.2f} of plain {memory}")


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 128, 512, 2048])
    parser.add_argument("--train", action="store_true", help="forward and backward only")
    parser.add_argument("--causal", action="store_true", help="causal attention only")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.memory_of:
        print_growth(options.memory_of, options.lengths[0], options.train, options.causal)
        return
    print(f"torch {torch.__version__}, heads of width 64, float32, one thread")
    for train in {options.train, True}:
        for is_causal in {options.causal, True}:
            for length in options.lengths:
                compare(length, train, is_causal)


if __name__ == "__main__":
    main(sys.argv[1:])
