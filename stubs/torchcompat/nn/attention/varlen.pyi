# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
import torch
from torchcompat._own.nn.attention.varlen import AuxRequest as AuxRequest

__all__ = ['AuxRequest', 'varlen_attn', 'varlen_attn_out']
def varlen_attn(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cu_seq_q: torch.Tensor, cu_seq_k: torch.Tensor | None, max_q: int, max_k: int, *, return_aux: AuxRequest | None=None, scale: float | None=None, window_size: tuple[int, int]=(-1, -1), enable_gqa: bool=False, seqused_k: torch.Tensor | None=None, block_table: torch.Tensor | None=None, num_splits: int | None=None) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]: ...
def varlen_attn_out(out: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cu_seq_q: torch.Tensor, cu_seq_k: torch.Tensor | None, max_q: int, max_k: int, *, return_aux: AuxRequest | None=None, scale: float | None=None, window_size: tuple[int, int]=(-1, -1), enable_gqa: bool=False, seqused_k: torch.Tensor | None=None, block_table: torch.Tensor | None=None, num_splits: int | None=None) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]: ...
__all__ = ['AuxRequest', 'varlen_attn', 'varlen_attn_out']
