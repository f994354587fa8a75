# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
AuxRequest: TypeAlias = choice.Since_2_10.nn_attention_varlen_AuxRequest
