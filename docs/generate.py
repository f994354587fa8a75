"""Write the generated parts of the documentation and the stubs, or with --check tell what is stale or a dead link.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. The part `oldest` can be written and
checked on the oldest torch only; the others on any.
"""

import re
import sys
from pathlib import Path

import stubs

import torchcompat
from torchcompat import SHIMS, _report, torch_version
from torchcompat._shim import FORCED, OLDEST

ROOT = Path(__file__).resolve().parent.parent


def is_at_the_top(row):
    """Whether a row is of a name that torchcompat itself offers, beside the module it belongs to."""
    name = row["name"].partition(".")[2]
    return getattr(torchcompat, name.rpartition(".")[2], None) is SHIMS[name].public


def oldest():
    """What `python -m torchcompat` prints of the best-known names on the oldest torch; None on another torch."""
    if torch_version[:2] != OLDEST or FORCED:
        return None
    report = _report.collect()
    return "```text\n" + _report.shim_table({**report, "shims": list(filter(is_at_the_top, report["shims"]))}) + "\n```"


PARTS = {"summary": _report.markdown_summary, "limits": _report.markdown_limits, "oldest": oldest}
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.S)


def pages():
    """Every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]


def fresh(block):
    """A generated part as it should be; as it is where this torch cannot tell."""
    content = PARTS[block.group(2)]()
    return block.group(0) if content is None else block.group(1) + content + "\n" + block.group(4)


def generated(text):
    """*text* with its generated parts as they should be."""
    return BLOCK.sub(fresh, text)


def dead_links(page, text):
    """Links of *page* to files that are not there."""
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    return [f"{page.name}: no such file: {target}" for target in targets if not (page.parent / target).exists()]


def main(arguments):
    """Returns the exit code."""
    problems = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        new = generated(text)
        problems += dead_links(page, text)
        if new != text and "--check" in arguments:
            problems.append(f"{page.name}: stale; run `python docs/generate.py`")
        elif new != text:
            page.write_text(new, encoding="utf-8")
    if sys.version_info[:2] == stubs.PYTHON:
        problems += stubs.check() if "--check" in arguments else stubs.write()
    print("\n".join(problems) or "the documentation is up to date")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
