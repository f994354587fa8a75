"""Loss functions: the losses of all elements or rows of the batch at once, then reduced for each sample by itself.

Left to the loop: ctc_loss, triplet_margin_with_distance_loss, samples whose input and target have different shapes
(torch's answer is a warning or an error), a batched class weight, and the builtins behind the functions, which torch
calls only where a weight alone is batched.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn._reduction as _legacy  # loaded by torch.nn
import torch.nn.functional as F

from ..._torch import at_least
from .._batched import BatchedTensor, Levels, fold, levels_of, lift, rank, register, shape, spread, wrap

# A sample that is one row without a batch dimension of its own: an error, or other results, in older versions.
TAKES_A_ROW = at_least(1, 12)
# The mean of no elements at all, where each target is the ignored one, was 0 (on the CPU).
MEAN_OF_NONE_IS_NAN = at_least(1, 11)

_LEGACY = " size_average reduce reduction"
# The loss of each element. The arguments by position; the upper-case ones are tensors of one shape.
ELEMENTS = {
    "mse_loss": "INPUT TARGET" + _LEGACY + " weight",
    "l1_loss": "INPUT TARGET" + _LEGACY + " weight",
    "smooth_l1_loss": "INPUT TARGET" + _LEGACY + " beta",
    "huber_loss": "INPUT TARGET reduction delta weight",
    "binary_cross_entropy": "INPUT TARGET weight" + _LEGACY,
    "binary_cross_entropy_with_logits": "INPUT TARGET weight" + _LEGACY + " pos_weight",
    "kl_div": "INPUT TARGET" + _LEGACY + " log_target",
    "poisson_nll_loss": "INPUT TARGET log_input full size_average eps reduce reduction",
    "soft_margin_loss": "INPUT TARGET" + _LEGACY,
    "hinge_embedding_loss": "INPUT TARGET margin" + _LEGACY,
    "margin_ranking_loss": "INPUT1 INPUT2 TARGET margin" + _LEGACY,
}
if at_least(1, 9):  # 1.8 sums over all dimensions but the first
    ELEMENTS["gaussian_nll_loss"] = "INPUT TARGET VAR full eps reduction"

# The loss of each row of (N, C), or of a sample that is one row; the lower-case tensors have one entry for each row.
ROWS = {
    "multi_margin_loss": "INPUT target p margin weight" + _LEGACY,
    "multilabel_margin_loss": "INPUT TARGET" + _LEGACY,
    "multilabel_soft_margin_loss": "INPUT TARGET weight" + _LEGACY,
    "cosine_embedding_loss": "INPUT1 INPUT2 target margin" + _LEGACY,
    "triplet_margin_loss": "ANCHOR POSITIVE NEGATIVE margin p eps swap" + _LEGACY,
}
CLASSES = {
    "nll_loss": "input target weight size_average ignore_index reduce reduction",
    "cross_entropy": "input target weight size_average ignore_index reduce reduction label_smoothing",
}


def _given(names: str, args: Any, kwargs: Any) -> tuple[dict[str, Any], str]:
    """The arguments by name, and the reduction."""
    given = dict(zip(names.lower().split(), args))
    given.update(kwargs)
    reduction = given.pop("reduction", "mean")
    size_average, reduce = given.pop("size_average", None), given.pop("reduce", None)
    if size_average is not None or reduce is not None:
        reduction = _legacy.legacy_get_string(size_average, reduce)
    return given, reduction


def reduced(losses: Any, levels: Levels, reduction: str) -> Any:
    """The losses of all samples, physical, reduced for each sample."""
    dims = list(range(len(levels), losses.dim()))
    if reduction == "none" or not dims:
        return wrap(losses, levels)
    return wrap(losses.sum(dims) if reduction == "sum" else losses.mean(dims), levels)


def _alike(tensors: list[Any]) -> bool:
    """Whether the samples have one shape, and promote as the batch does."""
    first = tensors[0]
    if any(shape(tensor) != shape(first) for tensor in tensors):
        return False
    return rank(first) > 0 or len({tensor.dtype for tensor in tensors}) == 1


def elements(func: Any, *args: Any, **kwargs: Any) -> Any:
    """A loss of each element."""
    names = ELEMENTS[func.__name__]
    given, reduction = _given(names, args, kwargs)
    main = [name.lower() for name in names.split() if name.isupper() or name[:-1].isupper()]
    tensors = [given[name] for name in main if isinstance(given.get(name), torch.Tensor)]
    if not _alike(tensors) or reduction not in ("none", "sum", "mean", "batchmean"):
        return NotImplemented
    levels = levels_of(*given.values())
    for name, value in given.items():
        if name in main and isinstance(value, torch.Tensor):
            given[name] = spread(value, levels)
        elif type(value) is BatchedTensor:  # a weight, which broadcasts
            if rank(value) > rank(tensors[0]):
                return NotImplemented
            given[name] = lift(value, levels, rank(tensors[0]))
    losses = func(**given, reduction="none")
    if reduction != "batchmean":
        return reduced(losses, levels, reduction)
    if func.__name__ != "kl_div" or not rank(tensors[0]):
        return NotImplemented
    return reduced(losses, levels, "sum") / shape(tensors[0])[0]


def _row(tensor: Any, levels: Levels, single: bool) -> Any:
    """The rows of all samples, one after the other; a *single* row is a sample without a dimension for rows."""
    folded = fold(tensor, levels)
    return folded if single else folded.reshape([folded.shape[0] * folded.shape[1]] + list(folded.shape[2:]))


def _unrow(losses: Any, levels: Levels, first: Any) -> Any:
    """The inverse: the sizes of the levels and *first*, what the sample had in place of its row, then the rest."""
    return losses.reshape([level.size for level in levels] + first + list(losses.shape[1:]))


def rows(func: Any, *args: Any, **kwargs: Any) -> Any:
    """A loss of each row."""
    names = ROWS[func.__name__]
    given, reduction = _given(names, args, kwargs)
    wide = [name.lower() for name in names.split() if name.isupper() or name[:-1].isupper()]
    tensors = [given[name] for name in wide]
    single = rank(tensors[0]) == 1
    if not _alike(tensors) or rank(tensors[0]) > 2 or not rank(tensors[0]) or (single and not TAKES_A_ROW):
        return NotImplemented
    if reduction not in ("none", "sum", "mean") or type(given.get("weight")) is BatchedTensor:
        return NotImplemented
    levels = levels_of(*given.values())
    first = list(shape(tensors[0])[:-1])
    if "target" not in wide and "target" in given:
        if list(shape(given["target"])) != first:
            return NotImplemented
        wide.append("target")
    for name in wide:
        given[name] = _row(given[name], levels, single)
    return reduced(_unrow(func(**given, reduction="none"), levels, first), levels, reduction)


def _counts(given: dict[str, Any], target: Any) -> Any:
    """What each element weighs in the mean."""
    kept = target != given.get("ignore_index", -100)
    weight = given.get("weight")
    if weight is None:
        return kept.to(given["input"].dtype)
    return weight[target.masked_fill(~kept, 0).long()] * kept.to(weight.dtype)


def _mean(losses: Any, counts: Any, levels: Levels) -> Any:
    dims = list(range(len(levels), losses.dim()))
    total, count = (losses.sum(dims), counts.sum(dims)) if dims else (losses, counts)
    if not MEAN_OF_NONE_IS_NAN:
        count = count.masked_fill(count == 0, 1)
    return wrap(total / count, levels)


def classes(func: Any, *args: Any, **kwargs: Any) -> Any:
    """cross_entropy and nll_loss of ``(N, C, ...)`` or ``(C,)``, with class indices or probabilities."""
    given, reduction = _given(CLASSES[func.__name__], args, kwargs)
    input, target = given["input"], given["target"]
    single = rank(input) == 1
    outer = [size for dim, size in enumerate(shape(input)) if dim != (0 if single else 1)]
    indices = list(shape(target)) == outer
    if not (indices or (shape(target) == shape(input) and func is F.cross_entropy)) or not rank(input):
        return NotImplemented
    if (single or given.get("label_smoothing")) and not TAKES_A_ROW:
        return NotImplemented
    if reduction not in ("none", "sum", "mean") or type(given.get("weight")) is BatchedTensor:
        return NotImplemented
    levels = levels_of(input, target)
    given["input"] = _row(input, levels, single)
    given["target"] = _row(target, levels, single)
    first = outer[:1]
    losses = _unrow(func(**given, reduction="none"), levels, first)
    if not indices or reduction != "mean":
        return reduced(losses, levels, reduction)
    return _mean(losses, _unrow(_counts(given, given["target"]), levels, first), levels)


def _find(names: Any) -> list[Any]:
    return [getattr(F, name, None) for name in names]


# By function, not by name: builtins of the same names have other arguments.
register(elements, _find(ELEMENTS))
register(rows, _find(ROWS))
register(classes, _find(CLASSES))
