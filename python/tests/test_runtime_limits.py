"""Files that ONNX Runtime would misread or refuse, if quantize wrote them the plain way."""

import dwindle
import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(23)


def model_of(nodes, inputs, outputs, arrays, opset=17):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def floats(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def in_runtime(model, x):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    outputs = ort.InferenceSession(model, options).run(None, {"x": x})
    return np.concatenate([output.ravel() for output in outputs]).astype(np.float64)


def sqnr(reference, other):
    return 10 * np.log10((reference**2).sum() / ((reference - other) ** 2).sum())


def notes(small):
    return [note for report in small.report for note in report["notes"]]


def check_as_told(model, small, x, least):
    """What ONNX Runtime makes of the file is what was told of it."""
    real = in_runtime(model.SerializeToString(), x)
    kept = sqnr(real, in_runtime(small.to_bytes(), x))
    told = min(output["sqnr_db"] for output in small.quality["outputs"])
    assert kept > least
    assert kept > told - 2


@pytest.mark.parametrize(
    "options",
    [{"activations": "int16"}, {"activations": "uint16"}, {"target": "tensorrt"}, {}],
    ids=lambda options: next(iter(options.values()), "defaults"),
)
def test_biases_of_channels_with_next_to_no_weights(options):
    """The scale of such a channel would have its bias, as int32, overflow."""
    w = floats(8, 4, 3, 3, scale=0.2)
    w[:2] *= 1e-6
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], "conv", pads=[1, 1, 1, 1])]
    model = model_of(nodes, ["N", 4, 8, 8], ["y"], {"w": w, "b": floats(8)})
    x = floats(4, 4, 8, 8)
    check_as_told(model, dwindle.quantize(model, x, **options), x, 35)


@pytest.mark.parametrize("columns", [48, 50, 51])
@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_columns_of_two_bits_that_do_not_fill_bytes(op, columns):
    nodes = [helper.make_node(op, ["x", "w"], ["y"], "product")]
    model = model_of(nodes, ["N", 128], ["y"], {"w": floats(128, columns)})
    x = floats(8, 128)
    options = {"activations": "none", "weights": "int2", "block_size": 32}
    small = dwindle.quantize(model, x, **options)
    check_as_told(model, small, x, 5)
    assert any("'product') are int4, not int2" in note for note in notes(small)) == (
        columns % 4 > 0
    )


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_products_of_two_bits_and_integers(activations):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "product")]
    model = model_of(nodes, ["N", 6, 64], ["y"], {"w": floats(64, 48)})
    x = floats(4, 6, 64)
    small = dwindle.quantize(model, x, weights="int2", block_size=32, activations=activations)
    check_as_told(model, small, x, 4)
    stored = {tensor.data_type for tensor in small.to_onnx().graph.initializer}
    assert TensorProto.INT2 in stored


@pytest.mark.parametrize("move", ["Slice", "Reshape", "Split"])
def test_int8_data_that_is_moved_for_readers_in_float(move):
    """The moved input of a Conv, of which a part goes on in float."""
    arrays = {"w": floats(8, 8, 3, 3, scale=0.1)}
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "turn", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["c"], "conv"),
    ]
    if move == "Slice":
        for name, value in (("first", 0), ("last", 4), ("axis", 1)):
            arrays[name] = np.array([value])
        nodes.append(helper.make_node("Slice", ["t", "first", "last", "axis"], ["m"], "move"))
    elif move == "Reshape":
        arrays["shape"] = np.array([2, 8, -1])
        nodes.append(helper.make_node("Reshape", ["t", "shape"], ["m"], "move"))
    else:
        nodes.append(helper.make_node("Split", ["t"], ["m", "rest"], "move", axis=1, num_outputs=2))
    nodes.append(helper.make_node("Exp", ["m"], ["e"], "exp"))
    model = model_of(nodes, [2, 9, 9, 8], ["c", "e"], arrays, opset=21)
    x = floats(2, 9, 9, 8)
    check_as_told(model, dwindle.quantize(model, [{"x": x}], activations="int8"), x, 25)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0, 3, 3]])
@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("between", [[], ["Identity"], ["Cast"]])
def test_zeros_in_front_of_a_pool_stay_zeros(pool, between, pads):
    """ONNX Runtime merges a Pad into the pool, which takes no zeros; or refuses the model."""
    nodes = [helper.make_node("Pad", ["c", "pads"], ["p"])]
    for op in between:
        to = {"to": TensorProto.FLOAT} if op == "Cast" else {}
        nodes.append(helper.make_node(op, [nodes[-1].output[0]], ["q"], **to))
    last = nodes[-1].output[0]
    nodes.append(helper.make_node(pool, [last], ["y"], kernel_shape=[2, 2], pads=[1, 0, 0, 0]))
    nodes.insert(0, helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv"))
    arrays = {
        "w": floats(4, 3, 1, 1, scale=0.1),
        "b": np.float32([-3, -2, -4, -3]),
        "pads": np.array(pads, np.int64),
    }
    model = model_of(nodes, ["N", 3, 6, 6], ["y"], arrays)
    x = floats(2, 3, 6, 6)
    want = dwindle.from_onnx(model).run({"x": x})["y"].ravel()
    assert (pool != "MaxPool") or want.max() == 0
    assert np.allclose(in_runtime(dwindle.simplify(model).to_bytes(), x), want, atol=1e-5)
    for options in ({}, {"activations": "int8"}, {"activations": "int16"}):
        small = dwindle.quantize(model, {"x": x}, may_grow=True, **options)
        assert sqnr(want, in_runtime(small.to_bytes(), x)) > 30
