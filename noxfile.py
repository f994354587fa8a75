"""Tests on real torch versions. `nox` alone: lint, types, docs, check and the newest torch; `nox -l` lists the rest.

nox -s "tests(torch-1.2)"   one version
nox -t quick                the newest and the oldest torch, and the checker: under ten minutes and 10 GB
nox -t edges                both sides of the versions where torch changed most
nox -t rest                 of the edges, what `quick` leaves
nox -t newest               the newest torch alone
nox -t random               three versions drawn at random
nox -t all                  all 28
nox -s check                the checker, which needs no torch
nox -s typed                what mypy and pyright say of programs that use torchcompat, on torch 1.13, 2.4 and 2.15
nox -s history              the data of the API history, from every torch; "history(torch-2.15)": from one
nox -s accuracy             the checker beside what Python says of real packages on real torch; hours
nox -s reach                how many uses of torch in 52 libraries torchcompat covers, and the floors
nox -s fixes                what `--fix` makes of real packages, beside what was there, on the newest torch
nox -s "bench(torch-2.15)"  every benchmark on one torch
nox -s "onnx(torch-2.15)"   exported models, run by onnxruntime beside eager mode, on one torch
... -- --coverage           note which lines ran, which takes longer; `nox -s coverage` sums it up
... -- --delete             delete each environment, and what was downloaded for it, when its session is done
... -- tests/test_x.py      pass on to pytest
"""

import os
import random
import runpy
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_existing_virtualenvs = True

# The matrix: minor, its last patch release, the Python it is tested on, and what it needs beside it. The versions are
# those of the checker's table; this file may not import the package, which needs more than nox has.
PATCHES = runpy.run_path(str(Path(__file__).with_name("src") / "torchcompat_check" / "_minors.py"))["PATCHES"]
OLD, NEW = "3.7", "3.11"
MINORS = [patch.rpartition(".")[0] for patch in PATCHES]
# torch 1.10 imports pkg_resources.packaging, later removed: https://github.com/ROCm/pytorch/pull/1425
# torch 2.0 and 2.1 build extensions with pkg_resources, which setuptools 82 has no longer:
# https://github.com/Lightning-AI/utilities/pull/472
SETUPTOOLS = {"1.10": "setuptools<66", "2.0": "setuptools<82", "2.1": "setuptools<82"}


def row(patch, minor):
    """A row of the matrix."""
    number = MINORS.index(minor)
    old = number <= MINORS.index("1.13")
    # NumPy 2 and torch before 2.3 do not work together: https://github.com/pytorch/pytorch/issues/107302
    numpy = "numpy<1.22" if old else "numpy<2" if number < MINORS.index("2.3") else "numpy"
    return minor, patch, OLD if old else NEW, [numpy, *([SETUPTOOLS[minor]] if minor in SETUPTOOLS else [])]


MATRIX = [row(patch, minor) for patch, minor in zip(PATCHES, MINORS)]
NEWEST = f"tests(torch-{MINORS[-1]})"
# The newest torch is tested on the newest Python, too.
NEWEST_PYTHON = "3.13"
QUICK = {MINORS[0], MINORS[-1]}
EDGES = QUICK | {"1.7", "1.12", "2.0", "2.4", "2.5", "2.9"}
RANDOM = set(random.sample(MINORS, 3))

nox.options.sessions = ["lint", "types", "docs", "check", NEWEST]

# What is for this file and not to be passed on.
OWN = ("--delete", "--coverage")


def use_every_pyenv_python():
    """pyenv's python3.7 refuses to run unless PYENV_VERSION names it; `pyenv exec` sets that to one version."""
    if shutil.which("pyenv"):
        chosen = os.environ.get("PYENV_VERSION", "").split(":")
        listed = subprocess.run(["pyenv", "versions", "--bare"], stdout=subprocess.PIPE, check=True)
        os.environ["PYENV_VERSION"] = ":".join(filter(None, chosen + listed.stdout.decode().split()))


use_every_pyenv_python()


def tags(minor):
    """The tags of a row."""
    named = {"newest": {MINORS[-1]}, "quick": QUICK, "edges": EDGES, "rest": EDGES - QUICK, "random": RANDOM}
    return ["all", *(tag for tag, minors in named.items() if minor in minors)]


def each_torch(tags_of=lambda minor: [], more=()):
    """Make one session for each row of the matrix, and for *more* that are ready made."""
    rows = [
        nox.param(python, torch, needs, id="torch-" + minor, tags=tags_of(minor))
        for minor, torch, python, needs in MATRIX
    ]
    return nox.parametrize("python,torch,needs", [*rows, *more])


def on_newest_python():
    """The row of the newest torch on the newest Python."""
    minor, torch, _, needs = MATRIX[-1]
    name = f"torch-{minor}-python-{NEWEST_PYTHON}"
    return nox.param(NEWEST_PYTHON, torch, needs, id=name, tags=["all", "edges", "rest"])


def group(name):
    """The requirements of a dependency group."""
    return nox.project.load_toml("pyproject.toml")["dependency-groups"][name]


def use_own_cache(session):
    """With --delete, let uv download to a cache of the session's own, which goes with it."""
    if "--delete" in session.posargs:
        session.env["UV_CACHE_DIR"] = str(Path(session.create_tmp(), "uv-cache"))


def install(session, *packages):
    """Install this project, its tests' needs and *packages*; with --delete from a cache of the session's own."""
    use_own_cache(session)
    session.install(*packages, *group("test"), ".")


def delete(session):
    """Free the disk: an environment of torch 2.x is 5 GB."""
    if "--delete" in session.posargs:
        shutil.rmtree(session.create_tmp(), ignore_errors=True)
        shutil.rmtree(session.virtualenv.location, ignore_errors=True)


def arguments(session):
    """What goes on to pytest or to a script."""
    return [argument for argument in session.posargs if argument not in OWN]


def test_both(session, torch):
    """Run pytest as installed and with fallbacks forced, side by side, each on one core; print one after the other."""
    # Of the reasons only those of failures, or a log of thousands of skips hides them; `pytest` alone prints them all.
    command = [str(Path(session.bin, "python")), "-m", "pytest", "-r", "fE", *arguments(session)]
    if "--coverage" in session.posargs:
        command += ["--cov=torchcompat", "--cov-report="]
    runs = []
    for forced in ("", "all"):
        environment = {
            **os.environ,
            "COVERAGE_FILE": f".coverage.{torch}.{forced or 'native'}",
            "OMP_NUM_THREADS": "1",
            "TORCHCOMPAT_FALLBACK": forced,
            # The main example at its full length, on the newest torch.
            "TORCHCOMPAT_FULL": "1" if torch == MATRIX[-1][1] and not forced else "",
        }
        log = Path(session.create_tmp(), f"pytest-{forced or 'native'}.txt")
        with log.open("w") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        runs.append((forced, log, process))
    codes = []
    for forced, log, process in runs:
        codes.append(process.wait())
        session.log("torch %s, %s", torch, "fallbacks forced" if forced else "as installed")
        print(log.read_text(), end="", flush=True)
    if any(codes):
        session.error(f"pytest failed on torch {torch}: exit codes {codes} as installed and forced")


@nox.session
@each_torch(tags, [on_newest_python()])
def tests(session, torch, needs):
    """The test suite on one torch, as installed and with every fallback forced."""
    try:
        install(session, "torch==" + torch, *needs)
        test_both(session, torch)
    finally:
        delete(session)


@nox.session
@each_torch()
def onnx(session, torch, needs):
    """Models that torch exports to ONNX, run by onnxruntime beside eager mode, on one torch."""
    try:
        install(session, "torch==" + torch, *needs, *group("onnx"))
        session.run("python", "-m", "pytest", "-r", "fE", *(arguments(session) or ["tests/nn/test_onnx.py"]))
    finally:
        delete(session)


@nox.session(python=[OLD, NEW], tags=["all", "quick", "edges"])
def check(session):
    """The tests of the checker, on the oldest and the newest Python; without torch, which it must not need."""
    session.install(*group("check"))
    session.install("--no-deps", ".")
    session.run("python", "-m", "pytest", "-r", "fE", *(arguments(session) or ["tests_check"]))


@nox.session(python=NEW)
def coverage(session):
    """Coverage of src/ over every version tested with --coverage since the last report."""
    session.install("coverage[toml]")
    session.run("coverage", "combine")
    session.run("coverage", "report", *arguments(session))


@nox.session(python=NEW)
def lint(session):
    """Ruff: style, imports, likely bugs, formatting."""
    session.install("ruff==0.17.5")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=NEW)
def types(session):
    """mypy, strict. torch is not installed: our annotations must hold whatever torch there is."""
    session.install(*group("types"), "packaging", "typing-extensions")
    session.run("mypy")


# The oldest torch that checkers are to understand, one between, and the newest.
TYPED = [
    nox.param(torch, id="torch-" + minor, tags=["typed"] if minor == MINORS[-1] else [])
    for minor, torch, _, _ in MATRIX
    if minor in ("1.13", "2.4", MINORS[-1])
]


@nox.session(python=NEW)
@nox.parametrize("torch", TYPED)
def typed(session, torch):
    """What mypy and pyright say of programs that use torchcompat, on one torch: of its wheel alone, as nothing runs."""
    try:
        use_own_cache(session)
        session.install("--no-deps", "torch==" + torch)
        session.install(*group("stubs"))
        session.install("--no-deps", ".")
        session.run("python", "tests_types/run.py")
    finally:
        delete(session)


@nox.session(python=NEW)
def docs(session):
    """The generated tables and stubs are what the declarations say, and no link within the docs is dead."""
    try:
        install(session, "torch==" + MATRIX[-1][1], "numpy")
        session.run("python", "docs/generate.py", "--check")
    finally:
        delete(session)


@nox.session(python=NEW)
def build(session):
    """Build the distributions into dist/ and check them; "build -- v1.2.3" also checks that this is their version."""
    shutil.rmtree("dist", ignore_errors=True)
    session.run("uv", "build", "--out-dir", "dist", external=True)
    version = nox.project.load_toml("pyproject.toml")["project"]["version"]
    for tag in session.posargs:
        if tag != f"v{version}":
            session.error(f"the tag is {tag} and the version in pyproject.toml is {version}")
    built = [str(path) for path in sorted(Path("dist").glob("torchcompat_shims-*"))]
    session.install("twine", "packaging")
    session.run("twine", "check", "--strict", *built)
    session.install("--no-deps", next(path for path in built if path.endswith(".whl")))
    session.run("torchcompat", "api", "torch.compile")


@nox.session
@each_torch()
def bench(session, torch, needs):
    """Every benchmark on one torch; ratios, side by side, in one run."""
    try:
        install(session, "torch==" + torch, *needs)
        session.run("python", "benchmarks/run.py", *arguments(session))
    finally:
        delete(session)


@nox.session(python=NEW)
def bench_check(session):
    """The checker's speed beside its peers', on a tree of code that uses torch."""
    session.install("packaging", "torchfix", "vermin")
    session.install("--no-deps", ".")
    tree = session.create_tmp()
    session.run("uv", "pip", "install", "-q", "--no-deps", "--target", tree, "transformers", external=True)
    session.run("python", "benchmarks/check.py", str(Path(tree, "transformers")))


@nox.session
@each_torch()
def history(session, torch, needs):
    """Write down what one torch offers, and fold that into the API history."""
    try:
        use_own_cache(session)
        session.install("torch==" + torch, *needs, "packaging", "setuptools", "typing-extensions")
        dump = str(Path(session.create_tmp(), "dump.json"))
        session.run("python", "history/dump.py", dump)
        session.run("python", "history/merge.py", dump)
        session.run("python", "history/review.py")
    finally:
        delete(session)


@nox.session(python=NEW)
def accuracy(session):
    """What the checker says of real packages, beside what Python says when they are imported on real torch; hours."""
    session.install("packaging")
    folder = str(Path(session.create_tmp(), "accuracy"))
    session.run("python", "accuracy/run.py", folder, *arguments(session))
    session.run("python", "accuracy/page.py", folder)


@nox.session(python=NEW)
def reach(session):
    """What the checker says of the libraries of accuracy/libraries.txt, alone and with torchcompat: docs/reach.md."""
    session.install("packaging")
    session.run("python", "accuracy/reach.py", str(Path(session.create_tmp(), "reach")), *arguments(session))


@nox.session(python=NEW)
def fixes(session):
    """What `--fix` replaces in real packages, evaluated before and after on the newest torch."""
    try:
        install(session, "torch==" + MATRIX[-1][1], "numpy", "libcst")
        folder = str(Path(session.create_tmp(), "fixes"))
        session.run("python", "accuracy/fixes.py", folder, "python", *arguments(session))
    finally:
        delete(session)
