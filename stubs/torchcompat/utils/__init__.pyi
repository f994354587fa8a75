# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.utils import _foreach_utils as _foreach_utils
from torchcompat.utils import _python_dispatch as _python_dispatch
from torchcompat.utils import checkpoint as checkpoint
from torchcompat.utils import pytree as pytree

__all__ = ['_foreach_utils', '_python_dispatch', 'checkpoint', 'pytree']
__all__ = ['_foreach_utils', '_python_dispatch', 'checkpoint', 'pytree']
