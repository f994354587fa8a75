# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
Graph: TypeAlias = choice.Since_2_12.accelerator_Graph
device_index: TypeAlias = choice.Since_2_8.accelerator_device_index
