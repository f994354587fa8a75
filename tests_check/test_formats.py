"""The formats: what people see, what programs parse, GitHub's escapes, SARIF's rules."""

import json
import re
import sys
from urllib.parse import unquote

import pytest
from conftest import report, result
from hypothesis import given
from hypothesis import strategies as st

from torchcompat_check._minors import ALL, mask_of
from torchcompat_check.config import FORMATS
from torchcompat_check.formats import WRITERS
from torchcompat_check.formats.github import as_github
from torchcompat_check.formats.machine import as_json
from torchcompat_check.formats.sarif import as_sarif, uri
from torchcompat_check.formats.text import as_text
from torchcompat_check.report import Problem, Unused, when

COMPILE = result(
    "torch.compile",
    since="2.0",
    path="pkg/a.py",
    line=12,
    column=5,
    shim="torchcompat.compile",
    text="f = torch.compile(g)",
)
GELU = result(
    "torch.nn.functional.gelu", since="1.12", parameter="approximate", line=3, column=20, end_line=4, end_column=2
)
IN_A_CELL = result("torch.rfft", until="1.7", path="a.ipynb", line=2, cell=3, file_line=41)
IN_A_FLAT_CELL = IN_A_CELL._replace(file_line=0)
PROBLEM = Problem("b.py", 3, "syntax error: invalid syntax")
CELL_PROBLEM = Problem("b.ipynb", 2, "syntax error: invalid syntax", 5)


def test_every_format_has_a_writer():
    assert set(WRITERS) == set(FORMATS)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (ALL, "in every torch"),
        (0, "in no torch"),
        (result(since="1.12").finding.present, "since 1.12"),
        (result(until="2.4").finding.present, "until 2.4"),
        (result(since="1.8", until="2.4").finding.present, "1.8 to 2.4"),
        (mask_of(["1.8"]), "only 1.8"),
        (ALL & ~mask_of(["1.8"]), "1.2-1.7, 1.9-"),
    ],
)
def test_when(present, expected):
    assert when(present) == expected


def test_text_is_in_columns():
    assert as_text(report(COMPILE, GELU, IN_A_CELL)).splitlines() == [
        "pkg/a.py:12:5:       torch.compile                          since 2.0   -> torchcompat.compile",
        "a.py:3:20:           torch.nn.functional.gelu(approximate)  since 1.12",
        "a.ipynb:cell 3:2:1:  torch.rfft                             until 1.7",
        "needs what no torch from 1.2 to 2.15 has (3 findings): torch.compile in pkg/a.py:12:5 runs on 2.0- and "
        "torch.rfft in a.ipynb:cell 3:2:1 runs on 1.2-1.7; with torchcompat: none either (2 remain): "
        "torch.nn.functional.gelu(approximate) in a.py:3:20 runs on 1.12- and "
        "torch.rfft in a.ipynb:cell 3:2:1 runs on 1.2-1.7",
    ]


def test_text_with_a_gate():
    assert as_text(report(GELU, gate=("1.8", "2.5"))).splitlines()[1:] == [
        "1 finding on torch >= 1.8, <= 2.5",
        "needs torch >= 1.12 (1 finding)",
    ]
    assert as_text(report(gate=("", "2.5"))).splitlines() == [
        "runs on torch <= 2.5",
        "runs on any torch from 1.2 to 2.15 (0 findings)",
    ]


def test_one_long_path_does_not_push_the_others_away():
    lines = as_text(report(COMPILE, result(path="x" * 200 + ".py"))).splitlines()
    assert lines[0].index("torch.compile") == 74


def test_explanations_follow_their_line():
    lines = as_text(report(COMPILE, GELU, explained=[["one", "two"], ["three"]])).splitlines()
    assert [lines[1], lines[2], lines[4]] == ["    one", "    two", "    three"]


class Terminal:
    def isatty(self):
        return True


def test_colour_only_on_a_terminal_and_not_against_the_users_will(monkeypatch):
    plain = as_text(report(COMPILE, GELU))
    assert "\x1b" not in plain
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured = as_text(report(COMPILE, GELU))
    assert "\x1b" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert as_text(report(COMPILE, GELU)) == plain
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert as_text(report(COMPILE, GELU)) == plain


def test_json():
    found = json.loads(
        as_json(
            report(
                COMPILE,
                IN_A_CELL,
                gate=("1.5", ""),
                files=7,
                known=2,
                problems=[PROBLEM, CELL_PROBLEM],
                unused=[Unused("a.py", 0, 3, "*")],
                explained=[["why"], []],
            )
        )
    )
    assert found["version"] == 1
    assert found["minors"] == ["1.2", "2.15"]
    assert (found["files"], found["known"]) == (7, 2)
    assert found["gate"] == {"min": "1.5", "max": None}
    assert found["findings"][0] == {
        "path": "pkg/a.py",
        "cell": None,
        "line": 12,
        "column": 5,
        "end_line": 12,
        "end_column": 18,
        "name": "torch.compile",
        "parameter": None,
        "present": "2.0-",
        "missing": "1.2-1.13",
        "torchcompat": "torchcompat.compile",
        "at_import": True,
        "text": "f = torch.compile(g)",
        "explanation": ["why"],
    }
    assert found["findings"][1]["cell"] == 3
    assert found["answer"]["torch"]["findings"] == 2
    assert found["answer"]["torch"]["min"] is None
    assert [place["name"] for place in found["answer"]["torch"]["clash"]] == ["torch.compile", "torch.rfft"]
    assert found["answer"]["with_torchcompat"] == {
        "findings": 1,
        "min": "1.2",
        "max": "1.7",
        "works": "1.2-1.7",
        "clash": [],
    }
    assert found["problems"] == [
        {"path": "b.py", "cell": None, "line": 3, "message": "syntax error: invalid syntax"},
        {"path": "b.ipynb", "cell": 5, "line": 2, "message": "syntax error: invalid syntax"},
    ]
    assert found["unused_ignores"] == [{"path": "a.py", "cell": None, "line": 3, "name": "*"}]


def parsed(line):
    """A workflow command as GitHub's runner takes it apart: name, properties, message.

    https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
    """
    head, message = line[2:].split("::", 1)
    name, _, listed = head.partition(" ")
    properties = dict(item.split("=", 1) for item in listed.split(","))

    def undo(text, codes):
        return re.sub("|".join(codes), lambda match: codes[match.group()], text)

    data = {"%0D": "\r", "%0A": "\n", "%25": "%"}
    values = {key: undo(value, {**data, "%3A": ":", "%2C": ","}) for key, value in properties.items()}
    return name, values, undo(message, data)


def test_github():
    lines = as_github(report(COMPILE, GELU, IN_A_CELL, IN_A_FLAT_CELL, problems=[PROBLEM, CELL_PROBLEM])).splitlines()
    commands = [parsed(line) for line in lines]
    assert [name for name, _, _ in commands] == ["warning"] * 4 + ["error"] * 2 + ["notice"]
    assert commands[0][1] == {
        "file": "pkg/a.py",
        "line": "12",
        "endLine": "12",
        "col": "5",
        "endColumn": "18",
        "title": "torchcompat",
    }
    assert commands[0][2] == (
        "torch.compile: since 2.0; this line runs on 1.2-1.13 as well; "
        "torchcompat has it on every torch: torchcompat.compile"
    )
    # GitHub shows columns only where one line is meant.
    assert commands[1][1] == {"file": "a.py", "line": "3", "endLine": "4", "title": "torchcompat"}
    assert commands[2][1] == {"file": "a.ipynb", "line": "41", "title": "torchcompat: cell 3, line 2"}
    assert commands[3][1] == {"file": "a.ipynb", "title": "torchcompat: cell 3, line 2"}
    assert commands[4][1:] == ({"file": "b.py", "line": "3", "title": "torchcompat"}, PROBLEM.message)
    assert commands[5][1] == {"file": "b.ipynb", "title": "torchcompat: cell 5, line 2"}


def test_github_calls_what_a_gate_forbids_an_error():
    assert as_github(report(COMPILE, gate=("1.8", ""))).startswith("::error file=pkg/a.py,line=12,")


@given(st.text(st.sampled_from("a%:,\r\n0A25= "), min_size=1), st.text(st.sampled_from("a%:,\r\n0A25=")))
def test_github_gets_back_what_was_meant(path, explanation):
    lines = as_github(report(result(path=path), explained=[[explanation]])).split("\n")
    assert len(lines) == 3
    _, properties, message = parsed(lines[0])
    assert properties["file"] == path
    assert message.endswith("\n" + explanation)


# What SARIF 2.1.0's schema says of the objects that we write: their properties, and which must be there.
# https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json
RULES = {
    "sarifLog": ({"$schema": str, "version": str, "runs": ["run"]}, {"version", "runs"}),
    "run": ({"tool": "tool", "invocations": ["invocation"], "results": ["result"], "columnKind": str}, {"tool"}),
    "tool": ({"driver": "toolComponent"}, {"driver"}),
    "toolComponent": ({"name": str, "version": str, "rules": ["reportingDescriptor"]}, {"name"}),
    "reportingDescriptor": ({"id": str, "shortDescription": "message"}, {"id"}),
    "invocation": (
        {"executionSuccessful": bool, "toolExecutionNotifications": ["notification"]},
        {"executionSuccessful"},
    ),
    "notification": ({"level": str, "message": "message", "locations": ["location"]}, {"message"}),
    "result": (
        {
            "ruleId": str,
            "ruleIndex": int,
            "level": str,
            "message": "message",
            "locations": ["location"],
            "partialFingerprints": dict,
        },
        {"message"},
    ),
    "message": ({"text": str}, {"text"}),
    "location": ({"physicalLocation": "physicalLocation"}, set()),
    "physicalLocation": ({"artifactLocation": "artifactLocation", "region": "region"}, {"artifactLocation"}),
    "artifactLocation": ({"uri": str}, {"uri"}),
    "region": ({"startLine": int, "startColumn": int, "endLine": int, "endColumn": int}, set()),
}


def valid(kind, value):
    """Check *value* against RULES, throughout."""
    properties, required = RULES[kind]
    assert required <= set(value) <= set(properties), kind
    for key, part in value.items():
        rule = properties[key]
        if isinstance(rule, str):
            valid(rule, part)
        elif isinstance(rule, list):
            assert isinstance(part, list)
            for item in part:
                valid(rule[0], item)
        else:
            assert type(part) is rule, key
    for level in [value["level"]] if "level" in value else []:
        assert level in ("none", "note", "warning", "error")
    if kind == "region":
        assert all(number >= 1 for number in value.values())


SOME = (COMPILE, GELU, IN_A_CELL, IN_A_FLAT_CELL, COMPILE)


def sarif(*results, **given):
    log = json.loads(as_sarif(report(*results, **given)))
    valid("sarifLog", log)
    assert log["version"] == "2.1.0"
    return log["runs"][0]


def test_sarif_keeps_the_rules_of_its_schema():
    run = sarif(*SOME, problems=[PROBLEM, CELL_PROBLEM], explained=[["x"]] * len(SOME))
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(ids)) == len(ids)
    assert all(ids[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    # Alike ones are numbered, or a reader would take them for one.
    assert len({one["partialFingerprints"]["torchcompat/v1"] for one in run["results"]}) == len(SOME)
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["invocations"][0]["executionSuccessful"] is False


def test_sarif_regions():
    regions = [one["locations"][0]["physicalLocation"].get("region") for one in sarif(*SOME)["results"]]
    assert regions[:4] == [
        {"startLine": 12, "startColumn": 5, "endLine": 12, "endColumn": 18},
        {"startLine": 3, "startColumn": 20, "endLine": 4, "endColumn": 2},
        {"startLine": 41},
        None,
    ]


def test_a_fingerprint_does_not_depend_on_the_line():
    moved = COMPILE._replace(finding=COMPILE.finding._replace(line=30, end_line=30))
    fingerprints = [sarif(one)["results"][0]["partialFingerprints"] for one in (COMPILE, moved)]
    assert fingerprints[0] == fingerprints[1]


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1))
def test_uris_are_ascii_and_lead_back(path):
    if path.startswith("/"):
        path = "x" + path
    found = uri(path)
    assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", found)
    assert unquote(found) == path


def test_an_absolute_path_is_a_file_uri(tmp_path):
    assert uri(str(tmp_path / "a b.py")).startswith("file:///")
