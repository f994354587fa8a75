"""Files that import one another."""


def test_a_file_that_another_one_imports_is_named_as_it_was_given(tree, command):
    tree(
        {
            "pkg/__init__.py": "",
            "pkg/a.py": "from pkg.b import x\nprint(x)\n",
            "pkg/b.py": "import torch\nx = torch.compile\n",
        }
    )
    code, out, _ = command("--no-config", "pkg")
    assert code == 0
    assert out.splitlines()[0].split() == [
        "pkg/b.py:2:5:",
        "torch.compile",
        "since",
        "2.0",
        "->",
        "torchcompat.compile",
    ]


def test_what_another_file_has_from_torch_by_a_star(tree, command):
    tree(
        {
            "pkg/__init__.py": "from . import constraints\n",
            "pkg/constraints.py": "from torch.distributions.constraints import *\n",
            "pkg/a.py": (
                "import torch\nfrom pkg import constraints\nx = constraints.dependent_property(is_discrete=False)\n"
            ),
        }
    )
    _, out, _ = command("--no-config", "pkg")
    name = "torch.distributions.constraints.dependent_property(is_discrete)"
    assert out.splitlines()[0].split()[1:] == [name, "since", "1.8"]
