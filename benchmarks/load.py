"""What reading a checkpoint of 500 MB costs: with torchcompat's own load and with torch's, the file in memory already.

    python benchmarks/run.py load

Two checkpoints, in the format torch writes and in the one before 1.6: 2000 tensors of 250 kB, and four of 125 MB. The
two loaders take turns; of each the fastest time counts.
"""

import gc
import os
import tempfile
import time

import torch

from torchcompat import SHIMS, at_least, serialization

TURNS = 5
SHAPES = {"2000 tensors of 250 kB": (2000, 62500), "4 tensors of 125 MB": (4, 31250000)}


def _seconds(load, path):
    gc.collect()
    start = time.perf_counter()
    found = load(path)
    spent = time.perf_counter() - start
    assert len(found) in {count for count, _ in SHAPES.values()}
    return spent


def _native(path):
    return torch.load(path, **({"weights_only": True} if at_least(1, 13) else {}))


def _compare(label, path):
    loaders = {"torch": _native, "torchcompat": SHIMS["load"].fallback}
    best = dict.fromkeys(loaders, float("inf"))
    for _ in range(TURNS):
        for name, load in loaders.items():
            best[name] = min(best[name], _seconds(load, path))
    times = ", ".join(f"{name} {spent:.3f} s" for name, spent in best.items())
    print(f"  {label}: {times}; {best['torch'] / best['torchcompat']:.2f} of torch's speed")


def main():
    assert serialization.load is SHIMS["load"].public
    print("load (the fallback) against torch.load, 500 MB on the CPU")
    with tempfile.TemporaryDirectory() as folder:
        for label, (count, length) in SHAPES.items():
            state = {f"layer.{n}.weight": torch.full((length,), float(n)) for n in range(count)}
            path = os.path.join(folder, "checkpoint.pt")
            formats = (
                {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}} if at_least(1, 6) else {"legacy": {}}
            )
            for name, options in formats.items():
                torch.save(state, path, **options)
                _compare(f"{label}, {name}", path)
                os.remove(path)


if __name__ == "__main__":
    main()
