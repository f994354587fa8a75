"""``torch.fx`` on torch before 1.8: types to import and to test with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ._absent import Names
from ._shim import polyfill
from ._torch import at_least

if TYPE_CHECKING:
    from torch.fx import CodeGen as CodeGen
    from torch.fx import Graph as Graph
    from torch.fx import GraphModule as GraphModule
    from torch.fx import Interpreter as Interpreter
    from torch.fx import Node as Node
    from torch.fx import Proxy as Proxy
    from torch.fx import Tracer as Tracer
    from torch.fx import Transformer as Transformer
    from torch.fx import map_arg as map_arg
    from torch.fx import replace_pattern as replace_pattern
    from torch.fx import symbolic_trace as symbolic_trace

if at_least(1, 8):
    import torch.fx  # noqa: F401  Up to 1.13 `import torch` leaves it alone.

_names = Names(globals(), "torch.fx", "torch/fx/__init__.py")
_names.types("Graph GraphModule Interpreter Node Proxy Tracer Transformer", "1.8")
_names.types("CodeGen", "1.12", file="torch/fx/graph.py")
_names.functions("map_arg replace_pattern symbolic_trace", "1.8")
_names.attach()
__all__ = [*_names.listed, "wrap"]


@polyfill(
    "torch.fx.wrap", since="1.8", link="https://github.com/pytorch/pytorch/blob/v1.8.0/torch/fx/symbolic_trace.py"
)
def wrap(fn_or_name: Any) -> Any:
    """Mark a function of the calling module as one that a symbolic trace does not look into.

    In torch since 1.8. Fallback: returns what it is given, since nothing is traced symbolically before.
    https://docs.pytorch.org/docs/stable/fx.html#torch.fx.wrap

    Args:
        fn_or_name: the function, or its name as a string; so it is a decorator, too.

    Returns:
        What was given.

    Raises:
        RuntimeError: *fn_or_name* is neither a string nor a function.
        NotImplementedError: the caller is not the top level of a module.
    """
    if not isinstance(fn_or_name, str) and not callable(fn_or_name):
        raise RuntimeError(f"fn_or_name must be a function or the name of one, got {type(fn_or_name).__name__}")
    if sys._getframe(1).f_code.co_name != "<module>":
        raise NotImplementedError("wrap() must be called at the top level of a module, not in a function or class")
    return fn_or_name
