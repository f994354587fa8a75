# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
import enum

class SDPBackend(enum.Enum):
    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __int__(self) -> int: ...

    def __index__(self) -> int: ...
