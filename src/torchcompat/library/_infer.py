"""``infer_schema``: the schema of an operator from the type hints of its function."""

from __future__ import annotations

import collections.abc
import inspect
import sys
import typing
from typing import Any, Callable, Iterable, NoReturn, Sequence

import torch

from .._shim import polyfill, positional_only

Number = typing.Union[int, float, bool]
_OPTIONAL: Any = typing.Optional
# Type in Python, type in a schema, whether a list of it, a list of optional ones, and an optional list can be taken.
_KINDS: list[tuple[Any, str, bool, bool, bool]] = [
    (torch.Tensor, "Tensor", True, True, True),
    (int, "SymInt", True, False, True),
    (float, "float", True, False, True),
    (bool, "bool", True, False, True),
    (str, "str", False, False, False),
    (Number, "Scalar", True, False, False),
    (torch.dtype, "ScalarType", False, False, False),
    (torch.device, "Device", False, False, False),
]
_RETURNS: list[tuple[Any, str]] = [
    (torch.Tensor, "Tensor"),
    (typing.List[torch.Tensor], "Tensor[]"),
    (int, "SymInt"),
    (float, "float"),
    (bool, "bool"),
    (Number, "Scalar"),
]


def _sequences(kind: Any) -> list[Any]:
    several: list[Any] = [typing.List, typing.Sequence]
    if sys.version_info >= (3, 9):
        several += [list, collections.abc.Sequence]
    return [one[kind] for one in several]


def _taken() -> list[tuple[Any, str]]:
    """(type in Python, type in a schema) of every argument that can be."""
    found = []
    for kind, text, of_it, of_optional, optional in _KINDS:
        maybe = _OPTIONAL[kind]
        found += [(kind, text), (maybe, text + "?")]
        found += [(one, text + "[]") for one in _sequences(kind) if of_it]
        found += [(one, text + "?[]") for one in _sequences(maybe) if of_optional]
        found += [(_OPTIONAL[one], text + "[]?") for one in _sequences(kind) if optional]
        found += [(_OPTIONAL[one], text + "?[]?") for one in _sequences(maybe) if of_optional and optional]
    # torch's Number is the same union from 2.0 on, and (int, float, bool) before in another order.
    number: Any = getattr(getattr(torch, "types", None), "Number", Number)
    return [*found, (number, "Scalar")]


_TAKEN = _taken()
if sys.version_info >= (3, 9):
    _RETURNS.append((list[torch.Tensor], "Tensor[]"))
if hasattr(torch, "types") and hasattr(torch.types, "Number"):
    _RETURNS.append((torch.types.Number, "Scalar"))


def _of(kind: Any, table: list[tuple[Any, str]]) -> str | None:
    return next((text for one, text in table if one == kind), None)


def tags_of(tags: Any) -> tuple[str, ...]:
    """The names of tags, given as one, several or None."""
    several = [] if tags is None else list(tags) if isinstance(tags, (list, tuple, set, frozenset)) else [tags]
    return tuple(dict.fromkeys(str(one).rpartition(".")[2] for one in several))


class _Reader:
    """The reading of one function."""

    def __init__(self, function: Callable[..., Any], mutates_args: Any, tags: Any) -> None:
        self.function, self.signature = function, inspect.signature(function)
        self.mutates = mutates_args if isinstance(mutates_args, str) else tuple(mutates_args)
        names = tags_of(tags)
        self.inplace, self.out = "inplace" in names, "out" in names
        if self.inplace and self.out:
            raise AssertionError("torch.Tag.inplace and torch.Tag.out are mutually exclusive")
        if isinstance(self.mutates, str) and self.mutates != "unknown":
            raise ValueError(
                "mutates_args must either be a sequence of the names of the arguments that are mutated or the string "
                "'unknown'."
            )

    def fail(self, what: str) -> NoReturn:
        raise ValueError(f"infer_schema(func): {what} Got func with signature {self.signature})")

    def hint(self, kind: Any) -> Any:
        """The type that a hint means, which may be text."""
        if isinstance(kind, str):
            kind = typing.ForwardRef(kind)
        if isinstance(kind, typing.ForwardRef):
            text = kind.__forward_arg__
            try:
                return eval(text, getattr(self.function, "__globals__", {}))
            except Exception as error:
                self.fail(f"Unsupported type annotation {text}. It is not a type. ({type(error).__name__}: {error})")
        inside = getattr(kind, "__args__", None)
        if inside and any(isinstance(one, (str, typing.ForwardRef)) for one in inside):
            return kind.copy_with(tuple(self.hint(one) for one in inside)) if hasattr(kind, "copy_with") else kind
        return kind

    def argument(self, at: int, name: str, parameter: inspect.Parameter) -> str:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            self.fail("We do not support positional-only args, varargs, or varkwargs.")
        if parameter.annotation is parameter.empty:
            self.fail(f"Parameter {name} must have a type annotation.")
        text = _of(self.hint(parameter.annotation), _TAKEN)
        if text is None:
            taken = ", ".join(sorted({one for _, one in _TAKEN}))
            self.fail(f"Parameter {name} has unsupported type {parameter.annotation}. The valid types are: {taken}.")
        is_tensor = text.startswith("Tensor")
        if is_tensor if self.mutates == "unknown" else name in self.mutates:
            if not is_tensor:
                self.fail(
                    f"Parameter {name} is in mutable_args but only Tensors or collections of Tensors can be mutated"
                )
            if self.out and parameter.kind is not parameter.KEYWORD_ONLY:
                self.fail("torch.Tag.out requires mutable arguments to be keyword-only.")
            text = f"Tensor(a{at}!){text[len('Tensor') :]}"
        return f"{text} {name}{self.default(name, parameter)}"

    def default(self, name: str, parameter: inspect.Parameter) -> str:
        value = parameter.default
        if value is parameter.empty:
            return ""
        if value is None or isinstance(value, (int, float, bool)):
            return f"={value}"
        if isinstance(value, (str, torch.device)):
            return f'="{value}"'
        if isinstance(value, torch.dtype):
            return "=" + str(value)[len("torch.") :]
        return self.fail(f"Parameter {name} has an unsupported default value type {type(value)}.")

    def result(self) -> str:
        kind = self.hint(self.signature.return_annotation)
        if kind is None:
            return "()"
        if kind is inspect.Parameter.empty:
            self.fail("No return type annotation was provided. Please add one.")
        several = getattr(kind, "__origin__", None) in (tuple, typing.Tuple)
        inside = [self.hint(one) for one in kind.__args__] if several else [kind]
        texts = [_of(one, _RETURNS) for one in inside]
        if None in texts:
            self.fail(f"Return has unsupported type {kind}. The valid types are: {[one for _, one in _RETURNS]}.")
        joined = ", ".join(map(str, texts))
        if not several:
            return joined
        return f"(({joined}))" if len(texts) == 1 else f"({joined})"

    def read(self) -> str:
        parts, seen_star = [], False
        for at, (name, parameter) in enumerate(self.signature.parameters.items()):
            if parameter.kind is parameter.KEYWORD_ONLY and not seen_star:
                parts.append("*")
                seen_star = True
            parts.append(self.argument(at, name, parameter))
        unknown = set() if self.mutates == "unknown" else set(self.mutates) - set(self.signature.parameters)
        if unknown:
            self.fail(
                f"{unknown} in mutates_args were not found in the custom op's signature. mutates_args should contain "
                "the names of all args that the custom op mutates, or just the string 'unknown' if you don't know."
            )
        result = self.result()
        marked = [part.partition("!")[0] + "!)" for part in parts if "!)" in part]
        if self.inplace:
            if not parts or parts[:1] != [part for part in parts if "!)" in part] or not parts[0].startswith("Tensor("):
                self.fail("torch.Tag.inplace requires mutates_args to contain exactly the first positional argument.")
            if result != "Tensor":
                self.fail("torch.Tag.inplace requires the return annotation to be torch.Tensor.")
            result = marked[0]
        if self.out:
            if not marked:
                self.fail("torch.Tag.out requires at least one mutable keyword-only Tensor argument.")
            wanted = "Tensor" if len(marked) == 1 else f"({', '.join(['Tensor'] * len(marked))})"
            if result != wanted:
                self.fail("torch.Tag.out requires the return annotation to match the mutable keyword-only arguments.")
            result = marked[0] if len(marked) == 1 else f"({', '.join(marked)})"
        return f"({', '.join(parts)}) -> {result}"


@polyfill(
    "torch.library.infer_schema",
    since="2.13",
    link="https://github.com/pytorch/pytorch/blob/v2.15.0/torch/_library/infer_schema.py",
    reason="no `tags`",
)
@positional_only
def infer_schema(
    __prototype_function: Callable[..., Any],
    *,
    mutates_args: str | Iterable[str],
    op_name: str | None = None,
    tags: Any | Sequence[Any] | None = (),
) -> str:
    """The schema of an operator, read from the type hints of its function: ``"(Tensor x, float y) -> Tensor"``.

    In torch since 2.13. Fallback: reads them by the same rules, but for the types that torch's own registry of classes
    has. https://docs.pytorch.org/docs/stable/library.html

    Args:
        __prototype_function: every parameter and the result have a hint; text is understood.
        mutates_args: the names of the tensors that it writes to, or "unknown".
        op_name: a name to put before the schema.
        tags: ``torch.Tag.inplace`` and ``torch.Tag.out`` say what is returned.

    Raises:
        ValueError: a hint is missing or of another type, or *mutates_args* has a name that there is not.
    """
    schema = _Reader(__prototype_function, mutates_args, tags).read()
    return schema if op_name is None else op_name + schema
