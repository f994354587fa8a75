"""``torch.nn``: the classes whose constructor or forward changed after torch 1.2."""

from . import attention as attention
from . import functional as functional
from ._multihead import MultiheadAttention as MultiheadAttention
from ._transformer import TransformerEncoder as TransformerEncoder
from ._transformer import TransformerEncoderLayer as TransformerEncoderLayer

__all__ = ["MultiheadAttention", "TransformerEncoder", "TransformerEncoderLayer", "attention", "functional"]
