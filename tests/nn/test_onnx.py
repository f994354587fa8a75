"""What `torch.onnx.export` makes of every module and function of ours computes, in onnxruntime, what eager mode does.

Each is exported for one input, with every size that may differ declared as such, and run on others too. The exporter is
that of TorchScript, which every torch has. What cannot be exported is a limit of the shim, with a key that starts with
"onnx": there the exporter must refuse the module, or the runtime the model. Everywhere else the model must be
right, and nowhere may it be wrong in silence. The nox session `onnx` has what this needs.
"""

import io
import os
import pickle
import sys
import tempfile

import numpy
import pytest
import torch
from trace_cases import CASES, GENERATOR, flat

from torchcompat import SHIMS, at_least

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a refused export may end the process: needs os.fork"),
]
for _needed in ("onnx", "onnxruntime"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed; the nox session `onnx` installs it")

# The newest operators that the exporter of each torch is sound with.
OPSETS = (((2, 0), 17), ((1, 12), 15), ((1, 10), 14), ((1, 5), 12), ((1, 4), 11), ((1, 2), 10))
OPSET = next(opset for since, opset in OPSETS if at_least(*since))
# The limits that a case falls under; other cases of the same shim do not.
LIMITED = {
    "orthogonal": {"onnx"},
    "orthogonal, cayley": {"onnx"},
    "orthogonal, householder": {"onnx"},
    "pad": {"onnx"},
    "pad on the left": {"onnx"},
    "pad, other lengths": {"onnx", "onnx-lengths"},
    "encoder layer, norm first": {"onnx-gelu"},
}


def lengths_of(key):
    """Those of a trace; other lengths, too, where a trace keeps those that were padded and a model need not."""
    return (5, 7) if key == "pad, other lengths" else CASES[key].lengths


def limits_of(key):
    """The declared limits that say that this case cannot be exported by the installed torch."""
    limits = SHIMS[CASES[key].name].limits
    return [limit for limit in limits if limit.key in LIMITED.get(key, ()) and limit.applies("fallback")]


def exported(module, key, names):
    """The model that the exporter makes, as bytes."""
    case, lengths = CASES[key], lengths_of(key)
    arguments, others = case.arguments(lengths[0], 3), case.arguments(lengths[-1], 4)
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


def in_a_fork(function, *arguments):
    """What *function* returns, and None; or None and what it raised, as text, or that it ended the process.

    After an export that was refused, the exporter of torch up to 1.13 fails, or ends the process, at the next one.
    """
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                try:
                    found = function(*arguments), None
                except Exception as error:
                    found = None, f"{type(error).__name__}: {error}"
                file.write(pickle.dumps(found))
                file.flush()
                code = 0
            finally:
                os._exit(code)
        code = os.waitpid(child, 0)[1]
        file.seek(0)
        return (None, f"it ended the process: {code}") if code else pickle.loads(file.read())


def compared(key, arguments, outputs):
    """The *outputs*, without what means nothing: the fast path makes zeros of what is masked out, the exporter not."""
    if key != "encoder, batch first":
        return outputs
    padding = arguments[-1]
    return [output[~padding] for output in outputs]


def check(model, key, module, names):
    """Fail unless the exported model computes what *module* does, for each shape."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    used = {argument.name for argument in session.get_inputs()}
    lengths = lengths_of(key)
    for length, batch in [(lengths[0], 3)] + [(length, batch) for batch in (3, 4) for length in lengths]:
        arguments = CASES[key].arguments(length, batch)
        given = {name: value.numpy() for name, value in zip(names, arguments) if name in used}
        found = [torch.from_numpy(numpy.asarray(output)) for output in session.run(None, given)]
        wanted = flat(module(*arguments))
        assert [output.shape for output in found] == [output.shape for output in wanted]
        pairs = zip(compared(key, arguments, found), compared(key, arguments, wanted))
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in pairs)


@pytest.mark.parametrize("key", CASES)
def test_an_exported_model_computes_what_eager_mode_does_or_is_a_declared_limit(key):
    GENERATOR.manual_seed(0)
    torch.manual_seed(0)
    module = CASES[key].make().eval()
    names = [f"x{number}" for number in range(len(CASES[key].arguments(5, 3)))]
    sys.stdout.flush()
    model, refusal = in_a_fork(exported, module, key, names)
    limits = limits_of(key)
    if not limits:
        assert not refusal, f"a refusal that is not declared: {refusal[:500]}"
        check(model, key, module, names)
        return
    refusal = refusal or in_a_fork(check, model, key, module, names)[1]
    assert refusal, f"it can be exported, where the table says: {limits[0]}"
    assert not refusal.startswith("AssertionError"), "the model is wrong in silence"


def test_every_declared_limit_of_exports_has_a_case():
    declared = {
        (shim.name, limit.key) for shim in SHIMS.values() for limit in shim.limits if limit.key.startswith("onnx")
    }
    assert declared == {(CASES[key].name, limit) for key, limits in LIMITED.items() for limit in limits}
