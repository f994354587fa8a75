"""What `import torchcompat` adds to `import torch`: CPU time in fresh interpreters, in turn; the median of each.

The import is timed inside the interpreter, after torch is in: what is left is ours alone. The third line is what a
program pays that asks for every name at the top of the package. The ten dearest of our modules follow, by `-X
importtime`: the wall time of each module alone, without what it imports.
"""

import statistics
import subprocess
import sys

CODE = """
import time
start = time.process_time()
import torch
middle = time.process_time()
import torchcompat
end = time.process_time()
for name in set(torchcompat._lazy.TABLES["torchcompat"]) - {"SHIMS"}:
    getattr(torchcompat, name)
print(middle - start, end - middle, time.process_time() - middle)
"""


def measure(rounds=7):
    """Median seconds of `import torch`, of `import torchcompat` after it, and of all its names."""
    times = []
    for _ in range(rounds + 1):
        out = subprocess.run([sys.executable, "-c", CODE], stdout=subprocess.PIPE, check=True).stdout.decode()
        times.append([float(number) for number in out.split()])
    return [statistics.median(column) for column in zip(*times[1:])]


def dearest(count=10):
    """[(microseconds, module)] of our modules, the dearest first, when every name is asked for."""
    command = [sys.executable, "-X", "importtime", "-c", CODE]
    report = subprocess.run(command, capture_output=True, check=True).stderr.decode()
    fields = [line.partition(":")[2].split("|") for line in report.splitlines() if "| " in line]
    ours = [(int(own), name.strip()) for own, _, name in fields if name.strip().startswith("torchcompat")]
    return sorted(ours, reverse=True)[:count]


def main():
    torch_s, ours_s, all_s = measure()
    print("import cost, CPU time")
    print(f"  import torch       {torch_s * 1e3:9.1f} ms")
    print(f"  import torchcompat {ours_s * 1e3:9.1f} ms   {ours_s / torch_s:6.2%} of it")
    print(f"  and all its names  {all_s * 1e3:9.1f} ms   {all_s / torch_s:6.2%} of it")
    for microseconds, name in dearest():
        print(f"    {microseconds / 1e3:6.1f} ms  {name}")


if __name__ == "__main__":
    main()
