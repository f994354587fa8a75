"""Checkpoints and memory: changes in place, views, what is kept alive, threads."""

import gc
import threading
import weakref

import numpy
import pytest
import torch
from checkpoint_tools import all_close, data, history, network, plainly
from torch import nn

pytestmark = pytest.mark.shim("utils.checkpoint.checkpoint")


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
    all_close([out], [plain])
    all_close(torch.autograd.grad(out.sum(), [leaf]), torch.autograd.grad(plain.sum(), [leaf]))


def exponential_and_view(x):
    y = x.exp() * 1
    return y, y.view(-1)


@pytest.mark.limit("shared memory")
def test_results_that_share_memory_can_be_changed_in_place(impl):
    leaf, h = history()
    result, view = impl(exponential_and_view, h, use_reentrant=False)
    result.mul_(3)
    view.sum().backward()
    all_close([leaf.grad], [6 * h.exp().detach()])


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
    all_close([first, *torch.autograd.grad(first.sum(), [leaf])], [24 * leaf**2, 48 * leaf])


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
    all_close([leaf.grad], [4 * (2 * h).cos().detach()])


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
        all_close([p.grad for p in model.parameters()], [passes * grad for grad in expected])


def test_detached_parts(impl):
    leaf, h = history()

    def function(x):
        with torch.no_grad():
            scale = x.exp()
        return x.sin() * scale + x.detach(), scale

    out, scale = impl(function, h, use_reentrant=False)
    assert not scale.requires_grad
    all_close(torch.autograd.grad(out.sum(), [leaf]), [2 * h.cos() * h.exp()])


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
    all_close([leaf.grad], [3 + 2 * h.cos().detach()])


def test_several_calls_accumulate(impl):
    model = network()
    xs = [data(2, 3) for _ in range(3)]
    sum(impl(model, x, use_reentrant=False).sum() for x in xs).backward()
    expected = torch.autograd.grad(sum(model(x).sum() for x in xs), list(model.parameters()))
    all_close([p.grad for p in model.parameters()], expected)


def test_hooks_and_gradients_of_inputs(impl):
    leaf, h = history()
    seen = []
    h.register_hook(seen.append)
    h.retain_grad()
    impl(lambda x: x.sin(), h, use_reentrant=False).sum().backward()
    all_close(seen, [h.cos().detach()])
    all_close([h.grad, leaf.grad], [h.cos().detach(), 2 * h.cos().detach()])


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
