"""How many files a second `torchcompat check` reads, beside vermin and TorchFix: one process each, by CPU time.

    nox -s bench_check            transformers, as the package index has it
    python benchmarks/check.py FOLDER

vermin tells the oldest Python, TorchFix (LibCST) warns of deprecated torch; no tool tells the oldest torch. TorchFix is
so much slower that it is given one file of FEWER only, as the others are in the second table.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FEWER = 25
COMMANDS = {
    "torchcompat": [sys.executable, "-m", "torchcompat_check", "check", "--no-config", "--jobs", "1"],
    "vermin": [str(Path(sys.executable).with_name("vermin")), "--processes=1", "--no-tips", "-q"],
    "TorchFix": [sys.executable, "-m", "torchfix", "--jobs", "1"],
}


def seconds(command):
    """The CPU seconds of a process; what it finds, and so its exit code, does not matter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def some(files, folder, target):
    """One of FEWER files, in a folder of their own, so that each tool finds the same ones."""
    for file in files[::FEWER]:
        copy = Path(target, file.relative_to(folder))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return len(files[::FEWER])


def table(count, folder, names):
    """Files a second, and how many times TorchFix's or vermin's."""
    rates = {name: count / seconds([*COMMANDS[name], str(folder)]) for name in names}
    print(f"{count} files")
    for name, rate in rates.items():
        print(f"  {name:12} {rate:8.1f} files/s   torchcompat has {rates['torchcompat'] / rate:6.2f} times as many")


def main(folder):
    files = sorted(Path(folder).rglob("*.py"))
    if not files:
        print(f"no Python files in {folder}", file=sys.stderr)
        return 2
    table(len(files), folder, ["torchcompat", "vermin"])
    with tempfile.TemporaryDirectory() as target:
        table(some(files, folder, target), target, ["torchcompat", "vermin", "TorchFix"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
