# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._types import Device
from torchcompat._types import MaskMod
from torchcompat._types import ScoreMod
import torch
from torchcompat._own.nn.attention.flex_attention import AuxOutput as AuxOutput
from torchcompat._own.nn.attention.flex_attention import AuxRequest as AuxRequest
from torchcompat._own.nn.attention.flex_attention import BlockMask as BlockMask
from torchcompat._overloads import flex_attention as flex_attention

__all__ = ['AuxOutput', 'AuxRequest', 'BlockMask', 'and_masks', 'create_block_mask', 'create_mask', 'flex_attention', 'noop_mask', 'or_masks']
def and_masks(*mask_mods: MaskMod) -> MaskMod: ...
def create_block_mask(mask_mod: MaskMod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Device=None, BLOCK_SIZE: int | tuple[int, int]=128, _compile: bool=False, separate_full_blocks: bool=True, compute_dq_write_order: bool=False, dq_kv_order: bool=True) -> BlockMask: ...
def create_mask(mod_fn: ScoreMod | MaskMod, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Device=None) -> torch.Tensor: ...
from torchcompat.nn.attention.flex_attention._block_mask import noop_mask as noop_mask
def or_masks(*mask_mods: MaskMod) -> MaskMod: ...
__all__ = ['AuxOutput', 'AuxRequest', 'BlockMask', 'and_masks', 'create_block_mask', 'create_mask', 'flex_attention', 'noop_mask', 'or_masks']
