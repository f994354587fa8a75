"""Modules with a fused path and calls of them, made on that path and on the ordinary one.

A call builds a module in evaluation mode and its inputs. What the call must give is what the same module gives where
grad mode is on and its weights require grad, which keeps every torch from the fused path.
"""

import contextlib
import warnings

import torch
from _fastpath_cases import an_encoder

from torchcompat import at_least

SIZE, HEADS, HIDDEN, LENGTH = 8, 2, 16, 5
INF = float("inf")


def layer(dropout=0.0, **options):
    return torch.nn.TransformerEncoderLayer(SIZE, HEADS, HIDDEN, dropout, batch_first=True, **options).eval()


def attention(**options):
    return torch.nn.MultiheadAttention(SIZE, HEADS, batch_first=True, **options).eval()


def packing(one=None, count=2):
    return an_encoder(one or layer(), count, enable_nested_tensor=True)


def padded(one=None, count=2):
    return an_encoder(one or layer(), count, enable_nested_tensor=False)


def x(batch=3):
    return torch.randn(batch, LENGTH, SIZE)


def rows(*lengths, **options):
    """Padding: how many positions of each sequence are kept, counted from the end if *left*."""
    mask = torch.arange(LENGTH)[None, :] >= torch.tensor(lengths)[:, None]
    return mask.flip(1) if options.get("left") else mask


def floats(mask, value=-INF):
    return torch.zeros(mask.shape).masked_fill(mask, value)


class Call:
    """A module and what it gets; *context* is entered around the call, *kept* says which positions count."""

    def __init__(self, module, *inputs, **kwargs):
        self.context = kwargs.pop("context", contextlib.suppress)
        self.kept = kwargs.pop("kept", None)
        self.tolerance = kwargs.pop("tolerance", 1e-5)
        self.ordinary = kwargs.pop("ordinary", None)
        self.strict = False  # whether torch's warning about masks is an error
        self.module, self.inputs, self.kwargs = module, inputs, kwargs

    def run(self, function=None, grad=False):
        """The result, or the error; called twice in a row it draws the same random numbers."""
        torch.manual_seed(1)
        function = function or (lambda module, *inputs, **kwargs: module(*inputs, **kwargs))
        try:
            with self.context(), torch.set_grad_enabled(grad), warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*nested tensors is in prototype", UserWarning)
                warnings.filterwarnings("ignore", ".*torch.jit.script", Warning)  # 2.15, of its own derivatives
                if not self.strict:
                    warnings.filterwarnings("ignore", "Converting mask", UserWarning)
                out = function(self.module, *self.inputs, **self.kwargs)
        except Exception as error:
            return error
        return out[0] if isinstance(out, tuple) else out

    def expected(self):
        return self.ordinary() if self.ordinary is not None else self.run(grad=True)

    def agrees(self, one, two):
        """Whether two results are alike: errors of one type, or values, at the positions that count."""
        if isinstance(one, Exception) or isinstance(two, Exception):
            return type(one) is type(two)
        if one.shape != two.shape:
            return False
        one, two = one.detach().float(), two.detach().float()
        if self.kept is not None:
            one, two = one[self.kept], two[self.kept]
        return torch.allclose(one, two, atol=self.tolerance, rtol=1e-4, equal_nan=True)


# Packing.


def with_padding(module, mask, **options):
    return Call(module, x(len(mask)), src_key_padding_mask=mask, kept=~mask, **options)


class Cases(list):
    """Rows of name, code of the fault, function that makes the call, and codes of faults that may be found as well."""

    def of(self, code, *since, **options):
        """Add a case of the fault *code*, on torch *since* on."""

        def add(build):
            if not since or at_least(*since):
                self.append((f"{code}-{build.__name__}", code, build, options.get("also", ())))
            return build

        return add
