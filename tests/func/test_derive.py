"""The machinery under the fallbacks' derivatives: what stays attached, what stays alive, what is batched wrongly."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from derivative_laws import normal, on_a_graph, same

from torchcompat import SHIMS, UnsupportedError, at_least
from torchcompat.func import _derive, _mode
from torchcompat.func._derive import batched_backward


def fallback(name):
    return SHIMS["func." + name].fallback


grad, vmap, jvp, vjp, jacrev, hessian = map(fallback, ("grad", "vmap", "jvp", "vjp", "jacrev", "hessian"))


def test_variables_of_a_transform_within_do_not_keep_the_result_on_a_graph():
    # The inner gradient is by samples that have no graph: its variables are in the outer one's graph, and nobody's.
    x, w = normal(4, 3), normal(3, 3)
    found = grad(lambda w: vmap(grad(lambda x: torch.tanh(w @ x).sum()))(x).pow(2).sum())(w)
    assert on_a_graph(found) == [False]


def test_variables_of_a_transform_around_do_keep_it():
    x = normal(3)
    same(grad(lambda a: grad(lambda b: (b * a * a).sum())(x).sum())(x), 2 * x)


def test_what_was_returned_before_is_on_no_graph_of_ours():
    x = normal(3)
    _, vjp_fn = vjp(lambda x: x * x, x)
    found = grad(lambda c: vjp_fn(c)[0].pow(2).sum())(x)
    same(found, 8 * x * x * x)
    assert on_a_graph(found) == [False]


@pytest.mark.parametrize(
    "call",
    [
        lambda w, x: vmap(grad(lambda w, x: torch.tanh(F.linear(x, w)).sum()), in_dims=(None, 0))(w, x),
        lambda w, x: grad(lambda w: vmap(grad(lambda x: torch.tanh(w @ x).sum()))(x).pow(2).sum())(w),
        lambda w, x: jacrev(lambda x: torch.tanh(w @ x))(x[0]),
        lambda w, x: hessian(lambda x: torch.tanh(w @ x).sum())(x[0]),
        lambda w, x: jvp(lambda x: torch.tanh(w @ x), (x[0],), (x[1],)),
    ],
)
def test_nothing_waits_for_the_garbage_collector(call):
    alive = []

    def watched(w):
        w = w * 1
        alive.append(weakref.ref(w))
        return w

    gc.collect()
    gc.disable()
    try:
        call(watched(normal(3, 3)), watched(normal(4, 3)))
        assert [reference() for reference in alive] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("shape", [(4, 4), (3, 4), (2, 2, 4)])
@pytest.mark.parametrize("create_graph", [False, True])
def test_layer_norms_cotangents_are_not_taken_for_samples(shape, create_graph):
    check_rows(lambda x: F.layer_norm(x, [4]), shape, create_graph)


@pytest.mark.parametrize("shape", [(2, 4, 2), (4, 4, 4), (2, 2, 2), (3, 4, 2)])
@pytest.mark.parametrize("create_graph", [False, True])
def test_group_norms_cotangents_are_not_taken_for_samples(shape, create_graph):
    check_rows(lambda x: F.group_norm(x, 2), shape, create_graph)


def check_rows(function, shape, create_graph):
    for second in (False, True):
        x = normal(*shape).requires_grad_()
        y = function(x)
        if second:
            (y,) = torch.autograd.grad((y * y * y).sum(), x, create_graph=True)
        rows = torch.eye(y.numel(), dtype=y.dtype).reshape([y.numel()] + list(y.shape))
        (found,) = batched_backward([y], [x], [rows], create_graph)
        one_by_one = [torch.autograd.grad(y, x, row, retain_graph=True)[0] for row in rows]
        same(found, torch.stack(one_by_one))


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


def test_forward_mode_through_what_can_be_differentiated_once_names_it():
    x = normal(3)
    with pytest.raises(UnsupportedError, match=r"once_differentiable.*torch 2\.0.*jacrev"):
        jvp(Once.apply, (x,), (x,))
    same(jacrev(Once.apply)(x), torch.diag(2 * x))


def can_be_differentiated_twice(function, x):
    x = x.clone().requires_grad_()
    y = function(x)
    seed = torch.zeros_like(y).requires_grad_()
    (product,) = torch.autograd.grad(y, x, seed, create_graph=True)
    try:
        torch.autograd.grad(product.sum(), seed)
    except RuntimeError:
        return False
    return True


def test_forward_mode_through_an_operation_without_a_second_derivative_names_it():
    grid = torch.rand(1, 2, 2, 2, dtype=torch.float64) - 0.5
    function = lambda x: F.grid_sample(x, grid, align_corners=False)  # noqa: E731
    if not at_least(1, 3):
        function = lambda x: F.grid_sample(x, grid)  # noqa: E731
    x = normal(1, 1, 3, 3)
    if can_be_differentiated_twice(function, x):
        same(jvp(function, (x,), (x,)), (function(x), function(x)))  # it is linear
        return
    with pytest.raises(UnsupportedError, match=r"grid_sampler_2d_backward.*torch 2\.0.*jacrev"):
        jvp(function, (x,), (x,))
    assert jacrev(function)(x).shape == (1, 1, 2, 2, 1, 1, 3, 3)


# --- which of several results are on the caller's graph


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_each_gradient_is_on_the_graph_that_it_depends_on(order):
    a, b, c, w = normal(3), normal(3), normal(3).requires_grad_(), normal(3).requires_grad_()

    def f(a, b, c):
        return (a * w).sum() + (b * b * b).sum() + (c * c).sum()

    found = grad(f, argnums=order)(a, b, c)
    expected = {0: w, 1: 3 * b * b, 2: 2 * c}
    same([one.detach() for one in found], [expected[number].detach() for number in order])
    assert on_a_graph(found) == [number != 1 for number in order]
    with pytest.raises(RuntimeError):
        torch.autograd.grad(found[order.index(1)].sum(), c)
    same(torch.autograd.grad(found[order.index(2)].sum(), c)[0], torch.full_like(c, 2).detach())


def test_the_graph_of_many_results_is_walked_once(monkeypatch):
    walked = []
    leads = _derive._leads

    def note(start, wanted, known):
        before = len(known)
        answer = leads(start, wanted, known)
        walked.append(len(known) - before)
        return answer

    monkeypatch.setattr(_derive, "_leads", note)
    constant = normal(3).requires_grad_()

    def nodes(count):
        del walked[:]
        found, aux = grad(deep, has_aux=True)([normal(3) for _ in range(count)], normal(3))
        assert on_a_graph([*found, *aux]) == [False] * (2 * count)
        return sum(walked)

    def deep(inputs, x):
        layers = []
        for inner in inputs:
            x = torch.tanh(x * inner)
            layers.append(x)
        return (x + constant).sum(), layers

    assert 0 < nodes(40) < 3 * nodes(20)  # for each result anew, that were four times as many


# --- the mode of vmap, which sees every call from torch 1.13 on


DERIVATIVES = {
    "grad": lambda f, x: grad(lambda x: f(x).sum())(x),
    "vjp": lambda f, x: vjp(f, x)[1](x)[0],
    "jvp": lambda f, x: jvp(f, (x,), (x,))[1],
    "jacrev": lambda f, x: jacrev(f)(x),
    "hessian": lambda f, x: hessian(lambda x: f(x).sum())(x),
}


@pytest.mark.skipif(_mode.unseen is not _mode._Unseen, reason="of torch 1.13, the one that pauses it")
@pytest.mark.parametrize("name", sorted(set(DERIVATIVES) - {"hessian"}))  # which looks for draws by torch.equal
def test_the_mode_sees_what_the_function_calls_and_not_our_own_work(name, monkeypatch):
    seen = []
    handler = _mode._Mode.__torch_function__

    def note(self, func, types, args=(), kwargs=None):
        seen.append(func.__name__)
        return handler(self, func, types, args, kwargs)

    monkeypatch.setattr(_mode._Mode, "__torch_function__", note)
    vmap(lambda x: DERIVATIVES[name](torch.sin, x))(normal(4, 3))
    assert set(seen) <= {"sin", "sum"}


@pytest.mark.skipif(not _mode.SEES_ALL, reason="there is no mode")
@pytest.mark.parametrize("name", sorted(DERIVATIVES))
def test_the_mode_sees_draws_within_a_derivative_and_after_it(name):
    derivative = DERIVATIVES[name]

    def within(x):
        return derivative(lambda x: torch.sin(x) * torch.rand(3, dtype=x.dtype), x)

    def after(x):
        return derivative(torch.sin, x).sum() + torch.rand(3)

    def after_an_error(x):
        with pytest.raises((RuntimeError, ValueError), match="floating-point"):
            derivative(torch.sin, x.long())
        return x + torch.rand(3)

    for function in (within, after, after_an_error):
        with pytest.raises(RuntimeError, match="randomness"):
            vmap(function)(normal(4, 3))
