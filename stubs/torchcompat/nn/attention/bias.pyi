# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat._own.nn.attention.bias import CausalBias as CausalBias
from torchcompat._own.nn.attention.bias import CausalVariant as CausalVariant

__all__ = ['CausalBias', 'CausalVariant', 'causal_lower_right', 'causal_upper_left']
def causal_lower_right(*size: int) -> CausalBias: ...
def causal_upper_left(*size: int) -> CausalBias: ...
__all__ = ['CausalBias', 'CausalVariant', 'causal_lower_right', 'causal_upper_left']
