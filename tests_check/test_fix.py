"""`--fix`: torchcompat's names in the place of torch's; all else stays as it is."""

import json
import textwrap
from pathlib import Path

import pytest

from torchcompat_check.fix import diff, fixed
from torchcompat_check.project import Project
from torchcompat_check.walk import check_source

pytest.importorskip("libcst", reason="--fix needs LibCST, which needs Python 3.9")

CASES = {
    "an attribute": (
        "import torch\ntorch.inference_mode()\n",
        "import torch\nimport torchcompat\n\ntorchcompat.inference_mode()\n",
    ),
    "a decorator, with its comment": (
        """
        import torch

        @torch.inference_mode()  # quick
        def f(): ...
        """,
        """
        import torch
        import torchcompat

        @torchcompat.inference_mode()  # quick
        def f(): ...
        """,
    ),
    "through an alias": (
        "import torch.nn.functional as F\nF.scaled_dot_product_attention(q, k, v)\n",
        "import torch.nn.functional as F\nimport torchcompat\n\n"
        "torchcompat.nn.functional.scaled_dot_product_attention(q, k, v)\n",
    ),
    "what follows the name stays": (
        "import torch\ntorch.accelerator.current_accelerator().type\n",
        "import torch\nimport torchcompat\n\ntorchcompat.accelerator.current_accelerator().type\n",
    ),
    "an argument": (
        'import torch\ntorch.meshgrid(x, indexing="ij")\ntorch.meshgrid(x, y)\n',
        'import torch\nimport torchcompat\n\ntorchcompat.meshgrid(x, indexing="ij")\ntorch.meshgrid(x, y)\n',
    ),
    "an import of one name": ("from torch import inference_mode\n", "from torchcompat import inference_mode\n"),
    "an import of several": (
        "from torch import nn, inference_mode, Tensor\n",
        "from torch import nn, Tensor\nfrom torchcompat import inference_mode\n",
    ),
    "an import in parentheses keeps its comments": (
        """
        from torch.amp import (
            GradScaler,  # the scaler
            autocast as ac,
        )
        """,
        """
        from torchcompat.amp import (
            GradScaler,  # the scaler
            autocast as ac,
        )
        """,
    ),
    "in a function": (
        "def f():\n    from torch.amp import GradScaler as G\n    return G\n",
        "def f():\n    from torchcompat.amp import GradScaler as G\n    return G\n",
    ),
    "behind a colon": (
        "if ready: from torch.amp import GradScaler\n",
        "if ready: from torchcompat.amp import GradScaler\n",
    ),
    "with another statement on the line": (
        "from torch import nn, inference_mode; x = 1\n",
        "from torch import nn; from torchcompat import inference_mode; x = 1\n",
    ),
    "a star": (
        "from torch import *\ncompile(f)\n",
        "from torch import *\nimport torchcompat\n\ntorchcompat.compile(f)\n",
    ),
    "a module that is loaded on demand": (
        "import torch\ntorch.nn.attention.bias.causal_lower_right(1, 2)\n",
        "import torch\nimport torchcompat.nn.attention.bias\n\n"
        "torchcompat.nn.attention.bias.causal_lower_right(1, 2)\n",
    ),
    "after the docstring and the future": (
        '"""Doc."""\nfrom __future__ import annotations\n\nimport torch\n\ntorch.compile(f)\n',
        '"""Doc."""\nfrom __future__ import annotations\n\n'
        "import torch\nimport torchcompat\n\ntorchcompat.compile(f)\n",
    ),
}

UNCHANGED = {
    "nothing to do": "import torch\ntorch.zeros(1)  ;  x=1\n",
    "a guard": "try:\n    from torch import inference_mode\nexcept ImportError:\n    pass\n",
    "a name without a shim": "import torch\ntorch.special.zeta(x)\n",
    "a string and a comment": "import torch\nx = 'torch.compile'  # torch.compile\n",
    "its own output": "import torch\nimport torchcompat\ntorchcompat.compile(f)\n",
    "no newline at the end": "import torch\ntorch.zeros(1)",
}


def fix(source):
    return fixed(source, check_source(source, "example.py"))


@pytest.mark.parametrize(("before", "after"), list(CASES.values()), ids=list(CASES))
def test_a_rewrite(before, after):
    before, after = textwrap.dedent(before), textwrap.dedent(after)
    assert fix(before) == after
    compile(after, "example.py", "exec")


@pytest.mark.parametrize(("before", "after"), list(CASES.values()), ids=list(CASES))
def test_what_was_rewritten_stays(before, after):
    once = fix(textwrap.dedent(before))
    assert fix(once) == once
    assert [one for one in check_source(once, "example.py") if one.shim] == []


@pytest.mark.parametrize("source", list(UNCHANGED.values()), ids=list(UNCHANGED))
def test_no_other_code_is_touched(source):
    assert fix(source) == source


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_ends_of_lines_stay(newline):
    before = newline.join(["import torch", "torch.compile(f)", "x = 1", ""])
    after = newline.join(["import torch", "import torchcompat", "", "torchcompat.compile(f)", "x = 1", ""])
    assert fix(before) == after


def test_the_difference():
    assert diff("a.py", "x\ny\n", "x\nz\n") == "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"


def needless(source):
    """The lines of the guards that torchcompat makes needless, with what they keep."""
    walk = Project().walk("example.py", textwrap.dedent(source))
    walk.functions()
    return [(guard.node.lineno, sorted(guard.names)) for guard in walk.uses.needless]


def test_guards_that_are_no_longer_needed():
    source = """
        import torch
        try:
            from torch import inference_mode
        except ImportError:
            inference_mode = torch.no_grad
        if hasattr(torch, "compile"):
            f = torch.compile(f)
    """
    assert needless(source) == [(3, ["torch.inference_mode"]), (7, ["torch.compile"])]


def test_guards_that_are_needed():
    source = """
        import torch
        if hasattr(torch.special, "zeta"):
            torch.special.zeta(x)
        try:
            torch.compile, torch.special.zeta
        except AttributeError:
            pass
        if ready:
            torch.zeros(1)
    """
    assert needless(source) == []


# The command line.


def test_the_command_prints_a_diff_and_changes_nothing(tree, command):
    tree({"a.py": "import torch\ntorch.compile(f)\n", "b.py": "import torch\ntorch.zeros(1)\n"})
    code, out, err = command("--fix", "a.py", "b.py")
    assert (code, err) == (0, "")
    assert out == diff(
        "a.py", "import torch\ntorch.compile(f)\n", "import torch\nimport torchcompat\n\ntorchcompat.compile(f)\n"
    )
    assert Path("a.py").read_text() == "import torch\ntorch.compile(f)\n"


def test_the_command_writes(tree, command):
    tree({"a.py": "\ufeff# é\r\nimport torch\r\ntorch.compile(f)\r\n".encode()})
    assert command("--fix", "--write", ".") == (0, "1 file changed\n", "")
    after = "\ufeff# é\r\nimport torch\r\nimport torchcompat\r\n\r\ntorchcompat.compile(f)\r\n"
    assert Path("a.py").read_bytes() == after.encode()
    assert command("--fix", "--write", ".") == (0, "0 files changed\n", "")


def test_the_command_keeps_to_the_gate(tree, command):
    tree({"a.py": "import torch\ntorch.compile(f)\ntorch.accelerator.is_available()\n"})
    _, out, _ = command("--fix", "--min", "2.0", "a.py")
    assert "+torchcompat.accelerator.is_available()" in out
    assert "+torchcompat.compile" not in out


def test_the_command_names_needless_guards(tree, command):
    tree({"a.py": "import torch\nif hasattr(torch, 'compile'):\n    torch.compile(f)\n"})
    _, out, err = command("--fix", "a.py")
    assert out == ""
    assert err == "a.py:2: needless with torchcompat: torch.compile -> torchcompat.compile\n"


def test_the_command_leaves_notebooks_alone(tree, command):
    cell = {"cell_type": "code", "source": ["import torch\n", "torch.compile(f)\n"], "metadata": {}}
    text = json.dumps({"cells": [{**cell, "outputs": [], "execution_count": None}], "metadata": {}, "nbformat": 4})
    tree({"a.ipynb": text})
    code, out, err = command("--fix", "--write", "a.ipynb")
    assert (code, out) == (0, "0 files changed\n")
    assert "notebooks are not rewritten" in err
    assert Path("a.ipynb").read_text() == text


@pytest.mark.parametrize("arguments", [["--write", "a.py"], ["--fix", "-"]])
def test_bad_usage(tree, command, arguments):
    tree({"a.py": ""})
    assert command(*arguments)[0] == 2
