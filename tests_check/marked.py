"""What a piece of code says by itself must be found in it.

Each line on which something must be found says so: `# > NAME[(PARAMETER)] WHEN`, where WHEN is where it exists.
The ranges are facts of torch's releases, read off its release notes and its sources, not off our data.
"""

import re
import textwrap

from torchcompat_check._minors import ranges
from torchcompat_check.walk import check_source

EXPECTED = re.compile(r"# > (.*)$")


def expected(source):
    """The findings that the comments of *source* ask for: (line, name or name(parameter), when)."""
    found = []
    for number, line in enumerate(source.split("\n"), 1):
        match = EXPECTED.search(line)
        for one in match.group(1).split("; ") if match else ():
            name, when = one.split(" ", 1)
            found.append((number, name, when.strip()))
    return found


def findings(source, path="example.py"):
    """What is found, in the same form."""
    return [
        (one.line, f"{one.name}({one.parameter})" if one.parameter else one.name, ranges(one.present))
        for one in check_source(source, path)
    ]


def check(source, path="example.py"):
    """Hold what is found against what the comments ask for."""
    source = textwrap.dedent(source)
    assert sorted(findings(source, path)) == sorted(expected(source))
