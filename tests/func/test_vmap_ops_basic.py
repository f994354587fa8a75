"""vmap of the basic operations computes what the loop over the batch computes: values, dtypes, shapes, gradients.

The batch has 3 samples; no other dimension has that size, so that a mixed-up dimension shows.
"""

import pytest
import torch
from vmap_laws import check

pytestmark = [
    pytest.mark.shim("func.vmap"),
    # torch's own says so where it loops over an operation.
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]


class Shape(tuple):
    """Stands in the tables below for a random float64 tensor of this shape."""


def shape(*sizes):
    return Shape(sizes)


def tensor_of(argument):
    return torch.randn(tuple(argument), dtype=torch.float64) if isinstance(argument, Shape) else argument


def cases(table):
    """Parametrise a test over the rows of *table*: name -> (function, arguments..., [dict of options of check])."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in table.items()])


def check_row(impl, row, **options):
    function, *arguments = row
    if arguments and isinstance(arguments[-1], dict):
        options.update(arguments.pop())
    arguments = [tensor_of(argument) for argument in arguments]
    if not any(isinstance(arg, torch.Tensor) and arg.is_floating_point() for arg in arguments):
        options["gradient"] = False
    options.setdefault("nested", True)
    check(impl, function, *arguments, **options)


X = shape(3, 2, 4)
INT = torch.tensor([[5, -3], [2, 7], [-4, 1]])
BOOL = torch.tensor([[True, False], [False, False], [True, True]])
BOOL2 = torch.tensor([[True, True], [False, True], [False, False]])
NO_GRADIENT = {"gradient": False}


# --- elementwise

POINTWISE = {
    "neg": (lambda x: -x, X),
    "abs": (torch.abs, X),
    "exp": (torch.exp, X),
    "log": (lambda x: torch.log(x.abs() + 0.5), X),
    "sqrt": (lambda x: (x * x + 1).sqrt(), X),
    "rsqrt": (lambda x: torch.rsqrt(x * x + 1), X),
    "sin": (torch.sin, X),
    "tanh": (lambda x: x.tanh(), X),
    "sigmoid": (torch.sigmoid, X),
    "relu": (torch.relu, X),
    "erf": (torch.erf, X),
    "reciprocal": (lambda x: 1 / (x * x + 1), X),
    "sign": (torch.sign, X, NO_GRADIENT),
    "floor": (torch.floor, X, NO_GRADIENT),
    "round": (lambda x: x.round(), X, NO_GRADIENT),
    "clamp": (lambda x: torch.clamp(x, -0.5, 0.5), X),
    "clamp min": (lambda x: x.clamp(min=0.1), X),
    "clamp max": (lambda x: x.clamp(max=0.1), X),
    "pow 2": (lambda x: x**2, X),
    "pow of a number": (lambda x: 2**x, X),
    "pow": (lambda x, y: (x.abs() + 0.5) ** y, X, X),
    "add": (lambda x, y: x + y, X, X),
    "add alpha": (lambda x, y: torch.add(x, y, alpha=2), X, X),
    "sub": (lambda x, y: x - y, X, X),
    "rsub": (lambda x: 1 - x, X),
    "mul": (lambda x, y: x * y, X, X),
    "div": (lambda x, y: x / (y.abs() + 1), X, X),
    "div floor": (lambda x: torch.div(x * 4, 2, rounding_mode="floor"), X, NO_GRADIENT),
    "remainder": (lambda x: torch.remainder(x, 0.7), X),
    "fmod": (lambda x: torch.fmod(x, 0.7), X),
    "atan2": (torch.atan2, X, X),
    "maximum": (lambda x, y: torch.maximum(x, y), X, X),
    "max of two": (lambda x, y: torch.max(x, y), X, X),
    "min of two": (lambda x, y: torch.min(x, y), X, X),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.3), X, X),
    "lerp tensor": (torch.lerp, X, X, X),
    "addcmul": (lambda x, y, z: torch.addcmul(x, y, z, value=0.5), X, X, X),
    "addcdiv": (lambda x, y, z: torch.addcdiv(x, y, z * z + 1, value=0.5), X, X, X),
    "invert": (lambda x: ~x, BOOL),
    "and": (lambda x, y: x & y, BOOL, BOOL2),
    "or": (lambda x, y: x | y, INT, INT.flip(0)),
    "xor": (lambda x, y: x ^ y, INT, INT.flip(0)),
    "shift": (lambda x: x << 2, INT),
    "logical_and": (lambda x, y: torch.logical_and(x, y), BOOL, BOOL2),
    "isnan": (lambda x: torch.isnan(x / x.clamp(min=0)), X, NO_GRADIENT),
    "isfinite": (lambda x: torch.isfinite(1 / x.clamp(min=0)), X, NO_GRADIENT),
}


@cases(POINTWISE)
def test_elementwise(impl, row):
    check_row(impl, row)


# The logical shapes broadcast, not the physical ones: the batch's dimension is in front of the longer shape.
BROADCAST = {
    "vector and matrix": (lambda x, y: x + y, shape(3, 4), shape(3, 2, 4)),
    "matrix and vector": (lambda x, y: x * y, shape(3, 2, 4), shape(3, 4)),
    "number and matrix": (lambda x, y: x - y, shape(3), shape(3, 2, 4)),
    "matrix and number": (lambda x, y: x / (1 + y * y), shape(3, 2, 4), shape(3)),
    "column and row": (lambda x, y: x * y, shape(3, 2, 1), shape(3, 1, 4)),
    "unmapped and longer": (lambda x, y: x + y, shape(3, 4), shape(5, 2, 4), {"in_dims": (0, None)}),
    "longer and unmapped": (lambda x, y: x + y, shape(2, 4, 3), shape(4), {"in_dims": (2, None)}),
    "three shapes": (torch.addcmul, shape(3, 2, 4), shape(3, 4), shape(3, 1)),
    "lerp of two shapes": (torch.lerp, shape(3, 2, 4), shape(3, 4), shape(3)),
    "where": (lambda x, y: torch.where(x > 0, x, y), shape(3, 4), shape(3, 2, 4)),
    "where unmapped": (lambda x, y: torch.where(y > 0, x, y), shape(3, 4), shape(2, 4), {"in_dims": (0, None)}),
    "compare": (lambda x, y: x < y, shape(3, 4), shape(3, 2, 1), NO_GRADIENT),
    "in place": (lambda x, y: (x + 0).add_(y), shape(3, 2, 4), shape(3, 4)),
    "broadcast_tensors": (lambda x, y: tuple(torch.broadcast_tensors(x, y)), shape(3, 4), shape(3, 2, 1)),
    "expand_as": (lambda x, y: x.expand_as(y) * y, shape(3, 4), shape(3, 2, 4)),
}


@cases(BROADCAST)
def test_broadcasting(impl, row):
    check_row(impl, row)


COMPARISONS = {
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "function": lambda x, y: torch.eq(x, y),
    "number": lambda x, y: (x > 1, y <= 1, x == 2, y != 2),
    "where": lambda x, y: torch.where(x > y, x, y),
    "masked_fill": lambda x, y: x.masked_fill(x > y, 9),
    "isclose": lambda x, y: torch.isclose(x.double(), y.double(), rtol=0.5),
}


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_comparisons(impl, name):
    y = torch.tensor([[5, 0], [2, 7], [-5, 2]])
    check(impl, COMPARISONS[name], INT, y, gradient=False, exact=True, nested=True)
    check(impl, COMPARISONS[name], INT, y[0], in_dims=(0, None), gradient=False, exact=True)


# --- type promotion

F32, F64 = torch.tensor([[1.5, -2.0], [0.5, 3.0], [2.5, 1.0]]), torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64)
NUMBERS = {
    "bool": torch.tensor([True, False, True]),
    "uint8": torch.tensor([1, 2, 20], dtype=torch.uint8),
    "int32": torch.tensor([1, 5, 3], dtype=torch.int32),
    "int64": torch.tensor([3, 2, 30]),
    "float16": torch.tensor([0.5, -1.5, 2.0], dtype=torch.float16),
    "float32": torch.tensor([0.5, -1.5, 2.0]),
    "float64": F64,
}


@pytest.mark.filterwarnings("ignore:Integer division of tensors")  # torch 1.5, once
@pytest.mark.parametrize("right", sorted(NUMBERS))
@pytest.mark.parametrize("left", sorted(NUMBERS))
def test_type_promotion_sees_logical_dimensions(impl, left, right):
    """A sample of no dimensions does not promote one that has some within a category, although both have a batch's."""
    x, y = NUMBERS[left], NUMBERS[right]
    vectors = torch.stack([x, x], 1)
    # To divide integers by False ends the process on torch 1.3 and 1.4.
    for function in [torch.add, torch.mul, torch.lt] + ([torch.div] if right != "bool" else []):
        for pair in [(vectors, torch.stack([y, y], 1)), (vectors, y), (x, y)]:
            check(impl, function, *pair, gradient=False, exact=True)


PROMOTIONS = {
    "int and float number": (lambda x: x + 1.5, INT),
    "int divided": (lambda x: x / 2, INT),
    "int and bool": (lambda x: x * True, INT),
    "bool and int number": (lambda x: x + 1, BOOL),
    "float and int number": (lambda x: x * 3, F32),
    "float32 and a captured float64 number": (lambda x: x * torch.tensor(2.0, dtype=torch.float64), F32),
    "number and a captured vector": (lambda x: x + torch.ones(2), F64),
    "unmapped number": (lambda x, y: x + y, F32, torch.tensor(2.0, dtype=torch.float64), {"in_dims": (0, None)}),
    "in place": (lambda x, y: (x + 0).mul_(y), F32, F64),
    "sum of ints": (lambda x: x.sum(), INT.to(torch.int32)),
    "sum with dtype": (lambda x: x.sum(0, dtype=torch.float64), F32),
    "sum of bools": (lambda x: x.sum(), BOOL),
    "cumsum of bools": (lambda x: x.cumsum(0), BOOL),
    "softmax with dtype": (lambda x: x.softmax(0, dtype=torch.float64), F32),
    "to": (lambda x: (x.double(), x.to(torch.float16), x.type(torch.float64)), F32),
    "to int": (lambda x: (x.long(), x.bool(), x.int(), x.to(torch.uint8)), F32.abs(), NO_GRADIENT),
    "type_as": (lambda x, y: x.type_as(y), F32, F64),
}


@cases(PROMOTIONS)
def test_type_promotion(impl, row):
    check_row(impl, row)


LOGICAL_SCALARS = {
    "where": (lambda x, y: torch.where(x > 0, x, y), F32, F64),
    "addcmul": (lambda x, y: torch.addcmul(x, x, y), F32, F64),
    "negative with uint8": (lambda x, y: x < y, INT.abs().to(torch.uint8), INT[:, 1]),
}


@pytest.mark.limit("logical_scalar")
@cases(LOGICAL_SCALARS)
def test_type_promotion_with_a_number_for_each_sample(impl, row):
    check_row(impl, row, gradient=False)


# --- reductions

REDUCTIONS = {
    "sum": lambda x, **dim: x.sum(**dim),
    "mean": lambda x, **dim: torch.mean(x, **dim),
    "prod": lambda x, **dim: x.prod(**dim),
    "logsumexp": lambda x, **dim: torch.logsumexp(x, **dim),
    "norm": lambda x, **dim: x.norm(**dim),
    "var": lambda x, **dim: x.var(**dim),
    "std": lambda x, **dim: torch.std(x, **dim),
    "amax": lambda x, **dim: torch.amax(x, **dim),
    "max": lambda x, **dim: _values(torch.max(x, **dim)),
    "min": lambda x, **dim: _values(x.min(**dim)),
    "median": lambda x, **dim: _values(x.median(**dim)),
    "argmax": lambda x, **dim: x.argmax(**dim),
    "argmin": lambda x, **dim: torch.argmin(x, **dim),
    "all": lambda x, **dim: (x > 0).all(**dim),
    "any": lambda x, **dim: torch.any(x > 1, **dim),
}
WHOLE = sorted(set(REDUCTIONS) - {"logsumexp"})  # which needs a dim


def _values(result):
    return result if isinstance(result, torch.Tensor) else tuple(result)


def _has_gradient(name):
    return name not in ("argmax", "argmin", "all", "any")


@pytest.mark.parametrize("name", WHOLE)
def test_reductions_of_a_whole_sample(impl, name):
    check(impl, REDUCTIONS[name], tensor_of(X), gradient=_has_gradient(name), nested=True)


@pytest.mark.parametrize("dim", [0, 1, -1, -2])
@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_reductions_of_a_dimension(impl, name, dim):
    x, function, gradient = tensor_of(X), REDUCTIONS[name], _has_gradient(name)
    check(impl, lambda x: function(x, dim=dim), x, gradient=gradient, nested=dim == 0)
    check(impl, lambda x: function(x, dim=dim, keepdim=True), x, gradient=gradient, nested=dim == -1)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "logsumexp", "norm", "var", "std", "amax"])
def test_reductions_of_two_dimensions(impl, name, keepdim):
    x, function = tensor_of(shape(3, 2, 4, 2)), REDUCTIONS[name]
    check(impl, lambda x: function(x, dim=(0, -1), keepdim=keepdim), x, nested=True)


ALONG = {
    "softmax": (lambda x: x.softmax(-1), X),
    "softmax of dim 0": (lambda x: torch.softmax(x, 0), X),
    "log_softmax": (lambda x: torch.nn.functional.log_softmax(x, dim=-2), X),
    "cumsum": (lambda x: torch.cumsum(x, 0), X),
    "cumprod": (lambda x: x.cumprod(-1), X),
    "cummax": (lambda x: tuple(torch.cummax(x, 1)), X),
    "sort": (lambda x: tuple(x.sort(1, descending=True)), X),
    "argsort": (lambda x: x.argsort(-1), X, NO_GRADIENT),
    "topk": (lambda x: tuple(torch.topk(x, 2, dim=1)), X),
    "kthvalue": (lambda x: tuple(torch.kthvalue(x, 2, 1)), X),
    "flip": (lambda x: x.flip(0), X),
    "roll": (lambda x: torch.roll(x, 1, -1), X),
    "diff": (lambda x: torch.diff(x, dim=-1), X),
    "normalize": (lambda x: torch.nn.functional.normalize(x, dim=-1), X),
    "softmax of a number": (lambda x: x.softmax(0), shape(3)),
    "sum of a number": (lambda x: (x.sum(), x.mean(), x.sum(0), x.max()), shape(3)),
    "max with named results": (lambda x: (torch.max(x, 1).values, x.min(0).indices), X),
}


@cases(ALONG)
def test_along_a_dimension(impl, row):
    check_row(impl, row)


# --- products

VECTOR, MATRIX, BATCH, LONG = (4,), (4, 4), (2, 4, 4), (5, 1, 4, 4)


@pytest.mark.parametrize("mapped", ["both", "left", "right"])
@pytest.mark.parametrize("right", [VECTOR, MATRIX, BATCH, LONG], ids=len)
@pytest.mark.parametrize("left", [VECTOR, MATRIX, BATCH, LONG], ids=len)
def test_matmul_of_every_rank(impl, left, right, mapped):
    in_dims = {"both": (0, 0), "left": (0, None), "right": (None, 0)}[mapped]
    sizes = [size if dim is None else (3,) + size for size, dim in zip((left, right), in_dims)]
    x, y = (tensor_of(shape(*size)) for size in sizes)
    check(impl, torch.matmul, x, y, in_dims=in_dims, nested=True)


PRODUCTS = {
    "operator": (lambda x, y: x @ y, shape(3, 2, 4), shape(3, 4, 5)),
    "dot": (torch.dot, shape(3, 4), shape(3, 4)),
    "mv": (torch.mv, shape(3, 2, 4), shape(3, 4)),
    "mm": (torch.mm, shape(3, 2, 4), shape(3, 4, 5)),
    "mm unmapped": (torch.mm, shape(3, 2, 4), shape(4, 5), {"in_dims": (0, None)}),
    "bmm": (torch.bmm, shape(3, 2, 4, 2), shape(3, 2, 2, 5)),
    "addmm": (lambda b, x, y: torch.addmm(b, x, y, beta=0.5), shape(3, 5), shape(3, 2, 4), shape(3, 4, 5)),
    "baddbmm": (torch.baddbmm, shape(3, 2, 1, 5), shape(3, 2, 4, 2), shape(3, 2, 2, 5)),
    "outer": (lambda x, y: torch.ger(x, y), shape(3, 4), shape(3, 2)),
    "linear": (torch.nn.functional.linear, shape(3, 2, 4), shape(3, 5, 4), shape(3, 5)),
    "linear unmapped": (torch.nn.functional.linear, shape(3, 4), shape(5, 4), shape(5), {"in_dims": (0, None, None)}),
    "tensordot": (lambda x, y: torch.tensordot(x, y, dims=1), shape(3, 2, 4), shape(3, 4, 5)),
    "einsum": (lambda x, y: torch.einsum("ij,jk->ik", x, y), shape(3, 2, 4), shape(3, 4, 5)),
    "einsum unmapped": (
        lambda x, y: torch.einsum("ij,kj->ki", x, y),
        shape(3, 2, 4),
        shape(5, 4),
        {"in_dims": (0, None)},
    ),
    "einsum implicit": (lambda x, y: torch.einsum("ij,jk", x, y), shape(3, 2, 4), shape(3, 4, 5)),
    "einsum ellipsis": (lambda x, y: torch.einsum("...i,i->...", x, y), shape(3, 5, 2, 4), shape(3, 4)),
    "einsum trace": (lambda x: torch.einsum("ii->i", x), shape(3, 4, 4)),
    "einsum three": (lambda x, y, z: torch.einsum("i,ij,j->", x, y, z), shape(3, 2), shape(3, 2, 4), shape(3, 4)),
    "einsum of many letters": (lambda x: torch.einsum("bhd,bhd->bh", x, x), shape(3, 2, 4, 5)),
    "trace": (torch.trace, shape(3, 4, 4)),
    "int": (lambda x, y: x @ y, INT, INT),
}


@cases(PRODUCTS)
def test_products(impl, row):
    check_row(impl, row)


# --- shapes

SHAPES = {
    "reshape": (lambda x: x.reshape(8), X),
    "reshape -1": (lambda x: torch.reshape(x, (2, -1, 2)), X),
    "view": (lambda x: x.view(4, 2), X),
    "view size": (lambda x: x.view(x.size(0), -1), shape(3, 2, 4, 5)),
    "flatten": (lambda x: torch.flatten(x, 1), shape(3, 2, 4, 5)),
    "flatten all": (lambda x: x.flatten(), X),
    "unflatten": (lambda x: x.unflatten(1, (2, 2)), X),
    "permute": (lambda x: x.permute(2, 0, 1), shape(3, 2, 4, 5)),
    "permute negative": (lambda x: x.permute((-1, 0, 1)), shape(3, 2, 4, 5)),
    "transpose": (lambda x: x.transpose(0, -1), shape(3, 2, 4, 5)),
    "t": (lambda x: x.t(), X),
    "T": (lambda x: x.T, X),
    "mT": (lambda x: x.mT, shape(3, 2, 4, 5)),
    "movedim": (lambda x: torch.movedim(x, 0, -1), shape(3, 2, 4, 5)),
    "squeeze": (lambda x: x.squeeze(), shape(3, 1, 4, 1)),
    "squeeze to a number": (lambda x: x.squeeze(), shape(3, 1, 1)),
    "squeeze dim": (lambda x: (x.squeeze(0), x.squeeze(-1), x.squeeze(1)), shape(3, 1, 4, 1)),
    "squeeze a batch of one": (lambda x: (x.squeeze(), x.squeeze(0)), shape(1, 4)),
    "unsqueeze": (lambda x: (x.unsqueeze(0), x.unsqueeze(-1), x.unsqueeze(1)), X),
    "unsqueeze a number": (lambda x: (x.unsqueeze(0), x.reshape(1, 1), x.view(-1)), shape(3)),
    "expand": (lambda x: x.expand(2, 5, 4), shape(3, 1, 4)),
    "expand -1": (lambda x: x.expand(5, -1, -1), X),
    "expand a number": (lambda x: x.expand(2, 4), shape(3)),
    "repeat": (lambda x: x.repeat(2, 1, 2), X),
    "repeat_interleave": (lambda x: torch.repeat_interleave(x, 2, dim=0), X),
    "tile": (lambda x: torch.tile(x, (2, 1)), X),
    "contiguous": (lambda x: x.t().contiguous().view(8), X),
    "clone": (lambda x: x.clone(), X),
    "cat": (lambda x, y: torch.cat([x, y], 1), shape(3, 2, 4), shape(3, 2, 1)),
    "cat negative": (lambda x, y: torch.cat((x, y, x), dim=-2), shape(3, 2, 4), shape(3, 1, 4)),
    "cat unmapped": (lambda x, y: torch.cat([y, x]), shape(3, 2, 4), shape(1, 4), {"in_dims": (0, None)}),
    "stack": (lambda x, y: torch.stack([x, y], -1), X, X),
    "stack unmapped": (lambda x, y: torch.stack([x, y, x], 1), X, shape(2, 4), {"in_dims": (0, None)}),
    "stack of numbers": (lambda x: torch.stack([x[0], x[1] * 2]), shape(3, 2)),
    "chunk": (lambda x: x.chunk(3, 1), X),
    "split": (lambda x: torch.split(x, 2, 1), X),
    "split sizes": (lambda x: x.split([1, 3], dim=-1), X),
    "unbind": (lambda x: x.unbind(0), X),
    "iteration": (lambda x: [row * 2 for row in x], X),
    "select": (lambda x: (x.select(0, 1), x.select(-1, -1)), X),
    "narrow": (lambda x: x.narrow(1, 1, 2), X),
    "diagonal": (lambda x: torch.diagonal(x, 1), shape(3, 4, 4)),
    "diag": (torch.diag, shape(3, 4)),
    "diag_embed": (lambda x: torch.diag_embed(x), shape(3, 2, 4)),
    "tril": (lambda x: x.tril(), shape(3, 4, 4)),
    "triu": (lambda x: torch.triu(x, 1), shape(3, 4, 4)),
    "unfold": (lambda x: x.unfold(1, 2, 1), X),
    "meshgrid": (lambda x, y: [a * b for a in x for b in y], shape(3, 2), shape(3, 4)),
    "pad": (lambda x: torch.nn.functional.pad(x, (1, 2)), X),
    "zeros_like": (lambda x: torch.zeros_like(x) + x, X),
    "new_full": (lambda x: x.new_full((2, 2), 7.0) * x[0, 0], X),
}


@cases(SHAPES)
def test_shapes(impl, row):
    check_row(impl, row)


@pytest.mark.parametrize("in_dim", [0, 1, 2, -1])
@pytest.mark.parametrize("name", ["reshape", "transpose", "squeeze dim", "cat", "unsqueeze", "expand -1"])
def test_shapes_where_the_batch_is_not_in_front(impl, name, in_dim):
    function = SHAPES[name][0]
    sample = {"squeeze dim": (1, 4, 1), "reshape": (2, 4), "cat": (2, 4)}.get(name, (2, 4))
    x = tensor_of(shape(3, *sample))
    order = list(range(1, x.dim()))
    order.insert(in_dim % x.dim(), 0)
    x = x.permute(*order)
    if name == "cat":
        check(impl, function, x, tensor_of(shape(3, 2, 1)), in_dims=(in_dim, 0), nested=True)
    else:
        check(impl, function, x, in_dims=in_dim, nested=True)


# --- indexing

MASK = torch.tensor([True, False, True, True])
POSITIONS = torch.tensor([3, 0, 3])
PLACES = torch.tensor([[1, 0], [0, 0], [1, 1]])

INDEXING = {
    "int": (lambda x: (x[0], x[-1], x[1, -2]), X),
    "slice": (lambda x: (x[1:], x[:, ::2], x[:, -3:-1]), X),
    "none": (lambda x: (x[None], x[:, None], x[..., None]), X),
    "ellipsis": (lambda x: (x[...], x[..., 1], x[0, ...], x[..., 1:, None]), X),
    "mixed": (lambda x: x[1, None, ..., ::2], shape(3, 2, 4, 5)),
    "captured mask": (lambda x: x[:, MASK], X),
    "captured mask first": (lambda x: x[MASK], shape(3, 4, 2)),
    "captured mask of two dims": (lambda x: x[MASK.reshape(2, 2)], shape(3, 2, 2, 5)),
    "captured positions": (lambda x: (x[:, POSITIONS], x[..., POSITIONS]), X),
    "captured positions and int": (lambda x: x[1, POSITIONS], X),
    "captured pairs": (lambda x: x[POSITIONS % 2, POSITIONS], X),
    "captured apart": (lambda x: x[POSITIONS % 2, :, POSITIONS], shape(3, 2, 5, 4)),
    "list": (lambda x: x[:, [2, 0]], X),
    "mapped positions": (lambda x, i: x[i], X, PLACES),
    "mapped positions of a later dim": (lambda x, i: x[:, i], X, PLACES),
    "mapped pairs": (lambda x, i: x[i, i + 1], X, PLACES),
    "mapped apart": (lambda x, i: x[i, :, i + 1], shape(3, 2, 5, 4), PLACES),
    "mapped and captured": (lambda x, i: x[i.unsqueeze(1), POSITIONS], X, PLACES),
    "mapped with none": (lambda x, i: x[None, i, 1:], X, PLACES),
    "mapped matrix": (lambda x, i: x[i.reshape(1, 2)], X, PLACES),
    "mapped by unmapped": (lambda x, i: x[:, i], X, POSITIONS, {"in_dims": (0, None)}),
    "gather": (lambda x, i: x.gather(1, i.reshape(2, 1)), X, PLACES),
    "gather captured": (lambda x: torch.gather(x, 0, PLACES[:2, :]), X),
    "gather unmapped": (lambda x, i: torch.gather(x, 0, i), shape(4), PLACES, {"in_dims": (None, 0)}),
    "index_select": (lambda x, i: x.index_select(1, i), X, PLACES),
    "index_select captured": (lambda x: torch.index_select(x, -1, POSITIONS), X),
    "take": (lambda x, i: torch.take(x, i), X, PLACES),
    "take_along_dim": (lambda x, i: torch.take_along_dim(x, i.reshape(2, 1), 1), X, PLACES),
    "scatter": (lambda x, i, y: x.scatter(0, i.reshape(1, 2), y), X, PLACES, shape(3, 1, 2)),
    "scatter number": (lambda x, i: x.scatter(1, i.reshape(2, 1), 2.0), X, PLACES),
    "scatter_add": (lambda x, i, y: x.scatter_add(0, i, y), shape(3, 4), PLACES, shape(3, 2)),
    "index_add": (lambda x, i, y: x.index_add(0, i, y), X, PLACES, shape(3, 2, 4)),
    "masked_fill": (lambda x: x.masked_fill(MASK, 0.0), X),
    "embedding": (lambda i, w: torch.nn.functional.embedding(i, w), PLACES, shape(3, 2, 4)),
    "one_hot": (lambda i: torch.nn.functional.one_hot(i, 4), PLACES),
    "where of positions": (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), X),
}


@cases(INDEXING)
def test_indexing(impl, row):
    check_row(impl, row)


def _assigned(index):
    def function(x, y):
        x = x + 0
        x[index] = y
        return x

    return function


def _assigned_rows(x, i, y):
    x = x + 0
    x[i] = y
    return x


def _assigned_columns(x, i, y):
    x = x + 0
    x[:, i] = y
    return x


ASSIGNMENTS = {
    "int": (_assigned(0), X, shape(3, 4)),
    "slice": (_assigned((slice(None), slice(1, 3))), X, shape(3, 2, 2)),
    "number": (_assigned((0, 1)), X, shape(3)),
    "broadcast": (_assigned(Ellipsis), X, shape(3, 4)),
    "captured mask": (_assigned((slice(None), MASK)), X, shape(3)),
    "captured positions": (_assigned((slice(None), torch.tensor([2, 0]))), X, shape(3, 2, 2)),
    "mapped positions of dim 0": (_assigned_rows, shape(3, 4, 2), PLACES * 3, shape(3, 1, 2)),
    "unmapped value": (_assigned(0), X, shape(4), {"in_dims": (0, None)}),
}


@cases(ASSIGNMENTS)
def test_assignment(impl, row):
    check_row(impl, row)


@pytest.mark.limit("assignment")
@pytest.mark.parametrize("sizes", [(3, 2, 1), (3, 2, 2)], ids=str)
def test_assignment_to_mapped_positions_of_a_later_dimension(impl, sizes):
    check_row(impl, (_assigned_columns, X, PLACES + torch.tensor([0, 2]), shape(*sizes)))


@pytest.mark.limit("captured_index")
def test_indexing_an_unmapped_tensor_by_mapped_positions(impl):
    check_row(impl, (lambda x, i: x[i], shape(2, 4), PLACES, {"in_dims": (None, 0)}))


@pytest.mark.limit("index")
def test_indexing_by_one_mapped_position(impl):
    check_row(impl, (lambda x, i: x[i], X, PLACES[:, 0]))


@pytest.mark.parametrize(
    "index",
    [2, -3, (0, 5), (slice(None), slice(None), 0), (None, 3)],
    ids=["int", "negative", "second", "dims", "none"],
)
def test_an_index_out_of_range(impl, index):
    with pytest.raises(IndexError):
        impl(lambda x: x[index])(tensor_of(X))
