"""What must change when a new torch comes out agrees with the one table; docs/new-torch.md is the recipe."""

import os
import re

import pytest

from torchcompat._shim import NEWEST, OLDEST, minor
from torchcompat_check._minors import MINORS, PATCHES

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RANGE = f"{MINORS[0]} to {MINORS[-1]}"


def read(path):
    with open(os.path.join(ROOT, *path.split("/")), encoding="utf-8") as file:
        return file.read()


def test_the_table_is_in_order_and_has_no_gap():
    pairs = [minor(text) for text in MINORS]
    assert pairs == sorted(set(pairs))
    assert [one for one in pairs if one[0] == 1] == [(1, number) for number in range(2, 14)]
    assert [one for one in pairs if one[0] == 2] == [(2, number) for number in range(NEWEST[1] + 1)]
    assert all(patch.startswith(text + ".") for patch, text in zip(PATCHES, MINORS))


def test_the_shims_know_the_same_ends():
    assert (minor(MINORS[0]), minor(MINORS[-1])) == (OLDEST, NEWEST)


def test_nox_reads_the_table():
    text = read("noxfile.py")
    assert '"_minors.py"' in text
    assert f'"{MINORS[-1]}"' not in text
    assert f'"{PATCHES[-1]}"' not in text


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "pyproject.toml",
        "docs/index.md",
        "docs/check.md",
        "docs/add-a-shim.md",
        "src/torchcompat/__init__.py",
        "src/torchcompat_check/walk.py",
    ],
)
def test_the_range_is_said_alike(page):
    said = re.findall(r"1\.2 to (\d+\.\d+)", read(page))
    assert RANGE in read(page)
    assert {MINORS[-1]} >= {text for text in said if minor(text) > (2, 9)}


def test_the_contract_is_the_newest():
    assert f"today's torch ({MINORS[-1]})" in read("README.md")
    assert f"torch {MINORS[-1]}" in re.search(r"\*\*Contract\*\*:.*", read("docs/index.md")).group()
    assert f'max = "{MINORS[-1]}"' in read("docs/check.md")
