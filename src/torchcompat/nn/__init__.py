"""``torch.nn``: the classes whose constructor or forward changed after torch 1.2."""

from .._lazy import attach as _attach
from . import attention as attention
from . import functional as functional
from . import utils as utils
from ._decoder import TransformerDecoder as TransformerDecoder
from ._decoder import TransformerDecoderLayer as TransformerDecoderLayer
from ._multihead import MultiheadAttention as MultiheadAttention
from ._seq2seq import Transformer as Transformer
from ._transformer import TransformerEncoder as TransformerEncoder
from ._transformer import TransformerEncoderLayer as TransformerEncoderLayer

__all__ = [
    "MultiheadAttention",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "attention",
    "functional",
    "utils",
]

_attach(globals())
