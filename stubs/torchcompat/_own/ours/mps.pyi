# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing import Any

class Event:

    def __new__(cls, *args: Any, **kwargs: Any) -> Any: ...

    def __init__(self, enable_timing: bool=False) -> None: ...
