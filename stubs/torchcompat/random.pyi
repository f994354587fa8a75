# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from contextlib import contextmanager
from typing import Any
from typing import Iterable
from typing import Iterator

__all__ = ['fork_rng']
@contextmanager
def fork_rng(devices: Iterable[Any] | None=None, enabled: bool=True, _caller: str='fork_rng', _devices_kw: str='devices', device_type: str | None=None) -> Iterator[None]: ...
__all__ = ['fork_rng']
