# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
AuxOutput: TypeAlias = choice.Since_2_9.nn_attention_flex_attention_AuxOutput
AuxRequest: TypeAlias = choice.Since_2_9.nn_attention_flex_attention_AuxRequest
BlockMask: TypeAlias = choice.Since_2_14.nn_attention_flex_attention_BlockMask
