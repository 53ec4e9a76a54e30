"""A table that is looked up at the start of a model and, turned, multiplies at its end."""

import dwindle
import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(11)
ROWS, WIDTH = 600, 64


def value(name, dtype, dims=None):
    return helper.make_tensor_value_info(name, dtype, dims)


def tied_model(head, nested=False):
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], "embedding"),
        helper.make_node("MatMul", ["rows", "w"], ["mixed"], "mix"),
        helper.make_node("Relu", ["mixed"], ["hidden"], "relu"),
        helper.make_node("ReduceMean", ["hidden"], ["mean"], "mean", axes=[1], keepdims=0),
    ]
    product = [
        helper.make_node("Transpose", ["table"], ["columns"], "turn", perm=[1, 0]),
        helper.make_node("Gemm", ["mean", "columns", "bias"], ["y"], "head")
        if head == "Gemm"
        else helper.make_node("MatMul", ["hidden", "columns"], ["y"], "head"),
    ]
    inputs = [value("ids", TensorProto.INT64, ["n", "s"])]
    if nested:
        zeros = numpy_helper.from_array(np.zeros((1, 1), np.float32), "zeros")
        constant = [helper.make_node("Constant", [], ["y_else"], value=zeros)]
        then = helper.make_graph(product, "then", [], [value("y", TensorProto.FLOAT)])
        other = helper.make_graph(constant, "other", [], [value("y_else", TensorProto.FLOAT)])
        choice = {"then_branch": then, "else_branch": other}
        product = [helper.make_node("If", ["wanted"], ["out"], "choice", **choice)]
        inputs.append(value("wanted", TensorProto.BOOL, []))
    arrays = {
        "table": RNG.normal(size=(ROWS, WIDTH)) / 5,
        "w": RNG.normal(size=(WIDTH, WIDTH)) / 8,
        "bias": RNG.normal(size=ROWS) / 9,
    }
    graph = helper.make_graph(
        nodes + product,
        "tied",
        inputs,
        [value(product[-1].output[0], TensorProto.FLOAT)],
        [numpy_helper.from_array(array.astype(np.float32), k) for k, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def feeds(nested=False, count=4):
    wanted = {"wanted": np.array(True)} if nested else {}
    return [{"ids": RNG.integers(0, ROWS, (2, 6)), **wanted} for _ in range(count)]


def run(model, feed):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model, options).run(None, feed)[0].astype(np.float64)


def sqnr(reference, other):
    return 10 * np.log10((reference**2).sum() / ((reference - other) ** 2).sum())


def tables(graph):
    """Dtypes of the initializers that hold the table, nested graphs too."""
    found = [t.data_type for t in graph.initializer if sorted(t.dims) == [WIDTH, ROWS]]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += tables(attribute.g)
    return found


@pytest.mark.parametrize("head", ["MatMul", "Gemm"])
@pytest.mark.parametrize(
    "options, dtype, least",
    [
        ({}, TensorProto.INT8, 35),
        ({"per_tensor": True}, TensorProto.INT8, 32),
        ({"activations": "none"}, TensorProto.INT8, 37),
        ({"activations": "none", "weights": "int4"}, TensorProto.INT4, 14),
        ({"activations": "none", "weights": "int4", "block_size": 16}, TensorProto.INT4, 16),
        ({"weights": "int4", "block_size": 32}, TensorProto.INT4, 15),
        ({"activations": "none", "weights": "int2", "block_size": 32}, TensorProto.INT2, 3),
    ],
)
def test_the_table_is_stored_once(head, options, dtype, least):
    model, data = tied_model(head), feeds()
    small = dwindle.quantize(model, data, **options)
    assert tables(small.to_onnx().graph) == [dtype]
    for feed in data:
        real = run(model.SerializeToString(), feed)
        assert sqnr(real, run(small.to_bytes(), feed)) > least
        assert sqnr(real, small.run(feed)["y"].astype(np.float64)) > least


def test_a_branch_that_turns_the_table():
    model, data = tied_model("MatMul", nested=True), feeds(nested=True)
    small = dwindle.quantize(model, data)
    assert set(tables(small.to_onnx().graph)) == {TensorProto.INT8}
    for feed in data:
        assert sqnr(run(model.SerializeToString(), feed), run(small.to_bytes(), feed)) > 35


def test_where_the_head_stays_in_float_so_does_the_table():
    small = dwindle.quantize(tied_model("MatMul"), feeds(), exclude="head")
    assert tables(small.to_onnx().graph) == [TensorProto.FLOAT]
    notes = [note for report in small.report for note in report["notes"]]
    assert any("MatMul 'head' reads its weights in float" in note for note in notes)


def test_simplify_does_not_store_it_twice():
    model = tied_model("MatMul")
    assert len(dwindle.simplify(model).to_bytes()) <= len(model.SerializeToString())
