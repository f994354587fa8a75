# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._own.memory import OutOfMemoryError as OutOfMemoryError

__all__ = ['OutOfMemoryError', 'is_oom_error']
def is_oom_error(exc: BaseException) -> bool: ...
__all__ = ['OutOfMemoryError', 'is_oom_error']
