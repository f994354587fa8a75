# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from torchcompat.optim.lr_scheduler._base import Lrs
from torchcompat.optim.lr_scheduler._base import Scheduler
from typing import Any
from typing import Callable

class AveragedModel(Any):
    module: Any
    avg_fn: Callable[..., Any] | None
    multi_avg_fn: Callable[..., None] | None
    use_buffers: bool

    def __init__(self, model: Any, device: Any=None, avg_fn: Callable[..., Any] | None=None, multi_avg_fn: Callable[..., None] | None=None, use_buffers: bool=False) -> None: ...

    def forward(self, *args: Any, **kwargs: Any) -> Any: ...

    def update_parameters(self, model: Any) -> None: ...
class SWALR(Scheduler, Any):
    anneal_epochs: int

    def __init__(self, optimizer: Any, swa_lr: float, anneal_epochs: int=10, anneal_strategy: str='cos', last_epoch: int=-1) -> None: ...

    def get_lr(self) -> Lrs: ...
