"""Importing torchcompat changes nothing and loads nothing of torch that torch had not loaded."""

import json
import subprocess
import sys
import textwrap


def run_python(code):
    """Run *code* in a fresh interpreter with warnings as errors; returns its stdout. stderr must stay empty."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode() == ""
    return done.stdout.decode()


def test_what_the_import_adds_and_that_it_starts_no_cuda():
    added = json.loads(
        run_python("""
        import json, sys, warnings
        import torch
        before = set(sys.modules)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            import torchcompat
        print(json.dumps(sorted(set(sys.modules) - before)))
        assert not getattr(torch.cuda, "_initialized", False)
        """)
    )
    foreign = [
        name
        for name in added
        if name.split(".")[0] not in ("torchcompat", "packaging")
        and name.split(".")[0] not in getattr(sys, "stdlib_module_names", [name.split(".")[0]])
    ]
    assert foreign == []
    assert [name for name in added if name.startswith(("torch.", "functorch", "numpy", "caffe2"))] == []


SNAPSHOT = """
    import json, os, random, sys
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

    names, state = snapshot(), settings()
    import torchcompat
    after = snapshot()
    print(json.dumps([sorted(k for k in names if after.get(k) != names[k]), sorted(set(after) - set(names))]))
    assert settings() == state, (settings(), state)
"""


def test_nothing_in_torch_is_patched():
    changed, added = json.loads(run_python(SNAPSHOT))
    assert changed == []
    assert added == []
