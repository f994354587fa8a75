# Written by `python docs/generate.py`; docs/typing.md tells what it is for.

__all__ = ['is_bf16_supported']
def is_bf16_supported(including_emulation: bool=True) -> bool: ...
__all__ = ['is_bf16_supported']
