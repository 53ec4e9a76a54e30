"""SequenceMap, which runs a body for each element, and optionals between nodes."""

import dwindle
import numpy as np
import pytest
from onnx import TensorProto, helper
from sequence_models import INFO, NODE, make, same


def test_a_map_over_sequences():
    """The body reads an element of each sequence, and what is no sequence each time."""
    x, k = np.arange(12, dtype=np.float32).reshape(4, 3), np.float32([10, 20, 30])
    body = helper.make_graph(
        [NODE("Mul", ["a", "b"], ["m"]), NODE("Add", ["m", "c"], ["s"]), NODE("Neg", ["a"], ["n"])],
        "body",
        [INFO("a", TensorProto.FLOAT, None), INFO("b", TensorProto.FLOAT, None),
         INFO("c", TensorProto.FLOAT, None)],
        [INFO("s", TensorProto.FLOAT, None), INFO("n", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [
        NODE("SplitToSequence", ["x"], ["parts"], axis=0),
        NODE("SequenceMap", ["parts", "parts", "k"], ["sums", "negatives"], "map", body=body),
        NODE("ConcatFromSequence", ["sums"], ["y"], axis=0),
        NODE("ConcatFromSequence", ["negatives"], ["z"], axis=0),
    ]
    model = make(nodes, {"x": x, "k": k}, ["y", "z"])
    results = dwindle.from_onnx(model).run({"x": x, "k": k})
    np.testing.assert_array_equal(results["y"], x * x + k)
    np.testing.assert_array_equal(results["z"], -x)
    model.graph.output[0].CopyFrom(INFO("y", TensorProto.FLOAT, [4, 3]))
    model.graph.output[1].CopyFrom(INFO("z", TensorProto.FLOAT, [4, 3]))
    assert same(model, {"x": x, "k": k})


def test_optionals_between_nodes():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    nodes = [
        NODE("Optional", ["x"], ["full"]),
        NODE("OptionalHasElement", ["full"], ["has"]),
        NODE("OptionalGetElement", ["full"], ["element"]),
        NODE("Relu", ["element"], ["y"]),
    ]
    results = dwindle.from_onnx(make(nodes, {"x": x}, ["has", "y"], 18)).run({"x": x})
    assert results["has"].item() is True
    np.testing.assert_array_equal(results["y"], x)
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
    nodes = [
        NODE("Optional", [], ["empty"], type=kind),
        NODE("OptionalHasElement", ["empty"], ["has"]),
    ]
    results = dwindle.from_onnx(make(nodes, {"x": x}, ["has"], 18)).run({"x": x})
    assert results["has"].item() is False
    nodes.append(NODE("OptionalGetElement", ["empty"], ["y"], "get"))
    with pytest.raises(dwindle.Error, match="the optional is empty"):
        dwindle.from_onnx(make(nodes, {"x": x}, ["has", "y"], 18)).run({"x": x})
