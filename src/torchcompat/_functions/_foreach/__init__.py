"""The functions over lists of tensors, ``torch._foreach_*``: one row each.

They are torch's own names, underscore included, which optimisers use. ``since`` is the first minor whose native has all
overloads of torch 2.15 and gives back what it does.
"""

from __future__ import annotations

from typing import Any

from ..._shim import Limit
from ._declare import declared, pull
from ._kinds import binary, binary_, pointwise, pointwise_, summed, summed_, unary, unary_
from ._more import clone, copy_, largest, lerp, lerp_, matrices, power, power_, reduced, zero_

NO_GRADIENT = "no derivative: a backward pass through it raises RuntimeError"
NO_GRADIENT_1_13 = [Limit("gradient", NO_GRADIENT, "native", "1.13", "1.13")]
NO_GRADIENT_UP_TO_2_0 = [Limit("gradient", NO_GRADIENT, "native", "1.13", "2.0")]
NO_GRADIENT_2_0 = [Limit("gradient", NO_GRADIENT, "native", "2.0", "2.0")]

# Of add, mul and div, from the minor on that has the overload.
TENSOR = "no derivative by a tensor without dimensions: a backward pass through it raises RuntimeError"
OF_2_1 = [Limit("tensor gradient", TENSOR, "native", "2.1")]
OF_2_2 = [Limit("tensor gradient", TENSOR, "native", "2.2")]
LEFT = "an error at a later tensor leaves the earlier ones changed"
OWN = "no derivative by *self*: a backward pass through it raises RuntimeError"

# Up to 2.3 they return None. Up to 2.0 autograd does not see what they do: it gives wrong gradients, and no error.
IN_PLACE: Any = {
    "since": "2.4",
    "link": pull(121405),
    "reason": "returns None; up to 2.0 autograd does not notice it",
}
PARTIAL: Any = {**IN_PLACE, "limits": [Limit("partial", LEFT, "native", "2.4")]}
PARTIAL_2_6 = [Limit("partial", LEFT, "native", "2.6")]
COPY: Any = {**IN_PLACE, "limits": [*PARTIAL["limits"], Limit("gradient", NO_GRADIENT, "native", "2.4")]}
EXTREMUM: Any = {**IN_PLACE, "limits": [*PARTIAL["limits"], Limit("own gradient", OWN, "native", "2.4")]}


def since_1_13(line: int) -> Any:
    """Of a function of one list. Before, the list is named ``tensors``."""
    return {
        "since": "1.13",
        "link": declared("1.13.1", line),
        "limits": NO_GRADIENT_1_13,
        "reason": "no `self`",
    }


_foreach_abs = unary("abs", **since_1_13(9303))
_foreach_abs_ = unary_("abs", **IN_PLACE)
_foreach_acos = unary("acos", **since_1_13(9318))
_foreach_acos_ = unary_("acos", **PARTIAL)
_foreach_add = summed(
    "add", tensor=True, limits=OF_2_2, since="2.2", link=pull(111079), reason="no tensor without dimensions as `other`"
)
_foreach_add_ = summed_("add", tensor=True, **PARTIAL)
_foreach_addcdiv = pointwise(
    "addcdiv", since="2.0", link=pull(88157), limits=NO_GRADIENT_2_0, reason="no tensor of `scalars`"
)
_foreach_addcdiv_ = pointwise_("addcdiv", **PARTIAL)
_foreach_addcmul = pointwise(
    "addcmul", since="2.0", link=pull(88157), limits=NO_GRADIENT_2_0, reason="no tensor of `scalars`"
)
_foreach_addcmul_ = pointwise_("addcmul", **PARTIAL)
_foreach_asin = unary("asin", **since_1_13(9333))
_foreach_asin_ = unary_("asin", **PARTIAL)
_foreach_atan = unary("atan", **since_1_13(9348))
_foreach_atan_ = unary_("atan", **PARTIAL)
_foreach_ceil = unary("ceil", **since_1_13(9363))
_foreach_ceil_ = unary_("ceil", **IN_PLACE)
_foreach_clamp_max = binary("clamp_max", since="2.0", link=declared("2.0.1", 9783), limits=NO_GRADIENT_2_0)
_foreach_clamp_max_ = binary_("clamp_max", **PARTIAL)
_foreach_clamp_min = binary("clamp_min", since="2.0", link=declared("2.0.1", 9768), limits=NO_GRADIENT_2_0)
_foreach_clamp_min_ = binary_("clamp_min", **PARTIAL)
_foreach_clone = clone(since="2.12", link=declared("2.12.1", 11860))
_foreach_copy_ = copy_(**COPY)
_foreach_cos = unary("cos", **since_1_13(9378))
_foreach_cos_ = unary_("cos", **PARTIAL)
_foreach_cosh = unary("cosh", **since_1_13(9393))
_foreach_cosh_ = unary_("cosh", **PARTIAL)
_foreach_div = binary(
    "div", tensor=True, limits=OF_2_2, since="2.2", link=pull(113688), reason="a divisor without dimensions is a number"
)
_foreach_div_ = binary_("div", tensor=True, **PARTIAL)
_foreach_erf = unary("erf", **since_1_13(9408))
_foreach_erf_ = unary_("erf", **PARTIAL)
_foreach_erfc = unary("erfc", **since_1_13(9423))
_foreach_erfc_ = unary_("erfc", **PARTIAL)
_foreach_exp = unary("exp", **since_1_13(9265))
_foreach_exp_ = unary_("exp", **PARTIAL)
_foreach_expm1 = unary("expm1", **since_1_13(9438))
_foreach_expm1_ = unary_("expm1", **PARTIAL)
_foreach_floor = unary("floor", **since_1_13(9453))
_foreach_floor_ = unary_("floor", **IN_PLACE)
_foreach_frac = unary("frac", **since_1_13(9633))
_foreach_frac_ = unary_("frac", **IN_PLACE)
_foreach_lerp = lerp(since="2.6", link=declared("2.6.0", 11131), reason="no list of numbers as `weight`")
_foreach_lerp_ = lerp_(
    limits=PARTIAL_2_6, since="2.6", link=declared("2.6.0", 11139), reason="no list of numbers as `weight`"
)
_foreach_lgamma = unary("lgamma", **since_1_13(9618))
_foreach_lgamma_ = unary_("lgamma", **PARTIAL)
_foreach_log = unary("log", **since_1_13(9468))
_foreach_log10 = unary("log10", **since_1_13(9483))
_foreach_log10_ = unary_("log10", **PARTIAL)
_foreach_log1p = unary("log1p", **since_1_13(9498))
_foreach_log1p_ = unary_("log1p", **PARTIAL)
_foreach_log2 = unary("log2", **since_1_13(9513))
_foreach_log2_ = unary_("log2", **PARTIAL)
_foreach_log_ = unary_("log", **PARTIAL)
_foreach_max = largest(since="2.4", link=declared("2.4.1", 11122))
_foreach_maximum = binary(
    "maximum", since="2.0", link=declared("2.0.1", 9799), limits=NO_GRADIENT_2_0, reason="no `scalar`"
)
_foreach_maximum_ = binary_("maximum", **EXTREMUM)
_foreach_minimum = binary(
    "minimum", since="2.0", link=declared("2.0.1", 9814), limits=NO_GRADIENT_2_0, reason="no `scalar`"
)
_foreach_minimum_ = binary_("minimum", **EXTREMUM)
_foreach_mm = matrices(since="2.13", link=declared("2.13.0", 11400))
_foreach_mul = binary(
    "mul", tensor=True, limits=OF_2_1, since="2.1", link=pull(106677), reason="a tensor without dimensions is a number"
)
_foreach_mul_ = binary_("mul", tensor=True, **PARTIAL)
_foreach_neg = unary("neg", **since_1_13(9528))
_foreach_neg_ = unary_("neg", **IN_PLACE)
_foreach_norm = reduced("norm", since="2.4", link=declared("2.4.1", 11145), reason="no `dtype`")
_foreach_pow = power(since="2.1", link=declared("2.1.2", 10771))
_foreach_pow_ = power_(**PARTIAL)
_foreach_powsum = reduced(
    "powsum", limits=[Limit("gradient", NO_GRADIENT, "native", "2.11")], since="2.11", link=declared("2.11.0", 11571)
)
_foreach_reciprocal = unary("reciprocal", **since_1_13(9648))
_foreach_reciprocal_ = unary_("reciprocal", **PARTIAL)
_foreach_round = unary("round", **since_1_13(9603))
_foreach_round_ = unary_("round", **IN_PLACE)
_foreach_rsqrt = unary("rsqrt", since="2.6", link=declared("2.6.0", 11335))
_foreach_rsqrt_ = unary_("rsqrt", limits=PARTIAL_2_6, since="2.6", link=declared("2.6.0", 11342))
_foreach_sigmoid = unary("sigmoid", **since_1_13(9663))
_foreach_sigmoid_ = unary_("sigmoid", **PARTIAL)
_foreach_sign = unary("sign", since="2.1", link=declared("2.1.2", 10868))
_foreach_sign_ = unary_("sign", **IN_PLACE)
_foreach_sin = unary("sin", **since_1_13(9573))
_foreach_sin_ = unary_("sin", **PARTIAL)
_foreach_sinh = unary("sinh", **since_1_13(9588))
_foreach_sinh_ = unary_("sinh", **PARTIAL)
_foreach_sqrt = unary("sqrt", **since_1_13(9288))
_foreach_sqrt_ = unary_("sqrt", **PARTIAL)
_foreach_sub = summed(
    "sub", since="1.13", link=declared("1.13.1", 9100), limits=NO_GRADIENT_UP_TO_2_0, reason="no `self`"
)
_foreach_sub_ = summed_("sub", **PARTIAL)
_foreach_tan = unary("tan", **since_1_13(9543))
_foreach_tan_ = unary_("tan", **PARTIAL)
_foreach_tanh = unary("tanh", **since_1_13(9558))
_foreach_tanh_ = unary_("tanh", **PARTIAL)
_foreach_trunc = unary("trunc", **since_1_13(9678))
_foreach_trunc_ = unary_("trunc", **IN_PLACE)
_foreach_zero_ = zero_(**IN_PLACE)
