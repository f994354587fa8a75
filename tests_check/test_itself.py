"""torchcompat runs on every torch that it says it runs on."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "torchcompat"


def test_torchcompat_needs_no_newer_torch(command):
    code, out, err = command("--no-config", str(SOURCE))
    assert (code, err) == (0, "")
    assert re.match(r"runs on any torch from 1.2 to 2.15 \(0 findings in \d{3} files\)$", out)
