"""What `torch.onnx.export` makes of every module and function of ours computes, in onnxruntime, what eager mode does.

Each is exported for one input, with every size that may differ declared as such, and run on others too. By the exporter
of TorchScript, which every torch has. The nox session `onnx` has what this needs.
"""

import io

import numpy
import pytest
import torch
from trace_cases import CASES, GENERATOR, flat

from torchcompat import at_least

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    # Run on 1.2: sizes are constants of the graph, and pad_sequence, which is torch's own there, is exported wrong.
    pytest.mark.skipif(not at_least(1, 7), reason="the exporter of old torch takes sizes for constants"),
]
for _needed in ("onnx", "onnxruntime"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed; the nox session `onnx` installs it")

# What the exporter refuses, with an error, for operators that ONNX or the exporter does not have. Such an export is not
# tried: it leaves the exporter of torch up to 1.13 in a state that fails, or ends the process, at the next.
REFUSED = {"orthogonal", "orthogonal, cayley", "orthogonal, householder", "pad", "pad on the left"}
if not at_least(2, 0):  # refused on 1.13
    REFUSED |= {"norm"}
if not at_least(1, 13):  # refused on 1.12
    REFUSED |= {"checkpoint, reentrant"}
if not at_least(1, 12):  # all, any and mv, refused on 1.7
    REFUSED |= {
        "encoder",
        "encoder layer, norm first",
        "encoder, batch first",
        "sdpa, float mask",
        "sdpa, mask",
        "spectral_norm",
        "transformer, masks",
    }
OPSET = 17 if at_least(2, 0) else 15 if at_least(1, 12) else 12


def exported(module, case, names):
    """The model that the exporter makes, as bytes."""
    first, last = case.lengths[0], case.lengths[-1]
    arguments, others = case.arguments(first, 3), case.arguments(last, 4)
    axes = {
        name: {dim: f"{name}_{dim}" for dim in range(a.dim()) if a.shape[dim] != b.shape[dim]}
        for name, a, b in zip(names, arguments, others)
    }
    options = {"dynamo": False} if at_least(2, 5) else {}
    target = io.BytesIO()
    with torch.no_grad():
        torch.onnx.export(
            module,
            arguments,
            target,
            opset_version=OPSET,
            input_names=names,
            dynamic_axes={name: dims for name, dims in axes.items() if dims},
            **options,
        )
    return target.getvalue()


def compared(key, arguments, outputs):
    """The *outputs*, without what means nothing: the fast path makes zeros of what is masked out, the exporter not."""
    if key != "encoder, batch first":
        return outputs
    padding = arguments[-1]
    return [output[~padding] for output in outputs]


@pytest.mark.parametrize("key", CASES)
def test_an_exported_model_computes_what_eager_mode_does(key):
    import onnxruntime

    if key in REFUSED:
        pytest.skip("torch's exporter refuses it")
    case = CASES[key]
    GENERATOR.manual_seed(0)
    torch.manual_seed(0)
    module = case.make().eval()
    first = case.lengths[0]
    names = [f"x{number}" for number in range(len(case.arguments(first, 3)))]
    session = onnxruntime.InferenceSession(exported(module, case, names), providers=["CPUExecutionProvider"])
    used = {argument.name for argument in session.get_inputs()}
    for length, batch in [(first, 3)] + [(length, batch) for batch in (3, 4) for length in case.lengths]:
        arguments = case.arguments(length, batch)
        given = {name: value.numpy() for name, value in zip(names, arguments) if name in used}
        found = [torch.from_numpy(numpy.asarray(output)) for output in session.run(None, given)]
        wanted = flat(module(*arguments))
        assert [output.shape for output in found] == [output.shape for output in wanted]
        pairs = zip(compared(key, arguments, found), compared(key, arguments, wanted))
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in pairs)
