"""The parameters of torch's functions and classes, from `inspect`, type stubs, schemas and docstrings."""

import ctypes
import dataclasses
import enum
import inspect
import os
import re
import textwrap
import types

import sources
import torch

ROOT = os.path.dirname(os.path.abspath(torch.__file__))
OURS = ("torch", "functorch")
BUILTINS = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
BUILTINS += (types.ClassMethodDescriptorType,)
LONGEST = 60
# Of CPython's methodobject.h.
METH_KEYWORDS = 0x0002

# Where else the stubs of builtins are: {module of the name: modules of stubs}.
MORE_STUBS = {
    "torch": ("torch._C._VariableFunctions", "torch._C"),
    "torch.nn.functional": ("torch._C._nn", "torch._C._VariableFunctions"),
    "torch._C._TensorBase": ("torch",),
}
TENSORS = ("Tensor", "_TensorBase", "TensorBase")


def is_ours(module):
    """Whether a module's name is torch's."""
    return isinstance(module, str) and module.partition(".")[0] in OURS


def default_text(value):
    """A default as text without addresses, paths and orders that differ from run to run."""
    if value is inspect.Parameter.empty:
        return None
    if isinstance(value, types.ModuleType):
        return value.__name__
    if inspect.isroutine(value) or inspect.isclass(value):
        module = getattr(value, "__module__", None)
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "...")
        return module + "." + name if module and module != "builtins" else name
    try:
        if isinstance(value, (set, frozenset)):
            found = type(value).__name__ + "(" + ", ".join(sorted(map(repr, value))) + ")"
        else:
            found = repr(value)
    except Exception:  # a default whose repr fails is none that anybody reads
        return "..."
    found = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(found.split())).replace(os.path.dirname(ROOT), "")
    return found if len(found) <= LONGEST else found[:LONGEST] + "..."


def from_inspect(function):
    """[(name, sign, default)] by `inspect`, or None."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError, AttributeError, NameError):
        return None
    found = []
    for parameter in signature.parameters.values():
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        sign = {parameter.KEYWORD_ONLY: "*", parameter.POSITIONAL_ONLY: "/"}.get(parameter.kind, "")
        found.append((stars + parameter.name, sign, default_text(parameter.default)))
    return found


def without_kwargs(function, listed):
    """A signature with the parameters that a function takes out of its `**kwargs` in their place, if it refuses others.

    That of `torch.utils.checkpoint.checkpoint` up to torch 1.10, for one.
    """
    if not listed or not listed[-1][0].startswith("**"):
        return listed
    try:
        named = sources.refusing(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return listed
    return listed if named is None else listed[:-1] + named


def dispatched(function):
    """The function behind `torch._jit_internal.boolean_dispatch`, which hides its parameters."""
    table = getattr(torch._jit_internal, "boolean_dispatched", {})
    try:
        chosen = table.get(function)
    except TypeError:
        return None
    return chosen["if_true"] if chosen else None


def returned(function):
    """ "torch.Tensor" if that is what a function is annotated to return."""
    annotation = getattr(function, "__annotations__", {})
    annotation = annotation.get("return") if isinstance(annotation, dict) else None
    return "torch.Tensor" if annotation is torch.Tensor or annotation in ("Tensor", "torch.Tensor") else ""


class Stubs:
    """The type stubs of the wheel, read when asked for."""

    def __init__(self):
        self.files = {}

    def of_module(self, module):
        """{(class or "", function): overloads} of a module's stub."""
        if module not in self.files:
            path = os.path.join(os.path.dirname(ROOT), *module.split("."))
            found = {}
            for each in (os.path.join(path, "__init__.pyi"), path + ".pyi"):
                if os.path.exists(each):
                    found = sources.stub(each)
            self.files[module] = found
        return self.files[module]

    def overloads(self, module, owner, name):
        """The overloads of a function, or of a method of the class *owner*."""
        found = []
        for each in (module,) + MORE_STUBS.get(module, ()):
            for one in TENSORS if owner == "Tensor" else (owner,):
                found += self.of_module(each).get((one, name), [])
        if owner and not found:
            found = self.of_module("torch._C").get((owner, name), [])
        return found


STUBS = Stubs()
# Parameters of parsers that are written by hand, which neither the stubs nor the schemas of every torch tell.
BY_HAND = {"nonzero": [("self", "", None), ("as_tuple", "*", "False")]}


def split_arguments(inner):
    """The parts of an argument list that commas outside brackets and quotes separate."""
    depth, quoted, part = 0, False, ""
    for letter in inner:
        quoted ^= letter == '"'
        depth += not quoted and letter in "([{"
        depth -= not quoted and letter in ")]}"
        if letter == "," and not depth and not quoted:
            yield part.strip()
            part = ""
        else:
            part += letter
    if part.strip():
        yield part.strip()


def from_schema(schema):
    """(parameters, what is returned) of an ATen schema in text; what it writes to goes under `out`."""
    opened = schema.index("(")
    depth = 0
    for closed in range(opened, len(schema)):
        depth += schema[closed] == "("
        depth -= schema[closed] == ")"
        if not depth:
            break
    found, sign, out = [], "", False
    for part in split_arguments(schema[opened + 1 : closed]):
        if part == "*":
            sign = "*"
            continue
        kind, _, rest = part.rpartition(" ") if "=" not in part else part.partition("=")[0].rpartition(" ")
        name = rest
        if sign and "!" in kind:
            out = True
            continue
        default = part.partition("=")[2] or None
        if default and default[0] == '"':
            default = repr(default.strip('"'))
        found.append((name, sign, default))
    if out:
        found.append(("out", "*", "None"))
    answer = schema[closed + 1 :].replace("->", "").strip().strip("()")
    return found, "Tensor" if re.match(r"Tensor(\([a-z](!)?\)?)?$", answer) else ""


def schemas(name):
    """The ATen schemas of an operator, in text, without those of TorchScript's own types."""
    try:
        found = sorted(str(schema) for schema in torch._C._jit_get_schemas_for_operator("aten::" + name))
    except RuntimeError:
        return []
    found = [each for each in found if "[] a, " not in each]
    return [each for each in found if re.search(r"Tensor|ScalarType|Layout|dtype", each.partition("->")[0])]


def from_error(function, owner):
    """The overloads that torch's parser lists when it is given a keyword that no function has.

    It lists them where there are several, which is where stubs, schemas and docstrings are least complete.
    """
    try:
        function(*([torch.empty(0)] if owner else []), __no_such_keyword=None)
    except TypeError as error:
        found = [line.strip()[2:-1] for line in str(error).splitlines() if re.match(r" +\* \(.*\)$", line)]
        return [(from_listing(line), "") for line in found]
    except Exception:  # then it is not torch's parser that answered
        return []
    return []


def from_listing(line):
    """[(name, sign, default)] of "Tensor input, *, Tensor out = None"; only newer torch writes some of the defaults."""
    found, sign = [], ""
    for part in line.strip("() ").split(", "):
        if part == "*":
            sign = "*"
        elif part:
            found.append((part.partition("=")[0].strip().rpartition(" ")[2], sign, None))
    return found


def only_listed(overloads, listed):
    """The overloads without the parameters that the parser does not list, if it lists any; defaults are kept."""
    if not listed:
        return overloads
    names = {name for parameters, _ in listed for name, _, _ in parameters} | {"self"}
    known = [([each for each in told if each[0].lstrip("*") in names], answer) for told, answer in overloads]
    return known + listed


def without_out(overload):
    """An overload as a method of a tensor has it: none of them takes `out`."""
    listed, answer = overload
    return [each for each in listed if each[0] != "out"], answer


def from_docstring(document, name):
    """Overloads in a docstring's lines `name(input, dim=0) -> Tensor`, also those that pybind11 writes."""
    found = []
    for line in (document or "").splitlines():
        line = line.strip()
        line = re.sub(r"^(\.\. (function|method|class):: |\d+\. )", "", line)
        if not line.startswith(name + "("):
            continue
        before, arrow, after = line.partition("->")
        listed = sources.call_in(re.sub(r"<[^<>]*>", "...", before.strip()))
        if listed is None or any(re.match(r"arg\d+$", each[0]) for each in listed):
            if listed is not None and arrow:
                listed = [(each, "/", d) if re.match(r"arg\d+$", each) else (each, s, d) for each, s, d in listed]
            else:
                continue
        found.append((listed, after.strip() if arrow else ""))
    return found


def union(overloads, input_name):
    """One parameter list that takes whatever one of the overloads takes; `self` goes, or is `input`."""
    merged, order = {}, []
    for listed, _ in overloads:
        names = {each[0] for each in listed}
        for name, sign, default in listed:
            if name == "self":
                if not input_name or input_name in names:
                    continue
                name = input_name
            if name not in merged:
                order.append(name)
                merged[name] = (sign, default)
            else:
                old_sign, old_default = merged[name]
                # A parameter is keyword-only if no overload takes it by position.
                sign = old_sign if sign == old_sign else ""
                merged[name] = (sign, old_default if old_default not in (None, "...") else default)
    order.sort(key=lambda name: (name.startswith("**"), merged[name][0] == "*"))
    return [(name,) + merged[name] for name in order]


def takes_keywords(function):
    """Whether a builtin may be given keywords at all; stubs name parameters also of those that may not."""
    if not isinstance(function, types.BuiltinFunctionType):
        return True
    return bool(ctypes.pythonapi.PyCFunction_GetFlags(ctypes.py_object(function)) & METH_KEYWORDS)


def of_builtin(function, module, owner, name):
    """The record's part for a builtin: the union over what stubs, schemas and docstrings tell."""
    overloads = STUBS.overloads(module, owner, name)
    ours = getattr(function, "__name__", name)
    if ours != name:
        overloads = overloads + STUBS.overloads(module, owner, ours)
    tensor = (
        owner in TENSORS
        or module in ("torch", "torch.nn.functional")
        or "torch._C._" in str(getattr(function, "__module__", ""))
        or ours.startswith(("fft_", "linalg_", "special_"))
    )
    if tensor and owner in ("",) + TENSORS:
        overloads = overloads + [from_schema(each) for each in schemas(ours)]
    if not overloads:
        # Docstrings come last: those of 1.2 to 1.8 promise an `out` that is not there.
        for each in sorted({ours, name}):
            overloads = overloads + from_docstring(getattr(function, "__doc__", ""), each)
    if tensor and ours in BY_HAND:
        overloads = [(BY_HAND[ours], "")] + overloads
    if owner in TENSORS:
        overloads = [without_out(each) for each in overloads]
    if tensor and owner in ("", "Tensor") and overloads and not ours.startswith("_"):
        overloads = only_listed(overloads, from_error(function, owner))
    if not overloads:
        return {"u": 1}
    answers = {answer for _, answer in overloads if answer}
    listed = union(overloads, "" if owner else "input")
    if not takes_keywords(function):
        listed = [(each, "" if each[0] == "*" else "/", default) for each, _, default in listed]
    found = {"p": listed, "o": 1}
    if answers and answers <= {"Tensor", "torch.Tensor"}:
        found["r"] = "torch.Tensor"
    return found


def of_function(function, module, owner, name, bound=False):
    """The record's part for any function or method; *bound*: its first parameter is not passed."""
    function = dispatched(function) or function
    if isinstance(function, BUILTINS) or type(function).__name__ in ("instancemethod", "builtin_function_or_method"):
        return of_builtin(function, module, owner, name)
    listed = from_inspect(function)
    if listed is None:
        return of_builtin(function, module, owner, name)
    if bound and listed and not listed[0][0].startswith("*"):
        listed = listed[1:]
    found = {"p": without_kwargs(function, listed)}
    if returned(function):
        found["r"] = "torch.Tensor"
    return found


def of_method(value, module, owner, name):
    """The record's part for a method as its class's dictionary has it."""
    function = getattr(value, "__func__", value)
    return of_function(function, module, owner, name, bound=not isinstance(value, staticmethod))


def unknown(value):
    """The record's part for a method of which no parameters are told."""
    answer = returned(getattr(value, "__func__", value))
    return {"u": 1, "r": answer} if answer else {"u": 1}


def of_class(cls, module, name):
    """The record's part for a class: what making an instance takes."""
    if issubclass(cls, enum.Enum):
        return {"u": 1}
    for each in cls.__mro__:
        init, new = each.__dict__.get("__init__"), each.__dict__.get("__new__")
        new = getattr(new, "__func__", new)
        if each is object:
            return {"p": []}
        foreign = each.__module__ in ("typing", "abc", "typing_extensions") or each.__name__ in ("Generic", "Protocol")
        if foreign or (init is None and new is None):
            continue
        if not is_ours(each.__module__) and not hasattr(cls, "_fields"):
            # What a builtin takes: `dependent_property` of torch.distributions is a `property` up to torch 1.7.
            listed = from_inspect(cls)
            return {"u": 1} if listed is None else {"p": listed}
        return with_new(cls, new, of_making(cls, init, new, module, name))
    return {"u": 1}


def with_new(cls, new, found):
    """A class's record with what its `__new__` takes beside, which then makes something else.

    `torch.no_grad`, from torch 2.1 on: called with a function it returns that function, decorated.
    """
    inherited = next((each.__dict__["__new__"] for each in cls.__mro__ if "__new__" in each.__dict__), None)
    function = getattr(inherited, "__func__", inherited)
    if new is not None or "p" not in found or "o" in found or not is_ours(getattr(function, "__module__", None)):
        return found
    known = {name for name, _, _ in found["p"]}
    more = [each for each in from_inspect(function)[1:] if each[0][0] != "*" and each[2] and each[0] not in known]
    return {**found, "p": found["p"] + more}


def of_making(cls, init, new, module, name):
    """The record's part for a class whose `__init__` or `__new__` are these."""
    for function in (init, new):
        if function is not None and (inspect.isfunction(function) or hasattr(function, "__wrapped__")):
            listed = from_inspect(function)
            if listed is not None and not is_opaque(listed[1:], function is init and new is not None):
                return {"p": listed[1:]}
    if dataclasses.is_dataclass(cls):
        return {"u": 1}
    owner = cls.__name__
    found = []
    for each, document in (("__init__", init), ("__new__", new)):
        found += STUBS.overloads(module, owner, each) or STUBS.overloads("torch._C", owner, each)
        found += from_docstring(getattr(document, "__doc__", ""), each)
    return {"p": union(found, ""), "o": 1} if found else {"u": 1}


def is_opaque(listed, has_other):
    """Whether a signature says nothing but "anything" while there is another one."""
    return has_other and all(name.startswith("*") for name, _, _ in listed)
