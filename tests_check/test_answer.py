"""The answer: masks against a plain walk over the minors, and the sentences for every kind of answer."""

import pytest
from conftest import report, result
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check._minors import ALL, MINORS, mask_of, minors_of
from torchcompat_check.answer import answer, clash, sentence
from torchcompat_check.formats.text import as_text

masks = st.integers(0, ALL)
# Mostly few minors missing, or nothing would ever work.
sparse = st.sets(st.sampled_from(MINORS), max_size=6).map(mask_of)


def missing(mask, **given):
    return result(missing=mask, **given)


@given(st.lists(sparse, max_size=6))
def test_a_minor_works_where_no_finding_misses_it(holes):
    expected = [minor for minor in MINORS if not any(minor in minors_of(hole) for hole in holes)]
    assert minors_of(answer(map(missing, holes)).works) == expected


@given(st.lists(sparse, max_size=6))
def test_the_span_is_the_newest_unbroken_run(holes):
    found = answer(map(missing, holes))
    first, last = found.span
    works = minors_of(found.works)
    if not works:
        assert (first, last) == ("", "")
        return
    start, end = MINORS.index(first), MINORS.index(last)
    assert last == works[-1]
    assert set(MINORS[start : end + 1]) <= set(works)
    assert start == 0 or MINORS[start - 1] not in works


@given(st.lists(masks, max_size=8))
def test_a_clash_leaves_nothing_and_every_part_of_it_is_needed(holes):
    results = [missing(hole) for hole in holes]
    found = clash(results)
    if answer(results).works:
        assert not found
        return
    assert not answer(found).works
    for index in range(len(found)):
        assert answer(found[:index] + found[index + 1 :]).works


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], "runs on any torch from 1.2 to 2.15 (0 findings)"),
        ([result(since="2.1")], "needs torch >= 2.1 (1 finding)"),
        ([result(until="2.5")], "needs torch <= 2.5 (1 finding)"),
        ([result(since="1.8"), result(until="2.5")], "needs torch >= 1.8, <= 2.5 (2 findings)"),
        (
            [result(since="2.1", shim="x")] * 10 + [result(since="1.8")] * 2,
            "needs torch >= 2.1 (12 findings); with torchcompat: >= 1.8 (2 remain)",
        ),
        (
            [result(since="2.1", shim="x")],
            "needs torch >= 2.1 (1 finding); with torchcompat: any torch from 1.2 to 2.15 (0 remain)",
        ),
        ([missing(mask_of(["1.8", "1.9"]))], "needs torch >= 1.10, or 1.2-1.7 (1 finding)"),
        ([result(since="2.15"), result(since="2.14")], "needs torch >= 2.15 (2 findings)"),
    ],
)
def test_sentences(results, expected):
    assert sentence(results) == expected


def test_of_a_clash_the_two_are_named_with_their_places():
    new = result("torch.compile", since="2.0", path="new.py", line=3, column=5)
    old = result("torch.rfft", until="1.7", path="old.py", line=9)
    other = result("torch.cuda.graph_pool_handle", since="1.10")
    assert sentence([other._replace(finding=other.finding._replace(missing=0)), new, old]) == (
        "needs what no torch from 1.2 to 2.15 has (3 findings): torch.compile in new.py:3:5 runs on 2.0- and "
        "torch.rfft in old.py:9:1 runs on 1.2-1.7"
    )


def test_a_clash_that_torchcompat_ends():
    new = result("torch.compile", since="2.0", shim="torchcompat.compile")
    old = result("torch.rfft", until="1.7")
    assert sentence([new, old]).endswith("; with torchcompat: <= 1.7 (1 remains)")


def test_a_name_of_no_torch_is_named_alone():
    assert sentence([result(since="2.0"), missing(ALL, name="torch.nothing")]) == (
        "needs what no torch from 1.2 to 2.15 has (2 findings): torch.nothing in a.py:1:1 runs nowhere"
    )


def test_a_clash_of_three():
    first, second, third = "1.2", "1.3", "1.4"
    works = [(first, second), (second, third), (first, third)]
    results = [missing(ALL & ~mask_of(pair), line=line) for line, pair in enumerate(works, 1)]
    assert [one.finding.line for one in clash(results)] == [1, 2, 3]


def test_of_a_diff_the_changed_lines_are_the_subject():
    assert sentence([result(since="2.1")], "the changed lines") == "the changed lines need torch >= 2.1 (1 finding)"
    assert as_text(report(subject="the changed lines")) == (
        "the changed lines run on any torch from 1.2 to 2.15 (0 findings)\n"
    )
