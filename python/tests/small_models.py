"""Models of a few nodes, made and run in ONNX Runtime."""

import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper


def build(nodes, initializers, inputs, outputs, opset=17):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs],
        [numpy_helper.from_array(a, n) for n, a in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(model, feed):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(data, options).run(None, feed)


def sqnr(model, other, feeds):
    pairs = [(run(model, f)[0].astype(np.float64), run(other, f)[0]) for f in feeds]
    noise = sum(np.sum((a - b) ** 2) for a, b in pairs)
    return 10 * np.log10(sum(np.sum(a**2) for a, _ in pairs) / max(noise, 1e-30))


def ops(model):
    return [node.op_type for node in model.graph.node]
