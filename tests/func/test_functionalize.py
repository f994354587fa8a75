"""functionalize: the same results and the same writes to the arguments; debug_unwrap: the batch behind a sample."""

import functools

import pytest
import torch

from torchcompat import SHIMS, at_least
from torchcompat._shim import FORCED

functional = pytest.mark.shim("func.functionalize")
unwrap = pytest.mark.shim("func.debug_unwrap")
both = pytest.mark.parametrize("remove", ["mutations", "mutations_and_views"])


def kind_of(request):
    return request.node.callspec.params["impl"]


@pytest.fixture(params=["own kind", "public"])
def transform(request):
    """Finds the transforms to use: of the object's own kind, or what the installed torch offers its user."""
    if request.param == "own kind":
        return lambda name: getattr(SHIMS[name], kind_of(request))
    if kind_of(request) == "native" and FORCED:
        pytest.skip("torch's own is at home in torch's own transforms only")
    return lambda name: SHIMS[name].public


# --- functionalize


def grown(x):
    """x + 1, and the first element times 10, by way of in-place operations and views."""
    y = x.clone()
    y.view(-1).add_(1)
    y[0].mul_(10)
    return y


@functional
@both
def test_in_place_operations_and_views_inside(impl, remove):
    x = torch.tensor([1.0, 2.0, 3.0])
    assert impl(grown, remove=remove)(x).tolist() == [20, 3, 4]
    assert x.tolist() == [1, 2, 3]


@functional
@both
def test_a_write_to_an_argument_reaches_the_caller(impl, remove):
    def write(x, *, y):
        x.view(-1)[1:].mul_(10)
        y["a"][0].zero_()
        return x + y["a"][0]

    x, y = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0])
    assert impl(write, remove=remove)(x, y={"a": y}).tolist() == [1, 20, 30]
    assert x.tolist() == [1, 20, 30]
    assert y.tolist() == [0, 5]


@functional
@both
def test_a_result_that_is_an_argument(impl, remove):
    def write(x):
        x.add_(1)
        return x

    x = torch.zeros(2)
    assert impl(write, remove=remove)(x).tolist() == [1, 1]
    assert x.tolist() == [1, 1]


@functional
@both
def test_pytrees_and_other_values(impl, remove):
    def function(tree, scale, *, more=()):
        return {"sum": tree["a"] + tree["b"][0], "rest": [scale, None, "text"]}, more

    x = torch.ones(2)
    out, more = impl(function, remove=remove)({"a": x, "b": (2 * x, 7)}, 5, more=[x])
    assert out["sum"].tolist() == [3, 3]
    assert out["rest"] == [5, None, "text"]
    assert more[0].tolist() == [1, 1]


@functional
@both
def test_no_tensors(impl, remove):
    assert impl(lambda n: n + 1, remove=remove)(3) == 4
    assert impl(lambda: torch.ones(2).add_(1), remove=remove)().tolist() == [2, 2]


@functional
@both
def test_a_branch_on_a_value(impl, remove):
    function = impl(lambda x: x.neg_() if x.sum() > 0 else x + 1, remove=remove)
    assert function(torch.ones(2)).tolist() == [-1, -1]
    assert function(-torch.ones(2)).tolist() == [0, 0]


@functional
@both
def test_autograd_outside(impl, remove):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(impl(grown, remove=remove)(x).pow(2).sum(), x)
    # 200 (x + 1) for the first element, 2 (x + 1) for the others
    assert gradient.tolist() == [400, 6, 8]


@functional
@both
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_within_vmap_and_around_it(impl, remove, transform):
    vmap, x = transform("func.vmap"), torch.arange(6.0).reshape(2, 3)
    expected = [[10, 2, 3], [40, 5, 6]]
    assert vmap(impl(grown, remove=remove))(x).tolist() == expected
    assert impl(vmap(grown), remove=remove)(x).tolist() == expected


@functional
@both
def test_within_grad_and_around_it(impl, remove, transform):
    grad, x = transform("func.grad"), torch.tensor([1.0, 2.0, 3.0])
    assert grad(lambda x: impl(grown, remove=remove)(x).pow(2).sum())(x).tolist() == [400, 6, 8]
    assert impl(grad(lambda x: grown(x).pow(2).sum()), remove=remove)(x).tolist() == [400, 6, 8]


def doubled_behind(x):
    y = x + 1
    y[1:].mul_(2)
    return y


@functional
@pytest.mark.limit("slice")
@both
def test_a_write_to_a_slice_within_vmap(impl, remove, request):
    vmap = getattr(SHIMS["func.vmap"], kind_of(request))
    assert vmap(impl(doubled_behind, remove=remove))(torch.ones(2, 3)).tolist() == [[2, 4, 4], [2, 4, 4]]


@functional
@pytest.mark.limit("gradient")
def test_a_gradient_through_a_write_to_a_slice(impl, request):
    grad = getattr(SHIMS["func.grad"], kind_of(request))
    function = impl(grad(lambda x: doubled_behind(x).pow(2).sum()), remove="mutations_and_views")
    # 2 (x + 1) for the first element, 8 (x + 1) for the others
    assert function(torch.tensor([1.0, 2.0, 3.0])).tolist() == [4, 24, 32]


@functional
@both
def test_a_mapped_write_to_an_argument(impl, remove, transform):
    x = torch.ones(2, 3)
    transform("func.vmap")(impl(lambda x: x.add_(1), remove=remove))(x)
    assert x.tolist() == [[2, 2, 2], [2, 2, 2]]


@functional
@both
def test_random_numbers(impl, remove):
    torch.manual_seed(3)
    expected = torch.rand(4) + 1
    torch.manual_seed(3)
    assert torch.equal(impl(lambda: torch.rand(4).add_(1), remove=remove)(), expected)


@functional
def test_name_and_docstring(impl):
    function = impl(grown)
    assert function is not grown
    assert (function.__name__, function.__doc__) == (grown.__name__, grown.__doc__)
    assert impl(functools.partial(torch.add, other=torch.ones(2)))(torch.ones(2)).tolist() == [2, 2]
    assert impl(torch.nn.Identity())(torch.ones(2)).tolist() == [1, 1]


@functional
@pytest.mark.parametrize("remove", ["views", "", None, ("mutations",)])
def test_what_there_is_to_remove(impl, remove):
    with pytest.raises(RuntimeError, match="mutations_and_views"):
        impl(grown, remove=remove)


@functional
def test_errors_of_the_function(impl):
    with pytest.raises(ZeroDivisionError):
        impl(lambda x: 1 / 0)(torch.ones(2))


@functional
def test_a_leaf_cannot_be_written_to(impl):
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        impl(lambda x: x.add_(1))(x)


def operations(function, x):
    """The names of the operations that a trace of *function* has."""
    if at_least(2, 0):
        from torch.fx.experimental.proxy_tensor import make_fx

        return [str(node.target) for node in make_fx(function)(x).graph.nodes]
    return [node.kind() for node in torch.jit.trace(function, (x,), check_trace=False).graph.nodes()]


def in_place(names):
    return [name for name in names if "add_" in name or "mul_" in name]


@functional
@pytest.mark.limit("trace")
@both
def test_a_trace_without_in_place_operations(impl, remove):
    names = operations(impl(lambda x: x.clone().add_(1).mul_(2), remove=remove), torch.ones(3))
    assert in_place(names) == []


def test_a_trace_shows_in_place_operations():
    # What the test above looks for is there in a plain trace.
    names = operations(lambda x: x.clone().add_(1).mul_(2), torch.ones(3))
    assert len(in_place(names)) == 2


@functional
@pytest.mark.limit("aliases")
@both
def test_a_result_shares_no_memory_with_what_was_written_to(impl, remove):
    x = torch.zeros(2)
    out = impl(lambda x: x.add_(1), remove=remove)(x)
    x.zero_()
    assert out.tolist() == [1, 1]


@functional
@pytest.mark.limit("aliases")
def test_no_views_with_the_views_removed(impl):
    x = torch.zeros(2)
    out = impl(lambda x: x.view(2, 1), remove="mutations_and_views")(x)
    x.add_(1)
    assert out.tolist() == [[0], [0]]


@functional
def test_a_view_of_an_argument_is_one(impl):
    x = torch.zeros(2)
    out = impl(lambda x: x.view(2, 1))(x)
    x.add_(1)
    assert out.tolist() == [[1], [1]]


@functional
@pytest.mark.limit("aliases")
@both
def test_nothing_is_written_before_an_exception(impl, remove):
    def fail(x):
        x.zero_()
        raise KeyError

    x = torch.ones(2)
    with pytest.raises(KeyError):
        impl(fail, remove=remove)(x)
    assert x.tolist() == [1, 1]


@functional
@pytest.mark.limit("aliases")
@both
def test_a_tensor_that_is_given_twice(impl, remove):
    x = torch.zeros(2)
    out = impl(lambda x, y: (x.add_(1), y + 0)[1], remove=remove)(x, x)
    assert out.tolist() == [0, 0]


# --- debug_unwrap


class Spy:
    """A function that notes what *look* makes of its argument, and returns the argument."""

    def __init__(self, look):
        self.look = look
        self.seen = []

    def __call__(self, x):
        self.seen.append(self.look(x))
        return x


@unwrap
@pytest.mark.parametrize("recurse", [True, False])
def test_a_plain_tensor_is_itself(impl, recurse):
    for tensor in (torch.ones(2), torch.ones(2, requires_grad=True) * 2, torch.nn.Parameter(torch.ones(2))):
        assert impl(tensor, recurse=recurse) is tensor


@unwrap
@pytest.mark.limit("loop")
@pytest.mark.parametrize("recurse", [True, False])
def test_the_batch_behind_a_sample(impl, recurse, transform):
    x, look = torch.arange(6.0).reshape(2, 3), Spy(functools.partial(impl, recurse=recurse))
    out = transform("func.vmap")(lambda x: look(x) + look(x * 2))(x)
    assert torch.equal(out, 3 * x)
    batch, doubled = look.seen
    assert torch.equal(batch, x)
    assert torch.equal(doubled, 2 * x)
    assert batch.data_ptr() == x.data_ptr()
    assert impl(batch) is batch


@unwrap
@pytest.mark.limit("loop")
def test_all_levels_or_the_innermost(impl, transform):
    x, vmap = torch.arange(24.0).reshape(2, 3, 4), transform("func.vmap")
    inner, outer = Spy(functools.partial(impl, recurse=False)), Spy(impl)
    shapes = Spy(lambda x: tuple(impl(x, recurse=False).shape))
    vmap(vmap(lambda x: shapes(outer(x))))(x)
    assert torch.equal(outer.seen[0], x)
    assert shapes.seen == [(3, 4)]
    # What is left after one level is a sample of the outer vmap.
    rows = vmap(lambda x: (vmap(inner)(x), inner.seen.pop() * 10)[1])(x)
    assert torch.equal(rows, 10 * x)


@unwrap
@pytest.mark.limit("loop")
def test_a_tensor_of_the_inner_vmap_only(impl, transform):
    x, y, vmap = torch.arange(2.0), torch.arange(3.0), transform("func.vmap")
    look = Spy(impl)
    vmap(lambda x: vmap(lambda y: look(x) + look(y) + look(x * y))(y))(x)
    assert [tuple(seen.shape) for seen in look.seen] == [(2,), (3,), (2, 3)]
    assert torch.equal(look.seen[2], x.reshape(2, 1) * y)


@unwrap
@pytest.mark.limit("position")
def test_the_samples_are_where_in_dims_says(impl, request):
    vmap = getattr(SHIMS["func.vmap"], kind_of(request))
    x, look = torch.zeros(2, 3), Spy(impl)
    vmap(look, in_dims=1)(x)
    assert look.seen[0].shape == (2, 3)


@unwrap
def test_within_grad(impl, transform):
    x, look = torch.tensor([1.0, 2.0]), Spy(impl)
    gradient = transform("func.grad")(lambda x: look(x).pow(2).sum())(x)
    assert gradient.tolist() == [2, 4]
    assert look.seen[0].tolist() == [1, 2]


@unwrap
@pytest.mark.limit("grad")
def test_what_grad_passes_is_unwrapped_too(impl, request):
    grad = getattr(SHIMS["func.grad"], kind_of(request))
    x, look = torch.tensor([1.0, 2.0]), Spy(impl)
    grad(lambda x: look(x).pow(2).sum())(x)
    assert not look.seen[0].requires_grad


@unwrap
@pytest.mark.limit("loop")
def test_within_vmap_of_grad(impl, transform):
    x, look = torch.arange(6.0).reshape(2, 3), Spy(impl)
    gradient = transform("func.vmap")(transform("func.grad")(lambda x: look(x).pow(2).sum()))(x)
    assert torch.equal(gradient, 2 * x)
    assert torch.equal(look.seen[0], x)


@unwrap
@pytest.mark.parametrize("value", [None, 3, [torch.ones(2)]])
def test_what_is_no_tensor(impl, value):
    with pytest.raises(TypeError):
        impl(value)


@unwrap
def test_recurse_is_a_keyword(impl):
    with pytest.raises(TypeError):
        impl(torch.ones(2), True)
