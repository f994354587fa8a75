"""Schemas: inferred from the hints of a function, and read."""

import itertools
from typing import List, Optional, Sequence, Tuple

import pytest
import torch
from torch import Tensor

from torchcompat import SHIMS, at_least, library
from torchcompat.library import _eager
from torchcompat.library._schema import Schema

EAGER = SHIMS["library.CustomOpDef"].fallback
_numbers = itertools.count()


def fresh(stem="op"):
    """A name that no other operator has."""
    return f"tc_schemas::{stem}_{next(_numbers)}"


def eager(name, fn, mutates_args):
    """`custom_op` in plain Python, on every torch."""
    return _eager.make(name, fn, mutates_args, None, None, None, EAGER)


@pytest.fixture(params=["custom_op", "in plain Python"])
def make(request):
    """`custom_op`, and the one in plain Python."""
    return library.custom_op if request.param == "custom_op" else eager


def scale(x: Tensor, factor: float, times: int = 2, *, shift: float = 0.0) -> Tensor:
    assert type(factor) is float
    assert type(times) is int
    return x.clone() * factor * times + shift


def sum_of(xs: Sequence[Tensor], weights: List[float], more: Optional[Tensor] = None) -> Tensor:
    assert type(xs) is list
    assert type(weights) is list
    return sum(x * weight for x, weight in zip(xs, weights)) + (0 if more is None else more)


def add_(x: Tensor, y: Tensor) -> None:
    x.add_(y)


def no_hint(x) -> Tensor:
    return x


def no_result(x: Tensor):
    return x


def star(*x: Tensor) -> Tensor:
    return x[0]


def strange(x: object) -> Tensor:
    return x


def pair(x: Tuple[int, int]) -> Tensor:
    return torch.ones(x)


def odd_default(x: Tensor, y: Optional[List[int]] = (1,)) -> Tensor:
    return x


def strange_result(x: Tensor) -> dict:
    return {"x": x}


def plain(x: Tensor, n: int) -> Tensor:
    return x + n


def late(x: "Tensor", y: "Optional[torch.dtype]", z: "Optional[Tensor]" = None) -> "Tensor":
    return x


def many(
    a: Optional[Tensor],
    b: List[Tensor],
    c: Sequence[Optional[Tensor]],
    d: Optional[List[int]],
    e: torch.dtype = torch.float32,
    f: torch.device = torch.device("cpu"),  # noqa: B008
    g: str = "text",
    *,
    h: bool = True,
    i: Optional[float] = None,
    j: int = 3,
) -> Tuple[Tensor, List[Tensor], float, bool, int]:
    return a


SCHEMAS = [
    (plain, (), "(Tensor x, SymInt n) -> Tensor"),
    (plain, ("x",), "(Tensor(a0!) x, SymInt n) -> Tensor"),
    (plain, "unknown", "(Tensor(a0!) x, SymInt n) -> Tensor"),
    (add_, {"x"}, "(Tensor(a0!) x, Tensor y) -> ()"),
    (sum_of, (), "(Tensor[] xs, float[] weights, Tensor? more=None) -> Tensor"),
    (late, (), "(Tensor x, ScalarType? y, Tensor? z=None) -> Tensor"),
    (scale, [], "(Tensor x, float factor, SymInt times=2, *, float shift=0.0) -> Tensor"),
    (
        many,
        (),
        '(Tensor? a, Tensor[] b, Tensor?[] c, SymInt[]? d, ScalarType e=float32, Device f="cpu", str g="text", *, '
        "bool h=True, float? i=None, SymInt j=3) -> (Tensor, Tensor[], float, bool, SymInt)",
    ),
]
REFUSED = [
    (no_hint, (), "Parameter x must have a type annotation"),
    (no_result, (), "No return type annotation was provided"),
    (star, (), "We do not support positional-only args, varargs, or varkwargs"),
    (strange, (), "Parameter x has unsupported type"),
    (pair, (), "Parameter x has unsupported type"),
    (odd_default, (), "Parameter y has an unsupported default value type"),
    (strange_result, (), "Return has unsupported type"),
    (plain, ("y",), "in mutates_args were not found"),
    (plain, ("n",), "only Tensors or collections of Tensors can be mutated"),
    (plain, "x", "mutates_args must either be a sequence"),
]


@pytest.mark.shim("library.infer_schema")
class TestInferSchema:
    @pytest.mark.parametrize(("function", "mutates", "expected"), SCHEMAS, ids=[row[0].__name__ for row in SCHEMAS])
    def test_of_hints(self, impl, function, mutates, expected):
        assert impl(function, mutates_args=mutates, tags=()) == expected
        assert impl(function, mutates_args=mutates, op_name="name", tags=None) == "name" + expected

    @pytest.mark.parametrize(("function", "mutates", "words"), REFUSED, ids=[row[0].__name__ for row in REFUSED])
    def test_what_cannot_be(self, impl, function, mutates, words):
        with pytest.raises(ValueError, match=words):
            impl(function, mutates_args=mutates)

    @pytest.mark.skipif(not at_least(2, 13), reason="these tags came with torch 2.13")
    def test_tags(self, impl):
        def write_(x: Tensor) -> Tensor:
            return x

        def write_out(x: Tensor, *, out: Tensor) -> Tensor:
            return out

        def two(x: Tensor, *, out: Tensor, other: Tensor) -> Tuple[Tensor, Tensor]:
            return out, other

        assert impl(write_, mutates_args={"x"}, tags=torch.Tag.inplace) == "(Tensor(a0!) x) -> Tensor(a0!)"
        out = impl(write_out, mutates_args={"out"}, tags=[torch.Tag.out])
        assert out == "(Tensor x, *, Tensor(a1!) out) -> Tensor(a1!)"
        both = impl(two, mutates_args={"out", "other"}, tags=torch.Tag.out)
        assert both.endswith("*, Tensor(a1!) out, Tensor(a2!) other) -> (Tensor(a1!), Tensor(a2!))")
        for function, mutates, tag in [(write_, (), "inplace"), (write_, {"x"}, "out"), (write_out, (), "out")]:
            with pytest.raises(ValueError, match="torch.Tag." + tag):
                impl(function, mutates_args=mutates, tags=getattr(torch.Tag, tag))


@pytest.mark.parametrize(("function", "mutates", "words"), REFUSED, ids=[row[0].__name__ for row in REFUSED])
def test_a_function_that_can_be_no_operator(make, function, mutates, words):
    own = make is not eager and at_least(2, 8) and not at_least(2, 13)  # it says some of it in other words
    with pytest.raises((ValueError, AttributeError) if own else ValueError, match=None if own else words):
        make(fresh(), function, mutates_args=mutates)


def test_schemas_are_read():
    schema = Schema('f(Tensor(a!)[] x, str y="a, (b", *, Scalar[]? z=None, bool w=False) -> (Tensor(a!), int)')
    assert [one.name for one in schema.arguments] == ["x", "y", "z", "w"]
    assert [one.default for one in schema.arguments] == [None, "a, (b", None, False]
    assert [one.suffix for one in schema.arguments] == ["[]", "", "[]?", ""]
    assert [one.keyword_only for one in schema.arguments] == [False, False, True, True]
    assert (schema.name, schema.mutated, len(schema.returns)) == ("f", {"x"}, 2)
    assert Schema("(Tensor x) -> ()").returns == []
    for wrong in ("Tensor", "(Tensor x)", "(Tensor & x) -> Tensor"):
        with pytest.raises(RuntimeError, match="schema"):
            Schema(wrong)
