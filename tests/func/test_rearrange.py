"""rearrange: what NumPy's reshape and transpose give, views, gradients, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from torchcompat import SHIMS, at_least
from torchcompat._shim import FORCED

pytestmark = [
    pytest.mark.shim("func.rearrange"),
]


def numbers(*shape):
    return torch.from_numpy(np.arange(float(np.prod(shape))).reshape(shape))


def same(tensor, array):
    assert list(tensor.shape) == list(array.shape)
    assert np.array_equal(tensor.numpy(), array)


# --- Values


@pytest.mark.parametrize(
    ("pattern", "lengths", "split", "order", "merged"),
    [
        ("a b c -> a b c", {}, (2, 3, 4), (0, 1, 2), (2, 3, 4)),
        ("a b c -> c a b", {}, (2, 3, 4), (2, 0, 1), (4, 2, 3)),
        ("a b c -> (a b) c", {}, (2, 3, 4), (0, 1, 2), (6, 4)),
        ("a b c -> (b a) c", {}, (2, 3, 4), (1, 0, 2), (6, 4)),
        ("a b c -> (c b a)", {}, (2, 3, 4), (2, 1, 0), (24,)),
        ("a b (c d) -> a b c d", {"c": 2}, (2, 3, 2, 2), (0, 1, 2, 3), (2, 3, 2, 2)),
        ("a b (c d) -> a b c d", {"d": 4}, (2, 3, 1, 4), (0, 1, 2, 3), (2, 3, 1, 4)),
        ("a b (c d) -> d (c b) a", {"c": 2, "d": 2}, (2, 3, 2, 2), (3, 2, 1, 0), (2, 6, 2)),
        ("(a b) c (d e) -> e (a d c) b", {"a": 2, "d": 2}, (2, 1, 3, 2, 2), (4, 0, 3, 2, 1), (2, 12, 1)),
        ("a ... -> ... a", {}, (2, 3, 4), (1, 2, 0), (3, 4, 2)),
        ("... a -> (a ...)", {}, (2, 3, 4), (2, 0, 1), (24,)),
        ("a ... c -> a (c ...)", {}, (2, 3, 4), (0, 2, 1), (2, 12)),
        ("a b c ... -> ... c b a", {}, (2, 3, 4), (2, 1, 0), (4, 3, 2)),
        ("a b c -> a 1 b () c 1", {}, (2, 3, 4), (0, 1, 2), (2, 1, 3, 1, 4, 1)),
        ("a (b 1) c -> (1 a) c b", {}, (2, 3, 4), (0, 2, 1), (2, 4, 3)),
        ("  a b   (c d)->c( a  b)d ", {"c": 2}, (2, 3, 2, 2), (2, 0, 1, 3), (2, 6, 2)),
        ("Ab x1 c_d -> c_d Ab x1", {}, (2, 3, 4), (2, 0, 1), (4, 2, 3)),
        ("a b c -> c b a", {"a": 2, "c": 4}, (2, 3, 4), (2, 1, 0), (4, 3, 2)),
    ],
)
def test_it_is_a_reshape_a_transpose_and_a_reshape(impl, pattern, lengths, split, order, merged):
    x = numbers(2, 3, 4)
    moved = x.numpy().reshape(split).transpose(order)
    same(impl(x, pattern, **lengths), moved.reshape(merged))


def test_images(impl):
    # The example of every tutorial: 6 images in a mosaic of 2 rows by 3.
    images = numbers(6, 4, 5, 3)
    mosaic = impl(images, "(rows columns) h w c -> (rows h) (columns w) c", rows=2)
    rows = [np.concatenate([images[3 * row + column].numpy() for column in range(3)], axis=1) for row in range(2)]
    same(mosaic, np.concatenate(rows, axis=0))


def test_heads_of_attention(impl):
    x = numbers(2, 5, 12)
    same(
        impl(x, "b s (three h d) -> three b h s d", three=3, h=2),
        np.stack(
            [
                np.stack([x.numpy()[:, :, part * 4 + head * 2 : part * 4 + head * 2 + 2] for head in range(2)], axis=1)
                for part in range(3)
            ]
        ),
    )


@pytest.mark.parametrize("pattern", ["1 b 1 -> b", "() b () -> b", "1 b ... -> b ...", "(1) b () -> b"])
def test_dimensions_of_size_1_can_be_left_out(impl, pattern):
    out = impl(numbers(1, 3, 1), pattern)
    same(out.reshape(3), np.arange(3.0))
    assert out.dim() == (2 if "..." in pattern else 1)


def test_no_dimensions(impl):
    assert impl(torch.tensor(3.0), "->").item() == 3
    assert impl(torch.tensor(3.0), "... -> ...").shape == ()
    assert impl(torch.ones(1), "1 ->").shape == ()


@pytest.mark.limit("vector")
@pytest.mark.parametrize(("pattern", "lengths"), [("(a b) -> b a", {"a": 2}), ("(a b c) -> c (b a)", {"a": 2, "c": 1})])
def test_a_vector_can_be_split(impl, pattern, lengths):
    x = numbers(6)
    same(impl(x, pattern, **lengths).reshape(6), x.numpy().reshape(2, 3).T.reshape(6))


@pytest.mark.limit("scalar")
@pytest.mark.parametrize("pattern", ["-> 1", "-> ()", "... -> ... 1", "... -> (...)"])
def test_a_dimension_for_a_tensor_that_has_none(impl, pattern):
    assert impl(torch.tensor(3.0), pattern).tolist() == [3.0]


@pytest.mark.limit("units")
@pytest.mark.parametrize(
    ("pattern", "shape"), [("1 b -> b 1", (3, 1)), ("1 b -> 1 b", (1, 3)), ("1 ... -> ... () 1", (3, 1, 1))]
)
def test_a_unit_on_both_sides(impl, pattern, shape):
    assert impl(torch.ones(1, 3), pattern).shape == shape


@pytest.mark.limit("sum")
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32])
def test_leaving_a_unit_out_keeps_the_dtype(impl, dtype):
    assert impl(torch.ones(1, 3, dtype=dtype), "1 b -> b").dtype == dtype


@pytest.mark.limit("sum")
@pytest.mark.parametrize("pattern", ["1 b -> b", "() b -> b"])
def test_a_unit_must_have_size_1(impl, pattern):
    with pytest.raises(ValueError, match="size 2"):
        impl(torch.ones(2, 3), pattern)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.float16, torch.float64])
def test_dtypes(impl, dtype):
    x = torch.ones(2, 6).to(dtype)
    out = impl(x, "a (b c) -> c a b", b=2)
    assert out.dtype == dtype
    assert out.shape == (3, 2, 2)


def test_empty(impl):
    x = torch.zeros(0, 3, 4)
    assert impl(x, "a b c -> c (a b)").shape == (4, 0)
    assert impl(x, "(a d) b c -> a d b c", d=2).shape == (0, 2, 3, 4)
    assert impl(x, "(a d) b c -> a d b c", a=0, d=0).shape == (0, 0, 3, 4)


@pytest.mark.parametrize("kind", [list, tuple])
def test_tensors_are_stacked_first(impl, kind):
    parts = [numbers(3, 4) * factor for factor in (1, 2)]
    stacked = np.stack([part.numpy() for part in parts])
    same(impl(kind(parts), "n h w -> h (n w)"), stacked.transpose(1, 0, 2).reshape(3, 8))


@st.composite
def cases(draw):
    """A pattern, and the split, the order and the merged shape that it stands for."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    names = [f"axis{number}" for number in range(len(sizes))]
    order = draw(st.permutations(range(len(sizes))))
    left, groups = draw(_groups(list(range(len(sizes))))), draw(_groups(list(order)))

    def text(groups):
        inside = [" ".join(names[i] for i in group) for group in groups]
        return " ".join(f"({axes})" if " " in axes else axes for axes in inside)

    lengths = {names[i]: sizes[i] for group in left for i in group[1:]}
    shapes = [[int(np.prod([sizes[i] for i in group])) for group in side] for side in (left, groups)]
    return text(left) + " -> " + text(groups), lengths, sizes, order, shapes


@st.composite
def _groups(draw, axes):
    """*axes*, in order, in groups of one or more."""
    groups = [[axes[0]]]
    for axis in axes[1:]:
        if draw(st.booleans()):
            groups.append([axis])
        else:
            groups[-1].append(axis)
    return groups


@given(case=cases())
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("kind", ["native", "fallback"])
def test_any_pattern_and_back(kind, case):
    shim = SHIMS["func.rearrange"]
    if kind == "native" and not shim.meets_contract:
        pytest.skip("not in torch here")
    function = getattr(shim, kind)
    pattern, lengths, sizes, order, (before, after) = case
    if kind == "native":
        # See the limit "vector".
        assume(len(sizes) == 1 or min(len(before), len(after)) > 1)
    x = numbers(*before)
    out = function(x, pattern, **lengths)
    same(out, x.numpy().reshape(sizes).transpose(order).reshape(after))
    left, right = pattern.split(" -> ")
    every = {f"axis{number}": size for number, size in enumerate(sizes)}
    same(function(out, right + " -> " + left, **every), x.numpy())


# --- Views and gradients


@pytest.mark.parametrize("pattern", ["a b c -> c b a", "a b c -> (a b) c", "a b (c d) -> d a b c", "a b c -> a 1 b c"])
def test_what_can_be_a_view_is_one(impl, pattern):
    x = numbers(2, 3, 4)
    out = impl(x, pattern, **({"d": 2} if "d" in pattern else {}))
    assert out.data_ptr() == x.data_ptr()
    out[(0,) * out.dim()] = 7
    assert x[0, 0, 0] == 7


def test_a_merge_across_strides_is_a_copy(impl):
    x = numbers(2, 3)
    out = impl(x, "a b -> (b a)")
    out[0] = 7
    assert x[0, 0] == 0


def test_gradients(impl):
    x = numbers(2, 6).requires_grad_()
    weights = numbers(3, 4) ** 2
    (gradient,) = torch.autograd.grad((impl(x, "a (b c) -> c (a b)", b=2) * weights).sum(), x)
    # Each element's weight is where that element went.
    same(gradient, weights.numpy().reshape(3, 2, 2).transpose(1, 2, 0).reshape(2, 6))


@pytest.fixture(params=["own kind", "public"])
def transform(request):
    """Finds the transforms to use: of the object's own kind, or what the installed torch offers its user."""
    kind = request.node.callspec.params["impl"]
    if request.param == "own kind":
        return lambda name: getattr(SHIMS[name], kind)
    if kind == "native" and FORCED:
        pytest.skip("torch's own is at home in torch's own transforms only")
    return lambda name: SHIMS[name].public


def test_inside_vmap(impl, transform):
    vmap, x = transform("func.vmap"), numbers(5, 4, 3)
    out = vmap(lambda x: impl(x, "(a b) c -> (c b) a", a=2))(x)
    same(out, x.numpy().reshape(5, 2, 2, 3).transpose(0, 3, 2, 1).reshape(5, 6, 2))
    out = vmap(lambda x: impl(x, "(a b) ... -> (... b) a", b=2), in_dims=2, out_dims=1)(x[:4])
    same(out, x[:4].numpy().reshape(2, 2, 4, 3).transpose(2, 1, 3, 0).reshape(8, 3, 2))
    out = vmap(vmap(lambda x: impl(x, "c -> 1 c 1")))(x)
    same(out, x.numpy().reshape(5, 4, 1, 3, 1))


def test_inside_grad(impl, transform):
    weights = numbers(4, 3)
    gradient = transform("func.grad")(lambda x: (impl(x, "(a b) c -> (b a) c", a=2) * weights).sum())(numbers(4, 3))
    same(gradient, weights.numpy()[[0, 2, 1, 3]])


@pytest.mark.skipif(not at_least(1, 7), reason="torch keeps the type of a subclass since 1.7")
def test_subclasses(impl):
    class Named(torch.Tensor):
        pass

    out = impl(numbers(2, 4).as_subclass(Named), "a (b c) -> c 1 a b", b=2)
    assert type(out) is Named
    assert out.shape == (2, 1, 2, 2)


# --- Refusals


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a b c",
        "a b c -> a b c -> a b c",
        "a b -> a b",
        "a b c d -> a b c d",
        "a b c d ... -> a b c d ...",
        "->",
        "a b c -> a b",
        "a b -> a b c",
        "a b c -> a b d",
        "a b c -> ...",
        "a b ... -> a b",
        "a a b -> a b",
        "a b c -> a a b c",
        "... ... -> ...",
        "... a ... -> a ...",
        "(...) -> ...",
        "a (b ...) -> a b ...",
        "a b (c -> a b c",
        "a b c) -> a b c",
        "a b ((c)) -> a b c",
        "a b c -> a b (c ())",
        "a b c -> a b c 2",
        "a b 4 -> a b 4",
        "a b (c 2) -> a b c 2",
        "a b 0 -> a b",
        "a b c. -> a b c",
        "a b .. -> a b ..",
        "a b _ -> a b _",
        "a b _c -> a b _c",
        "a b c_ -> a b c_",
        "a b 2c -> a b 2c",
        "a, b, c -> a b c",
        "a b c-d -> a b c-d",
        "a b\tc -> a b c",
    ],
)
def test_a_pattern_that_is_wrong(impl, pattern):
    with pytest.raises(ValueError):
        impl(numbers(2, 3, 4), pattern)


@pytest.mark.parametrize("length", [2.5, "2", None, True, [2], torch.tensor(2)])
def test_a_length_that_is_no_int(impl, length):
    with pytest.raises(TypeError):
        impl(numbers(2, 3, 4), "a b (c d) -> a b c d", c=length)


def test_a_length_of_no_axis(impl):
    with pytest.raises(ValueError, match="z"):
        impl(numbers(2, 3, 4), "a b c -> c b a", z=2)


SIZES = [
    ("a b (c d) -> a b c d", {}),
    ("a b (c d e) -> a b c d e", {"c": 2}),
    ("a b (c d) -> a b c d", {"c": 3}),
    ("a b (c d) -> a b c d", {"c": 2, "d": 3}),
    ("a b c -> a b c", {"a": 3}),
]


@pytest.mark.parametrize(("pattern", "lengths"), SIZES)
def test_sizes_that_do_not_fit(impl, pattern, lengths):
    with pytest.raises(Exception, match=r"dimension"):
        impl(numbers(2, 3, 4), pattern, **lengths)


@pytest.mark.limit("sizes")
@pytest.mark.parametrize(("pattern", "lengths"), SIZES)
def test_the_error_for_sizes_that_do_not_fit(impl, pattern, lengths):
    error = None
    try:
        impl(numbers(2, 3, 4), pattern, **lengths)
    except Exception as caught:
        error = caught
    assert type(error).__name__ == "DimensionBindError"


@pytest.mark.parametrize("tensor", [3, None, "ab", [1, 2]])
def test_what_is_no_tensor(impl, tensor):
    with pytest.raises(TypeError):
        impl(tensor, "a -> a")


@pytest.mark.parametrize("tensors", [[], [torch.ones(2), torch.ones(3)]])
def test_what_cannot_be_stacked(impl, tensors):
    with pytest.raises(RuntimeError):
        impl(tensors, "a b -> b a")


def test_the_words_name_what_is_wrong():
    function = SHIMS["func.rearrange"].fallback
    for pattern, words in [
        ("a b c -> a b", "c must be on both sides"),
        ("a b -> b a", "3 dimensions"),
        ("a b (c d) -> a b c d", r"size 4 cannot be \(c d\); give the lengths"),
        ("a b (c -> a b c", "not closed"),
        ("a b _ -> a b _", "'_' is no name"),
    ]:
        with pytest.raises(ValueError, match=words):
            function(numbers(2, 3, 4), pattern)
