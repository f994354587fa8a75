"""The pickle's opcodes, interpreted one by one: those that torch.load takes with ``weights_only=True``.

Nothing is imported and nothing called but through the :class:`Rules` that the machine was given. Every length is
checked against the data, and every object counted against a :class:`Budget`. The opcodes: ``pickletools`` in Python.
"""

from __future__ import annotations

import struct
import warnings
from collections import Counter, OrderedDict
from pickle import UnpicklingError, decode_long
from typing import Any, Callable

from ._budget import Budget
from ._keys import Keys
from ._text import first_line, shown, size_of_text

# What objects take in CPython, in bytes. A list is counted by what it grows by when something is appended.
_SLOT, _LIST, _DICT, _SET, _PAIR, _TUPLE, _INT, _FLOAT, _MEMO, _CALL = 9, 72, 240, 224, 100, 56, 32, 24, 104, 100
_ORDERED_PAIR = 180
_LONGEST_NAME = 1024
_LONG_TEXT = 1 << 16


class Truncated(UnpicklingError):
    """The data ends within the pickle."""


class Outside:
    """Calls the user's own code, and tells whether it is that which raised: its errors go to the user as they are."""

    def __init__(self) -> None:
        self.raised = False

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.raised = True
        result = function(*arguments)
        self.raised = False
        return result


class Rules:
    """What a pickle may do. The methods raise UnpicklingError for what it may not."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.outside = Outside()
        self.watched: Any = {}  # objects, by identity, that may get nothing more without a call of `grow`

    def grow(self, items: Any) -> None:
        """Called before something that is watched gets *items*."""

    def find(self, module: str, name: str) -> Any:
        """The object that the pickle names."""
        raise UnpicklingError(f"a global, {shown(module)}.{shown(name)}, where none is expected")

    def call(self, function: Any, arguments: Any) -> Any:
        """What the opcode REDUCE gives."""
        raise UnpicklingError("a call where none is expected")

    def new(self, cls: Any, arguments: Any) -> Any:
        """What the opcode NEWOBJ gives."""
        raise UnpicklingError("an object where none is expected")

    def build(self, instance: Any, state: Any) -> Any:
        """*instance* with the state that the opcode BUILD gives it."""
        raise UnpicklingError("a state where none is expected")

    def persistent(self, identity: Any) -> Any:
        """The storage that *identity* names."""
        raise UnpicklingError("a storage where none is expected")

    def finish(self) -> None:
        """Called at the end of the pickle."""


class Machine:
    """Interprets the pickle that starts at *position* of *data*; see :meth:`run`."""

    def __init__(self, data: bytes, rules: Rules, budget: Budget, position: int = 0) -> None:
        self.data, self.position = data, position
        self._rules, self._budget = rules, budget
        self._watched = rules.watched
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under the marks
        self._memo: list[Any] = []
        self._far_memo: dict[int, Any] = {}  # what is not memorised in order
        self._small: dict[int, int] = {}  # one object for each int of two bytes, however often it comes
        self._keys = Keys(budget)

    def run(self) -> Any:
        """The object that the pickle describes. Then ``position`` is its end.

        Raises:
            UnpicklingError: the pickle is broken, or does what it may not; :class:`Truncated` if it has no end.
        """
        try:
            return self._run()
        except Exception as error:
            if self._rules.outside.raised or _is_documented(error):
                raise
            reason = first_line(error)
            if type(error) is RuntimeError:  # of torch, with lines of C++
                raise RuntimeError(f"torch refuses what the pickle does near byte {self.position}: {reason}") from error
            raise UnpicklingError(
                f"the pickle is broken near byte {self.position} ({type(error).__name__}: {reason})"
            ) from error

    def _run(self) -> Any:
        data, budget, end = self.data, self._budget, len(self.data)
        while self.position < end:
            code = data[self.position]
            self.position += 1
            if code == 0x2E:  # STOP
                self._rules.finish()
                return self._stack.pop()
            budget.left -= _COST[code]
            if budget.left < 0:
                budget.refuse()
            operation = _OPERATIONS[code]
            if operation is None:
                raise UnpicklingError(f"Unsupported operand {code}: torch.save never writes it with pickle protocol 2")
            operation(self)
        raise Truncated("the pickle has no end")

    def _take(self, length: int) -> bytes:
        start = self.position
        self.position = end = start + length
        if end > len(self.data):
            raise Truncated("the pickle ends within an object")
        return self.data[start:end]

    def _byte(self) -> int:
        """The next byte, as :meth:`_take` would give it: half of all that is taken."""
        position = self.position
        self.position = position + 1
        if position >= len(self.data):
            raise Truncated("the pickle ends within an object")
        return self.data[position]

    def _line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + _LONGEST_NAME)
        if end < 0:
            if self.position + _LONGEST_NAME > len(self.data):
                raise Truncated("the pickle ends within a name")
            raise UnpicklingError(f"a name has more than {_LONGEST_NAME} bytes")
        start, self.position = self.position, end + 1
        return self.data[start:end].decode("utf-8")

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    # What is pushed

    def _global(self) -> None:
        module = self._line()
        self._stack.append(self._rules.find(module, self._line()))

    def _none(self) -> None:
        self._stack.append(None)

    def _true(self) -> None:
        self._stack.append(True)

    def _false(self) -> None:
        self._stack.append(False)

    def _int1(self) -> None:
        self._stack.append(self._byte())

    def _int2(self) -> None:
        data = self._take(2)
        value = data[0] | data[1] << 8
        if value not in self._small:
            self._budget.spend(_INT + _PAIR)
        self._stack.append(self._small.setdefault(value, value))

    def _int4(self) -> None:
        self._stack.append(struct.unpack("<i", self._take(4))[0])

    def _long(self) -> None:
        self._stack.append(decode_long(self._take(self._byte())))

    def _float(self) -> None:
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    def _text(self) -> None:
        self._push_text(struct.unpack("<I", self._take(4))[0], "utf-8", "surrogatepass")

    def _bytes1(self) -> None:
        self._push_text(self._byte(), self._rules.encoding, "strict")

    def _bytes4(self) -> None:  # of long strings of Python 2, in which torch up to 1.4 runs
        self._push_text(struct.unpack("<i", self._take(4))[0], self._rules.encoding, "strict")

    def _push_text(self, length: int, encoding: str, errors: str) -> None:
        start = self.position
        end = start + length
        if length < 0 or end > len(self.data):
            raise Truncated("the pickle ends within a string")
        if length < _LONG_TEXT:
            self._budget.spend(60 + 4 * length)
        else:
            self._budget.spend(size_of_text(self.data, start, end))
        self.position = end
        piece = memoryview(self.data)[start:end]
        self._stack.append(bytes(piece) if encoding == "bytes" else str(piece, encoding, errors))

    def _empty_tuple(self) -> None:
        self._stack.append(())

    def _empty_list(self) -> None:
        self._stack.append([])

    def _empty_dict(self) -> None:
        self._stack.append({})

    def _empty_set(self) -> None:
        self._stack.append(set())

    # Containers

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _tuple(self) -> None:
        items = self._pop_mark()
        self._budget.spend(_SLOT * len(items))
        self._stack.append(tuple(items))

    def _tuple1(self) -> None:
        self._stack[-1] = (self._stack[-1],)

    def _tuple2(self) -> None:
        last = self._stack.pop()
        self._stack[-1] = (self._stack[-1], last)

    def _tuple3(self) -> None:
        last, middle = self._stack.pop(), self._stack.pop()
        self._stack[-1] = (self._stack[-1], middle, last)

    def _append(self) -> None:
        item = self._stack.pop()
        self._list((item,)).append(item)

    def _appends(self) -> None:
        items = self._pop_mark()
        self._budget.spend(_SLOT * len(items))
        self._list(items).extend(items)
        self._budget.left += _SLOT * len(items)  # the stack that held them is gone

    def _list(self, items: Any) -> Any:
        target = self._stack[-1]
        if type(target) is not list:
            raise UnpicklingError(f"Can only append to lists, but got {type(target)}")
        if id(target) in self._watched:
            self._rules.grow(items)
        return target

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._assign(self._mapping((key, value)), key, value)

    def _set_items(self) -> None:
        items = self._pop_mark()
        target = self._mapping(items)
        for at in range(0, len(items), 2):
            self._assign(target, items[at], items[at + 1])

    def _mapping(self, items: Any) -> Any:
        target = self._stack[-1]
        if type(target) not in (dict, OrderedDict, Counter):
            raise UnpicklingError(f"Can only set items of dict, OrderedDict and Counter, but got {type(target)}")
        if id(target) in self._watched:
            self._rules.grow(items)
        return target

    def _assign(self, target: Any, key: Any, value: Any) -> None:
        self._budget.spend(_PAIR if type(target) is dict else _ORDERED_PAIR)
        if type(key) is not str:
            self._keys.check(target, key)
        target[key] = value

    # The memo

    def _put1(self) -> None:
        self._put(self._byte())

    def _put4(self) -> None:
        self._put(struct.unpack("<I", self._take(4))[0])

    def _put(self, index: int) -> None:
        if index == len(self._memo):
            self._memo.append(self._stack[-1])
        elif index < len(self._memo):
            self._memo[index] = self._stack[-1]
        else:
            self._budget.spend(_MEMO)
            self._far_memo[index] = self._stack[-1]

    def _get1(self) -> None:
        self._get(self._byte())

    def _get4(self) -> None:
        self._get(struct.unpack("<I", self._take(4))[0])

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index] if index < len(self._memo) else self._far_memo[index])

    # What goes by the rules

    def _reduce(self) -> None:
        arguments = self._arguments()
        self._stack[-1] = self._rules.call(self._stack[-1], arguments)

    def _new(self) -> None:
        arguments = self._arguments()
        self._stack[-1] = self._rules.new(self._stack[-1], arguments)

    def _arguments(self) -> Any:
        arguments = self._stack.pop()
        if type(arguments) is not tuple:
            raise UnpicklingError(f"the arguments of a call are a tuple, but got {type(arguments)}")
        return arguments

    def _build(self) -> None:
        state = self._stack.pop()
        self._stack[-1] = self._rules.build(self._stack[-1], state)

    def _persistent(self) -> None:
        self._stack[-1] = self._rules.persistent(self._stack[-1])

    def _protocol(self) -> None:
        protocol = self._byte()
        if protocol != 2:
            message = (
                "the file is of pickle protocol {}; torch.save writes 2, and not all of other protocols can be read"
            )
            warnings.warn(message.format(protocol), UserWarning, stacklevel=2)


def _is_documented(error: Exception) -> bool:
    """Whether *error* may be one for the user."""
    if isinstance(error, (NotImplementedError, RecursionError)):
        return False
    if type(error) is RuntimeError:
        return str(error).isprintable()
    return isinstance(error, (UnpicklingError, RuntimeError, EOFError, OSError, MemoryError, Warning))


_Operation = Callable[[Machine], None]
_TABLE: dict[str, tuple[_Operation, int]] = {
    "\x80": (Machine._protocol, 0),
    "c": (Machine._global, _SLOT + 2 * _LONGEST_NAME // 16),
    "N": (Machine._none, _SLOT),
    "\x88": (Machine._true, _SLOT),
    "\x89": (Machine._false, _SLOT),
    "K": (Machine._int1, _SLOT),
    "M": (Machine._int2, _SLOT),
    "J": (Machine._int4, _SLOT + _INT),
    "\x8a": (Machine._long, _SLOT + _INT + 255),
    "G": (Machine._float, _SLOT + _FLOAT),
    "X": (Machine._text, _SLOT),
    "U": (Machine._bytes1, _SLOT),
    "T": (Machine._bytes4, _SLOT),
    ")": (Machine._empty_tuple, _SLOT),
    "]": (Machine._empty_list, _SLOT + _LIST),
    "}": (Machine._empty_dict, _SLOT + _DICT),
    "\x8f": (Machine._empty_set, _SLOT + _SET),
    "(": (Machine._mark, _SLOT + _LIST),
    "t": (Machine._tuple, _SLOT + _TUPLE),
    "\x85": (Machine._tuple1, _TUPLE + 8),
    "\x86": (Machine._tuple2, _TUPLE + 16),
    "\x87": (Machine._tuple3, _TUPLE + 24),
    "a": (Machine._append, _SLOT),
    "e": (Machine._appends, 0),
    "s": (Machine._set_item, 0),
    "u": (Machine._set_items, 0),
    "q": (Machine._put1, _SLOT),
    "r": (Machine._put4, _SLOT),
    "h": (Machine._get1, _SLOT),
    "j": (Machine._get4, _SLOT),
    "R": (Machine._reduce, _CALL),
    "\x81": (Machine._new, _CALL),
    "b": (Machine._build, 0),
    "Q": (Machine._persistent, 0),
}
_OPERATIONS: list[_Operation | None] = [_TABLE[chr(code)][0] if chr(code) in _TABLE else None for code in range(256)]
_COST = [_TABLE[chr(code)][1] if chr(code) in _TABLE else 0 for code in range(256)]
