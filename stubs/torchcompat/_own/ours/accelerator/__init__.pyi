# Written by `python docs/generate.py`; docs/typing.md tells what it is for.
from typing import Any

class Graph:

    def __init__(self, keep_graph: bool=False, *, pool: Any=None, capture_error_mode: str='default') -> None: ...
class device_index:
    idx: Any
    prev_idx: Any

    def __init__(self, __device: int | None) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *exc_info: object) -> None: ...
