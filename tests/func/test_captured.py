"""Writes to tensors that a function captured: every transform that differentiates refuses them."""

import functools

import pytest
import torch
import torch.nn.functional as F
from derivative_laws import double, native_warnings, normal, same, transforms

from torchcompat import at_least, has
from torchcompat.func import _mode

pytestmark = native_warnings

CALLS = {
    "grad": lambda impl, f, x: impl(f)(x),
    "grad_and_value": lambda impl, f, x: impl(f)(x),
    "vjp": lambda impl, f, x: impl(f, x)[1](torch.ones((), dtype=x.dtype)),
    "jvp": lambda impl, f, x: impl(f, (x,), (torch.ones_like(x),)),
    "jacrev": lambda impl, f, x: impl(f)(x),
    "jacfwd": lambda impl, f, x: impl(f)(x),
    "hessian": lambda impl, f, x: impl(f)(x),
    "linearize": lambda impl, f, x: impl(f, x)[1](torch.ones_like(x)),
}
WRITES = {
    "add_": lambda c, x: c.add_(x),
    "+=": lambda c, x: c.__iadd__(x),
    "copy_": lambda c, x: c.copy_(x),
    "fill_": lambda c, x: c.fill_(x.sum()) if at_least(1, 4) else c.copy_(x.sum().expand(3)),
    "[]": lambda c, x: c.__setitem__(0, x[0]),
    "[:]": lambda c, x: c.__setitem__(slice(None), x),
    "view": lambda c, x: c.view(3, 1)[:, 0].mul_(x),
    "addcmul_": lambda c, x: c.addcmul_(x, x),
    "two": lambda c, x: c.add_(1).mul_(x),
}
CONSTANTS = {
    "add_": lambda c: c.add_(1),
    "a tensor": lambda c: c.add_(torch.ones(3, dtype=c.dtype)),
    "zero_": lambda c: c.zero_(),
    "[]": lambda c: c.__setitem__(0, 7.0),
    "view": lambda c: c.view(3, 1).mul_(2),
    "data": lambda c: c.data.add_(1),
    "draws": lambda c: c.normal_(),
    "init": lambda c: torch.nn.init.uniform_(c, 3, 4),
    "relu": lambda c: F.relu(c, inplace=True),
    "dropout": lambda c: F.dropout(c, 1.0, True, True),
    "torch.relu_": lambda c: torch.relu_(c),
    "no_grad": lambda c: without_gradient(c),
}


def without_gradient(c):
    with torch.no_grad():
        c.mul_(3)


class Refusals:
    """The tests of what is refused, of the transform *name*."""

    name = ""

    def call(self, impl, write):
        x = double(1.0, 2.0, 3.0)
        CALLS[self.name](impl, lambda x: (write(x), (x * x).sum())[1], x)

    @pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
    def test_a_write_that_depends_on_the_argument_is_refused_and_leaves_no_graph(self, impl, write):
        captured = double(-4.0, 5.0, 6.0)
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, lambda x: write(captured, x))
        assert not captured.requires_grad

    def test_a_write_to_a_buffer_of_a_layer_is_refused(self, impl):
        layer = torch.nn.Linear(3, 1).double()
        layer.register_buffer("seen", torch.zeros(3, dtype=torch.float64))
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, lambda x: layer.seen.add_(x))
        assert not layer.seen.requires_grad

    @pytest.mark.parametrize("where", ["list", "dict", "attribute", "default", "partial"])
    def test_a_captured_tensor_is_found(self, impl, where):
        captured = double(4.0, 5.0, 6.0)
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, captor(where, captured))
        assert not captured.requires_grad


class Constants(Refusals):
    """The tests of writes that do not depend on the argument."""

    @pytest.mark.limit("captured")
    @pytest.mark.parametrize("write", CONSTANTS.values(), ids=list(CONSTANTS))
    def test_a_write_of_a_constant_is_refused_before_it_is_made(self, impl, write):
        captured = double(-4.0, 5.0, 6.0)
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, lambda x: write(captured))
        same(captured, double(-4.0, 5.0, 6.0))

    @pytest.mark.limit("subscript")
    def test_a_write_of_a_constant_tensor_by_a_subscript_is_refused_before_it_is_made(self, impl):
        captured, ones = double(-4.0, 5.0, 6.0), double(1.0, 1.0, 1.0)
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, lambda x: captured.__setitem__(slice(None), ones))
        same(captured, double(-4.0, 5.0, 6.0))

    @pytest.mark.limit("captured")
    def test_a_write_that_depends_on_the_argument_is_refused_before_it_is_made(self, impl):
        captured = double(-4.0, 5.0, 6.0)
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, lambda x: captured.mul_(x))
        same(captured, double(-4.0, 5.0, 6.0))

    @pytest.mark.limit("captured")
    def test_batch_norm_in_training_is_refused_for_its_count_of_batches(self, impl):
        norm, rows = torch.nn.BatchNorm1d(3).double(), normal(4, 3)
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, lambda x: norm(x * rows))

    @pytest.mark.limit("hidden")
    def test_a_hidden_tensor(self, impl):
        box = Box()
        box.content = double(4.0, 5.0, 6.0)
        with pytest.raises(RuntimeError, match="captured"):
            self.call(impl, lambda x: box.content.mul_(x))


class Box:
    __slots__ = ("content",)


def captor(where, captured):
    """A function that writes to a tensor that it holds in some way."""
    if where == "list":
        held = [0, captured]
        return lambda x: held[1].mul_(x)
    if where == "dict":
        state = {"sum": captured}
        return lambda x: state["sum"].mul_(x)
    if where == "default":

        def function(x, held=captured):
            held.mul_(x)

        return function
    if where == "partial":
        return functools.partial(lambda held, x: held.mul_(x), captured)
    holder = Holder()
    holder.content = captured
    return holder.write


class Holder:
    def write(self, x):
        self.content.mul_(x)


for _name in CALLS:
    if _name != "linearize":  # of which torch's own refuses nothing
        _members = {"name": _name, "pytestmark": [pytest.mark.shim(f"func.{_name}")]}
        globals()[f"Test_{_name}"] = type(f"Test_{_name}", (Constants,), _members)


@pytest.mark.shim("func.linearize")
@pytest.mark.limit("writes")
class TestLinearize(Refusals):
    name = "linearize"


# --- what is not refused

gradient = pytest.mark.shim("func.grad")


@gradient
def test_tensors_that_the_function_made_can_be_written_to(impl):
    def function(x):
        made = torch.zeros(3, dtype=x.dtype)
        made.add_(1)
        made[0] = x[1]
        made.mul_(x)
        return made.sum()

    same(impl(function)(double(1.0, 2.0, 3.0)), double(2.0, 2.0, 1.0))


@gradient
def test_a_tensor_that_the_function_made_and_gave_away_can_be_written_to(impl):
    holder = Holder()

    def function(x):
        holder.content = torch.ones(3, dtype=x.dtype)
        holder.write(x)
        return holder.content.sum()

    same(impl(function)(double(1.0, 2.0, 3.0)), double(1.0, 1.0, 1.0))


@gradient
def test_an_argument_can_be_written_to(impl):
    other = double(1.0, 2.0, 3.0)
    found = impl(lambda x, other: (other.add_(1) * x).sum())(double(1.0, 1.0, 1.0), other)
    same([found, other], [double(2.0, 3.0, 4.0), double(2.0, 3.0, 4.0)])
    impl(lambda x, other: (other.add_(1) * x).sum())(double(1.0, 1.0, 1.0), other=other)
    same(other, double(3.0, 4.0, 5.0))


@gradient
def test_an_argument_that_is_captured_further_out_cannot_be_written_to(impl, shim):
    t = transforms(impl, shim)
    other = double(1.0, 2.0, 3.0)

    def outer(x):
        return t.grad(lambda y, other: (other.mul_(y) * y).sum())(x, other).sum()

    with pytest.raises(RuntimeError, match="captured"):
        t.grad(outer)(double(1.0, 2.0, 3.0))


@gradient
def test_a_tensor_of_the_transform_around_it_cannot_be_written_to(impl, shim):
    t = transforms(impl, shim)

    def outer(x):
        made = x.clone()
        return t.grad(lambda y: (made.mul_(y) * y).sum())(x).sum()

    with pytest.raises(RuntimeError, match="captured"):
        t.grad(outer)(double(1.0, 2.0, 3.0))


@gradient
@pytest.mark.skipif(not at_least(1, 7), reason="vmap loops over the function")
def test_within_vmap(impl, shim):
    t = transforms(impl, shim)
    other = double(1.0, 2.0, 3.0)
    with pytest.raises(RuntimeError, match=r"captured|in-place on a tensor that is not batched"):
        t.vmap(t.grad(lambda x: (other.mul_(x) * x).sum()))(normal(2, 3))
    assert not other.requires_grad
    found = t.vmap(lambda x: x.new_zeros(3).add_(t.grad(lambda y: (y * y).sum())(x)))(
        double([1.0, 2.0, 3.0]).view(1, 3)
    )
    same(found, double([2.0, 4.0, 6.0]).view(1, 3))


@gradient
def test_a_function_that_is_called_again_after_a_refusal(impl):
    captured = double(1.0, 2.0, 3.0)
    writes = [True]

    def function(x):
        if writes:
            captured.mul_(x * 0 + 1)
        return (captured * x).sum()

    with pytest.raises(RuntimeError, match="captured"):
        impl(function)(double(1.0, 1.0, 1.0))
    writes.clear()
    same(impl(function)(double(1.0, 1.0, 1.0)), double(1.0, 2.0, 3.0))
    captured.mul_(2)
    same(captured, double(2.0, 4.0, 6.0))


@gradient
def test_an_error_of_the_function_comes_through_and_no_graph_stays(impl):
    captured = double(1.0, 2.0, 3.0)

    def function(x):
        try:
            captured.mul_(x)
        except RuntimeError:
            pass
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        impl(function)(double(1.0, 1.0, 1.0))
    assert not captured.requires_grad


@gradient
def test_statistics_that_torch_updates_by_itself(impl):
    mean, variance = torch.zeros(3), torch.ones(3)
    impl(lambda x: F.batch_norm(x, mean, variance, training=True).pow(3).sum())(torch.randn(4, 3) + 5)
    assert (mean > 0.1).all()
    norm = torch.nn.InstanceNorm1d(3, track_running_stats=True)
    impl(lambda x: norm(x).pow(3).sum())(torch.randn(2, 3, 4) + 5)
    assert (norm.running_mean > 0.1).all()
    assert not norm.running_mean.requires_grad


@gradient
def test_spectral_norm(impl):
    layer = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 3))
    before = layer.weight_u.clone()
    impl(lambda x: layer(x).sum())(torch.ones(3))
    assert not torch.equal(layer.weight_u, before)
    if has("torch.nn.utils.parametrizations.spectral_norm"):
        layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(3, 3))
        impl(lambda x: layer(x).sum())(torch.ones(3))


@gradient
@pytest.mark.skipif(not _mode.SEES_ALL, reason="there is no mode")
def test_a_mode_of_the_users_sees_what_the_function_calls(impl):
    seen = []

    class Note(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func.__name__)
            return func(*args, **(kwargs or {}))

    def function(x):
        with Note():
            x = x.sin()
        return x.cos().sum()

    impl(function)(double(1.0, 2.0))
    assert "sin" in seen
    assert "cos" not in seen
    with Note():
        impl(function)(double(1.0, 2.0))
    assert "cos" in seen
    del seen[:]
    impl(function)(double(1.0, 2.0))
    assert "cos" not in seen
