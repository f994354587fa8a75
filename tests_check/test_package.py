"""The distribution: what is said twice agrees, and what is declared is there."""

import os
import re

import torchcompat_check

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def test_the_version_is_that_of_the_distribution():
    assert f'\nversion = "{torchcompat_check.__version__}"\n' in read("pyproject.toml")


def test_what_is_installed_is_whole():
    """Under nox these are the files of the wheel: the same as those of the source."""
    source = os.path.join(ROOT, "src", "torchcompat_check")
    installed = os.path.dirname(os.path.abspath(torchcompat_check.__file__))

    def files(top):
        found = {
            os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names
        }
        return {name for name in found if not name.endswith(".pyc")}

    assert files(installed) == files(source)
    assert {"py.typed", "history.txt", "shims.txt"} <= files(installed)


def test_the_hook_of_pre_commit_is_there():
    entry = re.search(r"^  entry: (.*)$", read(".pre-commit-hooks.yaml"), re.M).group(1)
    assert os.access(os.path.join(ROOT, entry), os.X_OK)
