"""What the names cost that are ours although this torch has its own, as a multiple of what torch's own costs.

    python benchmarks/parity.py [optim.SGD save ...] [--rounds 9]

CPU time on one thread: ours and torch's own take turns in one process, and of each the least of all rounds counts.
Prints the ratios, the worst first; below 1 ours is faster. `load`, ours on every torch, is measured too. The cases are
those of `parity_cases.py`. The exit status is 1 if a name has neither a case nor a reason why it has none.
"""

import argparse
import gc
import sys
import time
import warnings

import torch
from parity_cases import CASES, REASONS, CannotMeasure

import torchcompat._every  # noqa: F401  (fills the table of shims)
from torchcompat import SHIMS

ROUND = 0.004  # seconds of one turn, so that a slice of another process's time cannot hide in all of them


def concerned():
    """The names that this is about, on the installed torch."""
    return sorted(
        name
        for name, shim in SHIMS.items()
        if shim.native is not None and (shim.why == "override" or (shim.kind == "polyfill" and not shim.meets_contract))
    )


def forgotten():
    """Those that have neither a case nor a reason."""
    return [name for name in concerned() if name not in CASES and name not in REASONS]


def seconds(run, number):
    start = time.process_time()
    for _ in range(number):
        run()
    return time.process_time() - start


def number_of(run):
    """How many calls fill one turn."""
    run()
    number = 1
    while True:
        spent = seconds(run, number)
        if spent >= ROUND / 4 or number >= 4096:
            return max(1, int(number * ROUND / max(spent, 1e-9)))
        number *= 4


def compare(runs, rounds):
    """The least seconds of a call of each of the *runs*, which take turns."""
    number = max(1, min(number_of(run) for run in runs))
    best = [float("inf")] * len(runs)
    gc.collect()
    for turn in range(rounds):
        for index in (0, 1) if turn % 2 else (1, 0):
            best[index] = min(best[index], seconds(runs[index], number))
    return [spent / number for spent in best]


def measure(name, rounds):
    """(ratio, seconds of ours, what) of each case of *name*, and what could not be measured."""
    shim, found, left = SHIMS[name], [], []
    for what, inputs, build in CASES[name]:
        for label, given in inputs.items():
            title = ", ".join(part for part in (what, label) if part)
            try:
                runs = []
                for target in (shim.native, shim.fallback):
                    torch.manual_seed(0)
                    runs.append(build(target, given))
                own, ours = compare(runs, rounds)
            except CannotMeasure as why:
                left.append(f"{name}: {title}: {why}")
            else:
                found.append((ours / own, ours, f"{name}: {title}"))
    return found, left


def main(arguments=()):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found, left = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in options.names or concerned():
            if name in CASES:
                rows, not_measured = measure(name, options.rounds)
                found, left = found + rows, left + not_measured
            elif name in REASONS:
                left.append(f"{name}: {REASONS[name]}")
    print("CPU time of a call on 1 thread        ratio to torch's own, and ours")
    for ratio, ours, title in sorted(found, reverse=True):
        print(f"{ratio:6.2f} {ours * 1e6:10.1f} us  {title}")
    for line in left:
        print(f"not measured  {line}")
    for name in forgotten():
        print(f"no case and no reason: {name}", file=sys.stderr)
    return 1 if forgotten() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
