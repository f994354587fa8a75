# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._own.memory import OutOfMemoryError as OutOfMemoryError

def is_oom_error(exc: BaseException) -> bool: ...
