"""Activation checkpointing without reentrant autograd: the same numbers, less memory."""

import collections
import contextlib
import dataclasses
import gc
import threading
import warnings
import weakref

import numpy
import pytest
import torch
from torch import nn

from torchcompat import SHIMS, at_least, at_most
from torchcompat.compiler import COMPILES
from torchcompat.utils import checkpoint as public
from torchcompat.utils._checkpoint_run import run

pytestmark = pytest.mark.shim("utils.checkpoint.checkpoint")
Pair = collections.namedtuple("Pair", "first second")


@dataclasses.dataclass
class Record:
    value: torch.Tensor
    name: str


class Bag(collections.OrderedDict):
    """A dict with its items as attributes, like the outputs of well-known model libraries."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        super().__setattr__(key, value)


def network(dropout=0.0):
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 3)).double()


def data(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def history():
    """A leaf, and a tensor with a history that starts there."""
    leaf = data(2, 3).requires_grad_()
    return leaf, leaf * 2


def same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other)


class Counted:
    """A function, and how often it ran."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        return self.function(*args, **kwargs)


def test_arguments_and_results_of_every_kind(impl):
    model = network()

    def function(x, many, flag, *, pair, table=None, record):
        assert flag == "flag"
        y = model(x + many[0] * many[1][0])
        return {
            "pair": Pair(y * pair.first, pair.second * 3),
            "list": [y.sum(), (table["a"] * y,), None, "text", 7],
            "record": Record(record.value * y, record.name),
            "bag": Bag(a=y.exp(), b=torch.arange(3)),
            "plain": x.detach() + 1,
        }

    def loss(out):
        assert out["list"][2:] == [None, "text", 7]
        assert out["record"].name == "name"
        assert isinstance(out["pair"], Pair)
        assert isinstance(out["bag"], Bag)
        assert out["bag"].a is out["bag"]["a"]
        assert out["bag"].b.dtype == torch.int64
        assert not out["plain"].requires_grad
        first, second = out["pair"]
        total = first.sum() + second.exp().sum() + out["list"][0] ** 2 + out["list"][1][0].sum()
        return total + (out["record"].value * out["bag"].a).sum()

    leaf = data(2, 3).requires_grad_()

    def gradients(call):
        h = leaf * 2
        out = call(
            function,
            h,
            [h.exp(), (leaf, 1.0)],
            "flag",
            pair=Pair(h + 1, leaf),
            table={"a": h * h},
            record=Record(h.sin(), "name"),
        )
        return torch.autograd.grad(loss(out), [leaf, *model.parameters()])

    plain = gradients(lambda f, *args, **kwargs: f(*args, **kwargs))
    same(gradients(lambda f, *args, **kwargs: impl(f, *args, use_reentrant=False, **kwargs)), plain)


def test_inputs_that_need_no_gradient(impl):
    model, x = network(), data(2, 3)
    function = Counted(model)
    out = impl(function, x, use_reentrant=False)
    assert function.count == 1
    out.sum().backward()
    assert function.count == 2
    same([p.grad for p in model.parameters()], torch.autograd.grad(model(x).sum(), list(model.parameters())))


def test_nothing_needs_a_gradient(impl):
    function = Counted(lambda x: x.exp())
    x = data(3)
    out = impl(function, x, use_reentrant=False)
    assert not out.requires_grad
    assert torch.equal(out, x.exp())
    assert function.count == 1


def test_without_gradients_it_is_a_call(impl):
    model, (_, h) = network(), history()
    function = Counted(model)
    with torch.no_grad():
        out = impl(function, h, use_reentrant=False)
    assert not out.requires_grad
    assert function.count == 1


def test_a_captured_leaf_and_shared_parameters(impl):
    scale = data(3).requires_grad_()
    leaf, h = history()

    def function(x):
        return (x * scale).sin() * scale

    out = impl(function, impl(function, h, use_reentrant=False), use_reentrant=False)
    expected = torch.autograd.grad(function(function(leaf * 2)).sum(), [leaf, scale])
    same(torch.autograd.grad(out.sum(), [leaf, scale]), expected)


def test_a_captured_tensor_with_a_history(impl):
    leaf, h = history()
    function = lambda x: (x * h).sin()  # noqa: E731
    x = data(2, 3).requires_grad_()
    (impl(function, x, use_reentrant=False).sum() + h.exp().sum()).backward()
    got = leaf.grad, x.grad
    h = leaf * 2
    same(got, torch.autograd.grad(function(x).sum() + h.exp().sum(), [leaf, x]))


@pytest.mark.limit("captured history")
def test_the_gradient_of_a_captured_tensor_with_a_history(impl):
    leaf, h = history()
    out = impl(lambda x: (x * h).sin(), leaf, use_reentrant=False)
    same(torch.autograd.grad(out.sum(), [h]), [leaf * (leaf * h).cos()])


def test_partial_backward(impl):
    first, second = data(3).requires_grad_(), data(3).requires_grad_()
    leaf, h = history()
    a, b = impl(lambda x: ((x * first).sin(), (x * second).cos()), h, use_reentrant=False)
    a.sum().backward(retain_graph=True)
    assert second.grad is None or not (second.grad != 0).any()
    same([first.grad], [(h * (h * first).cos()).sum(0).detach()])
    b.sum().backward()
    same([second.grad], [-(h * (h * second).sin()).sum(0).detach()])
    expected = first * (h * first).cos() - second * (h * second).sin()
    same([leaf.grad], [2 * expected.detach()])


@pytest.mark.limit("unreached")
def test_partial_backward_leaves_other_gradients_alone(impl):
    first, second = data(3).requires_grad_(), data(3).requires_grad_()
    a, _ = impl(lambda x: ((x * first).sin(), (x * second).log()), data(2, 3) * 0, use_reentrant=False)
    a.sum().backward()
    assert second.grad is None
    assert torch.equal(first.grad, torch.zeros_like(first))


def test_one_gradient_only(impl):
    model, (_, h) = network(), history()
    out = impl(model, h, use_reentrant=False)
    weight = model[0].weight
    same(torch.autograd.grad(out.sum(), [weight]), torch.autograd.grad(model(h).sum(), [weight]))
    assert weight.grad is None


def test_an_argument_that_is_not_used(impl):
    leaf, h = history()
    other = leaf.exp()
    out = impl(lambda x, unused: x.sin(), h, other, use_reentrant=False)
    with pytest.raises(RuntimeError, match=r"unused|not have been used"):
        torch.autograd.grad(out.sum(), [other])


def test_several_backward_passes(impl):
    leaf, h = history()
    function = Counted(lambda x: x.exp().sin())
    out = impl(function, h, use_reentrant=False)
    expected = torch.autograd.grad((leaf * 2).exp().sin().sum(), [leaf])
    for passes in (1, 2):
        same(torch.autograd.grad(out.sum(), [leaf], retain_graph=True), expected)
        assert function.count == 1 + passes
    same(torch.autograd.grad(out.sum(), [leaf]), expected)
    with pytest.raises(RuntimeError, match="second time"):
        # Not by autograd.grad: after an error in it, torch 1.2 to 1.7 refuse every reentrant checkpoint of the thread.
        out.sum().backward()


def test_higher_derivatives(impl):
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    leaf = data(4).requires_grad_()
    y = impl(lambda x: scale * x * x * x * x, leaf * 1, use_reentrant=False)
    (first,) = torch.autograd.grad(y.sum(), [leaf], create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), [leaf], create_graph=True)
    third, by_scale = torch.autograd.grad(second.sum(), [leaf, scale])
    same([first, second, third], [8 * leaf**3, 24 * leaf**2, 48 * leaf])
    same([by_scale], [(12 * leaf**2).sum()])


def test_gradients_by_finite_differences(impl):
    weight = data(3, 3).requires_grad_()

    def function(x, y):
        return impl(lambda a, *, b: (a @ weight).tanh() * b, x * 1, b=y.sin(), use_reentrant=False)

    inputs = data(2, 3).requires_grad_(), data(2, 3).requires_grad_()
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_nested(impl):
    model = network()
    leaf, h = history()

    def inner(x, *, k):
        return model(x) * k.exp()

    def middle(x):
        y = x.sin()
        return impl(inner, y, k=x, use_reentrant=False).cos() * y

    def outer(x):
        return impl(middle, x * 3, use_reentrant=False) + model(x)

    inputs = [leaf, *model.parameters()]
    got = torch.autograd.grad(impl(outer, h, use_reentrant=False).sum(), inputs, create_graph=True)

    def plain(x):
        y = (3 * x).sin()
        return (inner(y, k=3 * x).cos() * y) + model(x)

    expected = torch.autograd.grad(plain(leaf * 2).sum(), inputs, create_graph=True)
    same(got, expected)
    same(
        torch.autograd.grad(sum((g * g).sum() for g in got), inputs),
        torch.autograd.grad(sum((g * g).sum() for g in expected), inputs),
    )


def test_backward_inside(impl):
    def function(x):
        y = x.sin() * x.exp()
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return y * slope

    leaf, h = history()
    same(
        torch.autograd.grad(impl(function, h, use_reentrant=False).sum(), [leaf]),
        torch.autograd.grad(function(leaf * 2).sum(), [leaf]),
    )


def test_dropout_repeats_and_the_generator_goes_on(impl):
    model = network(0.5)
    leaf, h = history()
    torch.manual_seed(3)
    out = impl(model, h, use_reentrant=False)
    after = torch.get_rng_state()
    torch.rand(7)
    here = torch.get_rng_state()
    got = torch.autograd.grad(out.sum(), [leaf, *model.parameters()])
    assert torch.equal(torch.get_rng_state(), here)
    torch.manual_seed(3)
    plain = model(leaf * 2)
    assert torch.equal(torch.get_rng_state(), after)
    same([out], [plain])
    same(got, torch.autograd.grad(plain.sum(), [leaf, *model.parameters()]))


def test_random_numbers_can_be_left_alone(impl):
    drawn = []

    def function(x):
        drawn.append(torch.rand(4))
        return x * drawn[-1][0] * x

    _, h = history()
    impl(function, h, use_reentrant=False, preserve_rng_state=False).sum().backward()
    assert not torch.equal(*drawn)
    del drawn[:]
    impl(function, h * 1, use_reentrant=False, preserve_rng_state=True).sum().item()
    assert len(drawn) == 1


@pytest.mark.skipif(not at_least(1, 10), reason="there is no autocast on the CPU before torch 1.10")
@pytest.mark.parametrize("inside", [True, False])
def test_autocast_repeats(impl, inside):
    linear = nn.Linear(4, 4)
    x = torch.randn(2, 4)
    seen = []

    def function(x):
        y = linear(x)
        seen.append(y.dtype)
        return y.float() * y.float()

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=inside):
        out = impl(function, x, use_reentrant=False)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not inside):
        out.sum().backward()
    assert seen == [torch.bfloat16 if inside else torch.float32] * 2


def _lowered(enabled=True):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)


def _two_blocks(linear, x):
    with _lowered():
        one = linear(x)
    with _lowered():
        two = linear(2 * x)
    return one.float() * two.float()


def _block_within_a_block(linear, x):
    with _lowered():
        one = linear(x)
        with _lowered(False):
            two = linear(x)
        three = linear(one)
    return one.float() * two * three.float()


def _no_block(linear, x):
    return linear(linear(x)).float()


def _gradients(linear, call, within, backward_within):
    x = torch.linspace(-1, 1, 12).view(3, 4).requires_grad_()
    linear.zero_grad()
    # A block that switches autocast off counts as one, too: torch's cast weights last until the outermost one closes.
    with _lowered() if within else contextlib.nullcontext():
        if within:
            linear(x)
        out = call(x)
    with _lowered() if backward_within else contextlib.nullcontext():
        out.sum().backward()
    return x.grad, linear.weight.grad.clone()


def _check_autocast(impl, function, within, backward_within, reentrant, tolerance):
    linear = nn.Linear(4, 4)

    def checkpointed(x):
        return impl(lambda x: function(linear, x), x, use_reentrant=reentrant)

    wanted = _gradients(linear, lambda x: function(linear, x), within, backward_within)
    found = _gradients(linear, checkpointed, within, backward_within)
    for one, other in zip(found, wanted):
        assert torch.allclose(one, other, rtol=tolerance, atol=tolerance)
    assert torch.autocast_increment_nesting() == 1
    assert torch.autocast_decrement_nesting() == 0


def autocast_blocks(test):
    """Calls and backward passes within and outside of a block; torch keeps its cast weights until that closes."""
    for name in ("within", "backward_within"):
        test = pytest.mark.parametrize(name, [False, True])(test)
    test = pytest.mark.parametrize("function", [_two_blocks, _block_within_a_block, _no_block])(test)
    return pytest.mark.skipif(not at_least(1, 10), reason="there is no autocast on the CPU before torch 1.10")(test)


@autocast_blocks
def test_weights_that_autocast_has_cast(impl, function, backward_within, within):
    _check_autocast(impl, function, within, backward_within, reentrant=False, tolerance=1e-6)


# On 1.11 and 1.12 torch's own recomputation enters autocast of CUDA as well, and warns where there is none.
RECOMPUTES_ON_CUDA = pytest.mark.filterwarnings(
    *(["ignore:User provided device_type of 'cuda', but CUDA is not available"] if at_least(1, 11) else [])
)


@autocast_blocks
@pytest.mark.limit("reentrant-autocast")
@pytest.mark.filterwarnings(r"ignore:.torch\.cpu\.amp\.autocast:FutureWarning")
@RECOMPUTES_ON_CUDA
def test_weights_that_autocast_has_cast_with_reentrant_autograd(impl, function, backward_within, within):
    # The weight's gradients are summed in another order, in bfloat16.
    _check_autocast(impl, function, within, backward_within, reentrant=True, tolerance=0.02)


class Logged:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def __enter__(self):
        self.log.append(self.name)

    def __exit__(self, *error):
        self.log.append("end of " + self.name)


def test_contexts(impl):
    log = []
    contexts = Logged(log, "forward"), Logged(log, "recompute")
    _, h = history()
    out = impl(lambda x: log.append("run") or x.exp(), h, use_reentrant=False, context_fn=lambda: contexts)
    assert log == ["forward", "run", "end of forward"]
    out.sum().backward()
    assert log[3:] == ["recompute", "run", "end of recompute"]


def changing(first, later):
    """A function that does something else from its second run on."""
    runs = []

    def function(x):
        runs.append(1)
        return (first if len(runs) == 1 else later)(x)

    return function


def error_of(out):
    with pytest.raises(RuntimeError) as caught:
        out.sum().backward()
    return caught


def test_a_recomputation_of_another_shape(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp(), lambda x: x[:1].exp().exp())
    text = str(error_of(impl(function, h, use_reentrant=False)).value)
    assert "[2, 3]" in text
    assert "[1, 3]" in text


@pytest.mark.limit("saved metadata")
def test_a_saved_tensor_of_another_shape(impl):
    _, h = history()
    function = changing(lambda x: x.exp().sum(), lambda x: x[:1].exp().sum())
    out = impl(function, h[:2] * 1, use_reentrant=False)
    text = str(error_of(out).value)
    assert "[2, 3]" in text
    assert "[1, 3]" in text


def test_a_recomputation_that_saves_another_number_of_tensors(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp() * x, lambda x: x.exp())
    assert "different number of tensors" in str(error_of(impl(function, h, use_reentrant=False)).value)


@pytest.mark.limit("error type")
def test_the_error_is_a_checkpoint_error(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp(), lambda x: x[:1].exp().exp())
    assert error_of(impl(function, h, use_reentrant=False)).type.__name__ == "CheckpointError"


def test_the_check_can_be_turned_off(impl):
    _, h = history()
    function = changing(lambda x: x.exp().sum(), lambda x: x[:1].exp().sum())
    impl(function, h, use_reentrant=False, determinism_check="none").backward()


def test_unknown_check(impl):
    function = Counted(torch.exp)
    with pytest.raises(ValueError, match=r"determinism_check should be one of .*default.*none.*got maybe"):
        impl(function, history()[1], use_reentrant=False, determinism_check="maybe")
    assert function.count == 0


@pytest.mark.skipif(public._DELEGATES, reason="here torch's own makes the trace")
@pytest.mark.limit("trace")
def test_the_trace(impl):
    _, h = history()
    function = changing(lambda x: x.exp().exp(), lambda x: x[:1].exp().exp())
    assert "aten.exp" in str(error_of(impl(function, h, use_reentrant=False, debug=True)).value)


def test_debug_excludes_contexts(impl):
    with pytest.raises(ValueError, match="context_fn"):
        impl(torch.exp, history()[1], use_reentrant=False, debug=True, context_fn=lambda: (Logged([], ""),) * 2)


@pytest.mark.limit("stop")
@pytest.mark.parametrize("stop", [True, False])
def test_recomputation_stops_at_the_last_tensor(impl, stop):
    if not stop and at_most(1, 10):
        pytest.xfail("recomputation never stops early on this torch")
    log = []
    _, h = history()
    out = impl(lambda x: (x.exp(), log.append("end"))[0], h, use_reentrant=False, early_stop=stop)
    out.sum().backward()
    assert log == ["end"] * (1 if stop else 2)


def test_an_error_in_the_forward_pass(impl):
    def function(x):
        torch.rand(3)
        raise KeyError("forward")

    _, h = history()
    with pytest.raises(KeyError, match="forward"):
        impl(function, h, use_reentrant=False)
    assert torch.is_grad_enabled()
    seen = []
    out = h.exp()  # its saved tensors are torch's own affair again
    out.register_hook(seen.append)
    out.sum().backward()
    assert len(seen) == 1


def test_an_error_in_the_recomputation_leaves_the_generator_alone(impl):
    def fail(x):
        torch.rand(3)
        raise KeyError("recompute")

    leaf, h = history()
    out = impl(changing(lambda x: x.exp(), fail), h, use_reentrant=False)
    before = torch.get_rng_state()
    with pytest.raises((KeyError, RuntimeError), match="recompute"):
        out.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    assert leaf.grad is None


@pytest.mark.limit("error type")
def test_an_error_in_the_recomputation_keeps_its_type(impl):
    def fail(x):
        raise KeyError("recompute")

    _, h = history()
    out = impl(changing(lambda x: x.exp(), fail), h, use_reentrant=False)
    with pytest.raises(KeyError, match="recompute"):
        out.sum().backward()


@pytest.mark.parametrize("grad", [True, False])
def test_an_argument_changed_in_place_afterwards(impl, grad):
    weight = data(3).requires_grad_()
    _, h = history()
    h = h if grad else h.detach()
    out = impl(lambda x: (x * weight).exp(), h, use_reentrant=False)
    with torch.no_grad():
        h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_an_argument_changed_in_place_by_the_function(impl):
    _, h = history()

    def function(x):
        return x.mul_(2).exp()

    with pytest.raises(RuntimeError, match=r"in-?place"):
        impl(function, h, use_reentrant=False).sum().backward()


def test_the_result_can_be_changed_in_place(impl):
    leaf, h = history()
    out = impl(lambda x: x.sin(), h, use_reentrant=False)
    out.mul_(3)
    nn.functional.relu(out, inplace=True)
    plain = nn.functional.relu(3 * (leaf * 2).sin())
    same([out], [plain])
    same(torch.autograd.grad(out.sum(), [leaf]), torch.autograd.grad(plain.sum(), [leaf]))


def exponential_and_view(x):
    y = x.exp() * 1
    return y, y.view(-1)


@pytest.mark.limit("shared memory")
def test_results_that_share_memory_can_be_changed_in_place(impl):
    leaf, h = history()
    result, view = impl(exponential_and_view, h, use_reentrant=False)
    result.mul_(3)
    view.sum().backward()
    same([leaf.grad], [6 * h.exp().detach()])


@pytest.mark.parametrize("function", [exponential_and_view, lambda x: (x.view(-1), x * x)])
def test_shared_memory_changed_in_place_is_noticed(function):
    first, second = plainly(function, (history()[1],), hooked=False)

    def change_and_differentiate():
        first.mul_(3)
        second.sum().backward()

    with pytest.raises(RuntimeError, match="inplace"):
        change_and_differentiate()


def test_a_view_of_an_argument_changed_in_place(impl):
    view, square = impl(lambda x: (x.view(-1), x * x), history()[1], use_reentrant=False)
    view.mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        square.sum().backward()


def test_an_argument_that_is_not_used_and_higher_derivatives(impl):
    leaf, h = history()
    out = impl(lambda x, unused: x * x * x, h, leaf.exp(), use_reentrant=False)
    (first,) = torch.autograd.grad(out.sum(), [leaf], create_graph=True)
    same([first, *torch.autograd.grad(first.sum(), [leaf])], [24 * leaf**2, 48 * leaf])


class Variable(torch.autograd.Function):
    """Doubles, and has an attribute of the name that autograd gives to its nodes of leaves."""

    @staticmethod
    def forward(ctx, x):
        ctx.variable = x.clone()
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_a_custom_function_with_attributes(impl):
    leaf, h = history()
    impl(lambda x: Variable.apply(x).sin(), h, use_reentrant=False).sum().backward()
    same([leaf.grad], [4 * (2 * h).cos().detach()])


def test_parameters_accumulate_once_for_each_backward_pass(impl):
    model, x = network(), data(2, 3)
    weight, seen = model[0].weight, []
    weight.register_hook(lambda grad: seen.append(1) or grad)
    expected = torch.autograd.grad(model(model(x)).sum(), list(model.parameters()))
    del seen[:]
    loss = impl(lambda x: model(model(x)), x, use_reentrant=False).sum()
    for passes in (1, 2):
        loss.backward(retain_graph=True)
        assert len(seen) == passes
        same([p.grad for p in model.parameters()], [passes * grad for grad in expected])


def test_detached_parts(impl):
    leaf, h = history()

    def function(x):
        with torch.no_grad():
            scale = x.exp()
        return x.sin() * scale + x.detach(), scale

    out, scale = impl(function, h, use_reentrant=False)
    assert not scale.requires_grad
    same(torch.autograd.grad(out.sum(), [leaf]), [2 * h.cos() * h.exp()])


def test_what_is_handed_through_stays_what_it_is(impl):
    leaf, h = history()
    weight = nn.Parameter(data(3))
    twice, (a, b, c, d) = [], impl(lambda x, y: (x, y, weight, x.sin()), h, leaf, use_reentrant=False)
    assert a is h
    assert b is leaf
    assert c is weight
    twice = impl(lambda x: [x.exp()] * 2, h, use_reentrant=False)
    assert twice[0] is twice[1]
    (a.sum() + b.sum() + d.sum()).backward()
    same([leaf.grad], [3 + 2 * h.cos().detach()])


def test_several_calls_accumulate(impl):
    model = network()
    xs = [data(2, 3) for _ in range(3)]
    sum(impl(model, x, use_reentrant=False).sum() for x in xs).backward()
    expected = torch.autograd.grad(sum(model(x).sum() for x in xs), list(model.parameters()))
    same([p.grad for p in model.parameters()], expected)


def test_hooks_and_gradients_of_inputs(impl):
    leaf, h = history()
    seen = []
    h.register_hook(seen.append)
    h.retain_grad()
    impl(lambda x: x.sin(), h, use_reentrant=False).sum().backward()
    same(seen, [h.cos().detach()])
    same([h.grad, leaf.grad], [h.cos().detach(), 2 * h.cos().detach()])


def alive(call):
    """How many arrays that a function multiplies by are alive after the forward and after the backward pass."""
    arrays = []

    def function(x):
        for _ in range(3):
            array = numpy.ones((2, 3))
            arrays.append(weakref.ref(array))
            x = x * torch.from_numpy(array)
        return x

    _, h = history()
    out = call(function, h)
    after_forward = sum(array() is not None for array in arrays)
    out.sum().backward()
    del out
    return after_forward, sum(array() is not None for array in arrays)


def test_memory(impl):
    assert alive(lambda function, x: function(x)) == (3, 0)
    assert alive(lambda function, x: impl(function, x, use_reentrant=False)) == (0, 0)


class Activation(torch.autograd.Function):
    """The identity, into memory whose life can be watched."""

    @staticmethod
    def forward(ctx, watched, x):
        array = x.detach().numpy().copy()
        watched.append(weakref.ref(array))
        return torch.from_numpy(array)

    @staticmethod
    def backward(ctx, grad):
        return None, grad


def peaks(depth, inner, call):
    """The largest numbers of activations of a deep model alive in the forward and in the backward pass."""
    watched, alive = [], []

    def block(x):
        for _ in range(inner):
            x = Activation.apply(watched, x).sin()
            alive.append(sum(weak() is not None for weak in watched))
        return x

    _, x = history()
    gc.collect()
    gc.disable()  # memory is to be given back at once
    try:
        for _ in range(depth):
            x = call(block, x)
        forward = max(alive)
        x.sum().backward()
        del x
        assert not any(weak() is not None for weak in watched)
    finally:
        gc.enable()
    return forward, max(alive[depth * inner :] or [0])


def test_memory_of_a_deep_model(impl):
    assert peaks(8, 4, lambda block, x: block(x)) == (32, 0)
    forward, backward = peaks(8, 4, lambda block, x: impl(block, x, use_reentrant=False))
    assert forward <= 5
    assert backward <= 5


def test_arguments_are_not_kept_alive(impl):
    class Thing:
        pass

    thing = Thing()
    weak = weakref.ref(thing)
    _, h = history()
    out = impl(lambda x, thing: x.exp(), h, thing, use_reentrant=False)
    out.sum().backward()
    del out, thing
    assert weak() is None


def test_threads(impl):
    failed = []

    def work(seed):
        leaf = torch.full((2, 3), float(seed), dtype=torch.float64, requires_grad=True)
        for _ in range(5):
            out = impl(lambda x: x.exp().sin(), leaf * 1, use_reentrant=False, preserve_rng_state=False)
            (grad,) = torch.autograd.grad(out.sum(), [leaf])
            if not torch.allclose(grad, leaf.exp() * leaf.exp().cos()):
                failed.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


# Up to torch 1.7 an error in autograd.grad, of any test before, keeps reentrant checkpoints from then on.
@pytest.mark.first
def test_unsaid_it_is_reentrant(impl):
    model, (leaf, h) = network(), history()
    with pytest.warns(UserWarning, match="use_reentrant"):
        out = impl(model, h)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 1.10 asks for CUDA's autocast here
        out.sum().backward()
    same([leaf.grad], torch.autograd.grad(model(leaf * 2).sum(), [leaf]))


@pytest.mark.first
def test_reentrant(impl):
    model, (leaf, h) = network(0.5), history()
    torch.manual_seed(5)
    with warnings.catch_warnings():
        # torch's own uses its deprecated ways of autocast here and there
        warnings.simplefilter("ignore")
        out = impl(model, h, use_reentrant=True)
        out.sum().backward()
    torch.manual_seed(5)
    same([leaf.grad], torch.autograd.grad(model(leaf * 2).sum(), [leaf]))


@pytest.mark.parametrize(
    "settings", [{"unknown": 1}, {"debug": True}, {"context_fn": lambda: None}, {"respect_saved_tensors_hooks": False}]
)
def test_what_the_reentrant_way_has_not(impl, settings):
    function = Counted(torch.exp)
    with pytest.raises(ValueError, match=r"Unexpected keyword|use_reentrant=False"):
        impl(function, history()[1], use_reentrant=True, **settings)
    assert function.count == 0


@pytest.mark.limit("decorator")
def test_decorator(impl):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        @impl(use_reentrant=False)
        def forward(self, x, *, k=1.0):
            """Words."""
            return self.net(x) * k

    @impl(use_reentrant=False, preserve_rng_state=False)
    def square(x):
        return x * x

    leaf, h = history()
    model = Model()
    assert (Model.forward.__name__, Model.forward.__doc__) == ("forward", "Words.")
    same(
        torch.autograd.grad(square(model(h, k=2.0)).sum(), [leaf]),
        torch.autograd.grad(((model.net(leaf * 2) * 2) ** 2).sum(), [leaf]),
    )
    with pytest.raises(ValueError, match="Unexpected keyword arguments: wrong"):
        impl(use_reentrant=False, wrong=1)


def plainly(function, args, hooked):
    return run(function, args, {}, True, public.noop_context_fn, "default", True, public.CheckpointError, hooked=hooked)


@pytest.mark.parametrize("hooked", [False, True])
def test_both_ways_on_one_network(hooked):
    if hooked and not at_least(1, 11):
        pytest.skip("torch has hooks that nest from 1.11")
    blocks = [network(0.3) for _ in range(3)]
    x = data(2, 3).requires_grad_()

    def gradients(call):
        torch.manual_seed(1)
        y = x
        for block in blocks:
            y = y + call(block, (y,))
        inputs = [x] + [p for block in blocks for p in block.parameters()]
        first = torch.autograd.grad((y * y).sum(), inputs, create_graph=True)
        return [y, *first, *torch.autograd.grad(sum((g * g).sum() for g in first), inputs)]

    same(gradients(lambda block, args: plainly(block, args, hooked)), gradients(lambda block, args: block(*args)))


def test_a_result_that_cannot_be_followed():
    class Thing:
        def __init__(self, value):
            self.value = value

    with pytest.raises(RuntimeError, match=r"returned Thing with a tensor in \.value"):
        plainly(lambda x: Thing(x.exp()), (history()[1],), hooked=False)


def test_no_warning_escapes(impl):
    leaf, h = history()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        impl(torch.sin, h, use_reentrant=False).sum().backward()
    assert not caught
    same([leaf.grad], [2 * h.cos().detach()])


@pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
def test_it_is_a_part_of_one_compiled_graph(impl):
    leaf, _ = history()

    def sine(x):
        return x.sin()

    function = torch.compile(lambda x: impl(sine, x, use_reentrant=False) * 2, backend="eager", fullgraph=True)
    same(torch.autograd.grad(function(leaf).sum(), [leaf]), [2 * leaf.cos()])


@pytest.mark.filterwarnings(r"ignore:.torch\.cpu\.amp\.autocast:FutureWarning")
@pytest.mark.shim("utils.checkpoint.checkpoint_sequential")
class TestSequential:
    @pytest.mark.limit("quiet")
    def test_no_warning_escapes(self, impl):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            impl([torch.sin] * 3, 2, history()[1], use_reentrant=False).sum().backward()
        assert not caught

    @pytest.mark.parametrize("segments", [1, 2, 3, 4])
    @pytest.mark.parametrize("as_list", [True, False])
    def test_segments(self, impl, segments, as_list):
        model = network(0.3)
        leaf, h = history()
        torch.manual_seed(2)
        out = impl(list(model) if as_list else model, segments, h, use_reentrant=False)
        got = torch.autograd.grad(out.sum(), [leaf, *model.parameters()])
        torch.manual_seed(2)
        same(got, torch.autograd.grad(model(leaf * 2).sum(), [leaf, *model.parameters()]))

    def test_all_but_the_last_are_checkpointed(self, impl):
        functions = [Counted(torch.sin) for _ in range(4)]
        impl(functions, 2, history()[1], use_reentrant=False, preserve_rng_state=False).sum().backward()
        assert [function.count for function in functions] == [2, 2, 1, 1]

    def test_wrong_keyword(self, impl):
        with pytest.raises(ValueError, match="Unexpected keyword arguments: wrong"):
            impl([torch.sin], 1, history()[1], use_reentrant=False, wrong=1)

    def test_more_segments_than_functions(self, impl):
        with pytest.raises(ValueError):
            impl([torch.sin], 2, history()[1], use_reentrant=False)

    @pytest.mark.first
    def test_unsaid_it_is_reentrant(self, impl):
        leaf, h = history()
        with pytest.warns(UserWarning, match="use_reentrant"):
            out = impl([torch.sin, torch.cos], 2, h)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 1.10 asks for CUDA's autocast here
            out.sum().backward()
        same([leaf.grad], [(-h.sin().sin() * h.cos() * 2).detach()])


def recomputed(context, stop):
    """Whether a call in a block of this context's own kind recomputes to the end."""
    kind = "native" if context is SHIMS["utils.checkpoint.set_checkpoint_early_stop"].native else "fallback"
    checkpoint = getattr(SHIMS["utils.checkpoint.checkpoint"], kind)
    log = []
    out = checkpoint(lambda x: (x.exp(), log.append(1))[0], history()[1], use_reentrant=False, early_stop=stop)
    out.sum().backward()
    return len(log) == 2


@pytest.mark.shim("utils.checkpoint.set_checkpoint_early_stop")
class TestEarlyStop:
    def test_it_can_be_forbidden(self, impl):
        with impl(False):
            assert recomputed(impl, True)
            with pytest.raises(KeyError), impl(True):
                raise KeyError
            assert recomputed(impl, True)

    @pytest.mark.limit("stop")
    def test_it_overrides_the_call(self, impl):
        with impl(True):
            assert not recomputed(impl, False)


@pytest.mark.shim("utils.checkpoint.set_checkpoint_debug_enabled")
def test_debug_for_a_block(impl):
    if impl is not public.set_checkpoint_debug_enabled:
        pytest.skip("only the public object sets what the public function reads")
    _, h = history()
    contexts = {"context_fn": lambda: (Logged([], ""), Logged([], ""))}
    with impl(True):
        with pytest.raises(ValueError, match="context_fn"):
            public.checkpoint(torch.exp, h, use_reentrant=False, **contexts)
        with impl(False):
            public.checkpoint(torch.exp, h, use_reentrant=False, debug=True, **contexts)
    public.checkpoint(torch.exp, h, use_reentrant=False, **contexts)


@pytest.mark.shim("utils.checkpoint.noop_context_fn")
def test_noop_context_fn(impl):
    for _ in range(2):
        for context in impl():
            with pytest.raises(KeyError), context:
                raise KeyError


@pytest.mark.shim("utils.checkpoint.CheckpointError")
def test_checkpoint_error(impl):
    assert issubclass(impl, RuntimeError)
    assert str(impl("words")) == "words"


@pytest.mark.shim("utils.checkpoint.DefaultDeviceType")
def test_default_device_type(impl):
    before = impl.get_device_type()
    try:
        impl.set_device_type("xpu")
        assert impl.get_device_type() == "xpu"
        impl.set_device_type()
        assert impl.get_device_type() == "cuda"
    finally:
        impl.set_device_type(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is told without an accelerator")
@pytest.mark.limit("default")
@pytest.mark.shim("utils.checkpoint.DefaultDeviceType")
def test_the_default_without_an_accelerator(impl):
    assert impl.get_device_type() == "cpu"


def test_the_public_functions_are_the_table_s():
    for name in public.__all__:
        assert getattr(public, name) is SHIMS["utils.checkpoint." + name].public
