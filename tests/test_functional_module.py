"""The prepared callable: right like functional_call, cached, and safe in threads."""

import copy
import gc
import random
import warnings
import weakref

import pytest
import torch
from functional_module_tools import FALLBACK, Pair, Scale, X, scalar
from torch import nn

from torchcompat import at_least
from torchcompat.func import functional_module


def assert_values(module, **values):
    state = module.state_dict()
    assert {name: state[name.replace("__", ".")].item() for name in values} == values


# The same contract


def test_arguments_and_gradients():
    module = Scale()
    call = functional_module(module)
    w = torch.tensor(5.0, requires_grad=True)
    assert call({"w": w}) == 5
    assert call({"w": w}, 3.0) == 15
    assert call({"w": w}, 3.0, power=2) == 75
    assert torch.autograd.grad(call({"w": w}, 3.0, power=2), w)[0] == 30
    assert call(({"w": w}, {"steps": scalar(0)}), 3.0) == 15
    assert call.module is module
    assert module.w == 2
    assert module.w.grad is None


@pytest.mark.parametrize("keys", [("a",), ("b", "c"), ("c", "a", "b")])
def test_three_ties(keys):
    module = nn.Module()
    module.a = module.b = module.c = nn.Parameter(scalar(1))
    module.forward = lambda: torch.stack([module.a, module.b, module.c])
    own, new = module.a, scalar(7)
    assert functional_module(module)(dict.fromkeys(keys, new)).tolist() == [7, 7, 7]
    assert module.a is module.b is module.c is own


def test_the_state_dict_of_a_tied_module():
    module = Pair()
    module.two.w = module.one.w
    call = functional_module(module)
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.one.w.fill_(4)
    state = other.state_dict()
    assert state["one.w"] is not state["two.w"]
    assert call(state) == 44
    with pytest.raises(ValueError, match=r"'one.w'.*'two.w'"):
        call({"one.w": scalar(4), "two.w": scalar(4)})
    tracked = {name: state[name].view(()).requires_grad_() for name in ("one.w", "two.w")}
    with pytest.raises(ValueError, match="tied"):
        call(tracked)
    assert functional_module(module, tie_weights=False)({"one.w": scalar(4), "two.w": scalar(5)}) == 45


def test_a_submodule_under_two_names():
    module = nn.Sequential(nn.Linear(1, 1, bias=False))
    module.add_module("again", module[0])
    own = module[0].weight
    call = functional_module(module)
    for _ in range(2):
        assert call({"0.weight": 3 * X, "steps": X}, X) == 9
        assert call({"again.weight": 3 * X}, X) == 9
        assert module[0].weight is own


def test_recurrent():
    module, twin, x = nn.LSTM(2, 3), nn.LSTM(2, 3), torch.randn(4, 1, 2)
    call = functional_module(module)
    own = module(x)[0]
    for _ in range(2):
        assert torch.equal(call(dict(twin.named_parameters()), x)[0], twin(x)[0])
        assert torch.equal(module(x)[0], own)


def test_strict():
    call = functional_module(Pair(), strict=True)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"(?s)Unexpected key\(s\): 'x'.*Missing key\(s\): 'one.steps', 'one.w'"):
            call({"two.w": X, "two.steps": X, "x": X})
    assert call(dict(call.module.state_dict())) == 23


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (3, ValueError),
        ([{"one.w": X}, {"one.w": X}], ValueError),
        ({"one.w": 3.0}, TypeError),
        ({3: X}, TypeError),
        ({"three.w": X}, AttributeError),
        ({"one": X}, TypeError),
        ({"": X}, KeyError),
    ],
)
def test_bad_state(state, error):
    module = Pair()
    call = functional_module(module)
    for _ in range(2):
        with pytest.raises(error):
            call(state)
    assert_values(module, one__w=2, two__w=3, one__steps=0)
    assert call({}) == 23


@pytest.mark.parametrize("bad", [None, Pair, lambda: None])
def test_no_module(bad):
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        functional_module(bad)


def test_data_parallel():
    with pytest.raises(RuntimeError, match="DataParallel"):
        functional_module(nn.DataParallel(Pair()))


def test_while_tracing():
    call = functional_module(Scale())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is deprecated
        with pytest.raises(RuntimeError, match="trace"):
            torch.jit.trace(lambda x: call({"w": x}, x), X)


def test_what_the_forward_assigns_is_written_back():
    call = functional_module(Scale())
    state = ({"w": scalar(4)}, {"steps": scalar(10)})
    for n in range(1, 4):
        assert call(state) == 4
        assert state[1]["steps"] == 10 + n
    assert call.module.steps == 0
    call({"w": scalar(4)})
    call({"w": scalar(4)})
    assert call.module.steps == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_restored_after_an_exception(error):
    module = Pair()
    own = list(module.parameters())
    call = functional_module(module)

    def fail(*_):
        raise error

    hook = module.two.register_forward_pre_hook(fail)
    for _ in range(2):
        with pytest.raises(error):
            call({"one.w": scalar(1), "two.w": scalar(1)})
        assert all(now is was for now, was in zip(module.parameters(), own))
    hook.remove()
    assert call({"one.w": scalar(1), "two.w": scalar(1)}) == 11


# When the module changes


def prepared():
    """A callable that has already worked out where its tensors go."""
    module = Pair()
    call = functional_module(module)
    new = {"one.w": scalar(5), "two.w": scalar(7)}
    assert call(new) == 57
    assert call({"one.w": scalar(5)}) == 53
    return module, call, new


def test_a_submodule_is_replaced():
    module, call, new = prepared()
    module.two = Scale(1.0)
    assert call(new) == 57
    assert call({"one.w": scalar(5)}) == 51
    assert_values(module, one__w=2, two__w=1)


def test_a_submodule_is_replaced_deep_inside():
    inner = Pair()
    call = functional_module(nn.Sequential(nn.Sequential(inner)))
    assert call({"0.0.one.w": scalar(5)}, 1.0) == 53
    inner.one = Scale(9.0)
    assert call({"0.0.one.w": scalar(5)}, 1.0) == 53
    assert inner.one.w == 9


def test_a_submodule_is_renamed():
    module, call, new = prepared()
    module.three = module.two
    del module.two
    with pytest.raises(AttributeError, match="'two'"):
        call(new)
    assert_values(module, one__w=2, three__w=3)


def test_submodules_are_exchanged():
    module, call, _ = prepared()
    module.one, module.two = module.two, module.one
    assert call({"one.w": scalar(5)}) == 52
    assert_values(module, one__w=3, two__w=2)


def test_a_submodule_is_added_below_a_leaf():
    module, call, new = prepared()
    module.one.extra = Scale(1.0)
    assert call({"one.extra.w": scalar(4)}) == 23
    assert call(new) == 57
    assert_values(module, one__extra__w=1)


@pytest.mark.parametrize("attach", ["assign", "under a new name"])
def test_tensors_become_tied(attach):
    module, call, _new = prepared()
    if attach == "assign":
        module.two.w = module.one.w
        assert call({"one.w": scalar(5)}) == 55
    else:
        module.two.v = module.one.w
        module.two.register_forward_hook(lambda self, *_: self.v * 1)
        assert call({"one.w": scalar(5)}) == 55
        assert call({"two.v": scalar(6)}) == 66


def test_tensors_are_no_longer_tied():
    module = Pair()
    module.two.w = module.one.w
    call = functional_module(module)
    assert call({"one.w": scalar(5)}) == 55
    module.two.w = nn.Parameter(scalar(3))
    assert call({"one.w": scalar(5)}) == 53
    assert call({"one.w": scalar(5), "two.w": scalar(7)}) == 57


def test_a_parameter_is_replaced():
    module, call, new = prepared()
    own = module.one.w = nn.Parameter(scalar(4))
    assert call(new) == 57
    assert call({"two.w": scalar(7)}) == 47
    assert module.one.w is own


def test_a_parameter_is_removed_and_comes_back():
    module, call, _new = prepared()
    own = module.two.w
    module.two.w = None
    assert call({"two.w": scalar(7)}) == 27
    assert module.two.w is None
    del module.two.w
    assert call({"two.w": scalar(7)}) == 27  # as a plain attribute, for the time of the call
    assert not hasattr(module.two, "w")
    module.two.w = own
    assert call({"two.w": scalar(7)}) == 27
    assert module.two.w is own


def test_a_parameter_is_renamed():
    module, call, _new = prepared()
    module.two.v = module.two.w
    del module.two.w
    module.two.forward = lambda x: module.two.v * 1
    assert call({"two.v": scalar(7)}) == 27
    assert call({"two.w": scalar(7)}) == 23
    assert not hasattr(module.two, "w")


@pytest.mark.skipif(not at_least(1, 9), reason="torch has parametrizations since 1.9")
def test_a_parametrization_is_registered_and_removed():
    from torch.nn.utils import parametrize

    class Negative(nn.Module):
        def forward(self, x):
            return -x

    module, call, new = prepared()
    parametrize.register_parametrization(module.one, "w", Negative())
    assert call({"one.parametrizations.w.original": scalar(5)}) == -47
    assert call({"one.w": scalar(5)}) == 53
    parametrize.remove_parametrizations(module.one, "w", leave_parametrized=False)
    assert call(new) == 57
    assert_values(module, one__w=2, two__w=3)


def test_the_dtype_changes():
    module, call, _ = prepared()
    module.double()
    assert call({"one.w": torch.tensor(5.0).double()}).dtype == torch.float64
    assert_values(module, one__w=2, two__w=3)


def test_many_sets_of_names():
    module = nn.Sequential(*[Scale(1.0) for _ in range(6)])
    call = functional_module(module)
    for subset in range(1 << 6):
        names = [n for n in range(6) if subset >> n & 1]
        assert call({f"{n}.w": scalar(2) for n in names}, 1.0) == 2 ** len(names)


def test_nothing_is_kept_alive():
    module, call, new = prepared()
    replaced = weakref.ref(module.one)
    module.one = Scale(1.0)
    watch = [weakref.ref(tensor) for tensor in new.values()]
    gc.collect()
    gc.disable()
    try:
        call(new)
        del new
        assert [ref for ref in watch if ref() is not None] == []
    finally:
        gc.enable()
    gc.collect()
    assert replaced() is None


class Bag(nn.Module):
    """Has anything; its forward tells which tensor is where."""

    def forward(self):
        return {
            (name, kind, key): tensor
            for name, module in self.named_modules()
            for kind, tensors in (("parameter", module._parameters), ("buffer", module._buffers))
            for key, tensor in tensors.items()
        }


def edit(root, pick):
    """One random change of the structure, or of what is where."""
    bags = [module for module in root.modules() if isinstance(module, Bag)]
    bag, other = pick(bags), pick(bags)
    child, key = pick("pqr"), pick("abc")
    tensors = [tensor for tensor in root.parameters() if tensor is not None]
    what = pick(["child", "child", "alias", "drop child", "new", "new", "tie", "none", "drop", "buffer"])
    if what == "child":
        bag._modules[child] = Bag()
    elif what == "alias" and root not in (bag, other) and bag not in list(other.modules()):
        bag._modules[child] = other
    elif what == "drop child":
        bag._modules.pop(child, None)
    elif what == "drop":
        bag._parameters.pop(key, None)
        bag._buffers.pop(key, None)
    elif what == "buffer" and key not in bag._parameters:
        bag.register_buffer(key, scalar(0))
    elif what in ("new", "tie", "none") and key not in bag._buffers:
        new = nn.Parameter(scalar(0)) if what == "new" or not tensors else pick(tensors)
        bag.register_parameter(key, None if what == "none" else new)


@pytest.mark.parametrize("tie_weights", [True, False])
def test_after_any_change_it_does_what_an_unprepared_call_does(tie_weights):
    pick = random.Random(1).choice
    root = Bag()
    call = functional_module(root, tie_weights=tie_weights)
    replaced = 0
    for _ in range(300):
        edit(root, pick)
        own = root()
        names = [".".join(filter(None, (name, key))) for name, _, key in own if pick([True, False])]
        state = dict.fromkeys(names, scalar(1))
        wanted, got = FALLBACK(root, state, tie_weights=tie_weights), call(state)
        after = root()
        assert list(got) == list(wanted) == list(after) == list(own)
        for key, tensor in got.items():
            assert tensor is wanted[key]
            assert after[key] is own[key]
            replaced += tensor is not own[key]
    assert replaced > 300
