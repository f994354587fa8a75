"""`torch.jit.trace` of every module and function of ours that computes with tensors gives what eager mode gives.

Each is traced on one input and run on others: of the same shape, and of other lengths where torch's own can.
"""

import pytest
import torch
from trace_cases import CASES, GENERATOR, flat

pytestmark = [pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("case", [pytest.param(case, id=key) for key, case in CASES.items()])
def test_a_trace_computes_what_eager_mode_does(case):
    GENERATOR.manual_seed(0)
    torch.manual_seed(0)
    module = case.make().eval()
    first = case.lengths[0]
    traced = torch.jit.trace(module, case.arguments(first, 3), check_trace=False)
    for length, batch in [(first, 3)] + [(length, batch) for batch in (3, 4) for length in case.lengths]:
        arguments = case.arguments(length, batch)
        for found, wanted in zip(flat(traced(*arguments)), flat(module(*arguments))):
            assert found.shape == wanted.shape
            assert torch.allclose(found, wanted, atol=1e-5)
