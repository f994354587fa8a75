"""What the torch that is imported says of a callable of its own: does it take an argument, does it do what Python asks?

Python's own signatures tell of functions and classes that are written in Python. For those of C there are the docstring
and the schemas of the operators, which are two sources of their own: an argument is taken if one of them has it, and
refused if there is one and none has it. Where there is neither, nothing is known.
"""

import inspect
import re
import types

TAKEN, REFUSED, UNKNOWN = "taken", "refused", "unknown"
# What the parser of the builtins takes beside its own names: https://github.com/pytorch/pytorch/pull/10024
NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
# Where the operators of a module are: torch.linalg.norm is linalg_norm.
PREFIXES = {"linalg": "linalg_", "fft": "fft_", "special": "special_"}
BUILTINS = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
INITS = ("__init__", "__new__")


def is_torch(name):
    """Whether a dotted name is torch's."""
    return name.partition(".")[0] in ("torch", "functorch")


def is_callable(value):
    """Whether this is a function or a class, of which can be asked what it takes."""
    return isinstance(value, (type, types.FunctionType, types.MethodType) + BUILTINS)


def of_torch(value):
    """Whether torch wrote it, and the class that did: of a class, who wrote its `__init__`."""
    if isinstance(value, type):
        return is_torch(value.__module__) or is_torch((maker(value) or value).__module__)
    if isinstance(value, BUILTINS):
        home = getattr(value, "__module__", None) or getattr(getattr(value, "__objclass__", None), "__module__", None)
        return is_torch(home or getattr(getattr(value, "__self__", None), "__name__", "") or "torch")
    return is_torch(getattr(value, "__module__", None) or "")


def maker(cls):
    """The first class in the order of *cls* that has an `__init__` or a `__new__` of its own."""
    return next((each for each in cls.__mro__ if each is not object and any(n in vars(each) for n in INITS)), None)


PARAMETERS, NAMES = {}, {}


def parameters(value):
    """[Parameter] without the one for the instance, or None where Python does not tell."""
    if id(value) not in PARAMETERS:
        PARAMETERS[id(value)] = value, signature(value)
    return PARAMETERS[id(value)][1]


def signature(value):
    """The same, asked anew."""
    try:
        if not isinstance(value, type):
            return list(inspect.signature(value).parameters.values())
        owner = maker(value) or value
        own = [vars(owner)[name] for name in INITS if name in vars(owner)]
        own = [getattr(each, "__func__", each) for each in own]  # __new__ is a static method
        init = next((each for each in own if isinstance(each, types.FunctionType)), None)
        return None if init is None else list(inspect.signature(init).parameters.values())[1:]
    except (TypeError, ValueError, AttributeError):
        return None


def takes(value, path, keyword):
    """TAKEN, REFUSED or UNKNOWN: does a callable, found as *path*, take a keyword?"""
    known = parameters(value)
    if known is None:
        return from_text(value, path, keyword)
    if any(each.name == keyword and each.kind not in (each.POSITIONAL_ONLY, each.VAR_KEYWORD) for each in known):
        return TAKEN
    return UNKNOWN if any(each.kind == each.VAR_KEYWORD for each in known) else REFUSED


def place(value, count, skip):
    """The name of the parameter that the argument number *count* goes to: "" if there is none, None if not known."""
    known = parameters(value)
    if known is None or any(each.kind == each.VAR_POSITIONAL for each in known):
        return None
    names = [each.name for each in known if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return (names + [""] * (count + skip))[count + skip - 1]


def from_text(value, path, keyword):
    """The same of a function of C, from its docstring and its operator's schemas."""
    if isinstance(value, type):
        return UNKNOWN
    if path not in NAMES:
        NAMES[path] = documented(value) | schemas(path)
    names = NAMES[path]
    if not names:
        return UNKNOWN
    alias = NUMPY_NAMES.get(keyword)
    return TAKEN if keyword in names or alias in names else REFUSED


def documented(value):
    """The parameters that a docstring tells."""
    text = inspect.getdoc(value) or ""
    name = getattr(value, "__name__", "")
    found = set()
    for line in re.findall(rf"^{re.escape(name)}\((.*)\)(?: *->|$)", text, re.M):
        found |= set(re.findall(r"(?:^|[,( ]) *\*{0,2}([A-Za-z_]\w*) *(?=[=,:)]|$)", line))
    if found:
        found |= set(re.findall(r"^ {2,8}(\w+) \(", text, re.M))
    return found


def schemas(path):
    """The arguments of the operators that a name of torch stands for."""
    import torch

    module, _, name = path.rpartition(".")
    name = PREFIXES.get(module.rpartition(".")[2], "") + name
    try:
        found = torch._C._jit_get_schemas_for_operator("aten::" + name)
    except Exception:  # no operator of this name
        return set()
    return {"input" if each.name == "self" else each.name for schema in found for each in schema.arguments}


def special(value, name):
    """Whether a class has a special method; UNKNOWN of what is none."""
    if not isinstance(value, type):
        return UNKNOWN
    return TAKEN if any(name in vars(each) for each in value.__mro__) else REFUSED


def bare(value):
    """Whether a context manager of torch's takes a function, as a decorator without parentheses does."""
    if not isinstance(value, type) or not hasattr(value, "__enter__"):
        return UNKNOWN
    return TAKEN if any("__new__" in vars(each) for each in value.__mro__ if each is not object) else REFUSED
