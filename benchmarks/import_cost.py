"""What `import torchcompat` adds to `import torch`: fresh interpreters in turn, the median of each.

The import is timed inside the interpreter, after torch is in: what is left is ours alone.
"""

import statistics
import subprocess
import sys

CODE = """
import time
start = time.perf_counter()
import torch
middle = time.perf_counter()
import torchcompat
print(middle - start, time.perf_counter() - middle)
"""


def measure(rounds=7):
    """Median seconds of `import torch` and of `import torchcompat` after it."""
    times = []
    for _ in range(rounds + 1):
        out = subprocess.run([sys.executable, "-c", CODE], stdout=subprocess.PIPE, check=True).stdout.decode()
        times.append([float(number) for number in out.split()])
    return [statistics.median(column) for column in zip(*times[1:])]


def main():
    torch_s, ours_s = measure()
    print("import cost")
    print(f"  import torch       {torch_s * 1e3:9.1f} ms")
    print(f"  import torchcompat {ours_s * 1e3:9.1f} ms   {ours_s / torch_s:6.2%} of it")


if __name__ == "__main__":
    main()
