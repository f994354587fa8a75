"""torchcompat's own names, for which torch has nothing, or nothing safe: found in its source, which is not imported."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from ._minors import MINORS

KINDS = {
    "facade": "a name of torchcompat's own, which no torch has",
    "override": "torchcompat's own on every torch, in the place of torch's",
}


class Own(NamedTuple):
    """A facade or an override: its public name, what kind it is and why, how it is called, and what it does."""

    name: str
    kind: str
    because: str
    signature: str
    summary: str

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {**self._asdict(), "torch": MINORS[0] + "-"}

    def as_text(self) -> str:
        """What is printed of it."""
        lines = [f"{self.name}: {KINDS[self.kind]}, torch {MINORS[0]}-"]
        lines += [f"  because {self.because}"] if self.because else []
        lines += [f"  {line}" for line in self.signature.split("\n")]
        return "\n".join([*lines, f"  {self.summary}"] if self.summary else lines)


@functools.lru_cache(maxsize=None)
def load() -> dict[str, Own]:
    """{name: what it is} of all facades and overrides; empty where torchcompat itself is not beside the checker."""
    found: dict[str, Own] = {}
    for file in sorted((Path(__file__).resolve().parent.parent / "torchcompat").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "@facade(" in text or "@override(" in text:
            found.update((one.name, one) for one in _declared(text))
    return found


def find(name: str) -> Own | None:
    """The facade or override of a name: `torchcompat.memory.is_oom_error`, or short `torchcompat.is_oom_error`."""
    if name.partition(".")[0] != "torchcompat":
        return None
    if name in load() or name.count(".") > 1:
        return load().get(name)
    return next(iter(called(name.rpartition(".")[2])), None)


def called(last: str) -> list[Own]:
    """Those whose last part is *last*."""
    return [one for one in load().values() if one.name.rpartition(".")[2] == last]


def _declared(text: str) -> Iterator[Own]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") in KINDS and decorator.args:
                given = {one.arg: _text(one.value) for one in decorator.keywords}
                path = given.get("name") or _text(decorator.args[0])
                name = path[len("torch.") :] if path.startswith("torch.") else path
                summary = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
                kind = getattr(decorator.func, "id", "")
                yield Own(f"torchcompat.{name}", kind, given.get("because", ""), _signature(text, node), summary)


def _text(node: ast.AST) -> str:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""


def _signature(text: str, node: Any) -> str:
    """The lines of a definition up to its colon, without what decorates it."""
    start = text.index(f"{'class' if isinstance(node, ast.ClassDef) else 'def'} {node.name}")
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if text[at] == ":" and not depth:
            return text[start:at]
    return ""
