# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing import Any

class Event(Any):

    def __new__(cls, enable_timing: bool=False, blocking: bool=False, interprocess: bool=False) -> Any: ...
class Stream(Any):

    def __new__(cls, device: Any=None, priority: int=0, **kwargs: Any) -> Any: ...
