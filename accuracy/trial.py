"""Import every module of a package on the installed torch, and write down each name of torch that is not there.

    python accuracy/trial.py < JOBS.json

The jobs are [[OUT.json, FOLDER, [NAME...]], ...]: FOLDER holds the package, whose top-level modules are NAME.... A
place that fails is noted, a stand-in is put there, and the import is tried again, so that one missing name does not
hide the next. What `try`, `hasattr` or a version test catches never fails, and is not noted: only Python itself decides
what is missing. Every pass is a process of its own, a copy of one in which torch is imported. The last one imports
everything with all stand-ins in place, and notes the lines that run.
"""

import ast
import importlib
import importlib.machinery
import json
import os
import re
import signal
import sys
import time
import traceback
import warnings

import lookups
from standins import STAND_IN, Stands, own_nodes, statement_at, where

SECONDS = 120
PASSES = 4  # some packages never settle: what fails in them depends on what has failed before
SKIPPED = re.compile(r"(^|\.)(__main__|setup|conftest)$")
MISSING = re.compile(r"has no attribute '(\w+)'")
FROM = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
KEYWORD = re.compile(r"unexpected keyword argument '(\w+)'|'(\w+)' is an invalid keyword argument")


def is_torch(name):
    """Whether a dotted name is torch's."""
    return name.partition(".")[0] in ("torch", "functorch")


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles the files that need stand-ins with them, and all others as Python does."""

    places, own, tracer = {}, (), None

    def exec_module(self, module):
        """Only what runs in files of the package is traced."""
        before = sys.gettrace()
        sys.settrace(self.tracer if self.path.startswith(self.own) else None)
        try:
            super().exec_module(module)
        finally:
            sys.settrace(before)

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        if not self.places.get(path):
            return super().get_code(fullname)
        tree = Stands(self.places[path]).visit(ast.parse(self.get_data(path), path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


def install():
    """Make Python import by `Loader`."""
    machinery = importlib.machinery
    extensions = (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES)
    sys.path_hooks.insert(0, machinery.FileFinder.path_hook(extensions, (Loader, machinery.SOURCE_SUFFIXES)))
    sys.path_importer_cache.clear()
    import builtins

    builtins.__stand_in__ = STAND_IN


def modules_of(folder, names):
    """The dotted names of all modules, outermost first."""
    found = []
    for name in names:
        single = os.path.join(folder, name + ".py")
        if os.path.isfile(single):
            found.append(name)
        for parent, folders, files in os.walk(os.path.join(folder, name)):
            folders[:] = sorted(each for each in folders if each.isidentifier())
            base = os.path.relpath(parent, folder).replace(os.sep, ".")
            for file in sorted(files):
                if file == "__init__.py":
                    found.append(base)
                elif file.endswith(".py") and file[:-3].isidentifier():
                    found.append(base + "." + file[:-3])
    return [name for name in found if not SKIPPED.search(name)]


def frames_of(error):
    """(file, line, frame) of a traceback, outermost first, without Python's import system."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen importlib") and "importlib" + os.sep not in file:
            found.append((file, trace.tb_lineno, trace.tb_frame))
        trace = trace.tb_next
    return found


def named(value):
    """The dotted name of an object of torch's, or of the type of one; empty if it is not torch's."""
    if type(value).__name__ == "module" or hasattr(value, "__path__"):
        return getattr(value, "__name__", "")
    if type(value).__name__ == "builtin_function_or_method":
        return "torch." + value.__name__ if hasattr(sys.modules["torch"], value.__name__) else ""
    owner = value if isinstance(value, type) or hasattr(value, "__qualname__") else type(value)
    return "{}.{}".format(getattr(owner, "__module__", ""), getattr(owner, "__qualname__", ""))


def evaluated(node, frame):
    """The value of a chain of names, or None."""
    plain = node
    while isinstance(plain, ast.Attribute):
        plain = plain.value
    if not isinstance(plain, ast.Name):
        return None
    try:
        code = compile(ast.fix_missing_locations(ast.Expression(node)), "<chain>", "eval")
        return eval(code, frame.f_globals, dict(frame.f_locals))
    except Exception:  # it is not this one that failed
        return None


def missing_attribute(error, statement, frame, done):
    """(node, name) of the attribute that is not there; *done* are the places that have a stand-in."""
    match = MISSING.search(str(error))
    for node in own_nodes(statement) if match else ():
        wanted = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr == match.group(1)
        if wanted and where(node) not in done:
            value = evaluated(node.value, frame)
            if value is not None and not has(value, node.attr):
                return node, named(value) + "." + node.attr
    return None


def has(value, name):
    """`hasattr`, whatever is raised."""
    try:
        getattr(value, name)
    except Exception:
        return False
    return True


def missing_keyword(error, statement, frame):
    """(node, keyword, name) of the argument that is not taken."""
    match = KEYWORD.search(str(error))
    keyword = match and (match.group(1) or match.group(2))
    for node in own_nodes(statement) if match else ():
        if isinstance(node, ast.Call) and any(each.arg == keyword for each in node.keywords):
            value = evaluated(node.func, frame)
            return node, keyword, "{}({})".format(named(value) if value is not None else "?", keyword)
    return None


def missing_special(statement, frame):
    """(node, kind, what to leave out, name) of a special method that a statement asks one of torch's classes for."""
    for node in own_nodes(statement):
        if isinstance(node, ast.Subscript):
            value = evaluated(node.value, frame)
            if is_torch(named(value)) and lookups.special(value, "__class_getitem__") == lookups.REFUSED:
                return node, "subscript", ["[]"], named(value) + ".__class_getitem__"
    for node in getattr(statement, "decorator_list", ()):
        value = evaluated(node, frame)
        if isinstance(value, type) and is_torch(named(value)) and lookups.bare(value) == lookups.REFUSED:
            name = named(value) + "(orig_func)"
            if isinstance(node, ast.Attribute):
                return node, "attribute", [node.attr], name
            return statement, "statement", ["*"], name
    for item in getattr(statement, "items", ()):
        value = evaluated(getattr(item.context_expr, "func", item.context_expr), frame)
        if is_torch(named(value)) and lookups.special(value, "__enter__") == lookups.REFUSED:
            return statement, "statement", ["*"], named(value) + ".__enter__"
    return None


def missing_import(error, statement):
    """(names to leave out, what is missing) of an import."""
    if isinstance(error, ModuleNotFoundError):
        name = error.name or "?"
        if isinstance(statement, ast.Import):
            return [each.name for each in statement.names if (each.name + ".").startswith(name + ".")], name
        submodules = [each.name for each in statement.names if f"{statement.module}.{each.name}" == name]
        return submodules or ["*"], name
    match = FROM.search(str(error))
    if match and isinstance(statement, ast.ImportFrom):
        return [match.group(1)], f"{match.group(2)}.{match.group(1)}"
    return None


class Probe:
    """One process: imports modules, notes failures."""

    def __init__(self, folder, names, known):
        self.folder, self.notes = folder + os.sep, list(known)
        self.own = tuple(self.folder + name + end for name in names for end in (os.sep, ".py"))
        self.trees, self.lines = {}, {}
        for note in known:
            self.stand(note)

    def stand(self, note):
        """Put stand-ins at a place."""
        path = os.path.join(self.folder, note["path"])
        places = Loader.places.setdefault(path, [])
        places += [(note["line"], note["column"], note["kind"], each) for each in note["drop"]]

    def tree(self, path):
        """The parsed file."""
        if path not in self.trees:
            with open(path, "rb") as file:
                self.trees[path] = ast.parse(file.read(), path)
        return self.trees[path]

    def attempt(self, module):
        """Import one module; as often as it fails at a new place."""
        while True:
            try:
                signal.alarm(SECONDS)
                importlib.import_module(module)
                return ""
            except BaseException as error:  # SystemExit, and what pytest raises to skip a module
                signal.alarm(0)
                note = self.note(error)
                if note is None or note in self.notes:
                    return "{}: {}".format(type(error).__name__, (str(error).splitlines() or [""])[0][:200])
                self.notes.append(note)
                self.stand(note)
            finally:
                signal.alarm(0)

    def note(self, error):
        """What failed where; None if it is no place of the package."""
        frames = frames_of(error)
        own = [index for index, (file, _, _) in enumerate(frames) if file.startswith(self.own)]
        if not own or isinstance(error, (KeyboardInterrupt, SyntaxError)):
            return None
        file, line, frame = frames[own[-1]]
        innermost = own[-1] == len(frames) - 1
        statement = statement_at(self.tree(file), line)
        node, kind, drop, name = self.failure(error, statement, frame, innermost)
        text = "{}: {}".format(type(error).__name__, (str(error).splitlines() or [""])[0][:200])
        return {
            "path": os.path.relpath(file, self.folder),
            "line": node.lineno,
            "column": node.col_offset,
            "kind": kind,
            "drop": drop,
            "name": name if is_torch(name) else "",
            "error": text,
        }

    def failure(self, error, statement, frame, innermost):
        """(node, kind, what to leave out, name)."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            found = missing_import(error, statement) if isinstance(error, ImportError) and innermost else None
            drop, name = found or ([alias.name for alias in statement.names], "")
            return statement, "import", drop, name
        if isinstance(error, AttributeError) and innermost:
            done = [place[:2] for place in Loader.places.get(frame.f_code.co_filename, ()) if place[2] == "attribute"]
            found = missing_attribute(error, statement, frame, done)
            if found:
                return found[0], "attribute", [found[0].attr], found[1]
        if isinstance(error, TypeError) and innermost:
            found = missing_keyword(error, statement, frame)
            if found and is_torch(found[2]):
                return found[0], "keyword", [found[1]], found[2]
        if isinstance(error, (AttributeError, TypeError)) and innermost:
            found = missing_special(statement, frame)
            if found:
                return found
        return statement, "statement", ["*"], ""

    def bodies(self, modules):
        """{path: what the functions in it use, looked up}."""
        import bodies

        found = {}
        for name in modules:
            module = sys.modules.get(name)
            path = getattr(module, "__file__", None) or ""
            if path.startswith(self.folder) and path.endswith(".py"):
                found[os.path.relpath(path, self.folder)] = bodies.looked_up(module, self.tree(path), is_torch, named)
        return found

    def trace(self, frame, event, argument):
        """Note the lines of the package that run."""
        if not frame.f_code.co_filename.startswith(self.own):
            return None
        lines = self.lines.setdefault(os.path.relpath(frame.f_code.co_filename, self.folder), set())
        lines.add(frame.f_lineno)

        def each(frame, event, argument):
            lines.add(frame.f_lineno)
            return each

        return each


def stop(signum, frame):
    """The import takes too long."""
    raise TimeoutError(f"takes longer than {SECONDS} s")


def mark(out, module):
    """Note what is imported, for the case that it ends the process."""
    with open(out + ".importing", "w") as file:
        file.write(module)


def work(out, folder, names, known, dead, last):
    """One pass, in a process of its own."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, stop)
    sys.path.insert(0, folder)
    install()
    probe = Probe(folder, names, known)
    Loader.own, Loader.tracer = probe.own, probe.trace
    failed = {}
    every = modules_of(folder, names)
    for module in every:
        if module in dead:
            failed[module] = "ends the process"
            continue
        mark(out, module)
        error = probe.attempt(module)
        if error:
            failed[module] = error
    mark(out, "")
    content = {
        "torch": sys.modules["torch"].__version__.partition("+")[0],
        "python": "{}.{}".format(*sys.version_info),
        "notes": probe.notes,
        "failed": failed,
        "bodies": probe.bodies(every) if last or probe.notes == known else {},
        "modules": len(every),
        "lines": {path: sorted(lines) for path, lines in sorted(probe.lines.items())},
    }
    with open(out, "w") as file:
        json.dump(content, file)


def one_pass(out, folder, names, known, dead, last):
    """Run a worker, a copy of this process, in which torch is imported; what it found, or None if it died."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        log = os.open(out + ".log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(stream, target)
        try:
            work(out, folder, names, known, dead, last)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)  # threads of what was imported
    os.waitpid(child, 0)
    if not os.path.exists(out):
        return None
    with open(out) as file:
        content = json.load(file)
    os.remove(out)
    return content


def passes(out, folder, names):
    """Passes until one finds nothing new; whether it came to that."""
    known, dead = [], []
    for count in range(60):
        last = count - len(dead) >= PASSES
        content = one_pass(out, folder, names, known, dead, last)
        if content is None:
            with open(out + ".importing") as file:
                module = file.read()
            if not module:
                return False  # it was not an import that ended the process
            dead.append(module)
        elif last or content["notes"] == known:
            with open(out, "w") as file:
                json.dump(content, file)
            for suffix in (".importing", ".log"):
                os.remove(out + suffix)
            return True
        else:
            known = content["notes"]
    return False


def main(jobs):
    """Every release of a list: [[OUT.json, FOLDER, [NAME...]], ...]."""
    sys.path.append(sys.path.pop(0))
    import torch  # noqa: F401  once for all of them

    for out, folder, names in jobs:
        start = time.time()
        done = passes(os.path.abspath(out), os.path.abspath(folder), names)
        took = f"done, {time.time() - start:.0f} s"
        print(os.path.basename(out), took if done else "FAILED", flush=True)


if __name__ == "__main__":
    main(json.load(sys.stdin))
