# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
SDPBackend: TypeAlias = choice.Since_2_5.nn_attention_SDPBackend
