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
