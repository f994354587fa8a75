# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing_extensions import TypeAlias
from torchcompat._own import choice
OutOfMemoryError: TypeAlias = choice.Since_2_0.OutOfMemoryError
enable_grad: TypeAlias = choice.Since_2_1.enable_grad
inference_mode: TypeAlias = choice.Since_2_1.inference_mode
no_grad: TypeAlias = choice.Since_2_1.no_grad
set_grad_enabled: TypeAlias = choice.Since_2_2.set_grad_enabled
