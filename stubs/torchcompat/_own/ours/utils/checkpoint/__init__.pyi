# Written by `python docs/generate.py`; docs/typing.md tells what it is for.

class CheckpointError(RuntimeError): ...
class DefaultDeviceType:

    @classmethod
    def set_device_type(cls, device: str='cuda') -> None: ...

    @classmethod
    def get_device_type(cls) -> str: ...
