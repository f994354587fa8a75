"""The ways in which torch treats code and objects: each is tried with torch's own object or with ours."""

import ast
import copy
import itertools
import linecache
import pickle
import re
import sys
import types
import typing

import torch
from takes_rows import INPUTS, NAMES, ROWS

from torchcompat import SHIMS
from torchcompat._torch import at_least, find

_numbers = itertools.count()


NO_WAY = "no way"


class NoWay(Exception):
    """This way is none for what the shim is, on either side."""


def _object(name, ours):
    found = SHIMS[name].fallback if ours else SHIMS[name].native
    if found is None:
        raise LookupError(f"torch has no {name}")
    return found


class Subject:
    """One side of a shim: torch's own object or ours, and its row."""

    def __init__(self, name, ours):
        self.name, self.ours, self.row = name, ours, ROWS[name]
        self.f = _object(name, ours)
        self.names = {**NAMES, "f": self.f}

    def _resolved(self, text):
        """*text* without what Python does not know, the names of other shims."""
        for path in sorted(set(re.findall(r"\$([\w.]+)", text)), key=len, reverse=True):
            while path not in SHIMS:
                path = path.rpartition(".")[0]
            name = path.replace(".", "_")
            self.names[name] = _object(path, self.ours)
            text = text.replace("$" + path, name)
        return text

    def value(self, text):
        return eval(self._resolved(text), self.names)

    def made(self):
        if not self.row.made:
            raise NoWay("makes no object")
        torch.manual_seed(0)
        return self.value(self.row.made)

    def call(self, first=""):
        """A function of tensors whose code Python finds, and the names of its arguments."""
        if not self.row.call:
            raise NoWay("is not called")
        if self.row.other:
            self.names["o"] = self.value(self.row.other)
        body = self._resolved(self.row.call)
        if "return " not in body:
            body = "return " + body
        used = {node.id for node in ast.walk(ast.parse(body.replace("return ", ""))) if isinstance(node, ast.Name)}
        tensors = [name for name in INPUTS if name in used]
        lines = [f"def call({', '.join([first] * bool(first) + tensors)}):\n"]
        lines += [f"    {line}\n" for line in body.split("\n")]
        file = f"<takes {next(_numbers)}>"
        source = "".join(lines)
        # Where the compilers of torch look for the code.
        linecache.cache[file] = (len(source), None, lines, file)
        # A module of its own, which compilers of torch ask for the globals of the code.
        module = types.ModuleType(f"takes_{next(_numbers)}")
        sys.modules[module.__name__] = module
        vars(module).update(self.names)
        exec(compile(source, file, "exec"), vars(module))
        return module.call, tensors

    def inputs(self, tensors, seed):
        generator = torch.Generator()
        generator.manual_seed(seed)
        return tuple(torch.rand(INPUTS[name], generator=generator) + 0.1 for name in tensors)


class Around(torch.nn.Module):
    """What is called, as a module."""

    def __init__(self, call, *parts):
        super().__init__()
        self.call, self.parts = call, torch.nn.ModuleList(parts)

    def forward(self, *inputs):
        return self.call(*self.parts, *inputs)


def _flat(out):
    if isinstance(out, (tuple, list)):
        return [leaf for part in out for leaf in _flat(part)]
    return [out] if isinstance(out, torch.Tensor) else []


def _same(found, expected):
    found, expected = _flat(found), _flat(expected)
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        assert torch.allclose(one.float(), other.float(), atol=1e-5)


def _compiled(subject, compiler):
    """Check what *compiler*, given the code as a module and its inputs, makes of it, on other inputs."""
    row = subject.row
    parts = [subject.made().eval()] if row.module else []
    call, tensors = subject.call("m" if row.module else "")
    first, second = subject.inputs(tensors, 0), subject.inputs(tensors, 1)
    try:
        expected = call(*parts, *second)
    except Exception as error:
        raise RuntimeError(f"cannot be called: {error}") from error
    _same(compiler(call, parts, first)(*second), expected)


def script(subject):
    def compiler(call, parts, inputs):
        if parts:
            scripted = torch.jit.script(parts[0])
            return lambda *inputs: call(scripted, *inputs)
        return torch.jit.script(call)

    _compiled(subject, compiler)


def trace(subject):
    def compiler(call, parts, inputs):
        return torch.jit.trace(Around(call, *parts).eval(), inputs, check_trace=False)

    try:
        _compiled(subject, compiler)
    finally:
        if torch._C._get_tracing_state() is not None:
            torch._C._set_tracing_state(None)


def export(subject):
    _compiled(subject, lambda call, parts, inputs: torch.export.export(Around(call, *parts).eval(), inputs).module())


def fullgraph(subject):
    def compiler(call, parts, inputs):
        return torch.compile(lambda *inputs: call(*parts, *inputs), backend="eager", fullgraph=True)

    try:
        _compiled(subject, compiler)
    finally:
        torch._dynamo.reset()


def _like(subject, made, other):
    # A parametrized module has a class of its own.
    assert (type(other).__module__, type(other).__name__) == (type(made).__module__, type(made).__name__)
    if subject.row.module:
        call, tensors = subject.call("m")
        inputs = subject.inputs(tensors, 0)
        _same(call(other.eval(), *inputs), call(made.eval(), *inputs))


def pickled(subject):
    if subject.ours and SHIMS[subject.name].public is not subject.f:
        raise NoWay("pickles by the name that torch's own has on this torch")
    made = subject.made()
    _like(subject, made, pickle.loads(pickle.dumps(made)))


def deepcopy(subject):
    made = subject.made()
    _like(subject, made, copy.deepcopy(made))


def quantize(subject):
    if not subject.row.module:
        raise NoWay("is no module")
    made = subject.made().eval()
    if not any(type(part) is torch.nn.Linear for part in made.modules()):
        raise NoWay("has no linear layer")
    quantized = torch.quantization.quantize_dynamic(made, {torch.nn.Linear})
    assert any("quantized" in type(part).__module__ for part in quantized.modules())
    call, tensors = subject.call("m")
    inputs = subject.inputs(tensors, 0)
    for one, other in zip(_flat(call(quantized, *inputs)), _flat(call(made, *inputs))):
        assert torch.allclose(one, other, atol=0.2)


def instance(subject):
    shim = SHIMS[subject.name]
    if shim.meets_contract and not shim.wrong:
        raise NoWay("torch's own is public on this torch, unless ours is forced")
    native = shim.native
    kind = native if isinstance(native, type) else type(Subject(subject.name, False).made())
    assert isinstance(subject.made(), kind)


def annotation(subject):
    if not isinstance(subject.f, type):
        raise NoWay("is no type")

    def annotated(value, many):
        return value

    wanted = typing.Optional[subject.f]
    annotated.__annotations__ = {"value": subject.f, "many": typing.List[wanted], "return": wanted}
    assert typing.get_type_hints(annotated)["return"] == wanted


WAYS = {
    "script": script,
    "trace": trace,
    **({"export": export} if at_least(2, 9) else {}),
    **({"fullgraph": fullgraph} if find("torch.compile") else {}),
    "pickle": pickled,
    "deepcopy": deepcopy,
    **({"quantize": quantize} if at_least(1, 3) else {}),
    "isinstance": instance,
    "annotation": annotation,
}


def attempt(way, name, ours):
    """None if this way works, NO_WAY if it is none for such an object, else why not."""
    try:
        WAYS[way](Subject(name, ours))
    except NoWay:
        return NO_WAY
    except Exception as error:
        torch.set_grad_enabled(True)
        text = str(error).strip() or repr(error)
        return f"{type(error).__name__}: {text[:600]}"
    return None
