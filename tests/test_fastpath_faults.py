"""The faults of the fused path: shown on every torch that is said to have them, and gone through the facade."""

import threading
import warnings

import pytest
import torch
from _fastpath_cases import (
    ATTENTION_OP,
    LAYER_OP,
    PACKING_OP,
    Observed,
    a_layer,
    an_encoder,
    circumstances,
    codes,
    combinations,
    drawn,
    fused,
    grad_input,
    input_of,
    make,
    mask_of,
    possible,
    set_grad,
)
from _fastpath_cases import ATTENTION as ATTENTION_FACTORS
from _fastpath_cases import LAYER as LAYER_FACTORS
from _fastpath_cases import ENCODER as ENCODER_FACTORS
from _fastpath_fault_cases import CASES, LENGTH, SIZE, attention, decoder, floats, layer, packing, padded, rows, x

from torchcompat import _fastpath_faults, at_least
from torchcompat._fastpath_switch import slow_path
from torchcompat.attention import fastpath_faults, safe_forward

ROWS = [row for name in ("CRASHES", "PACKING", "BOTH", "LAYER", "ATTENTION") for row in getattr(_fastpath_faults, name)]


def here(code):
    return any(row.code == code and row.holds() for row in ROWS)


@fused
@pytest.mark.parametrize(("code", "build", "also"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_fault(code, build, also):
    call = build()
    call.strict = code == "mask_warning"
    found, expected, native, safe = (
        codes(call.run(fastpath_faults)),
        call.expected(),
        call.run(),
        call.run(safe_forward),
    )
    assert found <= {code} | set(also)
    assert (code in found) == applies(code, call)
    if call.strict:
        assert isinstance(native, UserWarning) == bool(found)
    elif not both_raise(native, expected):
        assert call.agrees(native, expected) == (not found - {"mask_warning"})
    call.strict = False
    assert call.agrees(safe, call.expected()), safe


def both_raise(native, expected):
    """2.0 and 2.1 refuse masks under autocast on either path: https://github.com/pytorch/pytorch/issues/111276"""
    return isinstance(native, RuntimeError) and isinstance(expected, RuntimeError)


def applies(code, call):
    """Whether this torch has the fault in this call; the attention has some for a shorter time than the layer."""
    tables = [_fastpath_faults.CRASHES, _fastpath_faults.BOTH]
    if isinstance(
        call.module, (torch.nn.MultiheadAttention, torch.nn.TransformerDecoderLayer, torch.nn.TransformerDecoder)
    ):
        if code == "no_bias" and at_least(2, 1):
            return False
        tables.append(_fastpath_faults.ATTENTION)
    else:
        tables += [_fastpath_faults.LAYER, _fastpath_faults.PACKING]
    if code == "mask_warning" and not at_least(2, 0):
        return any(mask is not None and mask.is_floating_point() for name, mask in call.kwargs.items())
    return any(row.code == code and row.holds() for table in tables for row in table)
