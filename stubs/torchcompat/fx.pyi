# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
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
from typing import Any

__all__ = [*_names.listed, 'wrap']
def wrap(fn_or_name: Any) -> Any: ...
__all__ = ['CodeGen', 'Graph', 'GraphModule', 'Interpreter', 'Node', 'Proxy', 'Tracer', 'Transformer', 'map_arg', 'replace_pattern', 'symbolic_trace', 'wrap']
