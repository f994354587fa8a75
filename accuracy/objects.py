"""Evaluates what `--fix` replaced: reads [[old path, new path], ...], writes [torch's version, [[old, new, why]]].

The new object is right if it is the public object of the shim whose native is the old one: the old one itself, or the
shim's fallback where that is public, as all are where fallbacks are forced. A member of a class is that of its shim.
Or it is the name that successors.txt, by `=>`, has for the old one, which `tests/meta/test_successors.py` holds to it.
"""

import importlib
import json
import sys
import types
import warnings

import torch

from torchcompat import SHIMS
from torchcompat_check.shims import ON_DEMAND, every, successors


def get(path):
    """The object of a dotted path, importing the modules on the way."""
    parts = path.split(".")
    found = importlib.import_module(parts[0])
    for count, part in enumerate(parts[1:], 2):
        if not hasattr(found, part):
            importlib.import_module(".".join(parts[:count]))
        found = getattr(found, part)
    return found


def found(path):
    """The same; None where this torch has nothing of that name."""
    try:
        return get(path)
    except (ImportError, AttributeError):
        return None


def as_written(path):
    """The object of torchcompat's path after nothing but the import that `--fix` writes."""
    found = importlib.import_module("torchcompat")
    for name in ON_DEMAND:
        if (path + ".").startswith(name + "."):
            importlib.import_module(name)
    for part in path.split(".")[1:]:
        found = getattr(found, part)
    return found


def why_not(old, new):
    """Why *new* may not stand for *old*, or ""."""
    ours, theirs = as_written(new), get(old)
    old_names = [each for each, arrow, _, _ in successors() if arrow == "=>" and every()[each].name == new]
    if any(found(each) is theirs for each in old_names):
        return ""
    name, member = new[len("torchcompat.") :], ""
    if name not in SHIMS and name.rpartition(".")[0] in SHIMS:
        name, _, member = name.rpartition(".")
        theirs = get(old.rpartition(".")[0])
    if name in SHIMS:
        shim = SHIMS[name]
        public = shim.public if not member else getattr(shim.public, member)
        if shim.native is theirs and ours == public:
            return ""
    elif isinstance(theirs, types.ModuleType) and isinstance(ours, types.ModuleType):
        return ""  # what the file takes from it is a pair of its own
    return f"{ours!r} is neither {theirs!r} nor the shim for it"


def main():
    """Read, evaluate, write."""
    warnings.simplefilter("ignore")
    sys.stdin.reconfigure(encoding="utf-8")
    wrong = []
    pairs = json.load(sys.stdin)
    for old, new in pairs:
        try:
            why = why_not(old, new)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        if why:
            wrong.append([old, new, why])
    print(json.dumps([torch.__version__.partition("+")[0], wrong]))


if __name__ == "__main__":
    main()
