"""One-node models run here and in ONNX Runtime, for the property tests of operators."""

import dwindle
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

ort = pytest.importorskip("onnxruntime")
ort.set_default_logger_severity(4)

OPSETS = (11, 13, 18, 21)


def node_model(op, arrays, outputs, opset, constants=(), **attributes):
    """A model of one node; inputs whose index is in `constants` become initializers."""
    names, inputs, initializers = [], [], []
    for i, array in enumerate(arrays):
        names.append("" if array is None else f"x{i}")
        if array is None:
            continue
        if i in constants:
            initializers.append(onnx.numpy_helper.from_array(array, f"x{i}"))
        else:
            dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
            inputs.append(helper.make_tensor_value_info(f"x{i}", dtype, array.shape))
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, made, name="tested", **attributes)
    results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in made]
    for result in results:
        result.ClearField("type")
    graph = helper.make_graph([node], "one", inputs, results, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def expected(model, feeds):
    """What ONNX Runtime makes of it, or None where it refuses."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return session.run(None, feeds)
    except Exception:  # ONNX Runtime raises many types, and all of them mean "refused"
        return None


def check(op, arrays, opset, outputs=1, exact=True, constants=(), **attributes):
    """Compares one case. Returns whether ONNX Runtime took it."""
    model = node_model(op, arrays, outputs, opset, constants, **attributes)
    feeds = {f"x{i}": a for i, a in enumerate(arrays) if a is not None and i not in constants}
    wanted = expected(model, feeds)
    if wanted is None:
        return False
    shapes = [None if a is None else a.shape for a in arrays]
    small = [a.tolist() for a in arrays if a is not None and a.ndim < 2 and a.size < 20]
    about = f"{op}-{opset} {shapes} {small} {attributes}"
    try:
        results = dwindle.from_onnx(model).run(feeds)
    except dwindle.Error as error:
        raise AssertionError(f"{about}: {error}") from error
    for i, want in enumerate(wanted):
        got = results[f"y{i}"]
        assert got.shape == want.shape, f"{about}: {got.shape} is not {want.shape}"
        assert got.dtype == want.dtype, about
        if exact:
            np.testing.assert_array_equal(got, want, err_msg=about)
        else:
            scale = np.abs(want[np.isfinite(want)]).max(initial=1)
            # Halves are rounded once here, but after every step in some of ONNX Runtime's kernels.
            rtol = 2e-3 if want.dtype == np.float16 else 1e-4
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol / 10 * scale, err_msg=about)
    return True


def repeat(case, seed, count=60, least=0.4):
    """Runs `case(rng)` many times; ONNX Runtime must take at least the share `least`."""
    rng = np.random.default_rng(seed)
    taken = sum(bool(case(rng)) for _ in range(count))
    assert taken >= least * count, f"only {taken} of {count} cases were valid"


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def dims(rng, rank, low=1, high=6):
    return tuple(int(n) for n in rng.integers(low, high + 1, rank))


def data(rng, shape, dtype=None):
    kinds = (np.float32, np.int64, np.uint8, np.float64, np.int32, np.float16, np.bool_)
    return rng.integers(-100, 100, shape).astype(dtype or pick(rng, *kinds))


def normal(rng, shape):
    return rng.standard_normal(shape).astype(np.float32)


def ints(values):
    return np.asarray(values, dtype=np.int64)
