"""Run by test_twice.py in a process of its own, which a second derivative may kill: ``twice_run.py native|fallback``.

Each line of the output is about a derivative of an operation of twice_cases.py: "ok", "refused, ..." or what is wrong.
"""

import sys
import warnings

warnings.simplefilter("ignore")

import torch  # noqa: E402
import twice_cases  # noqa: E402

from torchcompat import SHIMS  # noqa: E402

STEP, TOLERANCE = 1e-5, 1e-4


def dotted(tensors, directions):
    return sum((tensor * direction).sum() for tensor, direction in zip(tensors, directions))


def moved(tensors, directions, step):
    return tuple(tensor + step * direction for tensor, direction in zip(tensors, directions))


def quotient(function, tensors, directions):
    """The derivative of *function*, which returns a number, in a direction."""
    return float(function(moved(tensors, directions, STEP)) - function(moved(tensors, directions, -STEP))) / (2 * STEP)


def off(found, expected):
    """How far a number is off, or None."""
    error = abs(float(found) - expected)
    return None if error <= TOLERANCE * (1 + abs(expected)) else f"{float(found):.6g}, not {expected:.6g}"


def directions_of(tensors):
    return tuple(torch.randn_like(tensor) for tensor in tensors)


def derivative(order, grad, jvp, function, inputs):
    """What is wrong with the derivative of this order, or None."""
    weights = directions_of(function(inputs))
    scalar = lambda x: dotted(function(x), weights)  # noqa: E731
    one = directions_of(inputs)
    if order == "forward":
        return off(dotted(jvp(function, (inputs,), (one,))[1], weights), quotient(scalar, inputs, one))
    for _ in range(int(order) - 1):
        direction = directions_of(inputs)
        scalar = lambda x, before=scalar, u=direction: dotted(grad(before)(x), u)  # noqa: E731
    return off(dotted(grad(scalar)(inputs), one), quotient(scalar, inputs, one))


def verdict(case, order, grad, jvp):
    try:
        for seed in range(2):
            torch.manual_seed(seed)
            text = derivative(order, grad, jvp, case.function, case.inputs(torch.float64))
            if text:
                return text
        # In single precision other code runs, which may write where it must not; its numbers are not checked.
        for _ in range(4):
            derivative(order, grad, jvp, case.function, case.inputs(torch.float32))
    except Exception as error:
        return f"refused, {type(error).__name__}: {error}".replace("\n", " ")[:300]
    return "ok"


def main(kind):
    grad, jvp = (getattr(SHIMS["func." + name], kind) for name in ("grad", "jvp"))
    for case in twice_cases.CASES:
        for order in case.orders:
            print(f"{case.name}: {order}: ", end="", flush=True)
            print(verdict(case, order, grad, jvp), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
