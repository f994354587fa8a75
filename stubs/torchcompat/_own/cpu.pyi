# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
Event: TypeAlias = choice.Since_2_2.cpu_Event
Stream: TypeAlias = choice.Since_2_7.cpu_Stream
StreamContext: TypeAlias = choice.Since_2_1.cpu_StreamContext
