"""Layers in the bodies of If and Loop that read values of the graph around them."""

import dwindle
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(3)
INFO = helper.make_tensor_value_info
NODE = helper.make_node
SHAPE = [1, 8, 10, 10]


def model_of(control, inputs):
    graph = helper.make_graph([control], "g", [*inputs, INFO("x", 1, SHAPE)], [INFO("y", 1, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def layer():
    """A Conv of the outer x, and its filters."""
    filters = numpy_helper.from_array((RNG.standard_normal((8, 8, 3, 3)) / 8).astype("f"), "w")
    return NODE("Conv", ["x", "w"], ["a"], "layer", pads=[1, 1, 1, 1]), filters


def in_a_branch():
    conv, filters = layer()
    taken = helper.make_graph([conv], "taken", [], [INFO("a", 1, None)], [filters])
    other = helper.make_graph([NODE("Neg", ["x"], ["z"])], "other", [], [INFO("z", 1, None)])
    control = NODE("If", ["c"], ["y"], then_branch=taken, else_branch=other)
    return model_of(control, [INFO("c", TensorProto.BOOL, [])]), {"c": np.array(True)}


def in_a_loop():
    conv, filters = layer()
    nodes = [conv, NODE("Add", ["a", "s"], ["s2"]), NODE("Identity", ["go"], ["go2"])]
    body = helper.make_graph(
        nodes,
        "body",
        [INFO("i", TensorProto.INT64, []), INFO("go", TensorProto.BOOL, []), INFO("s", 1, SHAPE)],
        [INFO("go2", TensorProto.BOOL, []), INFO("s2", 1, SHAPE)],
        [filters],
    )
    control = NODE("Loop", ["n", "", "x"], ["y"], body=body)
    return model_of(control, [INFO("n", TensorProto.INT64, [])]), {"n": np.array(3, np.int64)}


def ops(graph):
    """Of the graph and of those in it."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            yield from ops(attribute.g)


@pytest.mark.parametrize("make", [in_a_branch, in_a_loop])
def test_the_runtime_fuses_layers_that_read_outer_values(make, tmp_path):
    """Which it does not where what is dequantized comes from outside."""
    model, others = make()
    feeds = [{**others, "x": RNG.standard_normal(SHAPE).astype("f")} for _ in range(4)]
    small = dwindle.quantize(model, feeds, may_grow=True).to_onnx()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    session = onnxruntime.InferenceSession(small.SerializeToString(), options)
    fused = set(ops(onnx.load(tmp_path / "optimized.onnx").graph))
    assert "QLinearConv" in fused
    assert "Conv" not in fused
    want = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds[0])[0]
    noise = session.run(None, feeds[0])[0] - want
    assert 10 * np.log10((want**2).sum() / (noise**2).sum()) > 30
