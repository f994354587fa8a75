"""Full backward hooks of a module and their pre-hooks: when they are called, with what, and what they change."""

import copy
import pickle

import pytest
import torch
from torch import nn

from torchcompat import SHIMS

full = pytest.mark.shim("nn.utils.module.register_full_backward_hook")
pre = pytest.mark.shim("nn.utils.module.register_full_backward_pre_hook")
# Torch 2.15 says so wherever a hook is called without a gradient of the inputs.
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")


class Scale(nn.Module):
    """x -> (scale x, 3 y): of more than one operation, input and output."""

    def __init__(self, factor=2.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(factor))

    def forward(self, x, y=None):
        return self.scale * x if y is None else (self.scale * x * 1.0, 3.0 * y)


class Log(list):
    """A hook that notes its arguments; it returns what it was made with."""

    def __init__(self, returned=None):
        super().__init__()
        self.returned = returned

    def __call__(self, module, *gradients):
        self.append((module, *gradients))
        return self.returned


def numbers(gradients):
    return [None if gradient is None else gradient.tolist() for gradient in gradients]


def ones(*shape):
    return torch.ones(*shape, requires_grad=True)


# --- full hooks


@full
def test_the_gradients_of_inputs_and_outputs(impl):
    module, log = Scale(), Log()
    impl(module, log)
    x, y = ones(2), ones(3)
    one, two = module(x, y)
    (5 * one.sum() + 7 * two.sum()).backward()
    ((called, grad_input, grad_output),) = log
    assert called is module
    assert numbers(grad_output) == [[5, 5], [7, 7, 7]]
    assert numbers(grad_input) == [[10, 10], [21, 21, 21]]
    assert (x.grad.tolist(), y.grad.tolist(), module.scale.grad.item()) == ([10, 10], [21, 21, 21], 10)


@full
def test_it_is_called_where_no_input_needs_a_gradient(impl):
    module, log = nn.Linear(3, 2), Log()
    impl(module, log)
    module(torch.ones(4, 3)).sum().backward()
    ((_, grad_input, grad_output),) = log
    assert grad_input == (None,)
    assert numbers(grad_output) == [[[1, 1]] * 4]
    assert module.weight.grad.tolist() == [[4, 4, 4]] * 2


@full
def test_a_container_has_the_gradient_of_its_own_inputs(impl):
    # What register_backward_hook gives is that of the container's last operation.
    module, log = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), Log()
    impl(module, log)
    x = ones(4, 3)
    module(x).sum().backward()
    ((_, grad_input, grad_output),) = log
    assert torch.equal(grad_input[0], x.grad)
    assert grad_output[0].shape == (4, 2)


@full
def test_modules_within_modules(impl):
    inner, order = Scale(3.0), []
    outer = nn.Sequential(inner, Scale(5.0))
    for name, module in (("outer", outer), ("inner", inner)):
        impl(module, lambda _, i, o, name=name: order.append((name, i[0].item(), o[0].item())))
    outer(torch.tensor(1.0, requires_grad=True)).backward()
    assert order == [("inner", 15, 5), ("outer", 15, 1)]


@full
def test_only_the_inputs_that_need_a_gradient_are_followed(impl):
    module, log = Scale(), Log()
    impl(module, log)
    x = ones(2)
    sum(out.sum() for out in module(x, torch.ones(3))).backward()
    ((_, grad_input, _),) = log
    assert len(grad_input) == 2
    assert grad_input[0].tolist() == [2, 2]
    assert grad_input[1] is None or grad_input[1].tolist() == [0, 0, 0]


@full
def test_what_is_no_tensor_has_none(impl):
    class Picky(nn.Module):
        def forward(self, factor, x, flag):
            return None, factor * x, "text"

    module, log = Picky(), Log()
    impl(module, log)
    module(3.0, ones(1), True)[1].backward()
    ((_, grad_input, grad_output),) = log
    assert numbers(grad_input) == [None, [3], None]
    assert numbers(grad_output) == [None, [1], None]


@full
def test_a_keyword_argument_is_no_input(impl):
    module, log = Scale(), Log()
    impl(module, log)
    y = ones(1)
    sum(module(ones(1), y=y)).backward()
    assert numbers(log[0][1]) == [[2]]
    assert y.grad.tolist() == [3]


@full
@pytest.mark.limit("unused outputs")
def test_an_output_that_is_not_used(impl):
    module, log = Scale(), Log()
    impl(module, log)
    module(ones(1), ones(1))[0].backward()
    assert numbers(log[0][2]) == [[1], None]


@full
def test_a_named_tuple_stays_one(impl):
    import collections

    Pair = collections.namedtuple("Pair", ["left", "right"])

    class Pairs(nn.Module):
        def forward(self, x):
            return Pair(x * 2, x * 3)

    module, log = Pairs(), Log()
    impl(module, log)
    out = module(ones(1))
    assert type(out) is Pair
    (out.left + out.right).backward()
    assert numbers(log[0][1]) == [[5]]


@full
def test_what_it_returns_goes_on(impl):
    module = Scale()
    impl(module, lambda _, grad_input, __: (grad_input[0] * 100,))
    x = ones(2)
    module(x).sum().backward()
    assert x.grad.tolist() == [200, 200]
    assert module.scale.grad.item() == 2


@full
def test_hooks_see_what_earlier_ones_returned_in_their_order(impl):
    module, order = Scale(), []

    def hook(name, factor):
        def call(_, grad_input, __):
            order.append((name, grad_input[0].item()))
            return (grad_input[0] * factor,)

        return call

    impl(module, hook("one", 3))
    impl(module, hook("two", 5))
    impl(module, hook("zero", 7), prepend=True)
    x = torch.tensor(1.0, requires_grad=True)
    module(x).backward()
    assert order == [("zero", 2), ("one", 14), ("two", 42)]
    assert x.grad.item() == 210


@full
def test_gradients_of_another_number_are_refused(impl):
    module = Scale()
    impl(module, Log((torch.ones(1), torch.ones(1))))
    with pytest.raises(RuntimeError, match="got 2"):
        module(ones(1)).backward()


@full
def test_gradients_where_no_input_needs_one_are_refused(impl):
    module = Scale()
    impl(module, Log((torch.ones(1),)))
    with pytest.raises(RuntimeError, match="no input"):
        module(torch.ones(1)).backward()


@full
def test_remove(impl):
    module, first, second = Scale(), Log(), Log()
    handle = impl(module, first)
    impl(module, second)
    handle.remove()
    handle.remove()
    module(ones(1)).backward()
    assert (len(first), len(second)) == (0, 1)


@full
def test_every_call_counts(impl):
    module, log = Scale(), Log()
    impl(module, log)
    x = torch.tensor(1.0, requires_grad=True)
    module(module(x)).backward()
    assert [(i[0].item(), o[0].item()) for _, i, o in log] == [(2, 1), (4, 2)]


@full
def test_a_module_that_calls_itself(impl):
    class Deep(nn.Module):
        def forward(self, x, depth=2):
            return x * 2 if depth == 0 else self(x * 3, depth - 1)

    module, log = Deep(), Log()
    impl(module, log)
    module(torch.tensor(1.0, requires_grad=True)).backward()
    assert sorted(i[0].item() for _, i, _ in log) == [2, 6, 18]


@full
def test_after_an_error_in_forward(impl):
    class Fussy(nn.Module):
        def forward(self, x):
            if x.dim():
                raise ValueError("no")
            return x * 2

    module, log = Fussy(), Log()
    impl(module, log)
    with pytest.raises(ValueError, match="no"):
        module(ones(1))
    module(torch.tensor(1.0, requires_grad=True)).backward()
    assert [(i[0].item(), o[0].item()) for _, i, o in log] == [(2, 1)]


@full
def test_without_gradients_nothing_is_called(impl):
    module, log = Scale(), Log()
    impl(module, log)
    with torch.no_grad():
        assert not module(ones(1)).requires_grad
    assert log == []


@full
def test_a_backward_pass_again(impl):
    module, log = Scale(), Log()
    impl(module, log)
    out = module(ones(1))
    out.backward(retain_graph=True)
    out.backward()
    assert [numbers(i) for _, i, _ in log] == [[[2]], [[2]]]


@full
def test_second_derivatives(impl):
    class Cube(nn.Module):
        def forward(self, x):
            return x**3

    module = Cube()
    impl(module, Log())
    x = torch.tensor(2.0, requires_grad=True)
    (first,) = torch.autograd.grad(module(x), x, create_graph=True)
    assert first.item() == 12
    assert torch.autograd.grad(first, x)[0].item() == 12


@full
@pytest.mark.limit("in place")
@pytest.mark.parametrize("needs_grad", [True, False])
def test_the_output_cannot_be_written_to(impl, needs_grad):
    module = Scale()
    impl(module, Log())
    out = module(torch.ones(2, requires_grad=needs_grad))
    with pytest.raises(RuntimeError, match="view"):
        out.add_(1)


@full
@pytest.mark.limit("in place")
def test_the_input_cannot_be_written_to(impl):
    module = nn.ReLU(inplace=True)
    impl(module, Log())
    with pytest.raises(RuntimeError, match="view"):
        module(ones(2) * 1)


@full
@pytest.mark.parametrize("needs_grad", [True, False])
def test_writing_to_the_output_never_silences_it(impl, needs_grad):
    module, log = Scale(), Log()
    impl(module, log)
    x = torch.ones(2, requires_grad=needs_grad)
    try:
        module(x).mul_(3).sum().backward()
    except RuntimeError:
        return
    assert numbers(log[0][2]) == [[3, 3]]
    assert numbers(log[0][1]) == [[6, 6] if needs_grad else None]


@full
def test_a_module_whose_output_is_no_tensor(impl):
    class Names(nn.Module):
        def forward(self, x):
            return {"x": x * 2}

    module, log = Names(), Log()
    impl(module, log)
    x = ones(1)
    with pytest.warns(UserWarning, match="tuple of"):
        out = module(x)
    out["x"].backward()
    assert log == []
    assert x.grad.tolist() == [2]


@full
def test_both_kinds_of_hooks_are_refused(impl):
    module = Scale()
    module.register_backward_hook(lambda *_: None)
    with pytest.raises(RuntimeError, match="both"):
        impl(module, Log())


@full
@pytest.mark.limit("later forward hooks")
def test_a_later_forward_hook_belongs_to_the_module(impl):
    module, log = Scale(), Log()
    impl(module, log)
    module.register_forward_hook(lambda _, __, out: out * 10)
    module(ones(1)).backward()
    assert numbers(log[0][2]) == [[1]]


@full
def test_an_earlier_forward_hook_belongs_to_the_module(impl):
    module, log = Scale(), Log()
    module.register_forward_hook(lambda _, __, out: out * 10)
    impl(module, log)
    module(ones(1)).backward()
    assert numbers(log[0][2]) == [[1]]
    assert numbers(log[0][1]) == [[20]]


_noted = []


def note(module, grad_input, grad_output):
    _noted.append((type(module), numbers(grad_input)))


@full
@pytest.mark.parametrize("again", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_has_hooks_of_its_own(impl, again):
    module = Scale()
    handle = impl(module, note)
    twin = again(module)
    handle.remove()
    del _noted[:]
    module(ones(1)).backward()
    assert _noted == []
    twin(ones(1)).backward()
    assert _noted == [(Scale, [[2]])]


@full
def test_the_state_dict_is_untouched(impl):
    module = Scale()
    impl(module, Log())
    assert list(module.state_dict()) == ["scale"]
    assert list(module.children()) == []


# --- pre-hooks


@full
def test_full_hooks_see_what_pre_hooks_made(impl, shim):
    other = SHIMS["nn.utils.module.register_full_backward_pre_hook"]
    pre = other.native if impl is shim.native and other.meets_contract else other.fallback
    module, log = Scale(), Log()
    impl(module, log)
    pre(module, lambda _, grad: (grad[0] * 3,))
    module(ones(1)).backward()
    assert [(numbers(i), numbers(o)) for _, i, o in log] == [([[6]], [[3]])]


@pre
@pytest.mark.parametrize("needs_grad", [True, False])
def test_a_pre_hook_changes_what_goes_through_the_module(impl, needs_grad):
    module = Scale()
    log = Log((torch.full((2,), 10.0),))
    impl(module, log)
    x = torch.ones(2, requires_grad=needs_grad)
    module(x).sum().backward()
    assert [numbers(grad) for _, grad in log] == [[[1, 1]]]
    assert module.scale.grad.item() == 20
    assert x.grad is None or x.grad.tolist() == [20, 20]


@pre
def test_pre_hooks_in_their_order(impl):
    module, order = Scale(), []

    def hook(name, factor):
        def call(_, grad_output):
            order.append((name, grad_output[0].item()))
            return (grad_output[0] * factor,)

        return call

    impl(module, hook("one", 3))
    impl(module, hook("zero", 5), prepend=True)
    handle = impl(module, hook("two", 7))
    x = torch.tensor(1.0, requires_grad=True)
    module(x).backward()
    assert order == [("zero", 1), ("one", 5), ("two", 15)]
    assert x.grad.item() == 210
    handle.remove()
    module(x).backward()
    assert x.grad.item() == 240


@pre
def test_outputs_of_another_number_are_refused(impl):
    module = Scale()
    impl(module, Log((torch.ones(1), torch.ones(1))))
    with pytest.raises(RuntimeError, match="got 2"):
        module(ones(1)).backward()


@pre
@pytest.mark.limit("unused outputs")
def test_a_pre_hook_of_an_output_that_is_not_used(impl):
    module, log = Scale(), Log()
    impl(module, log)
    module(ones(1), ones(1))[1].backward()
    assert numbers(log[0][1]) == [None, [1]]


@pre
@pytest.mark.limit("in place")
def test_with_a_pre_hook_the_output_cannot_be_written_to(impl):
    module = Scale()
    impl(module, Log())
    out = module(ones(2))
    with pytest.raises(RuntimeError, match="view"):
        out.add_(1)


@pre
@pytest.mark.limit("later forward hooks")
def test_a_later_forward_hook_comes_after_the_pre_hook(impl):
    module = Scale()
    impl(module, lambda _, grad: (grad[0] * 0,))
    module.register_forward_hook(lambda _, __, out: out * module.scale)
    module(ones(1)).backward()
    assert module.scale.grad.item() == 0
