"""Write the generated parts of the documentation, or with --check tell which are stale and which links are dead.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from pathlib import Path

from torchcompat import _report

ROOT = Path(__file__).resolve().parent.parent
PARTS = {"summary": _report.markdown_summary, "limits": _report.markdown_limits}
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.S)


def pages():
    """Every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]


def generated(text):
    """*text* with its generated parts as they should be."""
    return BLOCK.sub(lambda block: block.group(1) + PARTS[block.group(2)]() + "\n" + block.group(4), text)


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
    print("\n".join(problems) or "the documentation is up to date")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
