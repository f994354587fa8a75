"""Stand-ins for what is not there, put into the source of a module before it is compiled."""

import ast


class StandIn:
    """Takes part in anything: a call, a base class, a decorator, an annotation, an operand."""

    __name__ = __qualname__ = __module__ = "stand_in"

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and not kwargs and callable(args[0]):
            return args[0]  # as a decorator
        return self

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self

    def __mro_entries__(self, bases):
        return () if any(base is not self for base in bases) else (object,)

    def __getitem__(self, key):
        return self

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def __instancecheck__(self, instance):
        return False

    def __subclasscheck__(self, cls):
        return False

    def __or__(self, other):
        return self

    __ror__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __or__
    __and__ = __rand__ = __pow__ = __rpow__ = __or__

    def __neg__(self):
        return self

    def __lt__(self, other):
        return False

    __gt__ = __le__ = __ge__ = __lt__


STAND_IN = StandIn()


def statement_at(tree, line):
    """The innermost statement that holds a line."""
    best = None
    for node in ast.walk(tree):
        holds = isinstance(node, ast.stmt) and first_line(node) <= line <= last_line(node)
        if holds and (best is None or first_line(node) >= first_line(best)):
            best = node
    return best


def first_line(node):
    """The line of a statement, or of its first decorator."""
    return min([node.lineno] + [each.lineno for each in getattr(node, "decorator_list", [])])


def last_line(node):
    """The last line of a node; Python 3.7 does not tell, and what is nested tells it there."""
    known = [getattr(each, "end_lineno", None) or getattr(each, "lineno", 0) for each in ast.walk(node)]
    return max(known)


def header_end(statement):
    """The last line of a statement without the block in it."""
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body:
        return max(statement.lineno, first_line(body[0]) - 1)
    return last_line(statement)


def own_nodes(statement):
    """The nodes of a statement without the statements within it."""
    pending = [statement]
    while pending:
        node = pending.pop()
        yield node
        pending += [child for child in ast.iter_child_nodes(node) if not isinstance(child, (ast.stmt, ast.Lambda))]


PLACED = ast.Attribute, ast.stmt, ast.Call, ast.Subscript


class Stands(ast.NodeTransformer):
    """Puts stand-ins at places."""

    def __init__(self, places):
        self.places = places

    def at(self, node):
        """{kind: name} of the places of a node."""
        return {kind: name for line, column, kind, name in self.places if (line, column) == where(node)}

    def visit(self, node):
        found = self.at(node) if isinstance(node, PLACED) else {}
        if isinstance(node, ast.stmt) and "statement" in found:
            return replaced(node)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and "import" in found:
            names = [name for line, column, kind, name in self.places if (line, column) == where(node)]
            return without(node, names)
        node = self.generic_visit(node)
        if isinstance(node, ast.Attribute) and found.get("attribute") == node.attr:
            return stand_in(node)
        if isinstance(node, ast.Subscript) and "subscript" in found:
            return node.value
        if isinstance(node, ast.Call) and "keyword" in found:
            dropped = [name for line, column, kind, name in self.places if (line, column) == where(node)]
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in dropped]
        return node


def where(node):
    """The place of a node."""
    return node.lineno, node.col_offset


def stand_in(node):
    """The name of the stand-in, in the place of a node."""
    return ast.copy_location(ast.Name("__stand_in__", ast.Load()), node)


def assigned(name, node):
    """`name = stand-in`."""
    target = ast.copy_location(ast.Name(name, ast.Store()), node)
    return ast.copy_location(ast.Assign([target], stand_in(node)), node)


def without(node, names):
    """An import statement without some of its names, which become stand-ins."""
    bad = [alias for alias in node.names if alias.name in names or "*" in names]
    kept = [alias for alias in node.names if alias not in bad]
    statements = []
    if kept:
        node.names = kept
        statements.append(node)
    for alias in bad:
        name = alias.asname or alias.name.partition(".")[0]
        if name == "torch" and not alias.asname:
            statements.append(ast.copy_location(ast.Import([ast.alias("torch", None)]), node))
        elif name != "*":
            statements.append(assigned(name, node))
    return statements or ast.copy_location(ast.Pass(), node)


def replaced(node):
    """Stand-ins for all that a statement binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return assigned(node.name, node)
    if isinstance(node, ast.Return):
        node.value = stand_in(node)
        return node
    names = [each.id for each in own_nodes(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    return [assigned(name, node) for name in names] or ast.copy_location(ast.Pass(), node)
