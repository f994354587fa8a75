"""nn.TransformerEncoder in evaluation mode: the ordinary path, the fused path, and packing, side by side, on CPU.

    python benchmarks/encoder.py [--lengths 128 512] [--width 256]

Prints CPU milliseconds of the best of a few alternating rounds on one thread, and the ratio to the ordinary path:
below 1 is faster. "safe" is torchcompat.attention.safe_forward of the packing encoder, diagnosis included.
"""

import argparse
import math
import sys
import time
import warnings

import torch

from torchcompat import at_least
from torchcompat.attention import fastpath, safe_forward

HEADS, LAYERS, BATCH = 8, 6, 8


def encoder(width, packs):
    layer = torch.nn.TransformerEncoderLayer(width, HEADS, 4 * width, batch_first=True)
    return torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=packs).eval()


def inputs(width, length, padding):
    """A batch with that share of padding; one sequence has the full length, up to 2.0 the output would be shorter."""
    kept = torch.full((BATCH,), length * (1 - padding * BATCH / (BATCH - 1))).long().clamp(min=1)
    kept[0] = length
    mask = torch.arange(length)[None, :] >= kept[:, None]
    return torch.randn(BATCH, length, width), mask if padding else None


def milliseconds(contenders, rounds):
    best = dict.fromkeys(contenders, math.inf)
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], (time.process_time() - start) * 1e3)
    return best


def compare(width, length, padding, rounds):
    packing, plain = encoder(width, True), encoder(width, False)
    plain.load_state_dict(packing.state_dict())
    value, mask = inputs(width, length, padding)

    def ordinary():
        with fastpath(False):
            return plain(value, src_key_padding_mask=mask)

    contenders = {"ordinary": ordinary, "fused": lambda: plain(value, src_key_padding_mask=mask)}
    if padding:
        contenders["packed"] = lambda: packing(value, src_key_padding_mask=mask)
    contenders["safe"] = lambda: safe_forward(packing, value, src_key_padding_mask=mask)
    times = milliseconds(contenders, rounds)
    figures = "  ".join(f"{name} {time:7.1f} ms {time / times['ordinary']:5.2f}" for name, time in times.items())
    print(f"L={length:<4} padding {padding:4.0%}  {figures}")


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not at_least(1, 12):
        print("torch has a fused encoder path since 1.12")
        return
    print(
        f"torch {torch.__version__}, {LAYERS} layers of width {options.width}, {HEADS} heads, batch {BATCH}, one thread"
    )
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 2.0 warns of masks, and every torch that nested tensors are a prototype
        for length in options.lengths:
            for padding in (0, 0.5, 0.8):
                compare(options.width, length, padding, options.rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
