"""nn.TransformerEncoder in evaluation mode: torchcompat's, torch's own class and the plain path, side by side, on CPU.

    python benchmarks/encoder.py [--lengths 16 128] [--widths 64 256]

Prints CPU milliseconds on one thread, the medians of alternating rounds, and the ratio to torch's own class: below 1 is
faster. "ours" is the fallback of torchcompat.nn.TransformerEncoder, on torch where torch's own is the public one, too;
"own" is torch's class as this torch makes it (packing where it has that), "plain" the same without its fused operators,
and "safe" torchcompat.attention.safe_forward of torch's own, diagnosis included.
"""

import argparse
import statistics
import sys
import time
import warnings

import torch

from torchcompat import SHIMS, at_least
from torchcompat.attention import fastpath, safe_forward

HEADS, LAYERS, BATCH = 8, 4, 8
BATCH_FIRST = at_least(1, 9)


def own(width):
    keywords = {"batch_first": True} if BATCH_FIRST else {}
    layer = torch.nn.TransformerEncoderLayer(width, HEADS, 4 * width, **keywords)
    packs = {"enable_nested_tensor": True} if at_least(1, 12) else {}
    return torch.nn.TransformerEncoder(layer, LAYERS, **packs).eval()


def ours(width):
    layer = SHIMS["nn.TransformerEncoderLayer"].fallback(width, HEADS, 4 * width, batch_first=True)
    return SHIMS["nn.TransformerEncoder"].fallback(layer, LAYERS).eval()


def inputs(width, length, padding):
    """A batch with that share of padding; one sequence has the full length, up to 2.0 the output would be shorter."""
    kept = torch.full((BATCH,), length * (1 - padding * BATCH / (BATCH - 1))).long().clamp(min=1)
    kept[0] = length
    mask = torch.arange(length)[None, :] >= kept[:, None]
    return torch.randn(BATCH, length, width), mask if padding else None


def medians(contenders, rounds):
    times = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            times[name].append((time.process_time() - start) * 1e3)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def compare(width, length, padding, rounds):
    theirs, mine = own(width), ours(width)
    mine.load_state_dict(theirs.state_dict())
    value, mask = inputs(width, length, padding)
    for_theirs = value if BATCH_FIRST else value.transpose(0, 1).contiguous()

    def plain():
        with fastpath(False):
            return theirs(for_theirs, src_key_padding_mask=mask)

    contenders = {
        "own": lambda: theirs(for_theirs, src_key_padding_mask=mask),
        "ours": lambda: mine(value, src_key_padding_mask=mask),
        "plain": plain,
        "safe": lambda: safe_forward(theirs, for_theirs, src_key_padding_mask=mask),
    }
    times = medians(contenders, rounds)
    figures = "  ".join(f"{name} {time:7.2f} ms {time / times['own']:5.2f}" for name, time in times.items())
    print(f"width {width:<4} L={length:<4} padding {padding:4.0%}  {figures}")


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {LAYERS} layers, {HEADS} heads, batch {BATCH}, one thread")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 2.0 warns of masks, and every torch that nested tensors are a prototype
        for width in options.widths:
            for length in options.lengths:
                for padding in (0, 0.5, 0.8):
                    compare(width, length, padding, options.rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
