"""How much memory the objects of one pickle may take, and how much may be read to check them, by the file's size."""

from __future__ import annotations

from pickle import UnpicklingError

# A file may take four times its size and 64 MiB. One part is the storages and the pickle itself, both of which are in
# the file; the rest is for objects. What is left out covers what costs are guessed too low.
_TIMES = 3
_FREE = 48 << 20
_READINGS = 16  # how often, on average, a byte may be read again in a check

# What tensors of torch take with their wrapper in Python, in bytes: the most that was measured on 1.2, 1.8 and 2.15.
TENSOR, DIMENSION, GRADIENT, STORAGE, RECORD = 500, 17, 200, 500, 180


class Budget:
    """Counts down the bytes that objects may still take; :meth:`spend` raises once they are used up."""

    def __init__(self, file_size: int) -> None:
        self.file_size = file_size
        self.left = _TIMES * file_size + _FREE
        self._readings = _READINGS * file_size + _FREE

    def spend(self, cost: int) -> None:
        """Note that an object of about *cost* bytes is about to be made."""
        self.left -= cost
        if self.left < 0:
            self.refuse()

    def spend_tensor(self, dimensions: int, data: int = 0) -> None:
        """Note that a tensor is about to be made, with *data* bytes of memory of its own."""
        self.spend(TENSOR + DIMENSION * dimensions + data)

    def refuse(self) -> None:
        """Raise for a pickle that asks for more than its file may take."""
        raise UnpicklingError(
            f"the objects in this file of {self.file_size} bytes take more memory than 4 times its size and 64 MiB"
        )

    def read(self, count: int) -> None:
        """Note that *count* bytes of tensors are about to be read, to check them."""
        self._readings -= count
        if self._readings < 0:
            raise UnpicklingError(
                f"the tensors in this file of {self.file_size} bytes overlap so much that to check them means to read "
                f"it more than {_READINGS} times"
            )


class NoBudget(Budget):
    """For a pickle that is trusted: counts nothing."""

    def __init__(self) -> None:
        super().__init__(0)

    def spend(self, cost: int) -> None:
        """Everything is allowed."""

    def read(self, count: int) -> None:
        """Everything is allowed."""
