# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
import torch

__all__ = ['scaled_dot_product_attention']
def scaled_dot_product_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None=None, dropout_p: float=0.0, is_causal: bool=False, *, scale: float | None=None, enable_gqa: bool=False) -> torch.Tensor: ...
__all__ = ['scaled_dot_product_attention']
