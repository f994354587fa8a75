"""Optimisers from one torch to another: run ``save DIRECTORY`` under one and ``load DIRECTORY`` under the other.

``save`` trains three steps with our class and, where this torch has one, with torch's own, and writes state dicts.
``load`` resumes each of them with our class and with torch's own here, as far as that has the keywords. It exits with 1
if a resumed parameter is not where the papers' equations put it.
"""

import copy
import functools
import os
import sys
import warnings

import numpy as np
import optim_cases
import torch

import torchcompat.optim  # noqa: F401  (fills the table)
from torchcompat import SHIMS, at_least

# Torch 1.2 and 1.3 cannot read the format that torch 1.6 made the default.
WRITE = functools.partial(torch.save, _use_new_zipfile_serialization=False) if at_least(1, 4) else torch.save
READ = functools.partial(torch.load, weights_only=False) if at_least(1, 13) else torch.load

# Torch's own Adagrad of 1.2 saves no eps, which its later ones ask for; ours knows what it was.
# https://github.com/pytorch/pytorch/pull/24980
HOPELESS = {("Adagrad", "torch's own", "torch's own")}


def options_of(name):
    """Options that torch has had as long as the optimiser, beside its defaults then and now."""
    case = optim_cases.CASES[name]
    options = {"lr": 0.02}
    for key in ("weight_decay", "momentum"):
        if key in case.defaults:
            options[key] = 0.1
    return options


def classes(name):
    """Ours and torch's own, if its steps are right."""
    shim = SHIMS["optim." + name]
    # Torch's own NAdam takes one factor twice up to 1.13: https://github.com/pytorch/pytorch/pull/92699
    wrong = name == "NAdam" and not at_least(2, 0)
    return {"ours": shim.fallback, **({"torch's own": shim.native} if shim.native and not wrong else {})}


def save(directory):
    for name in optim_cases.CASES:
        for whose, cls in classes(name).items():
            param = optim_cases.parameter()
            optimizer = cls([param], **options_of(name))
            optim_cases.trajectory(SHIMS["optim." + name], optimizer, param, 3)
            WRITE((param.detach().tolist(), optimizer.state_dict()), os.path.join(directory, f"{name} {whose}"))


def _problem(name, cls, start, saved):
    case, options = optim_cases.CASES[name], options_of(name)
    param = optim_cases.parameter(values=np.array(start))
    optimizer = cls([param], **options)
    optimizer.load_state_dict(copy.deepcopy(saved))  # torch keeps what fits, and steps it
    after = optim_cases.trajectory(SHIMS["optim." + name], optimizer, param, 3, first=4)
    difference = np.abs(after[-1] - case.expected(options)[-1]).max()
    return "" if difference < max(case.bound(options), 1e-6) else f"differs by {difference}"


def load(directory):
    """What goes wrong, by optimiser and by whose classes wrote and read it."""
    problems = {}
    for file in sorted(os.listdir(directory)):
        name, writer = file.split(" ", 1)
        start, saved = READ(os.path.join(directory, file))
        for reader, cls in classes(name).items():
            try:
                problem = _problem(name, cls, start, saved)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            if problem and (name, writer, reader) not in HOPELESS:
                problems[f"{name}: written by {writer}, read by {reader}"] = problem
    return problems


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # torch's own of what they deprecate
    if sys.argv[1] == "save":
        save(sys.argv[2])
    else:
        found = load(sys.argv[2])
        for which, problem in found.items():
            print(f"{which}: {problem}")
        sys.exit(bool(found))
