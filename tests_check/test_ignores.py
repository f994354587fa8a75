"""Ignore comments: which lines they are for, which names, and which were not needed."""

from conftest import result
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check.ignores import apply, ignores_in


def kept(source, *places):
    """Of findings named torch.a, torch.b, ... on these lines those that stay; and the ignores that were not needed."""
    findings = [result(f"torch.{name}", line=line).finding for name, line in places]
    left, unused = apply(ignores_in(source), findings)
    return [finding.name[6:] for finding in left], unused


def test_on_its_line():
    assert kept("x = a  # torchcompat: ignore\ny = b\n", ("a", 1), ("b", 2)) == (["b"], [])


STATEMENT = """\
x = call({}
    a,{}
    b,
){}
y = c
"""
COMMENT = "  # torchcompat: ignore"


def test_on_the_first_or_the_last_line_it_is_for_the_statement():
    for texts in ((COMMENT, "", ""), ("", "", COMMENT)):
        assert kept(STATEMENT.format(*texts), ("a", 2), ("b", 3), ("c", 5)) == (["c"], [])


def test_on_a_line_between_it_is_for_that_line():
    assert kept(STATEMENT.format("", COMMENT, ""), ("a", 2), ("b", 3), ("c", 5)) == (["b", "c"], [])


def test_of_a_block_it_is_for_the_header():
    source = "with (  # torchcompat: ignore\n    a\n):\n    b\n"
    assert kept(source, ("a", 2), ("b", 4)) == (["b"], [])


def test_of_a_decorator_it_is_for_the_decorator():
    assert kept("@a  # torchcompat: ignore\ndef f(x=b):\n    c\n", ("a", 1), ("b", 2), ("c", 3)) == (["b", "c"], [])


def test_a_comment_on_a_line_of_its_own_is_for_nothing():
    assert kept("# torchcompat: ignore\nx = a\n", ("a", 2)) == (["a"], [])
    assert kept("if a:\n    # torchcompat: ignore\n    b\n", ("b", 3)) == (["b"], [])


def test_text_in_a_string_is_no_comment():
    assert kept("x = a('# torchcompat: ignore')\n", ("a", 1)) == (["a"], [])


def test_by_name():
    source = "x = a, b  # torchcompat: ignore[torch.a]\n"
    assert kept(source, ("a", 1), ("b", 1)) == (["b"], [])


def test_by_pattern_and_argument():
    findings = [result("torch.f.g", parameter=parameter).finding for parameter in ("", "p", "q")]
    for names, expected in [
        ("torch.f.g", []),
        ("torch.f.*", []),
        ("torch.f.g(p)", ["", "q"]),
        ("torch.f.g(*)", [""]),
        ("torch.f", ["", "p", "q"]),
        (" torch.h , torch.f.g(q) ", ["", "p"]),
        ("", ["", "p", "q"]),
    ]:
        left, _ = apply(ignores_in(f"x  # torchcompat: ignore[{names}]\n"), findings)
        assert [finding.parameter for finding in left] == expected, names


def test_what_is_not_needed_is_told_name_by_name():
    source = "x = a  # torchcompat: ignore[torch.a, torch.b]\ny = 1  # torchcompat: ignore\n"
    assert kept(source, ("a", 1)) == ([], [(1, "torch.b"), (2, "*")])


def test_a_comment_among_other_comments():
    assert kept("x = a  # noqa: F401  # torchcompat: ignore  # type: ignore\n", ("a", 1)) == ([], [])
    assert kept("x = a  # torchcompat: ignored\n", ("a", 1)) == (["a"], [])


@given(st.text(st.sampled_from("#\n \\'\"()abc:[]torchcompat: ignore"), max_size=60))
def test_no_text_breaks_it(text):
    for ignore in ignores_in(f"# torchcompat: ignore\n{text}"):
        assert ignore.first <= ignore.line <= ignore.last
