# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.library._check import opcheck as opcheck
from torchcompat.library._defined import define as define
from torchcompat.library._defined import impl as impl
from torchcompat.library._infer import infer_schema as infer_schema
from torchcompat.library._operators import register_autocast as register_autocast
from torchcompat.library._operators import register_autograd as register_autograd
from torchcompat.library._operators import register_fake as register_fake
from torchcompat.library._operators import register_kernel as register_kernel
from torchcompat.library._operators import register_torch_dispatch as register_torch_dispatch
from torchcompat.library._operators import register_vmap as register_vmap
from torchcompat.library._operators import triton_op as triton_op
from torchcompat.library._operators import wrap_triton as wrap_triton
from typing import Any
from typing import Callable
from typing import Iterable
from torchcompat._own.library import CustomOpDef as CustomOpDef
from torchcompat._own.library import Library as Library

__all__ = ['CustomOpDef', 'Library', 'custom_op', 'define', 'impl', 'infer_schema', 'opcheck', 'register_autocast', 'register_autograd', 'register_fake', 'register_kernel', 'register_torch_dispatch', 'register_vmap', 'triton_op', 'wrap_triton']
def custom_op(__name: str, __fn: Callable[..., Any] | None=None, *, mutates_args: str | Iterable[str], device_types: Any=None, schema: str | None=None, tags: Any=None) -> Any: ...
__all__ = ['CustomOpDef', 'Library', 'custom_op', 'define', 'impl', 'infer_schema', 'opcheck', 'register_autocast', 'register_autograd', 'register_fake', 'register_kernel', 'register_torch_dispatch', 'register_vmap', 'triton_op', 'wrap_triton']
