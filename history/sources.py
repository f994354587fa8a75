"""What Python sources and type stubs say without being run, by means of `ast`."""

import ast
import functools
import os

import protocol

# Methods of a module that make an attribute of the name that is their first argument.
REGISTERING = ("register_buffer", "register_parameter", "register_module", "add_module")


@functools.lru_cache(maxsize=8)
def read(path):
    """The syntax tree of a file, or an empty one where this Python cannot parse it."""
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[])


def statements(body):
    """The statements of a body, and those inside its `if`, `try` and `with`, which bind names in the same scope."""
    for node in body:
        yield node
        for field in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                yield from statements(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from statements(handler.body)


def targets(node):
    """The names that an assignment binds."""
    found = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in found:
        for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
            if isinstance(part, ast.Name):
                yield part.id


def absolute(module, package, node):
    """The module that a `from ... import` names, seen from *module*, which is a package or not."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + (1 if package else 0)]
    return ".".join(parts + ([node.module] if node.module else []))


def bindings(module, path):
    """({name: (module, name there)} of imports, {names defined or assigned}) of a module's top level."""
    imported, own = {}, set()
    package = os.path.basename(path).startswith("__init__.")
    for node in statements(read(path).body):
        if isinstance(node, ast.ImportFrom):
            source = absolute(module, package, node)
            imported.update({alias.asname or alias.name: (source, alias.name) for alias in node.names})
        elif isinstance(node, ast.Import):
            for alias in node.names:
                imported[alias.asname or alias.name.partition(".")[0]] = (alias.name, "")
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            own.update(targets(node))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own.add(node.name)
    return imported, own


def loop_variables(path):
    """The names that nothing but a loop of a module's top level binds; what they are in the end may be chance."""
    loops = [node for node in statements(read(path).body) if isinstance(node, ast.For)]
    found = {part.id for node in loops for part in ast.walk(node.target) if isinstance(part, ast.Name)}
    imported, own = bindings("", path)
    return found - own - set(imported)


def name_in(node):
    """The string that an expression is, if it could be a name, or None."""
    value = node.s if type(node).__name__ == "Str" else getattr(node, "value", None)
    return value if isinstance(value, str) and value.isidentifier() else None


def strings(path):
    """Every string in a source that could be a name: candidates for what a module's `__getattr__` answers."""
    return {name_in(node) for node in ast.walk(read(path))} - {None}


def instance_attributes(path):
    """{qualified name of a class: names that its body annotates or that its methods give to `self`}."""
    found = {}

    def of_class(node, name):
        names = found.setdefault(name, set())
        for part in statements(node.body):
            if isinstance(part, ast.AnnAssign):
                names.update(targets(part))
            elif isinstance(part, ast.ClassDef):
                of_class(part, name + "." + part.name)
            elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for owner in [each.arg for each in part.args.args[:1]] + list(made_in(part)):
                    names.update(assigned_to(part, owner))

    for node in statements(read(path).body):
        if isinstance(node, ast.ClassDef):
            of_class(node, node.name)
    return found


def made_in(function):
    """The variables of a class method or a `__new__` that are a new instance of its class."""
    making = ("__new__", "_make_subclass", "_make_wrapper_subclass")
    for node in ast.walk(function):
        call = node.value if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) else None
        if call is not None and getattr(call.func, "attr", "") in making and call.args and function.args.args:
            if is_name(call.args[0], function.args.args[0].arg):
                yield from targets(node)
        elif function.name == "__new__" and isinstance(node, ast.Return) and isinstance(node.value, ast.Name):
            yield node.value.id


def assigned_to(function, owner):
    """The attributes of the variable *owner* that a function assigns, or registers as parts of a module."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_name(node.value, owner):
            yield node.attr
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and is_dictionary(node.value, owner):
            # Before Python 3.9 the key is within an `ast.Index`.
            yield from filter(None, [name_in(getattr(node.slice, "value", node.slice)) or name_in(node.slice)])
        elif isinstance(node, ast.Call):
            yield from filter(None, [name_set(node, owner)])


def is_dictionary(node, owner):
    """Whether an expression is `owner.__dict__`."""
    return isinstance(node, ast.Attribute) and node.attr == "__dict__" and is_name(node.value, owner)


def name_set(call, owner):
    """The attribute that a call gives to the variable *owner*, by registering it or by a `setattr`, or None."""
    given = call.args[:1] + [each.value for each in call.keywords if each.arg == "name"]
    if isinstance(call.func, ast.Attribute) and call.func.attr in REGISTERING and is_name(call.func.value, owner):
        return name_in(given[0]) if given else None
    setting = getattr(call.func, "id", "") == "setattr" or getattr(call.func, "attr", "") == "__setattr__"
    if not setting or len(call.args) < 2:
        return None
    above = getattr(getattr(getattr(call.func, "value", None), "func", None), "id", "") == "super"
    return name_in(call.args[0 if above else 1]) if above or is_name(call.args[0], owner) else None


def is_name(node, name):
    """Whether an expression is the variable of that name."""
    return isinstance(node, ast.Name) and node.id == name


def text(node):
    """An expression as source, as far as defaults need it (`ast.unparse` is of Python 3.9)."""
    kind = type(node).__name__
    if kind == "Num":
        return repr(node.n)
    if kind in ("Str", "Bytes"):
        return repr(node.s)
    if kind in ("NameConstant", "Constant"):
        return "..." if node.value is Ellipsis else repr(node.value)
    if kind == "Name":
        return node.id
    if kind == "Attribute":
        return text(node.value) + "." + node.attr
    if kind == "UnaryOp" and isinstance(node.op, ast.USub):
        return "-" + text(node.operand)
    if kind in ("Tuple", "List"):
        inner = ", ".join(map(text, node.elts))
        return "(" + inner + ("," if len(node.elts) == 1 else "") + ")" if kind == "Tuple" else "[" + inner + "]"
    return "..."


def parameters(arguments):
    """[(name, sign, default)] of an `ast.arguments`; sign "*" for keyword-only, "/" for positional-only."""
    found = []
    before = getattr(arguments, "posonlyargs", [])
    positional = before + arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for argument, default in zip(positional, defaults):
        sign = "/" if argument in before or argument.arg.startswith("__") else ""
        found.append((argument.arg, sign, text(default) if default else None))
    if arguments.vararg:
        found.append(("*" + arguments.vararg.arg, "", None))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        found.append((argument.arg, "*", text(default) if default else None))
    if arguments.kwarg:
        found.append(("**" + arguments.kwarg.arg, "", None))
    return found


def refusing(source):
    """The parameters that the `**kwargs` of a function stand for if it takes some out by name and raises for the rest.

    None if it does something else with them: hand them on, for one.
    """
    function = ast.parse(source).body[0]
    kwarg = getattr(getattr(function, "args", None), "kwarg", None)
    if kwarg is None:
        return None
    checks = [node for node in function.body if isinstance(node, ast.If) and raises_for(node, kwarg.arg)]
    taken = [node for node in ast.walk(function) if takes_out(node, kwarg.arg)]
    seen = {id(part) for node in checks + [each.func for each in taken] for part in ast.walk(node)}
    if not checks or any(is_name(node, kwarg.arg) and id(node) not in seen for node in ast.walk(function)):
        return None
    return [(name_in(node.args[0]), "*", text(node.args[1]) if len(node.args) > 1 else None) for node in taken]


def raises_for(node, name):
    """Whether an `if` raises when the dictionary *name* is not empty, and does nothing else."""
    test = node.test.left if isinstance(node.test, ast.Compare) else node.test
    counted = isinstance(test, ast.Call) and is_name(test.func, "len") and is_name(test.args[0], name)
    more = isinstance(node.test, ast.Compare) and isinstance(node.test.ops[0], (ast.Gt, ast.NotEq))
    zero = more and text(node.test.comparators[0]) == "0"
    asked = is_name(node.test, name) or (counted and (test is node.test or zero))
    return asked and not node.orelse and isinstance(node.body[-1], ast.Raise)


def takes_out(node, name):
    """Whether an expression is `name.pop("a parameter")`, with a default or without."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pop"
    return called and is_name(node.func.value, name) and bool(node.args) and name_in(node.args[0]) is not None


def call_in(line):
    """The parameters in a line like `add(input, other, *, alpha=1) -> Tensor`, or None."""
    try:
        return parameters(ast.parse("def " + line + ": pass").body[0].args)
    except (SyntaxError, ValueError, IndexError, AttributeError):
        return None


def is_static(function):
    """Whether a function in a class is a static method."""
    return any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)


def stub(path):
    """{(class or "", function): [(parameters, annotation of what it returns)]} of a type stub."""
    found = {}

    def of_body(body, owner):
        for node in statements(body):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                listed = parameters(node.args)
                if owner and not is_static(node):
                    listed = listed[1:]
                found.setdefault((owner, node.name), []).append((listed, text(node.returns) if node.returns else ""))
            elif isinstance(node, ast.ClassDef) and not owner:
                of_body(node.body, node.name)

    of_body(read(path).body, "")
    return found


def unread_module(module, path):
    """{name: record} of a module that cannot be imported here, in the form of `dump.py`."""
    package = os.path.basename(path).startswith("__init__.")
    records, told = {module: {"k": "module"}}, {}
    imported, _ = bindings(module, path)
    for node in statements(read(path).body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            records[module + "." + node.name] = {"k": "function", "p": parameters(node.args)}
        elif isinstance(node, ast.ClassDef):
            told.update(unread_class(module, node, imported))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            records.update({module + "." + name: {"k": "data"} for name in targets(node)})
        elif isinstance(node, ast.ImportFrom) and absolute(module, package, node).split(".")[0] == module.split(".")[0]:
            for alias in node.names if node.names[0].name != "*" else ():
                home = absolute(module, package, node) + "." + alias.name
                records[module + "." + (alias.asname or alias.name)] = {"h": home}
    records = {name: record for name, record in records.items() if not name.rpartition(".")[2].startswith("__")}
    return {**records, **told}


def starred(module, path):
    """The modules of which a module imports everything."""
    package = os.path.basename(path).startswith("__init__.")
    for node in statements(read(path).body):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            yield absolute(module, package, node)


def add_starred(records, module, path):
    """Add aliases for what a module that was not imported takes over from others as a whole."""
    for source in starred(module, path):
        for name in [each for each in records if each.rpartition(".")[0] == source]:
            last = name.rpartition(".")[2]
            if not last.startswith("_") and records[name].get("k") != "module":
                records.setdefault(module + "." + last, {"h": records[name].get("h", name)})


def unread_class(module, node, imported):
    """{name: record} of a class and its members."""
    name = module + "." + node.name
    record = {"k": "class", "p": [], "b": []}
    records = {name: record}
    for base in node.bases:
        source, attribute = imported.get(text(base), ("", ""))
        if source.split(".")[0] == module.split(".")[0]:
            record["b"].append(source + "." + attribute)
    for part in statements(node.body):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            listed = parameters(part.args)
            listed = listed if is_static(part) else listed[1:]
            if part.name == "__init__":
                record["p"] = listed
            records[name + "." + part.name] = {"k": "method", "p": listed}
            for each in assigned_to(part, "self"):
                records.setdefault(name + "." + each, {"k": "data"})
        elif isinstance(part, (ast.Assign, ast.AnnAssign)):
            records.update({name + "." + each: {"k": "data"} for each in targets(part)})
    return {each: told for each, told in records.items() if each == name or is_told(each, node.name)}


def is_told(name, owner):
    """Whether a member, given by its dotted name, of a class called *owner* is told."""
    return protocol.is_kept(name.rpartition(".")[2], owner)
