# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
MultiheadAttention: TypeAlias = choice.Since_2_5.nn_MultiheadAttention
Transformer: TypeAlias = choice.Since_2_5.nn_Transformer
TransformerDecoder: TypeAlias = choice.Since_2_5.nn_TransformerDecoder
TransformerDecoderLayer: TypeAlias = choice.Since_2_5.nn_TransformerDecoderLayer
TransformerEncoder: TypeAlias = choice.Since_2_5.nn_TransformerEncoder
TransformerEncoderLayer: TypeAlias = choice.Since_2_5.nn_TransformerEncoderLayer
