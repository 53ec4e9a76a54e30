"""Models with sequences between their tensors, and what must hold of them."""

import dwindle
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from side_by_side import expected

INFO = helper.make_tensor_value_info
NODE = helper.make_node


def sequence_info(name, dtype=TensorProto.FLOAT):
    return helper.make_tensor_sequence_value_info(name, dtype, None)


def untyped(name):
    return onnx.ValueInfoProto(name=name)


def make(nodes, arrays, outputs, opset=17, constants=None):
    """A model whose inputs are `arrays`, by name, and whose outputs are told no type."""
    inputs = [
        INFO(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in arrays.items()
    ]
    stored = [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()]
    graph = helper.make_graph(nodes, "sequences", inputs, [untyped(n) for n in outputs], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def same(model, feeds):
    """Whether ONNX Runtime and the reference take the model; their answers must be ours then."""
    wanted = expected(model, feeds)
    if wanted is None:
        return False
    for proto in (model, dwindle.simplify(dwindle.from_onnx(model), check=False).to_onnx()):
        results = dwindle.from_onnx(proto).run(feeds)
        for info, want in zip(model.graph.output, wanted, strict=True):
            got = results[info.name]
            assert got.dtype == want.dtype
            assert got.shape == want.shape
            np.testing.assert_array_equal(got, want)
    return True
