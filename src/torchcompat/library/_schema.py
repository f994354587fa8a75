"""Schemas of operators, ``"(Tensor x, int y=3) -> Tensor"``: read from text, and fitted to the arguments of calls."""

from __future__ import annotations

import re
from ast import literal_eval
from typing import Any, NamedTuple

import torch

_WHOLE = re.compile(r"\s*([\w.]*)\s*\((.*)\)\s*->\s*(.+?)\s*", re.S)
_ARGUMENT = re.compile(
    r"([\w.]+)(?:\((\w+)(!?)(?: *-> *[^)]*)?\))?((?:\[\d*\]|\?)*)(?:\s+(\w+))?(?:\s*=\s*(.+))?", re.S
)
# What Python has for a type; the others are taken as they come.
_PYTHON: dict[str, Any] = {
    "Tensor": torch.Tensor,
    "int": int,
    "SymInt": int,
    "float": (float, int),
    "bool": bool,
    "str": str,
    "Scalar": (int, float, complex, bool),
    "number": (int, float, complex, bool),
    "ScalarType": torch.dtype,
    "Device": (torch.device, str),
}


class Argument(NamedTuple):
    """One argument, or one result, of an operator."""

    name: str
    type: str  # without its suffixes
    suffix: str  # "", "?", "[]", "[]?", "?[]"
    alias: str  # the letter in `Tensor(a!)`
    mutable: bool
    keyword_only: bool
    default: Any
    has_default: bool

    @property
    def has_tensors(self) -> bool:
        """Whether it is a tensor, or a list of them."""
        return self.type == "Tensor"


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _value(text: str, kind: str) -> Any:
    if kind == "ScalarType":
        return getattr(torch, text.strip("\"'"))
    try:
        value = literal_eval({"true": "True", "false": "False", "none": "None"}.get(text, text))
    except (ValueError, SyntaxError):
        return text
    return torch.device(value) if kind == "Device" and isinstance(value, str) else value


def _argument(text: str, keyword_only: bool, whole: str) -> Argument:
    found = _ARGUMENT.fullmatch(text)
    if found is None:
        raise RuntimeError(f"the schema {whole!r} cannot be read at {text!r}")
    kind, alias, write, suffix, name, default = found.groups()
    value = None if default is None else _value(default.strip(), kind)
    plain = re.sub(r"\d", "", suffix)
    return Argument(name or "", kind, plain, alias or "", bool(write), keyword_only, value, default is not None)


class Schema:
    """A schema that has been read."""

    def __init__(self, text: str) -> None:
        found = _WHOLE.fullmatch(text)
        if found is None:
            raise RuntimeError(f"a schema looks like '(Tensor x) -> Tensor', got {text!r}")
        self.text = text
        self.name, arguments, returns = found.groups()
        self.arguments: list[Argument] = []
        keyword_only = False
        for part in _split(arguments):
            if part == "*":
                keyword_only = True
            else:
                self.arguments.append(_argument(part, keyword_only, text))
        while returns.startswith("(") and returns.endswith(")"):
            returns = returns[1:-1]
        self.returns = [_argument(part, False, text) for part in _split(returns)]
        self.positional = [one for one in self.arguments if not one.keyword_only]
        self.keywords = [one for one in self.arguments if one.keyword_only]
        self.mutated = {one.name for one in self.arguments if one.mutable}
        self.has_tensors = any(one.has_tensors for one in self.arguments)
        self.has_lists = any(one.has_tensors and "[" in one.suffix for one in [*self.arguments, *self.returns])
        self.is_view = any(one.alias and not one.mutable for one in self.returns)

    @property
    def device_argument(self) -> int | None:
        """The place of ``device: torch.device`` among the arguments."""
        places = [at for at, one in enumerate(self.arguments) if one.name == "device" and one.type == "Device"]
        return places[0] if places else None

    def bind(self, op: str, args: Any, kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call as torch hands them on: by place, but for those that are by keyword only.

        Those at the end that are not given, and have a default, stay away.
        """
        said = f"Declaration: {op}{self.text}"
        if len(args) > len(self.positional):
            raise RuntimeError(
                f"{op}() takes {len(self.positional)} positional argument(s) but {len(args)} was/were given. {said}"
            )
        for name in kwargs:
            places = [at for at, one in enumerate(self.arguments) if one.name == name]
            if not places:
                raise RuntimeError(f"Unknown keyword argument {name!r} for operator {op!r}. {said}")
            if places[0] < len(args):
                raise RuntimeError(f"Argument {name!r} specified both as positional and keyword argument. {said}")
        values, given = list(args), 0
        for at, one in enumerate(self.positional):
            if at >= len(args):
                if one.name not in kwargs and not one.has_default:
                    raise RuntimeError(f"{op}() is missing value for argument '{one.name}'. {said}")
                values.append(kwargs.get(one.name, one.default))
            if at < len(args) or one.name in kwargs:
                given = at + 1
        values = [self._fitted(op, one, value) for one, value in zip(self.positional, values[:given])]
        named = {}
        for one in self.keywords:
            if one.name in kwargs:
                named[one.name] = self._fitted(op, one, kwargs[one.name])
            elif not one.has_default:
                raise RuntimeError(f"{op}() is missing value for argument '{one.name}'. {said}")
        return values, named

    def filled(self, args: list[Any], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with every default."""
        rest = [one.default for one in self.positional[len(args) :]]
        return (*args, *rest), {one.name: kwargs.get(one.name, one.default) for one in self.keywords}

    def _fitted(self, op: str, one: Argument, value: Any) -> Any:
        """*value* as the operator's function gets it: lists for sequences, floats for ints, devices for their names."""
        if "[" not in one.suffix:
            return self._item(op, one, value, "?" in one.suffix)
        optional = one.suffix.endswith("?")
        if value is None and optional:
            return None
        if not isinstance(value, (list, tuple)):
            raise self._wrong(op, one, value)
        return [self._item(op, one, item, one.suffix.startswith("?")) for item in value]

    def _item(self, op: str, one: Argument, value: Any, optional: bool) -> Any:
        if value is None and optional:
            return None
        kind, wanted = one.type, _PYTHON.get(one.type)
        if kind in ("float", "int", "SymInt", "bool") and isinstance(value, torch.Tensor) and value.dim() == 0:
            value = value.item()
        if wanted is None or type(value).__name__ in ("SymInt", "SymFloat", "SymBool"):
            return value
        if not isinstance(value, wanted):
            raise self._wrong(op, one, value)
        if kind == "Device":
            return torch.device(value)
        if kind == "float":
            return float(value)
        return int(value) if kind in ("int", "SymInt") else value

    def _wrong(self, op: str, one: Argument, value: Any) -> RuntimeError:
        kind = one.type.replace("SymInt", "int") + one.suffix
        return RuntimeError(
            f"{op}() Expected a value of type '{kind}' for argument '{one.name}' but instead found type "
            f"'{type(value).__name__}'. Declaration: {op}{self.text}"
        )
