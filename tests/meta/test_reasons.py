"""Every shim that some torch has and that is too old there says why, and the reports pass it on."""

import re
from collections import defaultdict

import pytest

from torchcompat import SHIMS, _report, _shim
from torchcompat._shim import Shim, polyfill
from torchcompat_check import history
from torchcompat_check._minors import at_least, at_most

POLYFILLS = [pytest.param(shim, id=name) for name, shim in sorted(SHIMS.items()) if shim.kind in ("polyfill", "absent")]
REASONS = [row for row in POLYFILLS if row.values[0].reason]
# A keyword that is missing, up to which minor where it is not missing on all of them: "no `foreach` up to 1.13".
KEYWORD = re.compile(r"no `(\w+)`(?! on)(?: up to (\d+\.\d+))?")


def older(shim):
    """The minors below `since` that have the name, as a mask."""
    entry = history.load().find(shim.path)
    return (entry.present if entry else 0) & ~at_least(shim.since)


@pytest.mark.parametrize("shim", POLYFILLS)
def test_a_reason_is_given_where_some_torch_is_too_old_and_nowhere_else(shim):
    assert bool(shim.reason) == bool(older(shim))


@pytest.mark.parametrize("shim", REASONS)
def test_a_reason_is_a_few_words_for_a_row_of_a_table(shim):
    assert len(shim.reason) <= 120
    assert not shim.reason.endswith(".")
    assert "|" not in shim.reason
    assert shim.reason.count("`") % 2 == 0


def test_facades_and_overrides_have_none():
    assert all(not shim.reason for shim in SHIMS.values() if shim.kind not in ("polyfill", "absent"))


def test_one_reason_is_that_of_one_family():
    """Shims that share a sentence came of age together; only a missing keyword is the same words by chance."""
    since = defaultdict(set)
    for row in REASONS:
        shim = row.values[0]
        if not KEYWORD.match(shim.reason):
            since[shim.reason].add(shim.since)
    assert not {reason: minors for reason, minors in since.items() if len(minors) > 1}


def missing_keywords():
    for row in REASONS:
        shim = row.values[0]
        entry = history.load().find(shim.path)
        for keyword, last in KEYWORD.findall(shim.reason):
            if keyword in (entry.parameters or {}):
                yield pytest.param(shim, entry.parameters[keyword], last, id=f"{shim.name}-{keyword}")


KEYWORDS = list(missing_keywords())


def test_most_reasons_are_keywords_that_the_history_knows():
    assert len(KEYWORDS) >= 25


@pytest.mark.parametrize(("shim", "parameter", "last"), KEYWORDS)
def test_a_keyword_that_is_said_to_be_missing_is_missing_there_and_present_later(shim, parameter, last):
    without = older(shim) & (at_most(last) if last else ~0)
    assert without
    assert not parameter.present & without
    assert older(shim) & ~without & ~parameter.present == 0
    assert parameter.present & at_least(shim.since) == at_least(shim.since)


def test_the_reports_pass_it_on():
    report = _report.collect()
    assert {row["name"]: row["reason"] or "" for row in report["shims"]} == {
        "torchcompat." + name: shim.reason for name, shim in SHIMS.items()
    }
    lines = _report.as_text(report).splitlines()
    for name, shim in SHIMS.items():
        assert (f"  torchcompat.{name}: {shim.reason}" in lines) == (shim.why == "too old")


def test_the_table_of_names_passes_it_on():
    rows = {line.split("`")[1]: line.split(" | ") for line in _report.markdown_summary().splitlines()[2:]}
    assert {name: row[2] for name, row in rows.items()} == {
        "torchcompat." + name: shim.reason for name, shim in SHIMS.items()
    }


def test_it_is_declared_with_the_rest(monkeypatch):
    monkeypatch.setattr(_shim, "FORCED", frozenset())
    shim = Shim("made_up", len, "torch.add", "99.0", reason="no `alpha`")
    assert (shim.why, shim.reason) == ("too old", "no `alpha`")
    assert Shim("made_up", len).reason == ""
    with pytest.raises(TypeError):
        polyfill("torch.add", reason="no `alpha`")
