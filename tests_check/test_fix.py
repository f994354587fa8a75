"""`--fix`: torchcompat's names in the place of torch's; all else stays as it is."""

import json
import textwrap
from pathlib import Path

import pytest

from torchcompat_check.fix import diff, fixed, rewritten
from torchcompat_check.project import Project
from torchcompat_check.walk import Walk, check_source

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
    "decorators without parentheses": (
        """
        import torch

        @torch.no_grad
        def f(): ...

        @torch.inference_mode
        def g(): ...
        """,
        """
        import torch
        import torchcompat

        @torchcompat.no_grad
        def f(): ...

        @torchcompat.inference_mode
        def g(): ...
        """,
    ),
    "settings of the compiler, which are set": (
        """
        import torch
        import torch._dynamo.config as stays
        from torch._dynamo import config

        torch._dynamo.config.cache_size_limit = 64
        with config.patch(verbose=True), torch._inductor.config.patch("debug", True):
            torch._inductor.config.triton.cudagraphs = torch._dynamo.config.verbose
        """,
        """
        import torch
        import torch._dynamo.config as stays
        from torchcompat.compiler import config
        import torchcompat

        torchcompat.compiler.config.cache_size_limit = 64
        with config.patch(verbose=True), torchcompat.compiler.inductor_config.patch("debug", True):
            torchcompat.compiler.inductor_config.triton.cudagraphs = torchcompat.compiler.config.verbose
        """,
    ),
    "what is told to the compiler": (
        """
        import torch
        from torch._dynamo import OptimizedModule

        torch._dynamo.mark_dynamic(x, 0, min=2)
        isinstance(x, OptimizedModule)
        """,
        """
        import torch
        from torchcompat.compiler import OptimizedModule
        import torchcompat

        torchcompat.compiler.mark_dynamic(x, 0, min=2)
        isinstance(x, OptimizedModule)
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
    "arguments by partial and by a mapping": (
        """
        import functools
        import torch
        grid = functools.partial(torch.meshgrid, indexing="ij")
        torch.meshgrid(x, **{"indexing": "ij"})
        kw = {"indexing": "ij"}
        torch.meshgrid(x, **kw)
        """,
        """
        import functools
        import torch
        import torchcompat

        grid = functools.partial(torchcompat.meshgrid, indexing="ij")
        torchcompat.meshgrid(x, **{"indexing": "ij"})
        kw = {"indexing": "ij"}
        torchcompat.meshgrid(x, **kw)
        """,
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
    "a docstring and no import at the top": (
        '"""Doc."""\ndef f():\n    import torch\n    return torch.compile(f)\n',
        '"""Doc."""\ndef f():\n    import torch\n    import torchcompat\n    return torchcompat.compile(f)\n',
    ),
    "before the first statement that runs, not behind the last import": (
        "import torch\nf = torch.compile(len)\nimport os\n",
        "import torch\nimport torchcompat\n\nf = torchcompat.compile(len)\nimport os\n",
    ),
    "an import that only a type checker sees does not do": (
        """
        import torch
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            import torchcompat
        torch.compile(f)
        """,
        """
        import torch
        from typing import TYPE_CHECKING
        import torchcompat

        if TYPE_CHECKING:
            import torchcompat
        torchcompat.compile(f)
        """,
    ),
    "torchcompat under another name is imported under its own": (
        "import torch\nimport torchcompat as tc\ntorch.compile(f)\n",
        "import torch\nimport torchcompat as tc\nimport torchcompat\n\ntorchcompat.compile(f)\n",
    ),
    "torchcompat is imported already": (
        "import torch\nimport torchcompat\n\ntorch.compile(f)\n",
        "import torch\nimport torchcompat\n\ntorchcompat.compile(f)\n",
    ),
    "through an assigned alias": (
        "import torch\nF = torch.nn.functional\nF.scaled_dot_product_attention(q, k, v)\n",
        "import torch\nimport torchcompat\n\nF = torch.nn.functional\n"
        "torchcompat.nn.functional.scaled_dot_product_attention(q, k, v)\n",
    ),
    "parentheses stay": (
        "import torch\ndef f():\n    return(torch.compile)\n",
        "import torch\nimport torchcompat\n\ndef f():\n    return(torchcompat.compile)\n",
    ),
    "in an f-string": (
        'import torch\nx = f"{torch.compile} torch.compile"\n',
        'import torch\nimport torchcompat\n\nx = f"{torchcompat.compile} torch.compile"\n',
    ),
    "a member of an enumeration": (
        "import torch\ntorch.nn.attention.SDPBackend.MATH\n",
        "import torch\nimport torchcompat\n\ntorchcompat.nn.attention.SDPBackend.MATH\n",
    ),
    "a class, and not the attribute of its instance": (
        "import torch\nx = torch.nn.MultiheadAttention(4, 1, batch_first=True).batch_first\n",
        "import torch\nimport torchcompat\n\n"
        "x = torchcompat.nn.MultiheadAttention(4, 1, batch_first=True).batch_first\n",
    ),
    "an attribute of a call is written, not the name": (
        "import torch\ntorch.compile(f).x = 1\n",
        "import torch\nimport torchcompat\n\ntorchcompat.compile(f).x = 1\n",
    ),
    "a name that is torchcompat's under another name": (
        "from torch.cuda import OutOfMemoryError as Full, amp\n",
        "from torch.cuda import amp\nfrom torchcompat import OutOfMemoryError as Full\n",
    ),
    "a local name elsewhere": (
        """
        import torch

        def f(torchcompat):
            return torchcompat

        def g():
            return torch.compile(f)
        """,
        """
        import torch
        import torchcompat

        def f(torchcompat):
            return torchcompat

        def g():
            return torchcompat.compile(f)
        """,
    ),
    "a class attribute does not hide the name in a method": (
        """
        import torch

        class A:
            torchcompat = 1

            def f(self):
                return torch.compile(self)
        """,
        """
        import torch
        import torchcompat

        class A:
            torchcompat = 1

            def f(self):
                return torchcompat.compile(self)
        """,
    ),
    "a keyword and an argument of that name": (
        "from torch import *\ng(compile=compile)\n",
        "from torch import *\nimport torchcompat\n\ng(compile=torchcompat.compile)\n",
    ),
    "an imported module that is asked for shims alone": (
        "import torch.func as ft\nft.vmap(f)\n",
        "import torchcompat.func as ft\nft.vmap(f)\n",
    ),
    "a module from its package": (
        "from torch.nn.utils import parametrize as P\nP.register_parametrization(m, n, p)\n",
        "from torchcompat.nn.utils import parametrize as P\nP.register_parametrization(m, n, p)\n",
    ),
    "an old name whose successor does the same": (
        "import torch\nfrom functorch import vmap\ntorch._dynamo.disable(f)\n",
        "import torch\nfrom torchcompat.func import vmap\nimport torchcompat\n\ntorchcompat.compiler.disable(f)\n",
    ),
    "another way to such a name": (
        "from torch._dynamo.decorators import disable\nfrom torch._dynamo.eval_frame import innermost_fn\n",
        "from torchcompat.compiler import disable\nfrom torch._dynamo.eval_frame import innermost_fn\n",
    ),
    "an argument of a name whose successor is spelt otherwise": (
        "import torch\ntorch.nn.utils.clip_grad_norm(p, 1, foreach=True)\n",
        "import torch\nimport torchcompat\n\ntorchcompat.nn.utils.clip_grad_norm_(p, 1, foreach=True)\n",
    ),
    "functions of a private module that has a public one here": (
        "from torch.utils._pytree import tree_flatten, tree_map as tm, tree_unflatten\n",
        "from torchcompat.utils.pytree import tree_flatten, tree_map as tm, tree_unflatten\n",
    ),
    "a plain one beside a structure that stays torch's": (
        "from torch.utils._pytree import LeafSpec, tree_flatten, tree_map\n",
        "from torch.utils._pytree import LeafSpec, tree_flatten\nfrom torchcompat.utils.pytree import tree_map\n",
    ),
    "a private module under its public name here": (
        "from torch.utils import _pytree\nx, s = _pytree.tree_flatten(x)\n_pytree.tree_unflatten(x, s)\n",
        "from torchcompat.utils import pytree as _pytree\n"
        "x, s = _pytree.tree_flatten(x)\n_pytree.tree_unflatten(x, s)\n",
    ),
    "the import of a module goes on binding torch": (
        "import os, torch.func\ntorch.func.vmap(f)\ntorch.zeros(1)\n",
        "import os, torch, torchcompat.func\nimport torchcompat\n\ntorchcompat.func.vmap(f)\ntorch.zeros(1)\n",
    ),
    "torch is imported in a function, and torchcompat beside it": (
        """
        import os

        def f():
            import torch
            return torch.compile(f), torch.inference_mode()

        def g():
            from torch import nn, amp; x = 1
            return nn.attention.SDPBackend.MATH, amp.GradScaler()
        """,
        """
        import os

        def f():
            import torch
            import torchcompat
            return torchcompat.compile(f), torchcompat.inference_mode()

        def g():
            from torch import nn; from torchcompat import amp; import torchcompat; x = 1
            return torchcompat.nn.attention.SDPBackend.MATH, torchcompat.amp.GradScaler()
        """,
    ),
    "torch may not be there": (
        """
        try:
            import torch
        except ImportError:
            torch = None

        def f():
            return torch.compile(f)
        """,
        """
        try:
            import torch
            import torchcompat
        except ImportError:
            torch = None

        def f():
            return torchcompat.compile(f)
        """,
    ),
    "torch under a condition": (
        "if ready: import torch\ndef f():\n    return torch.compile(f)\n",
        "if ready: import torch; import torchcompat\ndef f():\n    return torchcompat.compile(f)\n",
    ),
    "torch behind something that comes first": (
        "import os\nos.environ['A'] = 'b'\nimport torch\n\ntorch.compile(f)\n",
        "import os\nos.environ['A'] = 'b'\nimport torch\nimport torchcompat\n\ntorchcompat.compile(f)\n",
    ),
    "torch and torchcompat in a function": (
        "def f():\n    import torch\n    import torchcompat\n    torchcompat.compile(f), torch.inference_mode()\n",
        "def f():\n    import torch\n    import torchcompat\n    import torchcompat\n"
        "    torchcompat.compile(f), torchcompat.inference_mode()\n",
    ),
}

UNCHANGED = {
    "nothing to do": "import torch\ntorch.zeros(1)  ;  x=1\n",
    "a guard": "try:\n    from torch import inference_mode\nexcept ImportError:\n    pass\n",
    "a name without a shim": "import torch\ntorch.special.zeta(x)\n",
    "a string and a comment": "import torch\nx = 'torch.compile'  # torch.compile\n",
    "its own output": "import torch\nimport torchcompat\ntorchcompat.compile(f)\n",
    "no newline at the end": "import torch\ntorch.zeros(1)",
    "an attribute of a parameter": """
        import torch
        def f(m: torch.nn.MultiheadAttention):
            return dict(batch_first=m.batch_first)
        """,
    "an attribute of a new object": "import torch\nm = torch.nn.MultiheadAttention(4, 1)\nm.batch_first\n",
    "a method of an object": "import torch\no = torch.optim.SGD(p, 1)\no.register_step_pre_hook(f)\n",
    "a method of self, and of super()": """
        import torch
        class P(torch.optim.lr_scheduler.ReduceLROnPlateau):
            def step(self):
                return self.get_last_lr(), super().get_last_lr()
        """,
    "an argument of a method": """
        import torch
        def f(m: torch.nn.MultiheadAttention, q):
            return m.forward(q, q, q, is_causal=True), torch.nn.Module.zero_grad(m, set_to_none=True)
        """,
    "an argument of a class that comes from torch's": """
        import torch
        class A(torch.optim.Adam): pass
        A(p, fused=True)
        """,
    "a member of a class that torchcompat's may not have": "import torch\ntorch.amp.GradScaler.scale\n",
    "a name that no torch has": "import torch\ntorch.nn.attention.no_such.thing\n",
    "a module as a value": "import torch\nbackends = [torch.cuda, torch.mps]\n",
    "an imported module that is asked for more": "from torch import mps\nmps.profiler.start()\n",
    "an imported module that is handed on": "from torch import func\ng(func)\n",
    "an imported module that is written to": "from torch import func\nfunc.vmap = g\n",
    "an imported module for others to use": "from torch import func\n",
    "a name that no torch has, in an import": "from torch.func import no_such\n",
    "a name of torch's that is written": "import torch\ntorch.compile = f\n",
    "an argument that newer torch no longer takes": """
        import torch
        torch.optim.lr_scheduler.ConstantLR(o, verbose=True)
        """,
    "an argument that the successor does not take": "import torch\ntorch._dynamo.disable(f, wrapping=False)\n",
    "an old name whose successor takes other arguments": """
        import torch
        with torch.cuda.amp.autocast(), torch.backends.cuda.sdp_kernel(enable_math=False):
            torch.get_autocast_gpu_dtype()
        """,
    "functions that share a structure with one that stays": """
        from torch.utils._pytree import tree_flatten, tree_unflatten, LeafSpec
        leaves, spec = tree_flatten(x)
        tree_unflatten(leaves, spec if spec else LeafSpec())
        """,
    "functions that share a structure with one that is guarded": """
        from torch.utils._pytree import tree_flatten
        leaves, spec = tree_flatten(x)
        try:
            from torch.utils._pytree import tree_unflatten
        except ImportError:
            pass
        """,
    "a module that is asked for a structure that stays torch's": """
        import torch.utils._pytree as pytree
        leaves, spec = pytree.tree_flatten(x)
        pytree.treespec_dumps(spec)
        """,
}

# Where torchcompat has the name, and putting it there might mean something else.
LEFT = {
    "a parameter hides torchcompat": "import torch\ndef f(torchcompat):\n    return torch.compile(f)\n",
    "a local name hides it": "import torch\ndef f():\n    g = torch.compile(f)\n    torchcompat = g\n",
    "a loop hides it": "import torch\nfor torchcompat in x:\n    torch.compile(f)\n",
    "a comprehension hides it": "import torch\n[torch.compile for torchcompat in x]\n",
    "a lambda hides it": "import torch\nlambda torchcompat: torch.compile\n",
    "an exception hides it": "import torch\ntry:\n    pass\nexcept E as torchcompat:\n    torch.compile(f)\n",
    "a with statement hides it": "import torch\nwith x as torchcompat:\n    torch.compile(f)\n",
    "a class attribute hides it": "import torch\nclass A:\n    torchcompat = 1\n    f = torch.compile(f)\n",
    "a function binds it": "import torch\ndef f():\n    global torchcompat\n    torchcompat = 1\ntorch.compile(f)\n",
    "a function is called so": "import torch\ndef torchcompat(): ...\ntorch.compile(f)\n",
    "a module of the project is called so": "import torch\nfrom . import torchcompat\ntorch.compile(f)\n",
    "another module is called so": "import torch\nimport x as torchcompat\ntorch.compile(f)\n",
    "a local import": "import torch\ndef f():\n    torch.compile(f)\n    import torchcompat\n",
    "a name is deleted": "import torch\ndel torch.compile\n",
    "an attribute of it is written": "import torch\ntorch.compile.x = 1\n",
    "an attribute of it is added to": "import torch\ntorch.compile.x += 1\n",
    "an item of it is written": "import torch\ntorch.compile.x[0] = 1\n",
    "an attribute of it is a loop's": "import torch\nfor torch.compile.x in y: pass\n",
    "one of two functions": 'import torch\nf = torch.meshgrid if x else g\nf(a, indexing="ij")\n',
    "a function in an object": """
        import torch
        class A:
            def __init__(self):
                self.f = torch.meshgrid
            def g(self):
                return self.f(x, indexing="ij")
        """,
    "a name that is bound again": "import torch\nfrom torch import *\ncompile(f)\ncompile = g\n",
    "an alias that is bound again": """
        import torch
        F = torch.nn.functional
        def f():
            F.scaled_dot_product_attention(q, k, v)
        def g():
            global F
            F = torch.special
        """,
}


def fix(source):
    return fixed(source, check_source(source, "example.py"))


def counted(source):
    """What counts as solved by torchcompat."""
    return [one.shim for one in check_source(textwrap.dedent(source), "example.py") if one.shim]


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
    source = textwrap.dedent(source)
    assert fix(source) == source
    assert counted(source) == []


@pytest.mark.parametrize("source", list(LEFT.values()), ids=list(LEFT))
def test_what_might_mean_something_else_is_left_and_told(source):
    source = textwrap.dedent(source)
    after, left = rewritten(source, check_source(source, "example.py"))
    assert after == source
    assert left


def test_two_findings_of_one_place_are_two():
    source = "import torch\ntorch.nn.MultiheadAttention(4, 1).batch_first\ntorch.inference_mode().clone\n"
    names = [(one.name, one.shim) for one in check_source(source, "example.py")]
    assert names == [
        ("torch.nn.MultiheadAttention.batch_first", ""),
        ("torch.inference_mode", "torchcompat.inference_mode"),
        ("torch.inference_mode.clone", ""),
    ]


def test_a_guard_of_a_module_is_not_needless():
    source = """
        try:
            from torch import mps
        except ImportError:
            mps = None
        import torch
        if hasattr(torch, "mps"):
            import torch.mps as m
    """
    assert needless(source) == []


def test_a_guard_of_an_attribute_is_not_needless():
    source = """
        import torch
        def f(m: torch.nn.MultiheadAttention):
            if hasattr(m, "batch_first"):
                return m.batch_first
    """
    assert needless(source) == []


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_ends_of_lines_stay(newline):
    before = newline.join(["import torch", "torch.compile(f)", "x = 1", ""])
    after = newline.join(["import torch", "import torchcompat", "", "torchcompat.compile(f)", "x = 1", ""])
    assert fix(before) == after


def test_the_difference():
    assert diff("a.py", "x\ny\n", "x\nz\n") == "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"


def needless(source):
    """The lines of the guards that torchcompat makes needless, with what they keep."""
    walk = Project(Walk).walk("example.py", textwrap.dedent(source))
    walk.bodies.read()
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


def test_the_command_keeps_together_what_goes_together(tree, command):
    """`tree_structure` came with 2.2, what takes its structure before: a gate must not part them."""
    before = "import torch\nfrom torch.utils._pytree import tree_leaves, tree_structure, tree_unflatten\n"
    tree({"a.py": before})
    _, out, _ = command("--fix", "a.py")
    assert "+from torchcompat.utils.pytree import tree_leaves, tree_structure, tree_unflatten" in out
    _, out, _ = command("--fix", "--min", "1.8", "a.py")
    assert "+from torch.utils._pytree import tree_structure, tree_unflatten" in out
    assert "+from torchcompat.utils.pytree import tree_leaves" in out


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


def test_the_command_says_what_it_left(tree, command):
    tree({"a.py": "import torch\ndef f(torchcompat):\n    torch.compile(f)\n"})
    code, out, err = command("--fix", "a.py")
    assert (code, out) == (0, "")
    assert err == "a.py:3: torch.compile is left as it is: `torchcompat` means something else there\n"


@pytest.mark.parametrize("name", ["torchcompat.py", "torchcompat/__init__.py", "top/torchcompat/__init__.py"])
def test_the_command_does_not_import_a_module_of_the_project(tree, command, name):
    tree({"top/__init__.py": "", "top/a.py": "import torch\ntorch.compile(f)\n", name: ""})
    code, out, err = command("--fix", "top/a.py")
    assert (code, out) == (0, "")
    assert err == f"top/a.py: cannot be rewritten: `import torchcompat` would find {name}\n"


@pytest.mark.parametrize("arguments", [["--write", "a.py"], ["--fix", "-"]])
def test_bad_usage(tree, command, arguments):
    tree({"a.py": ""})
    assert command(*arguments)[0] == 2
