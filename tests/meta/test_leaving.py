"""The README's command for leaving torchcompat, run on every name: what it makes of a name is torch's own object."""

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages

import pytest

import torchcompat
from torchcompat import SHIMS, torch_version
from torchcompat._shim import FORCED, NEWEST, is_public

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULES = ["torchcompat"] + [
    module.name for module in walk_packages(torchcompat.__path__, "torchcompat.") if is_public(module.name)
]


def twins():
    """(module, name, the shim) of everything public that torch has too, aliases included."""
    public = {id(shim.public): shim for shim in SHIMS.values() if shim.path}
    for module in MODULES:
        offered = import_module(module)
        for name in getattr(offered, "__all__", None) or [name for name in dir(offered) if not name.startswith("_")]:
            path = f"{module}.{name}".partition(".")[2]
            shim = SHIMS.get(path) or public.get(id(getattr(offered, name)))
            # Functions that stand for methods are left by hand, as the README says.
            if shim is not None and shim.path and not shim.path.startswith("torch.nn.Module."):
                yield module, name, shim


def rewritten(folder, lines):
    """The lines after the README's command."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        command = re.search(r"```sh\n(sed .*?)\n```", file.read(), re.S).group(1)
    (folder / "program.py").write_text("\n".join(lines))
    command = command.replace("$(git ls-files '*.py')", "program.py")
    subprocess.run(["bash", "-c", command], cwd=str(folder), check=True)
    return (folder / "program.py").read_text().split("\n")


@pytest.mark.skipif(torch_version[:2] != NEWEST or bool(FORCED), reason="leaving is for a torch that has every name")
@pytest.mark.skipif(not shutil.which("bash") or sys.platform != "linux", reason="the command is for GNU sed")
def test_every_name_becomes_torchs_own(tmp_path):
    rows = list(twins())
    assert len(rows) > 240
    wanted = [shim.native for _, _, shim in rows]
    imports = rewritten(tmp_path, [f"from {module} import {name} as found" for module, name, _ in rows])
    # torch has no modules of these names; an import of one is an error afterwards.
    ours = ("torchcompat.memory", "torchcompat.precision")
    loaded = [(module if module not in ours else "torchcompat", f"{module}.{name}") for module, name, _ in rows]
    uses = rewritten(tmp_path, [f"import {module}; found = {path}" for module, path in loaded])
    assert not [line for line in imports + uses if "torchcompat" in line]
    for lines in (imports, uses):
        for line, native in zip(lines, wanted):
            space = {}
            exec(line, space)
            assert space["found"] is native, line


@pytest.mark.skipif(not shutil.which("bash") or sys.platform != "linux", reason="the command is for GNU sed")
def test_a_facade_that_is_left_over_is_an_error(tmp_path):
    # torch has a module of the first name, with some of the settings; it refuses the others.
    facades = [name for name, shim in SHIMS.items() if shim.kind == "facade" and name != "compiler.config"]
    lines = ["from torchcompat.{} import {}".format(*name.rpartition(".")[::2]) for name in facades]
    for line in rewritten(tmp_path, lines):
        with pytest.raises(ImportError):
            exec(line, {})
