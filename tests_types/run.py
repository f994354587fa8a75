"""Check the programs beside this file with mypy and pyright, on the torch that is installed; docs/typing.md.

`every` holds on all torch versions from 1.13 on, `newest` on the newest. A line that ends in `# wrong` must have an
error, and no other line may have one. The programs in `mistakes` must have theirs also with torch in place of
torchcompat, on the newest torch. There, too, the package's types must be complete.
"""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATCHES = runpy.run_path(str(HERE.parent / "src" / "torchcompat_check" / "_minors.py"))["PATCHES"]
NEWEST = PATCHES[-1].rpartition(".")[0]
# Of the public symbols, those whose types a checker knows.
COMPLETE = 0.99
# The environment whose packages are checked against.
PYTHON = os.environ.get("TORCHCOMPAT_TYPES_PYTHON", sys.executable)


def run(*command):
    """The output of a checker; it fails where there is an error to be found."""
    # The command of pyright looks for a Python in PATH.
    path = os.pathsep.join([str(Path(PYTHON).parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    return subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False).stdout.decode()


def mypy(files):
    """{(file, line): errors}."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", PYTHON]
    output = run(*command, *map(str, files))
    found = re.findall(r"^(.*?):(\d+): error: (.*)$", output, re.M)
    if "Success" not in output and not found:
        raise SystemExit(output)
    return collect((file, line, text) for file, line, text in found)


def pyright(files):
    """{(file, line): errors}."""
    # In a project of their own: pyright would find that of this checkout, whose sources have no stubs beside them, and
    # would leave out what is below a folder such as `.nox`.
    project = Path(tempfile.mkdtemp())
    Path(project, "pyrightconfig.json").write_text('{"exclude": []}', encoding="utf-8")
    for file in files:
        shutil.copy(file, project)
    command = [sys.executable, "-m", "pyright", "-p", str(project), "--pythonpath", PYTHON, "--outputjson"]
    output = json.loads(run(*command))
    if output["summary"]["filesAnalyzed"] != len(files):
        raise SystemExit(f"pyright has seen {output['summary']['filesAnalyzed']} files instead of {len(files)}")
    errors = [each for each in output["generalDiagnostics"] if each["severity"] == "error"]
    return collect((each["file"], each["range"]["start"]["line"] + 1, each["message"]) for each in errors)


def collect(rows):
    found = {}
    for file, line, text in rows:
        found.setdefault((Path(file).name, int(line)), []).append(text)
    return found


def wrong_lines(files):
    """The lines that must have an error."""
    return {
        (file.name, number)
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if line.endswith("# wrong")
    }


def compare(checker, what, found, wanted):
    """Problems, in words."""
    missed = [f"{checker}, {what}: {file}:{line}: no error" for file, line in sorted(wanted - found.keys())]
    extra = [
        f"{checker}, {what}: {file}:{line}: {'; '.join(found[file, line])}"
        for file, line in sorted(found.keys() - wanted)
    ]
    return missed + extra


def programs(folder):
    return sorted((HERE / folder).glob("*.py"))


def as_torch(folder):
    """The programs with mistakes, with torch in place of torchcompat."""
    for file in programs("mistakes"):
        text = file.read_text(encoding="utf-8").replace("torchcompat", "torch")
        Path(folder, file.name).write_text(text, encoding="utf-8")
    return sorted(Path(folder).glob("*.py"))


def completeness():
    """Problems of the public types, as pyright sees them."""
    command = [sys.executable, "-m", "pyright", "--ignoreexternal", "--outputjson", "--verifytypes", "torchcompat"]
    score = json.loads(run(*command))["typeCompleteness"]["completenessScore"]
    print(f"types are complete to {score:.1%}")
    return [] if score >= COMPLETE else [f"pyright: types are complete to {score:.1%}, which is below {COMPLETE:.0%}"]


def installed():
    """The minor of the installed torch."""
    code = "from importlib.metadata import version; print(version('torch'))"
    # Not by importing it: the checks need no torch that can run.
    text = subprocess.run([PYTHON, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode()
    return ".".join(text.split(".")[:2])


def main():
    """Returns the exit code."""
    os.chdir(tempfile.mkdtemp())  # where mypy finds no sources of this checkout
    newest = installed() == NEWEST
    problems = completeness() if newest else []
    for name, checker in (("mypy", mypy), ("pyright", pyright)):
        files = [*programs("every"), *(programs("newest") if newest else [])]
        problems += compare(name, "torchcompat", checker(files), wrong_lines(files))
        if newest:
            wanted = wrong_lines(programs("mistakes"))
            problems += compare(name, "torchcompat", checker(programs("mistakes")), wanted)
            problems += compare(name, "torch", checker(as_torch(tempfile.mkdtemp())), wanted)
    print("\n".join(problems) or f"mypy {version('mypy')} and pyright {version('pyright')} find what they must")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
