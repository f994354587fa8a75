# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.nn import attention as attention
from torchcompat.nn import functional as functional
from torchcompat.nn import parameter as parameter
from torchcompat.nn import utils as utils
from torchcompat._own.nn import MultiheadAttention as MultiheadAttention
from torchcompat._own.nn import Transformer as Transformer
from torchcompat._own.nn import TransformerDecoder as TransformerDecoder
from torchcompat._own.nn import TransformerDecoderLayer as TransformerDecoderLayer
from torchcompat._own.nn import TransformerEncoder as TransformerEncoder
from torchcompat._own.nn import TransformerEncoderLayer as TransformerEncoderLayer

__all__ = ['MultiheadAttention', 'Transformer', 'TransformerDecoder', 'TransformerDecoderLayer', 'TransformerEncoder', 'TransformerEncoderLayer', 'attention', 'functional', 'parameter', 'utils']
__all__ = ['MultiheadAttention', 'Transformer', 'TransformerDecoder', 'TransformerDecoderLayer', 'TransformerEncoder', 'TransformerEncoderLayer', 'attention', 'functional', 'parameter', 'utils']
