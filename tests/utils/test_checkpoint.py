"""Activation checkpointing without reentrant autograd: the same numbers, less memory."""

import collections
import dataclasses
import warnings

import pytest
import torch
from checkpoint_tools import Counted, all_close, data, history, network, plainly
from torch import nn

from torchcompat import at_least
from torchcompat.compiler import COMPILES

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
    all_close(gradients(lambda f, *args, **kwargs: impl(f, *args, use_reentrant=False, **kwargs)), plain)


def test_inputs_that_need_no_gradient(impl):
    model, x = network(), data(2, 3)
    function = Counted(model)
    out = impl(function, x, use_reentrant=False)
    assert function.count == 1
    out.sum().backward()
    assert function.count == 2
    all_close([p.grad for p in model.parameters()], torch.autograd.grad(model(x).sum(), list(model.parameters())))


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
    all_close(torch.autograd.grad(out.sum(), [leaf, scale]), expected)


def test_a_captured_tensor_with_a_history(impl):
    leaf, h = history()
    function = lambda x: (x * h).sin()  # noqa: E731
    x = data(2, 3).requires_grad_()
    (impl(function, x, use_reentrant=False).sum() + h.exp().sum()).backward()
    got = leaf.grad, x.grad
    h = leaf * 2
    all_close(got, torch.autograd.grad(function(x).sum() + h.exp().sum(), [leaf, x]))


@pytest.mark.limit("captured history")
def test_the_gradient_of_a_captured_tensor_with_a_history(impl):
    leaf, h = history()
    out = impl(lambda x: (x * h).sin(), leaf, use_reentrant=False)
    all_close(torch.autograd.grad(out.sum(), [h]), [leaf * (leaf * h).cos()])


def test_partial_backward(impl):
    first, second = data(3).requires_grad_(), data(3).requires_grad_()
    leaf, h = history()
    a, b = impl(lambda x: ((x * first).sin(), (x * second).cos()), h, use_reentrant=False)
    a.sum().backward(retain_graph=True)
    assert second.grad is None or not (second.grad != 0).any()
    all_close([first.grad], [(h * (h * first).cos()).sum(0).detach()])
    b.sum().backward()
    all_close([second.grad], [-(h * (h * second).sin()).sum(0).detach()])
    expected = first * (h * first).cos() - second * (h * second).sin()
    all_close([leaf.grad], [2 * expected.detach()])


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
    all_close(torch.autograd.grad(out.sum(), [weight]), torch.autograd.grad(model(h).sum(), [weight]))
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
        all_close(torch.autograd.grad(out.sum(), [leaf], retain_graph=True), expected)
        assert function.count == 1 + passes
    all_close(torch.autograd.grad(out.sum(), [leaf]), expected)
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
    all_close([first, second, third], [8 * leaf**3, 24 * leaf**2, 48 * leaf])
    all_close([by_scale], [(12 * leaf**2).sum()])


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
    all_close(got, expected)
    all_close(
        torch.autograd.grad(sum((g * g).sum() for g in got), inputs),
        torch.autograd.grad(sum((g * g).sum() for g in expected), inputs),
    )


def test_backward_inside(impl):
    def function(x):
        y = x.sin() * x.exp()
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return y * slope

    leaf, h = history()
    all_close(
        torch.autograd.grad(impl(function, h, use_reentrant=False).sum(), [leaf]),
        torch.autograd.grad(function(leaf * 2).sum(), [leaf]),
    )


# Up to torch 1.7 an error in autograd.grad, of any test before, keeps reentrant checkpoints from then on.
@pytest.mark.first
def test_unsaid_it_is_reentrant(impl):
    model, (leaf, h) = network(), history()
    with pytest.warns(UserWarning, match="use_reentrant"):
        out = impl(model, h)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 1.10 asks for CUDA's autocast here
        out.sum().backward()
    all_close([leaf.grad], torch.autograd.grad(model(leaf * 2).sum(), [leaf]))


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
    all_close([leaf.grad], torch.autograd.grad(model(leaf * 2).sum(), [leaf]))


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
    all_close(
        torch.autograd.grad(square(model(h, k=2.0)).sum(), [leaf]),
        torch.autograd.grad(((model.net(leaf * 2) * 2) ** 2).sum(), [leaf]),
    )
    with pytest.raises(ValueError, match="Unexpected keyword arguments: wrong"):
        impl(use_reentrant=False, wrong=1)


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

    all_close(gradients(lambda block, args: plainly(block, args, hooked)), gradients(lambda block, args: block(*args)))


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
    all_close([leaf.grad], [2 * h.cos().detach()])


@pytest.mark.skipif(not COMPILES, reason="nothing compiles here")
def test_it_is_a_part_of_one_compiled_graph(impl):
    leaf, _ = history()

    def sine(x):
        return x.sin()

    function = torch.compile(lambda x: impl(sine, x, use_reentrant=False) * 2, backend="eager", fullgraph=True)
    all_close(torch.autograd.grad(function(leaf).sum(), [leaf]), [2 * leaf.cos()])
