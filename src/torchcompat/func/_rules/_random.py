"""Random operations: each draws once, the numbers of one sample for every active vmap whose samples are to differ.

Numbers that are drawn are a tensor batched over those levels, whatever the operation's arguments are batched over.
Where the distribution itself differs between samples that are to get the same numbers, the operation is refused, as
torch does. Left to the loop: channel dropout of inputs with a number of dimensions that torch warns of.
"""

from __future__ import annotations

from typing import Any

import torch

from ..._torch import at_least
from .. import _batched, _draws
from .._batched import (
    Levels,
    active_levels,
    count,
    fold,
    levels_of,
    lift,
    physical_of,
    rank,
    rule,
    shape,
    spread,
    unfold,
    wrap,
)
from ._shapes import sizes_of

ALPHA = 1.7580993408473766  # of SELU: scale * alpha


def drawn_levels() -> Levels:
    """The levels whose samples get different numbers."""
    return tuple(level for level in active_levels() if level.randomness == "different")


def blank(input: Any, sample: Any = None) -> Any:
    """A tensor of *input*'s dtype and device to draw in, in the shape of *sample*; pass it to :func:`drawn`."""
    sizes = [level.size for level in drawn_levels()]
    return physical_of(input).detach().new_empty(sizes + list(shape(input) if sample is None else sample))


def _pattern(input: Any) -> Any:
    """What to draw like: where each sample has numbers of its own, the batch itself, for its order in memory."""
    return physical_of(input).detach() if levels_of(input) == drawn_levels() else blank(input)


def drawn(physical: Any) -> Any:
    return wrap(physical, drawn_levels())


def drawing(func: Any) -> Any:
    """The context for a rule's draws."""
    return _draws.drawing(func.__name__, active_levels())


def _need_levels(func: Any, target: Any, *args: Any) -> None:
    """Raise RuntimeError unless *target*, about to be filled, has room for numbers that differ where they are to."""
    own = levels_of(target)
    if any(level not in own for level in drawn_levels() + levels_of(*args)):
        raise RuntimeError(
            f"vmap: {func.__name__}: in-place on a tensor that is not batched, with numbers that differ between the "
            "samples. Use an operation that is not in-place."
        )


@rule("rand_like", "randn_like", "randint_like")
def like(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    with drawing(func):
        return drawn(func(_pattern(input), *args, **kwargs))


@rule("uniform_", "normal_", "exponential_", "random_", "log_normal_", "cauchy_", "geometric_")
def fill(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    with drawing(func):
        _need_levels(func, input)
        own = levels_of(input)
        if own == drawn_levels():
            func(physical_of(input), *args, **kwargs)
        else:
            physical_of(input).copy_(lift(drawn(func(blank(input), *args, **kwargs)), own))
    return input


def _distribution(func: Any, *args: Any) -> Levels:
    """The levels to draw over; refuses a distribution that differs between samples of the "same" numbers."""
    levels = drawn_levels()
    if any(level not in levels for level in levels_of(*args)):
        raise RuntimeError(
            f"vmap: {func.__name__} of a distribution that differs between the samples, under randomness='same'. Draw "
            "from one that does not, and make the samples' own of the result."
        )
    return levels


def _positions(ndim: int, value: Any, levels: Levels) -> Any:
    """*value* to draw from, physical, all levels in front."""
    return spread(lift_to(value, ndim), levels) if isinstance(value, torch.Tensor) else value


def lift_to(value: Any, ndim: int) -> Any:
    """*value*, logical, with dimensions of size 1 in front of the sample's up to *ndim*."""
    own = levels_of(value)
    return wrap(lift(value, own, ndim), own)


@rule("bernoulli")
def bernoulli(func: Any, input: Any, p: Any = None, **kwargs: Any) -> Any:
    with drawing(func):
        if p is not None:
            return drawn(blank(input).bernoulli_(p, **kwargs))
        levels = _distribution(func, input)
        return wrap(func(spread(input, levels), **kwargs), levels)


@rule("bernoulli_")
def bernoulli_(func: Any, input: Any, p: Any = 0.5, **kwargs: Any) -> Any:
    if not isinstance(p, torch.Tensor):
        return fill(func, input, p, **kwargs)
    with drawing(func):
        _need_levels(func, input, p)
        levels = _distribution(func, p)
        own, odds = levels_of(input), _positions(rank(input), p, levels)
        if own == levels:
            physical_of(input).bernoulli_(odds.expand(physical_of(input).shape), **kwargs)
        else:
            numbers = blank(input).bernoulli_(odds.expand(blank(input).shape), **kwargs)
            physical_of(input).copy_(lift(drawn(numbers), own))
    return input


@rule("normal", "binomial")
def of_two(func: Any, *args: Any, **kwargs: Any) -> Any:
    """A distribution of two parameters, which broadcast; or of two numbers and a size."""
    if len(args) > 2 or "size" in kwargs:
        return factory(func, *args, **kwargs)
    values = list(args) + [value for key, value in kwargs.items() if key in ("mean", "std", "count", "prob")]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    with drawing(func):
        levels = _distribution(func, *tensors)
        ndim = max(map(rank, tensors))
        physical = {key: _positions(ndim, value, levels) for key, value in kwargs.items()}
        return wrap(func(*[_positions(ndim, value, levels) for value in args], **physical), levels)


@rule("poisson", "_standard_gamma", "_sample_dirichlet")
def poisson(func: Any, input: Any, **kwargs: Any) -> Any:
    with drawing(func):
        levels = _distribution(func, input)
        return wrap(func(spread(input, levels), **kwargs), levels)


@rule("multinomial")
def multinomial(func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    with drawing(func):
        levels = _distribution(func, input)
        if not levels:
            return func(physical_of(input), *args, **kwargs)
        folded = fold(input, levels)
        rows = func(folded.reshape([-1, folded.shape[-1]]), *args, **kwargs)
        return unfold(rows.reshape(list(folded.shape[:-1]) + [-1]), levels)


# New tensors of random numbers. They belong to no sample, so that only the torch-function mode can see them.


@rule("rand", "randn", "randint")
def factory(func: Any, *args: Any, size: Any = None, **kwargs: Any) -> Any:
    """The size comes last: ``randint(low, high, size)``. That of ``rand`` and ``randn`` may be ints."""
    levels = drawn_levels()
    if size is None and func.__name__ in ("rand", "randn"):
        size, args = sizes_of(args, {}), ()
    elif size is None:
        size, args = args[-1], args[:-1]
    with drawing(func):
        return wrap(func(*args, [level.size for level in levels] + list(size), **kwargs), levels)


@rule("randperm")
def randperm(func: Any, n: int, **kwargs: Any) -> Any:
    levels = drawn_levels()
    with drawing(func):
        if not levels:
            return func(n, **kwargs)
        rows = [func(n, **kwargs) for _ in range(count(levels))]
        found = torch.stack(rows) if rows else func(n, **kwargs).new_empty([0, n])
        return wrap(found.reshape([level.size for level in levels] + [n]), levels)


# Dropout, as a mask that is drawn: torch's own does so too.


def _in_place(result: Any, input: Any, inplace: bool) -> Any:
    return input.copy_(result) if inplace else result


def _checked(p: float) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


def _kept(input: Any, p: float, sample: Any) -> Any:
    """1 for what is kept, 0 for what is dropped."""
    return drawn(blank(input, sample).bernoulli_(1 - p))


# With dropout1d came a number of dimensions for each: without a batch dimension, where that is another one, and with.
WITHOUT_BATCH = {"dropout1d": 2, "dropout3d": 4} if at_least(1, 12) else {}
WITH_BATCH = {"dropout1d": 3, "dropout2d": 4, "dropout3d": 5} if at_least(1, 12) else {}


def _channels(func: Any, input: Any) -> Any:
    """The shape of the mask that drops whole channels, or None for an input that torch may refuse or warn of."""
    name, sizes = func.__name__, list(shape(input))
    if len(sizes) == WITHOUT_BATCH.get(name):
        return sizes[:1] + [1] * (len(sizes) - 1)
    if len(sizes) < 2 or len(sizes) != WITH_BATCH.get(name, len(sizes)):
        return None
    return sizes[:2] + [1] * (len(sizes) - 2)


def _scaled(input: Any, p: float, sample: Any) -> Any:
    if p == 1:
        return input * 0
    return input * (_kept(input, p, sample) / (1 - p))


def _alpha(input: Any, p: float, sample: Any) -> Any:
    if p == 1:
        return input * 0
    slope = ((ALPHA**2 * p + 1) * (1 - p)) ** -0.5
    kept = _kept(input, p, sample)
    return input * (kept * slope) + ((kept - 1) * (ALPHA * slope) + ALPHA * slope * p)


def _is_alpha(func: Any) -> bool:
    return "alpha" in str(func.__name__)


def _quiet(p: float, training: bool) -> bool:
    """Whether dropout with these arguments draws nothing."""
    return not training or p == 0


def _dropped(func: Any, input: Any, p: float, sample: Any, inplace: bool) -> Any:
    with drawing(func):
        return _in_place((_alpha if _is_alpha(func) else _scaled)(input, p, sample), input, inplace)


@rule("dropout", "dropout_", "alpha_dropout", "alpha_dropout_")
def dropout(
    func: Any, input: Any, p: float = 0.5, training: Any = None, inplace: bool = False, train: Any = None
) -> Any:
    """``F.dropout``, whose flag is called *training*, and ``torch.dropout``, where it is *train*."""
    training = train if train is not None else training
    if training is None:  # the default of F.dropout and of F.alpha_dropout
        training = not _is_alpha(func)
    inplace = inplace or func.__name__.endswith("_")
    if _quiet(_checked(p), training):
        return input
    levels = levels_of(input)
    if levels == drawn_levels() and not inplace and not _is_alpha(func):
        with drawing(func):
            return wrap(torch.dropout(physical_of(input), p, True), levels)
    return _dropped(func, input, p, shape(input), inplace)


@rule(
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_dropout",
    "feature_dropout_",
    "feature_alpha_dropout",
    "feature_alpha_dropout_",
)
def channel_dropout(
    func: Any, input: Any, p: float = 0.5, training: Any = None, inplace: bool = False, train: Any = None
) -> Any:
    training = train if train is not None else training
    if training is None:
        training = not _is_alpha(func)
    sample = _channels(func, input)
    if sample is None:
        return NotImplemented
    if _quiet(_checked(p), training):
        return input
    return _dropped(func, input, p, sample, inplace or func.__name__.endswith("_"))


@rule("rrelu", "rrelu_")
def rrelu(
    func: Any, input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Any:
    if not training:
        return _in_place(torch.nn.functional.leaky_relu(input, (lower + upper) / 2), input, inplace)
    with drawing(func):
        slope = drawn(blank(input).uniform_(lower, upper))
        return _in_place(torch.where(input <= 0, input * slope, input), input, inplace or func.__name__ == "rrelu_")


@rule("gumbel_softmax")
def gumbel_softmax(
    func: Any, logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Any:
    with drawing(func):
        noise = drawn(-blank(logits).exponential_().log())
        soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    largest = soft.argmax(dim, keepdim=True)
    at = dim % max(rank(soft), 1) - rank(soft)
    classes = torch.arange(shape(soft)[dim] if rank(soft) else 1, device=soft.device)
    chosen = (classes.reshape([-1] + [1] * (-at - 1)) == largest).to(soft.dtype)
    return chosen - soft.detach() + soft


# torch.nn.init.uniform_ and some more say what they are called with by keyword.


def initialise(func: Any, tensor: Any, *args: Any, **kwargs: Any) -> Any:
    return _batched.loop(func, tensor, *args, **kwargs)


_batched.register(
    initialise, [one for name, one in vars(torch.nn.init).items() if name.endswith("_") and callable(one)]
)

# What the torch-function mode hands to the rules above.
RULES = {name: one for name, one in _batched.rules().items() if one.__module__ == __name__}
