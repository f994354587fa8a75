# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
Event: TypeAlias = choice.Since_2_15.xpu_Event
Stream: TypeAlias = choice.Since_2_3.xpu_Stream
