# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torch import nn
from typing import Any

class ParametrizationList(nn.ModuleList):
    unsafe: bool
    is_tensor: Any
    ntensors: Any

    def __init__(self, modules: Any, original: Any, unsafe: bool=False) -> None: ...

    def right_inverse(self, value: Any) -> None: ...

    def forward(self) -> Any: ...
