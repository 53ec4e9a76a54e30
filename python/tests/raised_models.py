"""Models beside themselves in newer versions of ai.onnx, for the tests of raise-opset."""

import dwindle
import numpy as np
import onnx
from side_by_side import expected

FIRST, LAST = 7, 28
RUNTIME_LAST = 26  # the newest operator set that ONNX Runtime 1.31 loads
TARGETS = (13, 18, 20, 21, 23, 25, RUNTIME_LAST, LAST)
REDUCTIONS = (
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare"
).split()


def raised(model, opset):
    made = dwindle.run_recipe(
        dwindle.from_onnx(model), [{"pass": "raise-opset", "opset": opset}], check=False
    ).to_onnx()
    onnx.checker.check_model(made, full_check=True)
    assert opset_of(made) == max(opset, opset_of(model))
    return made


def opset_of(model):
    return next(entry.version for entry in model.opset_import if entry.domain == "")


def outputs_of(model, feeds):
    """From ONNX Runtime where it runs the model, otherwise from Dwindle; None where neither."""
    results = expected(model, feeds)
    if results is not None:
        return results
    try:
        results = dwindle.from_onnx(model).run(feeds)
    except dwindle.Unsupported:
        return None
    return [results[output.name] for output in model.graph.output]


def close(wanted, got, about):
    for a, b in zip(wanted, got, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype, about
        if a.dtype.kind == "f":
            loose = 1e-2 if a.dtype == np.float16 else 1e-4
            np.testing.assert_allclose(b, a, rtol=loose, atol=loose / 10, err_msg=about)
        else:
            np.testing.assert_array_equal(b, a, about)


def compare(model, feeds, targets=TARGETS):
    """Raises the model to each of `targets`; returns how many results could be compared."""
    wanted = outputs_of(model, feeds)
    compared = 0
    for target in targets:
        if target <= opset_of(model) or wanted is None:
            continue
        after = raised(model, target)
        got = outputs_of(after, feeds)
        if got is None:
            continue
        ops = [node.op_type for node in model.graph.node]
        close(wanted, got, f"{ops} from {opset_of(model)} to {target}")
        compared += 1
    return compared


def some(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)
