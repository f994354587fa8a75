"""Modules that `import torch` does not bring on every torch: they are attributes once something imports them."""

from marked import check, findings

# What is told here was tried on each torch, in a process that had imported nothing but torch.
ALONE = """
    import torch
    torch.utils.checkpoint.checkpoint(f, x)  # > torch.utils.checkpoint.checkpoint 2.8-
    torch.fft.fft(x)  # > torch.fft.fft 1.8-
    torch.mps.empty_cache()  # > torch.mps.empty_cache 2.1-
    torch._dynamo.reset()  # > torch._dynamo.reset 2.1-
    torch._dynamo.config.suppress_errors = True  # > torch._dynamo.config 2.1-
    torch.utils.dlpack.to_dlpack(x)  # > torch.utils.dlpack.to_dlpack 1.10-
    torch.fx.Tracer()  # > torch.fx.Tracer 1.13-
    torch.backends.cuda.matmul  # > torch.backends.cuda.matmul 1.7-
    torch.optim.swa_utils.AveragedModel(m)  # > torch.optim.swa_utils.AveragedModel 1.7-
    torch.distributed.device_mesh.DeviceMesh  # > torch.distributed.device_mesh.DeviceMesh 2.4-
    torch.nn.functional.relu(x), torch.fft, torch.cuda.amp  # > torch.cuda.amp 1.5-
    torch.utils.tensorboard.SummaryWriter  # no torch brings it: something must import it
"""


def test_an_attribute_that_nothing_imports_is_found():
    check(ALONE)


def test_an_import_anywhere_in_the_file_brings_it():
    check("""
        import torch
        import torch.utils.checkpoint
        from torch import fft
        torch.utils.checkpoint.checkpoint(f, x)
        torch.fft.fft(x)  # > torch.fft.fft 1.7-
        def run():
            torch.mps.empty_cache()  # > torch.mps.empty_cache 2.0-
        def other():
            from torch.mps import empty_cache  # > torch.mps.empty_cache 2.0-
    """)


def test_what_imports_a_module_may_import_those_below_it():
    check("""
        import torch
        from torch._dynamo import allow_in_graph  # > torch._dynamo.allow_in_graph 2.0-
        torch._dynamo.config.verbose = True  # > torch._dynamo.config 2.0-
    """)


def test_a_module_that_may_import_it_leaves_the_question_open():
    check(
        """
        import torch
        import torch.utils.tensorboard  # > torch.utils.tensorboard 1.2-
        torch.utils.checkpoint.checkpoint(f, x)
    """.replace("  # > torch.utils.tensorboard 1.2-", "")
    )
    check("""
        import torch
        torch.compile(f)  # > torch.compile 2.0-
        torch._dynamo.reset()  # > torch._dynamo.reset 2.0-
    """)


def test_guards():
    check("""
        import torch
        if hasattr(torch, "_dynamo"):
            torch._dynamo.reset()
        if hasattr(torch, "mps"):
            torch.mps.empty_cache()
        if hasattr(torch.fft, "fft"):
            torch.fft.fft(x)
        else:
            torch.fft(x, 1)
        try:
            torch._dynamo.reset()
        except AttributeError:
            pass
        getattr(torch, "mps", None) and torch.mps.empty_cache()
    """)


def test_values_of_its_classes_need_no_import():
    """Somebody made them, who had it."""
    check("""
        import torch
        from torch import nn
        def run(graph: "torch.fx.Graph", model: nn.Module):
            graph.lint()
            return graph.nodes
    """)


def test_another_file_of_the_package_brings_it(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    inner = package / "inner"
    inner.mkdir()
    source = "import torch\ntorch.utils.checkpoint.checkpoint(f, x)\n"
    for folder in (package, inner):
        (folder / "__init__.py").write_text("")
    (inner / "one.py").write_text(source)
    (tmp_path / "beside.py").write_text(source)
    path = str(inner / "one.py")
    assert findings(source, path) == [(2, "torch.utils.checkpoint.checkpoint", "2.8-")]
    other = tmp_path / "other"
    other.mkdir()
    for name, text in {"__init__.py": "", "one.py": source, "two.py": "from torch.utils import checkpoint\n"}.items():
        (other / name).write_text(text)
    assert findings(source, str(other / "one.py")) == []
    assert findings(source, str(tmp_path / "beside.py")) == [(2, "torch.utils.checkpoint.checkpoint", "2.8-")]
