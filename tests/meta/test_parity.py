"""The table of `benchmarks/parity.py` is whole: each name that is ours although some torch has it is measured."""

import sys
from pathlib import Path

import pytest
import torch

from torchcompat import SHIMS

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def parity(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import parity

    threads = torch.get_num_threads()
    yield parity
    torch.set_num_threads(threads)
    for name in ("parity", "parity_cases"):
        sys.modules.pop(name, None)


def replaced_somewhere():
    """The names that torch has, on some minor, without their being torch's own there."""
    return {name for name, shim in SHIMS.items() if shim.reason or shim.kind == "override"}


def test_each_name_has_a_case_or_a_reason_why_it_has_none(parity):
    assert not replaced_somewhere() - parity.CASES.keys() - parity.REASONS.keys()


def test_no_name_has_both_or_is_none_of_ours(parity):
    assert not parity.CASES.keys() & parity.REASONS.keys()
    assert not {*parity.CASES, *parity.REASONS} - replaced_somewhere()


def test_what_is_measured_here_are_the_names_that_are_ours_although_torch_has_them(parity):
    here = {name for name, shim in SHIMS.items() if shim.native is not None and shim.why in ("too old", "override")}
    assert here <= set(parity.concerned()) <= replaced_somewhere()


def test_a_name_without_case_and_reason_is_an_error(parity, monkeypatch, capsys):
    monkeypatch.delitem(parity.CASES, "load")
    assert parity.main(["load"]) == 1
    assert "no case and no reason: load" in capsys.readouterr().err


def test_ours_and_torchs_own_are_measured(parity, monkeypatch, capsys):
    monkeypatch.setattr(parity, "ROUND", 1e-6)
    monkeypatch.setitem(parity.CASES, "load", parity.CASES["load"][:1])
    assert parity.main(["load", "--rounds", "1"]) == 0
    assert capsys.readouterr().out.count("load: from memory") == 3
