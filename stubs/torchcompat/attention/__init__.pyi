# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.attention._safe import can_pack as can_pack
from torchcompat.attention._safe import fastpath_faults as fastpath_faults
from torchcompat.attention._safe import safe_forward as safe_forward
from torchcompat.attention._switch import fastpath as fastpath
from typing import Any
from typing import NamedTuple
import torch

__all__ = ['SafeFastpath', 'can_pack', 'fastpath', 'fastpath_faults', 'safe_forward', 'sdpa_backend', 'why_not_fastpath', 'why_not_nested_tensor']
class SdpaChoice(NamedTuple):
    backend: str
    reasons: dict[str, list[str]]
class SafeFastpath(torch.nn.Module):
    training: Any

    def __init__(self, module: torch.nn.Module) -> None: ...

    def forward(self, *inputs: Any, **kwargs: Any) -> Any: ...

    def train(self, mode: bool=True) -> SafeFastpath: ...

    def __getattr__(self, name: str) -> Any: ...

    def extra_repr(self) -> str: ...
def sdpa_backend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None=None, dropout_p: float=0.0, is_causal: bool=False, *, scale: float | None=None, enable_gqa: bool=False) -> SdpaChoice: ...
def why_not_fastpath(module: torch.nn.Module, *inputs: Any, **kwargs: Any) -> list[str]: ...
def why_not_nested_tensor(encoder: torch.nn.TransformerEncoder, *inputs: Any, **kwargs: Any) -> list[str]: ...
__all__ = ['SafeFastpath', 'can_pack', 'fastpath', 'fastpath_faults', 'safe_forward', 'sdpa_backend', 'why_not_fastpath', 'why_not_nested_tensor']
