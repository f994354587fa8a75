"""Which members of a class are told."""

OPERATORS = """
add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or
"""
USES = """
neg pos abs invert eq ne lt le gt ge bool len length_hint contains iter next reversed getitem setitem delitem missing
call enter exit aenter aexit await aiter anext index int float complex round trunc floor ceil format copy deepcopy
fspath bytes class_getitem match_args
"""
PRIVATE = """
init new class doc module dict weakref slots annotations init_subclass
"""
# The methods that a program calls without naming them. Every object can be hashed and printed: these are not told.
PROTOCOL = {"__" + sign + name + "__" for name in OPERATORS.split() for sign in ("", "r", "i")}
PROTOCOL.update("__" + name + "__" for name in USES.split())
# Of a tensor every other one is told but these.
NEVER = {"__" + name + "__" for name in PRIVATE.split()}
# Classes of which the private names are told as well.
OPEN = ("Tensor", "Module", "Optimizer", "LRScheduler")


def is_kept(name, owner):
    """Whether a member of a class that is called *owner* is told."""
    if name.startswith("__") and name.endswith("__"):
        return name in PROTOCOL or (owner == "Tensor" and name not in NEVER)
    return not name.startswith("_") or owner in OPEN
