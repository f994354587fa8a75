# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.nn._decoder import TransformerDecoder as TransformerDecoder
from torchcompat.nn._decoder import TransformerDecoderLayer as TransformerDecoderLayer
from torchcompat.nn._multihead import MultiheadAttention as MultiheadAttention
from torchcompat.nn._seq2seq import Transformer as Transformer
from torchcompat.nn._transformer import TransformerEncoder as TransformerEncoder
from torchcompat.nn._transformer import TransformerEncoderLayer as TransformerEncoderLayer

