"""Write the stubs of the public modules into `stubs/`, or say which of them are stale. docs/typing.md tells the rules.

A stub has the signatures that stand in its module, and torch's own class in place of ours where the installed torch has
a good one. Which torch is installed a stub cannot ask, but a name that torch lacks is not there after `import *`. So
each minor has a probe, a class that came with it: where torch has it, the names that are torch's own from that minor on
are torch's, and elsewhere they are ours.
"""

import ast
import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import torchcompat
from torchcompat import SHIMS
from torchcompat._shim import is_public, minor

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "stubs"
OWN = "torchcompat._own"
# Another Python prints the same source in another way.
PYTHON = (3, 11)
HEAD = "# Written by `python docs/generate.py`; docs/typing.md tells what it is for.\n"
# The oldest torch that checkers are to understand: what is torch's own there is so without a question.
OLDEST = "1.13"
# A class that came with each minor, from a module that lists it in `__all__`. It must be one that can be derived from.
PROBES = {
    "2.0": "torch.autograd.grad_mode.set_multithreading_enabled",
    "2.1": "torch.nn.modules.padding.CircularPad1d",
    "2.2": "torch.distributions.InverseGamma",
    "2.3": "torch.nn.modules.pooling.LPPool3d",
    "2.4": "torch.nn.modules.normalization.RMSNorm",
    "2.5": "torch.utils.checkpoint.SelectiveCheckpointContext",
    "2.6": "torch.export.graph_signature.SymBoolArgument",
    "2.7": "torch.cuda.gds.GdsFile",
    "2.8": "torch.distributions.GeneralizedPareto",
    "2.9": "torch.optim.Muon",
    "2.10": "torch.utils.checkpoint.GraphExecGroup",
    "2.11": "torch.xpu.XPUGraph",
    "2.12": "torch.accelerator.Graph",
    "2.13": "torch.nn.modules.loss.LinearCrossEntropyLoss",
    "2.14": "torch.autograd.graph.node_creation_hook",
    "2.15": "torch.profiler.ProfilerActivityConfig",
}
# Decorators that a checker must see; the others return what they are given, for a checker.
KEPT = {"overload", "contextmanager", "staticmethod", "classmethod", "property"}


class Module:
    """A module of ours, parsed."""

    def __init__(self, name):
        module = import_module(name)
        self.name = name
        self.is_package = hasattr(module, "__path__")
        self.below = name.partition(".")[2]
        self.exported = list(module.__all__)
        self.imports, self.definitions, self.values, self.shown = {}, defaultdict(list), {}, {}
        for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                for inner in node.body:
                    self._note_import(inner, self.shown)
            else:
                self._note(node)
        self.imports.update(self.shown)

    def _note(self, node):
        self._note_import(node, self.imports)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self.definitions[node.name].append(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            self.values[node.targets[0].id] = node
        elif isinstance(node, ast.AnnAssign):
            self.values[node.target.id] = node

    def _note_import(self, node, into):
        """{name: (module, name in it)}; a module itself has no second."""
        if isinstance(node, ast.Import):
            for each in node.names:
                into[each.asname or each.name.partition(".")[0]] = (each.name, None)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for each in node.names:
                into[each.asname or each.name] = (self.absolute(node), each.name)

    def absolute(self, node):
        """The module that an import names."""
        if not node.level:
            return node.module
        up = self.name.split(".")[: -(node.level - self.is_package) or None]
        return ".".join([*up, *filter(None, [node.module])])

    def key(self, name):
        """The name's row in the table of shims."""
        return f"{self.below}.{name}" if self.below else name


def modules():
    """The public modules, the package first."""
    below = [module.name for module in walk_packages(torchcompat.__path__, "torchcompat.")]
    public = [name for name in below if is_public(name)]
    return [Module(name) for name in ["torchcompat", *public]]


def overloaded():
    """The names of the functions whose signatures are written by hand."""
    tree = ast.parse((ROOT / "src" / "torchcompat" / "_overloads.pyi").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def twins():
    """{row: (path in torch, first minor where torch's own is public)} of the classes that torch has."""
    found = {
        name: (shim.path, shim.since)
        for name, shim in sorted(SHIMS.items())
        if shim.kind == "polyfill" and isinstance(shim.fallback, type)
    }
    # In the stubs of torch 1.13 this class is no exception.
    found["OutOfMemoryError"] = (found["OutOfMemoryError"][0], "2.0")
    # Names without a row of their own.
    found["serialization.LoadEndianness"] = ("torch.serialization.LoadEndianness", "2.1")
    found["memory.OutOfMemoryError"] = found["OutOfMemoryError"]
    return found


def _imported(alias, module, name, handed_on):
    if name is None:
        return f"import {module} as {alias}" if alias != module.partition(".")[0] else f"import {module}"
    # In a stub, what is imported `as` itself is handed on.
    return f"from {module} import {name}" + (f" as {alias}" if handed_on or alias != name else "")


def _names(nodes):
    """Names that the nodes use, also in annotations that are strings."""
    return {each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)}


def _bare_default(node):
    try:
        ast.literal_eval(node)
    except ValueError:
        return ast.Constant(...)
    return node


def _function(node):
    """A function without its body."""
    arguments = node.args
    arguments.defaults = [_bare_default(each) for each in arguments.defaults]
    arguments.kw_defaults = [each and _bare_default(each) for each in arguments.kw_defaults]
    node.decorator_list = [each for each in node.decorator_list if ast.unparse(each) in KEPT]
    node.body = [ast.Expr(ast.Constant(...))]
    return node


def _functions(nodes):
    """Functions of one name: the overloads, or the one definition."""
    overloads = [node for node in nodes if "overload" in map(ast.unparse, node.decorator_list)]
    return [_function(node) for node in overloads or nodes[-1:]]


def _attributes(methods):
    """Annotations of the public attributes that `__init__` sets."""
    for method in methods:
        types = {each.arg: each.annotation for each in [*method.args.args, *method.args.kwonlyargs]}
        for node in ast.walk(method):
            for target in node.targets if isinstance(node, ast.Assign) else ():
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    same = isinstance(node.value, ast.Name) and node.value.id == target.attr
                    kind = types.get(target.attr) if same else None
                    yield target.attr, ast.unparse(kind) if kind else "Any"


def _class(node, module):
    """A class without the bodies of its methods, and without what is private."""
    body, methods = [], defaultdict(list)
    for each in node.body:
        if isinstance(each, ast.FunctionDef):
            methods[each.name].append(each)
        elif isinstance(each, (ast.Assign, ast.AnnAssign)):
            target = each.target if isinstance(each, ast.AnnAssign) else each.targets[0]
            body += [] if target.id.startswith("_") else [each]
    given = dict(_attributes(methods.get("__init__", ())))
    taken = {ast.unparse(each.target) for each in body if isinstance(each, ast.AnnAssign)} | set(methods)
    fields = [f"{name}: {kind}" for name, kind in given.items() if not name.startswith("_") and name not in taken]
    body += [ast.parse(field).body[0] for field in fields]
    for name, nodes in methods.items():
        if not name.startswith("_") or name.startswith("__"):
            body += _functions(nodes)
    # A base that is found when the program runs is unknown to a checker.
    bases = [each if _is_static(each, module) else ast.Name("Any") for each in node.bases]
    return ast.ClassDef(node.name, bases, [], body or [ast.Expr(ast.Constant(...))], [], type_params=[])


def _is_static(node, module):
    first = node
    while isinstance(first, ast.Attribute):
        first = first.value
    return isinstance(first, ast.Name) and first.id not in module.values


def _value(node, module):
    """An assignment; of a shim that is declared by a call, what is declared."""
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Call):
        owner, _, name = ast.unparse(value.args[0]).rpartition(".")
        return ast.ImportFrom(".".join(module.imports[owner]), [ast.alias(name, node.targets[0].id)], 0)
    if isinstance(value, ast.Constant) and isinstance(node, ast.Assign):
        return ast.parse(f"{node.targets[0].id}: {type(value.value).__name__}").body[0]
    return ast.AnnAssign(node.target, node.annotation, None, 1) if isinstance(node, ast.AnnAssign) else node


def _text(module, nodes, reexported=(), taken=None):
    """A stub: the imports that *nodes* need, what the module hands on, what is *taken* elsewhere, and the nodes."""
    taken = taken or {}
    used = _names(nodes)
    # Such as a TypeVar.
    for name in sorted((used & set(module.values)) - set(module.exported)):
        nodes.insert(0, _value(module.values[name], module))
        used |= _names(nodes[:1])
    needed = {
        name: module.imports[name] for name in used | set(reexported) if name in module.imports and name not in taken
    }
    if "Any" in used:
        needed["Any"] = ("typing", "Any")
    lines = sorted(_imported(alias, *source, alias in reexported) for alias, source in needed.items())
    lines += [f"from {source} import {name} as {name}" for name, source in sorted(taken.items())]
    body = [ast.unparse(ast.fix_missing_locations(node)) for node in nodes]
    return HEAD + re.sub(r":\n\s+\.\.\.(?=\n|$)", ": ...", "\n".join([*lines, "", *body])) + "\n"


def face(module, known):
    """The stub of a public module."""
    taken = {name: f"{OWN}.{module.below or 'top'}" for name in module.exported if module.key(name) in known}
    by_hand = {name for name in overloaded() & set(module.exported) if module.key(name) in SHIMS}
    taken.update(dict.fromkeys(by_hand, "torchcompat._overloads"))
    nodes = []
    for name in sorted(set(module.exported) - set(taken)):
        for node in module.definitions.get(name, ())[-1:]:
            is_class = isinstance(node, ast.ClassDef)
            nodes += [_class(node, module)] if is_class else _functions(module.definitions[name])
        if name in module.values:
            nodes.append(_value(module.values[name], module))
    if module.name == "torchcompat":
        nodes.append(ast.parse("__version__: str").body[0])
    reexported = {name for name in module.exported if name in module.imports and name not in taken}
    helpers = [name for name in _names(nodes) if name in module.definitions and name not in module.exported]
    for name in sorted(helpers):
        nodes.insert(0, _class(module.definitions[name][0], module))
    nodes.append(ast.parse(f"__all__ = {sorted(module.exported)!r}").body[0])
    return _text(module, nodes, reexported, taken)


def ours(module, known):
    """The stub with our own classes of a public module, for torch versions before *since*."""
    nodes, reexported = [], []
    for name in sorted(module.exported):
        if module.key(name) not in known:
            continue
        node = module.definitions.get(name, [None])[0] or module.values.get(name)
        if isinstance(node, ast.ClassDef):
            nodes.append(_class(node, module))
        elif node is None:
            reexported.append(name)
        else:
            nodes.append(_value(node, module))
    return _text(module, nodes, reexported)


def _alias(row):
    return row.replace(".", "_")


def _suffix(since):
    return since.replace(".", "_")


def _probe(since):
    if since not in PROBES:
        raise LookupError(f"there is no probe for torch {since}; docs/new-torch.md tells what to do")
    return PROBES[since].rpartition(".")[2]


def choices(known):
    """{file: text} of the stubs that choose between torch's class and ours."""
    by_since = defaultdict(dict)
    for row, (path, since) in known.items():
        if minor(since) > minor(OLDEST):
            by_since[since][row] = path
    order = sorted(by_since, key=minor)
    rows = [(row, path) for since in order for row, path in by_since[since].items()]

    def block(since):
        return "".join(f"    {_alias(row)}: TypeAlias = _{_alias(row)}\n" for row in by_since[since])

    def imports(pairs):
        return "from typing_extensions import TypeAlias\n" + "".join(
            f"from {path.rpartition('.')[0]} import {path.rpartition('.')[2]} as _{_alias(row)}\n"
            for row, path in pairs
        )

    homes = [(row, f"{OWN}.ours.{row}" if "." in row else f"{OWN}.ours.top.{row}") for row, _ in rows]
    ours_text = HEAD + imports(homes)
    torchs_text = HEAD + imports(rows) + f"from {OWN} import probes\n"
    probes_text = HEAD + "# mypy: disable-error-code=assignment\ntry:\n"
    probes_text += "".join(
        f"    from {path} import *\n" for path in sorted({PROBES[s].rpartition(".")[0] for s in order})
    )
    # Where the first import has a name, mypy and pyright leave the second one out of account.
    probes_text += "except ImportError:\n"
    for since in order:
        ours_text += f"\n# Before torch {since}.\nclass {_probe(since)}:\n{block(since)}"
        probes_text += f"    from {OWN}.older import {_probe(since)} as {_probe(since)}\n"
        torchs_text += f"\nclass From_{_suffix(since)}:\n{block(since)}"
        torchs_text += f"\nclass Since_{_suffix(since)}(probes.{_probe(since)}, From_{_suffix(since)}): ...\n"
    return {"older.pyi": ours_text, "probes.pyi": probes_text, "choice.pyi": torchs_text}


def own(module, known):
    """The stub with the classes of a module that are torch's or ours."""
    text = HEAD + "from typing_extensions import TypeAlias\n" + f"from {OWN} import choice\n"
    for name in sorted(module.exported):
        path, since = known.get(module.key(name), (None, None))
        if path and minor(since) <= minor(OLDEST):
            text += f"from {path.rpartition('.')[0]} import {path.rpartition('.')[2]} as {name}\n"
        elif path:
            text += f"{name}: TypeAlias = choice.Since_{_suffix(since)}.{_alias(module.key(name))}\n"
    return text


def _home(module, below):
    """The file of a stub below *below*, which is "" for the module itself."""
    parts = module.below.split(".") if module.below else ["top"] if below else []
    parts = [*filter(None, ["torchcompat", *below.split(".")]), *parts]
    # A stub package needs no `__init__` to be found, but one whose submodules are stubs too does.
    return "/".join(
        [*parts, "__init__.pyi"] if module.is_package and parts[-1] != "top" else [*parts[:-1], parts[-1] + ".pyi"]
    )


def stubs():
    """{file below FOLDER: text}."""
    known = twins()
    written = {f"torchcompat/_own/{file}": text for file, text in choices(known).items()}
    for module in modules():
        written[_home(module, "")] = face(module, known)
        if any(
            module.key(name) in known and minor(known[module.key(name)][1]) > minor(OLDEST) for name in module.exported
        ):
            written[_home(module, "_own.ours")] = ours(module, known)
        if any(module.key(name) in known for name in module.exported):
            written[_home(module, "_own")] = own(module, known)
    for file in list(written):
        parts = file.split("/")[:-1]
        for depth in range(2, len(parts) + 1):
            written.setdefault("/".join([*parts[:depth], "__init__.pyi"]), HEAD)
    return written


def stale():
    """The stubs that are not what they should be; with their text, or None where there should be none."""
    wanted = stubs()
    there = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.pyi")}
    return {file: wanted.get(file) for file in sorted({*wanted, *there}) if wanted.get(file) != there.get(file)}


def check():
    """What is stale, in words."""
    return [f"stubs/{file}: stale; run `python docs/generate.py`" for file in stale()]


def write():
    """Write what is stale; returns no problems."""
    for file, text in stale().items():
        path = FOLDER / file
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return []
