"""What a tensor says about itself, seen from one sample; and what would need one value for a whole batch."""

from __future__ import annotations

from typing import Any

import torch

from .._batched import levels_of, physical_of, rank, rule, shape, wrap
from ._autograd import refuse_engine

OF_THE_BATCH = [".dtype", ".device", ".layout", ".is_cuda", ".is_sparse", ".is_quantized", ".is_mkldnn", ".is_mps"]
OF_THE_BATCH += [
    ".is_xpu",
    ".is_meta",
    ".requires_grad",
    "is_floating_point",
    "is_complex",
    "is_signed",
    "type",
    "get_device",
]
OF_THE_BATCH += ["element_size", "is_conj", "is_neg", ".itemsize"]
OF_THE_BATCH += [".is_nested", ".is_cpu", ".is_sparse_csr", ".is_xla", ".is_ipu", ".is_maia", ".is_mtia", ".is_vulkan"]


@rule(*OF_THE_BATCH)
def of_the_batch(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """The answer is the same for the sample and for the batch."""
    result = func(physical_of(input), *args, **kwargs)
    return wrap(result, levels_of(input)) if isinstance(result, torch.Tensor) else result  # x.type(torch.float64)


@rule(".shape")
def shape_attribute(func: Any, input: Any) -> Any:
    refuse_engine(input)
    return shape(input)


@rule("size")
def size(func: Any, input: Any, dim: Any = None) -> Any:
    refuse_engine(input)
    return shape(input) if dim is None else shape(input)[dim]


@rule("is_same_size")
def is_same_size(func: Any, input: Any, other: Any) -> bool:
    refuse_engine(other)
    return bool(shape(input) == shape(other))


@rule("dim", "ndimension", ".ndim")
def dim(func: Any, input: Any) -> int:
    return rank(input)


@rule("numel", "nelement")
def numel(func: Any, input: Any) -> int:
    return int(shape(input).numel())


@rule("__len__")
def length(func: Any, input: Any) -> int:
    if not rank(input):
        raise TypeError("len() of a tensor without dimensions")
    return int(shape(input)[0])


@rule("__iter__")
def iterate(func: Any, input: Any) -> Any:
    if not rank(input):
        raise TypeError("iteration over a tensor without dimensions")
    return iter(input.unbind(0))


@rule("stride")
def stride(func: Any, input: Any, dim: Any = None) -> Any:
    own = physical_of(input).stride()[len(levels_of(input)) :]
    return own if dim is None else own[dim]


@rule(".grad_fn", ".is_leaf", ".grad", "._backward_hooks", ".names", "._version", ".output_nr", "._base")
def autograd_attribute(func: Any, input: Any) -> Any:
    return func(physical_of(input))


@rule("__hash__")
def hash_rule(func: Any, input: Any) -> int:
    return id(input)


@rule("__repr__", "__str__", "__format__")
def representation(func: Any, input: Any, *args: Any, **kwargs: Any) -> str:
    sizes = [level.size for level in levels_of(input)]
    return f"BatchedTensor(shape={list(shape(input))}, batch={sizes}, physical={physical_of(input)!r})"


@rule(
    "__bool__",
    "item",
    "__float__",
    "__int__",
    "__index__",
    "__complex__",
    "tolist",
    "numpy",
    "__array__",
    "is_nonzero",
    "__contains__",
)
def one_value(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    raise RuntimeError(
        f"vmap: {func.__name__} of a tensor that is mapped over: it would need one Python value, and there is one "
        "for each sample. Branch with torch.where, or leave it a tensor."
    )


@rule("allclose", "equal")
def one_answer(func: Any, *args: Any, **kwargs: Any) -> Any:
    return one_value(func, None)
