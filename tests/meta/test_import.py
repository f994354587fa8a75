"""Importing torchcompat changes nothing and loads nothing of torch that torch had not loaded.

This holds for `import torchcompat` and for every name that is loaded when it is asked for. SHIMS alone also loads the
modules that import a part of torch.
"""

import json
import subprocess
import sys
import textwrap

import pytest

from torchcompat._lazy import AT_ONCE
from torchcompat.compiler import COMPILES


def run_python(code):
    """Run *code* in a fresh interpreter with warnings as errors; returns its stdout. stderr must stay empty."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode() == ""
    return done.stdout.decode()


SNAPSHOT = """
    import json, os, random, sys, warnings
    import torch

    def snapshot():
        torch_modules = [name for name in sorted(sys.modules) if name.split(".")[0] == "torch"]
        names = {}
        for name in torch_modules:
            for key, value in list(vars(sys.modules[name]).items()):
                names[name + ":" + key] = id(value)
                if issubclass(type(value), type) and value.__module__.startswith("torch"):
                    for member, what in list(vars(value).items()):
                        names[name + ":" + key + ":" + member] = id(what)
        return names

    def settings():
        return {
            "environment": dict(os.environ),
            "torch rng": hash(bytes(torch.get_rng_state().numpy().tobytes())),
            "random": hash(random.getstate()),
            "grad": torch.is_grad_enabled(),
            "dtype": str(torch.get_default_dtype()),
            "threads": torch.get_num_threads(),
            "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        }

    names, state, modules = snapshot(), settings(), set(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import torchcompat
        # The table of shims loads all, and fx imports torch.fx, which `import torch` leaves alone up to 1.13.
        for name in set(torchcompat._lazy.TABLES["torchcompat"]) - {"SHIMS", "fx"}:
            getattr(torchcompat, name)
    after = snapshot()
    print(json.dumps({
        "modules": sorted(set(sys.modules) - modules),
        "cuda": getattr(torch.cuda, "_initialized", False),
        "changed": sorted(key for key in names if after.get(key) != names[key]),
        "added": sorted(set(after) - set(names)),
    }))
    assert settings() == state, (settings(), state)
"""


@pytest.fixture(scope="module")
def imported():
    """What importing torchcompat, and asking for each of its names, does to a process."""
    return json.loads(run_python(SNAPSHOT))


def test_what_the_import_adds_and_that_it_starts_no_cuda(imported):
    foreign = [
        name
        for name in imported["modules"]
        if name.split(".")[0] not in ("torchcompat", "packaging")
        and name.split(".")[0] not in getattr(sys, "stdlib_module_names", [name.split(".")[0]])
    ]
    assert foreign == []
    parts_of_torch = ("torch.", "functorch", "numpy", "caffe2")
    assert [name for name in imported["modules"] if name.startswith(parts_of_torch)] == []
    assert not imported["cuda"]


def test_nothing_in_torch_is_patched(imported):
    assert imported["changed"] == []
    assert imported["added"] == []


FRESH = """
    import os, sys
    from functools import reduce
    import torchcompat
    from torchcompat._shim import is_public

    print(*sorted(name for name in sys.modules if name.startswith("torchcompat")))

    def reach(path):
        return reduce(getattr, path.split("."), torchcompat)

    def public(folder, prefix=""):
        for entry in sorted(os.listdir(folder)):
            name = entry[:-3] if entry.endswith(".py") else entry
            if "." in name or not is_public("torchcompat." + prefix + name):
                continue
            yield prefix + name
            if os.path.isdir(os.path.join(folder, entry)):
                yield from public(os.path.join(folder, entry), prefix + name + ".")

    paths = public(os.path.dirname(torchcompat.__file__))
    print(*(path for path in paths if reach(path).__name__ != "torchcompat." + path))
"""


@pytest.fixture(scope="module")
def bare():
    """The modules of ours that a bare import loads; and the public ones that it does not reach, by name."""
    return run_python(FRESH).split("\n")


@pytest.mark.skipif(AT_ONCE, reason="the compiler of this torch needs all names to be there")
def test_a_bare_import_loads_few_of_our_modules(bare):
    # How long an import takes depends on how many modules it loads. A new one belongs into the table of names that are
    # loaded when they are asked for.
    assert bare[0].split() == ["torchcompat", "torchcompat._lazy", "torchcompat._shim", "torchcompat._torch"]


def test_the_import_alone_reaches_every_public_name(bare):
    # Each module is asked for in a process where nothing else has imported it.
    assert bare[1].split() == []


@pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
def test_a_name_may_be_asked_for_first_in_a_compiled_function():
    # Loading a module inside a compiled function must not break the graph. One function for each area, none of which
    # has been asked for before. The fallback of no_grad, which is not needed where torch compiles, breaks some graphs.
    run_python("""
        import warnings
        import torch
        import torch._dynamo
        import torchcompat

        warnings.simplefilter("ignore")  # Torch's own, while it loads its compiler.
        x = torch.ones(2)
        q = torch.ones(1, 1, 2, 2)

        def grad_mode():
            with torchcompat.no_grad():
                return x + 1

        cases = [
            lambda: x + torchcompat.at_least(1, 2),
            lambda: x + torchcompat.compiler.is_compiling(),
            *([] if torchcompat._shim.FORCED else [grad_mode]),
            lambda: torchcompat.meshgrid(x, x, indexing="ij"),
            lambda: torchcompat.nn.functional.scaled_dot_product_attention(q, q, q),
        ]
        for case in cases:
            torch.compile(case, backend="eager", fullgraph=True)()
    """)


def test_a_star_import_brings_every_name():
    run_python("""
        import builtins, torchcompat
        from torchcompat import *
        assert {"no_grad", "nn", "at_least", "SHIMS"} <= set(torchcompat.__all__) <= set(dir(torchcompat))
        # As a star import of torch does, it brings an `all` of tensors.
        assert builtins.all(globals()[name] is getattr(torchcompat, name) for name in torchcompat.__all__)
    """)
