"""``torch.optim``: today's optimisers, their schedules and averages.

What each of them does is in the private module of its base class.
"""

from torch.optim import Optimizer as Optimizer

from .._lazy import attach as _attach
from .._shim import SHIMS, Limit, polyfill
from . import _adam, _adam_variants, _adaptive, _lbfgs, _matrix, _sgd
from . import lr_scheduler as lr_scheduler
from . import swa_utils as swa_utils
from ._base import _blank as _blank
from ._since import CAPTURABLE, LATE_GROUPS, PULL, names, tensor_lr, two_steps
from ._states import upgrade_state_dict as upgrade_state_dict

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
    "upgrade_state_dict",
]


@polyfill(
    "torch.optim.SGD",
    since="2.4",
    link=PULL + "123629",
    limits=[tensor_lr("2.4", "2.7"), names("2.4")],
    reason="no `fused` on the CPU",
)
class SGD(_sgd.SGDBase):
    """Stochastic gradient descent, with momentum if asked for.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *fused*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://www.cs.toronto.edu/~hinton/absps/momentum.pdf
    """


@polyfill(
    "torch.optim.ASGD",
    since="2.4",
    link=PULL + "125440",
    limits=[tensor_lr("2.4", "2.4"), names("2.4")],
    reason="no `capturable` up to 2.1; `foreach` computes other numbers from 2.0 on",
)
class ASGD(_sgd.ASGDBase):
    """Stochastic gradient descent that also keeps the average of its parameters, as ``state[param]["ax"]``.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *capturable*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://dl.acm.org/doi/10.1137/0330046
    """


@polyfill(
    "torch.optim.Rprop",
    since="2.4",
    link=CAPTURABLE,
    limits=[tensor_lr("2.4", "2.7"), names("2.4"), two_steps("2.4")],
    reason="no `capturable`",
)
class Rprop(_sgd.RpropBase):
    """Resilient backpropagation: only the signs of the gradients count. For full batches.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *capturable*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://doi.org/10.1109/ICNN.1993.298623
    """


@polyfill(
    "torch.optim.Adagrad",
    since="2.4",
    link=PULL + "124905",
    limits=[tensor_lr("2.4", "2.7"), names("2.4"), LATE_GROUPS],
    reason="no `fused`",
)
class Adagrad(_adaptive.AdagradBase):
    """Gradient descent scaled by the sum of all squared gradients so far.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *fused*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://jmlr.org/papers/v12/duchi11a.html
    """


@polyfill(
    "torch.optim.Adadelta",
    since="2.4",
    link=CAPTURABLE,
    limits=[tensor_lr("2.4", "2.7"), names("2.4")],
    reason="no `capturable`",
)
class Adadelta(_adaptive.AdadeltaBase):
    """Steps in the proportion of the recent steps to the recent gradients.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *capturable*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://arxiv.org/abs/1212.5701
    """


@polyfill(
    "torch.optim.RMSprop",
    since="2.4",
    link=PULL + "122264",
    limits=[tensor_lr("2.4", "2.7"), names("2.4"), two_steps("2.4", " and *centered*")],
    reason="no `capturable`",
)
class RMSprop(_adaptive.RMSpropBase):
    """Gradient descent scaled by a running average of the squared gradient.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *capturable*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf, https://arxiv.org/abs/1308.0850 (centered)
    """


@polyfill(
    "torch.optim.Adam",
    since="2.7",
    link=PULL + "143710",
    limits=[tensor_lr("2.7", "2.7"), two_steps("2.7", " and *amsgrad*")],
    reason="no `decoupled_weight_decay`",
)
class Adam(_adam.AdamBase):
    """Gradient descent scaled by running averages of the gradient and of its square.

    In torch since 2.7. Fallback: the same steps, one parameter at a time; with *foreach*,
    *capturable* or *fused*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://arxiv.org/abs/1412.6980, https://openreview.net/forum?id=ryQu7f-RZ (AMSGrad)
    """


@polyfill(
    "torch.optim.AdamW",
    since="2.7",
    link=PULL + "143710",
    limits=[tensor_lr("2.7", "2.7"), two_steps("2.7", " and *amsgrad*")],
    reason="is no subclass of `Adam`, and its state has no `decoupled_weight_decay`",
)
class AdamW(_adam.AdamWBase, SHIMS["optim.Adam"].fallback):  # type: ignore[misc]
    """Adam whose weight decay shrinks the weights themselves and leaves the averages alone.

    In torch since 2.7. Fallback: the same steps, one parameter at a time; with *foreach*,
    *capturable* or *fused*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://arxiv.org/abs/1711.05101
    """


@polyfill(
    "torch.optim.Adamax",
    since="2.3",
    link=PULL + "121183",
    limits=[tensor_lr("2.3", "2.7"), names("2.3"), two_steps("2.3")],
    reason="no `capturable`",
)
class Adamax(_adam.AdamaxBase):
    """Adam with the largest recent gradient in place of the average of squares.

    In torch since 2.3. Fallback: the same steps, one parameter at a time; with *foreach* or
    *capturable*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://arxiv.org/abs/1412.6980, section 7.1
    """


@polyfill(
    "torch.optim.SparseAdam",
    since="2.4",
    link=PULL + "127081",
    limits=[tensor_lr("2.4", "2.4"), names("2.4")],
    reason="no `maximize` up to 1.12; later it takes a tensor for a list of tensors",
)
class SparseAdam(_adam.SparseAdamBase):
    """Adam for sparse gradients: only what they name is averaged and moved.

    In torch since 2.4. Fallback: the same steps.
    https://arxiv.org/abs/1412.6980
    """


@polyfill(
    "torch.optim.NAdam",
    since="2.4",
    link=PULL + "127214",
    limits=[tensor_lr("2.4", "2.7"), names("2.4")],
    reason="no `maximize`",
)
class NAdam(_adam_variants.NAdamBase):
    """Adam with Nesterov's momentum.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *capturable*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
    """


@polyfill(
    "torch.optim.RAdam",
    since="2.4",
    link=PULL + "126765",
    limits=[tensor_lr("2.4", "2.4"), names("2.4")],
    reason="no `maximize`",
)
class RAdam(_adam_variants.RAdamBase):
    """Adam that does without the average of squares as long as too few steps have gone into it.

    In torch since 2.4. Fallback: the same steps, one parameter at a time; with *foreach* or
    *capturable*, and on CUDA, by torch's own class where that does what is asked for (2.0 and later).
    https://arxiv.org/abs/1908.03265
    """


@polyfill(
    "torch.optim.LBFGS",
    since="2.14",
    link="https://github.com/pytorch/pytorch/pull/187309",
    limits=[
        Limit("max-eval", "a line search may call the closure up to 25 times past max_eval", "fallback", "1.2", "2.9")
    ],
    reason="no `maximize`",
)
class LBFGS(_lbfgs.LBFGSBase):
    """Quasi-Newton steps from the last changes of gradient and parameters, each step several iterations.

    In torch since 2.14. Fallback: this torch's own iterations and line search, on real and complex parameters, with
    *maximize*.
    https://doi.org/10.1007/BF01589116
    """


@polyfill("torch.optim.Adafactor", since="2.5", link=PULL + "129905", limits=[tensor_lr("2.5", "2.7"), names("2.5")])
class Adafactor(_matrix.AdafactorBase):
    """Steps scaled by averages of squared gradients of which, for matrices, only those of rows and columns are kept.

    In torch since 2.5. Fallback: the same steps; *foreach* changes nothing.
    https://arxiv.org/abs/1804.04235, from which torch departs: *lr* bounds the relative step size, and the first of
    *eps* is a lower bound of the denominator.
    """


@polyfill(
    "torch.optim.Muon",
    since="2.15",
    link="https://github.com/pytorch/pytorch/pull/194664",
    reason="without `nesterov` a step of bfloat16 parameters writes over the momentum",
)
class Muon(_matrix.MuonBase):
    """Momentum whose steps are made nearly orthogonal. For the matrices inside a network; use AdamW for the rest.

    In torch since 2.15. Fallback: the same steps; where this torch does not multiply bfloat16 matrices on the CPU, in
    float32, rounded to bfloat16 after each operation.
    https://kellerjordan.github.io/posts/muon/, https://arxiv.org/abs/2502.16982 ("match_rms_adamw")
    """


_attach(globals())
