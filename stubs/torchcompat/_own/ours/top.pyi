# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.autograd.grad_mode import enable_grad as enable_grad
from torchcompat.autograd.grad_mode import inference_mode as inference_mode
from torchcompat.autograd.grad_mode import no_grad as no_grad
from torchcompat.autograd.grad_mode import set_grad_enabled as set_grad_enabled
from torchcompat.memory import OutOfMemoryError as OutOfMemoryError

