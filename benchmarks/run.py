"""Run every benchmark, or those named: `python benchmarks/run.py functional_call attention`."""

import sys
from importlib import import_module
from pathlib import Path

import torch

import torchcompat

NAMES = ["import_cost", "call_overhead", "functional_call", "func", "attention", "encoder", "optim", "clip", "load"]
NAMES.append("parity")


def main(names):
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    sys.path.insert(0, str(Path(__file__).parent))
    print(f"torchcompat {torchcompat.__version__}, torch {torch.__version__}, Python {sys.version.split()[0]}")
    for name in names or NAMES:
        print()
        import_module(name).main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
