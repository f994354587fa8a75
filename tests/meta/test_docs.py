"""The generated parts of the documentation are what the declarations say; no link is dead; the two commands work."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def test_the_documentation_is_up_to_date():
    command = [sys.executable, os.path.join(ROOT, "docs", "generate.py"), "--check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()


def test_what_decides_runs_the_test_command_of_the_readme():
    shell = re.findall(r"```sh\n(.*?)\n```", read("README.md"), re.S)
    command = next(block for block in shell if "nox -t" in block).rpartition(".venv/bin/")[2]
    assert command in read(".ci", "run").splitlines()


def test_the_version_is_said_once():
    version = re.search(r'^__version__ = "(.*)"$', read("src", "torchcompat", "__init__.py"), re.M).group(1)
    assert re.search(r'^version = "(.*)"$', read("pyproject.toml"), re.M).group(1) == version
    assert f"## [{version}]" in read("CHANGELOG.md")
