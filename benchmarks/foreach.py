"""The functions over lists: our fallback beside a plain loop and torch's own; CPU time, the best of several rounds."""

import time

import torch

from torchcompat import SHIMS

SHAPES = {"60 of 64": [(64,)] * 60, "6 of 512x512": [(512, 512)] * 6}


def _add_(lists, impl):
    impl(lists[0], lists[1], alpha=0.5)


def _mul_(lists, impl):
    impl(lists[0], 0.999)


def _sqrt(lists, impl):
    impl(lists[1])


def _addcdiv_(lists, impl):
    impl(lists[0], lists[1], lists[2], value=-0.01)


# What calls the function, and what a user would write without it.
CASES = {
    "_foreach_add_": (_add_, lambda one, two, three: one.add_(two, alpha=0.5)),
    "_foreach_mul_": (_mul_, lambda one, two, three: one.mul_(0.999)),
    "_foreach_sqrt": (_sqrt, lambda one, two, three: torch.sqrt(two)),
    "_foreach_addcdiv_": (_addcdiv_, lambda one, two, three: one.addcdiv_(two, three, value=-0.01)),
}


def _steps(name, shapes):
    call, plain = CASES[name]
    lists = [[torch.ones(shape) for shape in shapes] for _ in range(3)]
    shim = SHIMS[name]
    steps = {
        "ours": lambda: call(lists, shim.fallback),
        "loop": lambda: [plain(*row) for row in zip(*lists)],
    }
    if shim.native is not None:
        steps["torch's own"] = lambda: call(lists, shim.native)
    return steps


def _seconds(step, rounds):
    start = time.process_time()
    for _ in range(rounds):
        step()
    return (time.process_time() - start) / rounds


def compare(name, shapes, rounds=40, repeats=8):
    """The best times by way."""
    steps = _steps(name, shapes)
    with torch.no_grad():
        for step in steps.values():
            step()
        times = [[_seconds(step, rounds) for step in steps.values()] for _ in range(repeats)]
    return dict(zip(steps, (min(column) for column in zip(*times))))


def main():
    print("| function | tensors | ours | over a loop | over torch's own |")
    print("|---|---|---|---|---|")
    for name in CASES:
        for label, shapes in SHAPES.items():
            best = compare(name, shapes)
            ours, own = best["ours"], best.get("torch's own")
            ratio = f"{ours / own:.2f}" if own else "-"
            print(f"| {name} | {label} | {1e6 * ours:.0f} us | {ours / best['loop']:.2f} | {ratio} |")


if __name__ == "__main__":
    main()
