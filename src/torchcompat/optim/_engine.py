"""One loop for all first-order fallbacks: each optimiser only says how one parameter moves.

An update is written once, with operations in place. With ``differentiable=True`` it gets copies of the parameter and of
its state to work on, so that autograd can go back through it.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import torch

from .._shim import SHIMS
from .._torch import UnsupportedError, at_least, compiling, find, parameters
from ._base import Base

Pairs = List[Tuple[Any, Any]]  # parameters that have a gradient, and it

_COMPLEX = frozenset(filter(None, map(find, ("torch.complex32", "torch.complex64", "torch.complex128"))))
_HALVES = tuple(filter(None, (torch.float16, find("torch.bfloat16"))))
_view_as_real: Any = find("torch.view_as_real")
_capturing: Any = find("torch.cuda.is_current_stream_capturing")
# Before, lerp_ had no kernel for float16 and bfloat16 on the CPU, or none that computes in float32.
_LERP_TAKES_HALVES = at_least(2, 1)


def is_complex(tensor: Any) -> bool:
    return tensor.dtype in _COMPLEX


# Whether torch goes through lists of tensors, on the CPU one after the other, and takes an `alpha` for it.
FOREACH = at_least(1, 9)


def lerp_(mean: Any, value: Any, weight: Any) -> None:
    """``mean += weight * (value - mean)``, rounded once."""
    if _LERP_TAKES_HALVES or mean.dtype not in _HALVES:
        mean.lerp_(value, weight)
    else:
        mean.copy_(mean.float().lerp_(value.float(), weight))


def move_(tensor: Any, direction: Any, scale: Any) -> Any:
    """``tensor += scale * direction``; *scale* is a number, or a tensor to be differentiated."""
    if type(scale) is not float and isinstance(scale, torch.Tensor):
        return tensor.add_(direction * scale)
    return tensor.add_(direction, alpha=scale)


def moved(tensor: Any, direction: Any, scale: Any) -> Any:
    """:func:`move_` out of place."""
    if type(scale) is not float and isinstance(scale, torch.Tensor):
        return tensor.add(direction * scale)
    return tensor.add(direction, alpha=scale)


def move_ratio_(tensor: Any, numerator: Any, denominator: Any, scale: Any) -> Any:
    """``tensor += scale * numerator / denominator``."""
    if type(scale) is not float and isinstance(scale, torch.Tensor):
        return tensor.add_(numerator / denominator * scale)
    return tensor.addcdiv_(numerator, denominator, value=scale)


def add_square_(mean: Any, value: Any, beta: Any) -> None:
    """``mean = beta * mean + (1 - beta) * value**2``."""
    if type(beta) is not float and isinstance(beta, torch.Tensor):
        mean.lerp_(value * value, 1 - beta)
    else:
        mean.mul_(beta).addcmul_(value, value, value=1 - beta)


def over_(fresh: Any, divisor: Any) -> Any:
    """``fresh / divisor``, in place unless autograd needs what was there."""
    return fresh.div(divisor) if fresh.requires_grad or isinstance(divisor, torch.Tensor) else fresh.div_(divisor)


def times_(fresh: Any, factor: Any) -> Any:
    """``fresh * factor``, in place unless autograd needs what was there."""
    if fresh.requires_grad or (isinstance(factor, torch.Tensor) and factor.requires_grad):
        return fresh * factor
    return fresh.mul_(factor)


def plus_(fresh: Any, eps: Any) -> Any:
    """``fresh + eps``, in place unless autograd needs what was there."""
    return fresh.add(eps) if fresh.requires_grad else fresh.add_(eps)


# Said aloud, or torch 2.10 and later warn that nothing was said: https://github.com/pytorch/pytorch/issues/184610
_UNCHECKED: dict[str, Any] = {"check_invariants": False} if at_least(2, 0) else {}


def sparse_like(grad: Any, values: Any) -> Any:
    """*values* at the places that the sparse *grad* names."""
    return torch.sparse_coo_tensor(grad._indices(), values, grad.size(), **_UNCHECKED)


_FUSES_ON_CPU = at_least(2, 4)


def _wants_speed(group: dict[str, Any]) -> bool:
    if group.get("foreach") or group.get("fused") or group.get("capturable"):
        return True
    return group.get("foreach") is None and any(param.is_cuda for param in group["params"][:1])


def _understood(group: dict[str, Any], known: set[str]) -> bool:
    """Whether a step that knows these keywords does all that the group asks for."""
    asked = [key for key in _CHANGES_RESULTS + ("fused", "capturable", "foreach") if group.get(key)]
    if group.get("differentiable") or not set(asked) <= known:
        return False
    numbers = (group["lr"], group.get("weight_decay"), *group.get("betas", ()))
    if any(isinstance(value, torch.Tensor) for value in numbers):
        return False
    params = [param for param in group["params"] if param.grad is not None]
    if any(is_complex(param) or param.grad.is_sparse for param in params):
        return False
    return not group.get("fused") or all(
        param.is_floating_point() and (param.is_cuda or (_FUSES_ON_CPU and param.device.type == "cpu"))
        for param in params
    )


# What makes more of an ordinary parameter wrong than that its gradient is sparse.
_TO_BE_CHECKED = ("fused", "foreach", "capturable")
_CHANGES_RESULTS = ("maximize", "amsgrad", "centered", "decoupled_weight_decay")


def bare(step: Any) -> Any:
    """Torch's *step* without what is put around it: hooks, which are around ours already, and a grad mode.

    There may be none, one or more of these layers, for torch's compiler takes some away and adds others when it is
    loaded: https://github.com/pytorch/pytorch/blob/v2.1.2/torch/_dynamo/eval_frame.py#L1368
    """
    while hasattr(step, "__wrapped__"):
        step = step.__wrapped__
    return step


class Engine(Base):
    """Steps parameter by parameter."""

    # Since 2.0 torch keeps its counters as 2.15 does, and steps on CUDA for all parameters at once.
    _torch_steps_from = (2, 0)
    # The optimiser that a user's subclass derives from.
    _name = ""
    _takes_sparse = False
    # Whether `_update` does not need the number of steps: then the counters are raised here, all at once.
    _only_counts = False
    # Whether `_check` is to see every parameter, those too of which nothing is out of the ordinary.
    _checks_all = False
    # Complex parameters are updated as pairs of real ones.
    _complex_as_real = True
    # Torch's foreach implementation of SGD alone can be differentiated.
    _foreach_differentiates = False

    def step(self, closure: Any = None) -> Any:
        """Update all parameters that have a gradient.

        Args:
            closure: called first, with gradients enabled, to compute the loss and the gradients anew.

        Returns:
            What *closure* returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._torch_steps():
            return loss
        with torch.set_grad_enabled(bool(self.defaults.get("differentiable"))):
            for group in self.param_groups:
                pairs = [(param, param.grad) for param in group["params"]]
                pairs = [(param, grad) for param, grad in pairs if grad is not None]
                # Each question about a tensor costs a tenth of a microsecond; most of them no ordinary group needs.
                all_odd = self._checks_all or any(map(group.get, _TO_BE_CHECKED))
                for param, grad in pairs:
                    if all_odd or grad.is_sparse or param.is_cuda:
                        self._check(group, param)
                self._advance_all(group, pairs)
        return loss

    def _torch_steps(self) -> bool:
        """Step by this torch's own class, if a fast step is asked for and it does just what is asked for."""
        shim = SHIMS.get("optim." + self._name)
        if not at_least(*self._torch_steps_from) or shim is None or shim.native is None:
            return False
        if not any(_wants_speed(group) for group in self.param_groups):
            return False
        known = parameters(shim.native.__init__)
        if self._name == "AdamW":
            known.add("decoupled_weight_decay")  # whether it is asked or not
        if not all(_understood(group, known) for group in self.param_groups):
            return False
        # The same optimiser, seen as torch's.
        native = shim.native.__new__(shim.native)
        native.__dict__ = self.__dict__
        with torch.no_grad():
            bare(shim.native.step)(native)
        return True

    def _check(self, group: dict[str, Any], param: Any) -> None:
        name = type(self).__name__
        if param.grad.is_sparse and not self._takes_sparse:
            hint = "; use SparseAdam" if name.startswith("Adam") and name != "Adamax" else ""
            raise RuntimeError(f"{name} does not take sparse gradients{hint}")
        if group.get("fused") and not param.is_floating_point():
            raise RuntimeError(f"fused=True takes parameters of floating-point numbers, got {param.dtype}")
        if group.get("foreach") and group.get("differentiable") and not self._foreach_differentiates:
            raise AssertionError("foreach=True cannot be differentiated: leave it out, or differentiable=True")
        if group.get("capturable"):
            # The compiler of torch 2.10 on sets it itself, also where it is no option of the optimiser.
            if not compiling():
                _check_capturable(param)
        elif param.is_cuda and self._scalars and _capturing and _capturing():
            raise RuntimeError(f"{name}.step() in a CUDA graph needs torch's own class and capturable=True")

    def _advance_all(self, group: dict[str, Any], pairs: Pairs) -> None:
        """Move each of these parameters of *group* by its gradient."""
        stateless, maximize, recorded = self._stateless(group), group.get("maximize"), torch.is_grad_enabled()
        counters = []
        for param, grad in pairs:
            state = {} if stateless else self.state[param]
            if not state and not stateless:
                self._start(group, param, grad, state)
            if maximize:
                grad = grad.mul(-1) if grad.is_sparse else -grad  # torch 1.2 cannot negate sparse ones
            if recorded:
                self._advance_recorded(group, param, grad, state)
            else:
                self._advance(group, param, grad, state)
            if self._only_counts:
                counters.append(state["step"])
        if counters:
            _count(counters)

    def _advance(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        if self._complex_as_real and param.dtype in _COMPLEX:
            state = {key: _real(value) for key, value in state.items()}
            param, grad = _real(param), _real(grad)
        self._update(group, param, grad, state)

    def _advance_recorded(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        """Do the same with copies, so that autograd can go back through it."""
        target, work = param.clone(), {key: _copied(value) for key, value in state.items()}
        self._advance(group, target, grad, work)
        state.update(work)
        param.copy_(target)

    def _stateless(self, group: dict[str, Any]) -> bool:
        """Whether the parameters of *group* need no state."""
        return False

    def _start(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        """Fill a parameter's empty state before its first step."""

    def _update(self, group: dict[str, Any], param: Any, grad: Any, state: dict[str, Any]) -> None:
        """Move *param*, and bring *state* up to date, in place."""
        raise NotImplementedError


def _check_capturable(param: Any) -> None:
    if param.device.type in ("cpu", "mps"):
        raise AssertionError(f"capturable=True needs parameters on an accelerator with graphs, got {param.device}")
    if param.is_cuda and _capturing and _capturing():
        raise UnsupportedError(
            "this step cannot be captured in a CUDA graph: that needs torch's own class, "
            "see the first torch in the table of shims"
        )


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _real(value: Any) -> Any:
    return _view_as_real(value) if isinstance(value, torch.Tensor) and is_complex(value) else value


def kept(tensor: Any) -> Any:
    """*tensor*, which is about to be written to, as autograd may need it to go back."""
    return tensor.clone() if torch.is_grad_enabled() else tensor


def value_of(option: Any) -> Any:
    """A group's option as a number; as a scalar tensor where autograd is to go back to it."""
    if type(option) is float or not isinstance(option, torch.Tensor):
        return option
    if option.requires_grad and torch.is_grad_enabled():
        return option.reshape(())
    return option.item()


def next_step(state: dict[str, Any]) -> Any:
    """Count one step more, and say how many it makes."""
    count = state["step"]
    count += 1  # no gradient comes here: it needs none
    return count.item()


def _count(counters: list[Any]) -> None:
    """Raise each of these by one."""
    if FOREACH:
        torch._foreach_add_(counters, 1)
        return
    for counter in counters:
        counter += 1


def decay(group: dict[str, Any], param: Any, grad: Any) -> Any:
    """The gradient with the L2 penalty, or *param* shrunk, as the group says."""
    weight_decay = group["weight_decay"]
    if type(weight_decay) in (int, float) and weight_decay == 0:
        return grad
    weight_decay = value_of(weight_decay)
    if isinstance(weight_decay, torch.Tensor) or weight_decay != 0:
        if group.get("decoupled_weight_decay"):
            param.mul_(1 - value_of(group["lr"]) * weight_decay)
        else:
            grad = moved(grad, kept(param), weight_decay)
    return grad
