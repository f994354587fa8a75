# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from contextlib import contextmanager
from torchcompat.nn.attention import bias as bias
from torchcompat.nn.attention import flex_attention as flex_attention
from torchcompat.nn.attention import varlen as varlen
from typing import Any
from typing import Iterator
from torchcompat._own.nn.attention import SDPBackend as SDPBackend

__all__ = ['SDPBackend', 'bias', 'flex_attention', 'sdpa_kernel', 'varlen']
@contextmanager
def sdpa_kernel(backends: list[SDPBackend] | SDPBackend, set_priority: bool=False) -> Iterator[dict[Any, Any]]: ...
__all__ = ['SDPBackend', 'bias', 'flex_attention', 'sdpa_kernel', 'varlen']
