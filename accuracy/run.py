"""Import real packages on real torch: `python accuracy/run.py FOLDER [NAME...] [MINOR...]`.

The packages are those of packages.txt, or NAME.... Each is imported on MINOR..., or else on the torches that matter for
it: what does the checker say is the oldest (and, where names went, the newest) torch that will do, for
importing it and for everything in it? On these, and on those next to them, `trial.py` imports every module. FOLDER
keeps the releases, what they need, and the results, so that a run that was stopped goes on; torch is deleted after use.
Needs uv, and Python 3.7, 3.9 and 3.11; a release is tried on the torch whose Python it runs on, see PYTHONS.
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLD, MIDDLE, NEW = "3.7", "3.9", "3.11"
# Which Python runs which torch: the first of these that a release takes.
PYTHONS = ((OLD, "1.2", "1.12"), (MIDDLE, "1.8", "1.12"), (NEW, "1.13", ""))
# The torch that a release needs is put there by hand, and torchvision with it: neither is a dependency here.
LEFT_OUT = ("torch", "torchvision", "torchaudio", "triton", "spacy")
# What tests that are shipped with a package want, and the last versions that old torch works with.
SETUPTOOLS = {OLD: "setuptools<66", MIDDLE: "setuptools<66", NEW: "setuptools<82"}
BESIDE = ("numpy<2", "packaging", "scipy", "pillow", "pytest", "hypothesis")


# Top-level folders that some wheels hold beside the package; to import a benchmark is to run it.
NO_MODULES = ("bin", "share", "test", "tests", "docs", "examples", "benchmarks", "__pycache__")


def uv(*arguments, **options):
    """Whether `uv pip install` did it."""
    done = subprocess.run(["uv", "pip", "install", "-q", *map(str, arguments)], **options)
    return done.returncode == 0


def releases(only):
    """["timm-0.3.4", ...]"""
    rows = [line.split() for line in (HERE / "packages.txt").read_text().splitlines() if line[0] != "#"]
    return [f"{name}-{version}" for name, *versions in rows for version in versions if not only or name in only]


def requirement(release):
    """timm-0.3.4 as timm==0.3.4."""
    return "==".join(release.rsplit("-", 1))


def takes(folder, python):
    """Whether a release says that it runs on a Python."""
    from packaging.specifiers import SpecifierSet

    for path in folder.glob("*.dist-info/METADATA"):
        match = re.search(r"^Requires-Python: (.*)$", path.read_text(errors="replace"), re.M)
        return SpecifierSet(match.group(1) if match else "").contains(f"{python}.16")
    return True


def declared(folder, by_extras=False):
    """The torch that the metadata of a release ask for, "" where they ask for none; or that an extra of it asks for."""
    for path in folder.glob("*.dist-info/METADATA"):
        for line in path.read_text(errors="replace").splitlines():
            match = re.match(r"Requires-Dist: torch\b(?![-\w])\s*([^;]*)(;?)(.*)", line)
            if match and (not match.group(2) or (by_extras and "extra" in match.group(3))):
                return match.group(1).strip().strip("()") or "any"
    return ""


def modules(folder):
    """The top-level modules of a release."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" or (path.is_dir() and path.name.isidentifier()):
            found.append(path.stem)
    return [name for name in found if name not in NO_MODULES]


def python_of(home, minor, minors):
    """The Python that a release, which is in the folder *home*, is run on with one torch; "" if it runs on none."""
    at = minors.index(minor)
    for python, first, last in PYTHONS:
        if minors.index(first) <= at <= minors.index(last or minors[-1]) and takes(home, python):
            return python
    return ""


def wanted(folder, minors):
    """The minors on which a release is imported: both sides of every end of what the checker says will do."""
    import compare

    found = set()
    for ends in compare.Release(folder).floors():
        for end, beyond in zip(ends or (), (-1, 1)):
            at = minors.index(end)
            found.add(end)
            if 0 <= at + beyond < len(minors):
                found.add(minors[at + beyond])
    return found


def install_torch(folder, minor, patch, python):
    """An environment with one torch, and the torchvision that goes with it where there is one; its interpreter."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["uv", "venv", "-q", "--python", python, str(folder)], check=True)
    interpreter = folder / "bin" / "python"
    base = ["--python", interpreter, f"torch=={patch}", "numpy<2", SETUPTOOLS[python], "packaging"]
    if not uv(*base, "torchvision>=0.4", "pillow", stderr=subprocess.DEVNULL) and not uv(*base):
        raise SystemExit(f"torch {patch} cannot be installed")
    return interpreter


def install_release(folder, release, python):
    """A release with what it needs, but torch; whether that can be installed."""
    if folder.exists():
        return True
    overrides = folder.parent / "overrides.txt"
    folder.parent.mkdir(exist_ok=True)
    overrides.write_text("".join(f"{name} ; python_version < '3'\n" for name in LEFT_OUT))
    part = folder.with_name(folder.name + ".part")
    done = uv(
        "--python",
        python,
        "--target",
        part,
        "--overrides",
        overrides,
        requirement(release),
        SETUPTOOLS[python],
        *BESIDE,
    )
    if done:
        part.rename(folder)
    return done


def probe(interpreter, jobs):
    """Import releases on one torch."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg"}
    command = [str(interpreter), str(HERE / "trial.py")]
    subprocess.run(command, env=environment, input=json.dumps(jobs), text=True, check=True)


def main(folder, only):
    """Install, import, note."""
    sys.path.insert(0, str(HERE))
    sys.path.insert(0, str(HERE.parent / "src"))
    from torchcompat_check._minors import MINORS
    from torchcompat_check.versions import PATCHES

    folder = Path(folder).resolve()
    (folder / "probes").mkdir(parents=True, exist_ok=True)
    minors = [each for each in only if each in MINORS]
    plan = collections.defaultdict(list)
    for release in releases([each for each in only if each not in MINORS]):
        home = folder / "packages" / release
        if not home.exists() and not uv("--python", NEW, "--no-deps", "--target", home, requirement(release)):
            raise SystemExit(f"{release} cannot be installed")
        for minor in minors or wanted(home, MINORS):
            plan[minor, python_of(home, minor, MINORS)].append(release)
    for minor, python in sorted(plan, key=lambda each: (MINORS.index(each[0]), each[1])):
        jobs = []
        for release in plan[minor, python] if python else ():
            target = folder / "needs" / f"{release}-{python}"
            out = folder / "probes" / f"{release}@{minor}.json"
            if not out.exists() and install_release(target, release, python):
                jobs.append([str(out), str(target), modules(folder / "packages" / release)])
        home = folder / "torch"
        if jobs:
            probe(install_torch(home, minor, PATCHES[MINORS.index(minor)], python), jobs)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
