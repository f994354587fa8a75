"""How much memory the objects of one pickle may take, in terms of the size of the file."""

from __future__ import annotations

from pickle import UnpicklingError

# A file may take four times its size and 64 MiB. One part is the storages and the pickle itself, both of which are in
# the file; the rest is for Python's objects. What is left out covers what costs are guessed too low.
_TIMES = 3
_FREE = 48 << 20


class Budget:
    """Counts down the bytes that objects may still take; :meth:`spend` raises once they are used up."""

    def __init__(self, file_size: int) -> None:
        self.file_size = file_size
        self.left = _TIMES * file_size + _FREE

    def spend(self, cost: int) -> None:
        """Note that an object of about *cost* bytes is about to be made."""
        self.left -= cost
        if self.left < 0:
            self.refuse()

    def refuse(self) -> None:
        """Raise for a pickle that asks for more than its file may take."""
        raise UnpicklingError(
            f"the objects in this file of {self.file_size} bytes take more memory than 4 times its size and 64 MiB"
        )
