"""raise-opset: random models of many ops mean the same in newer versions."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from raised_models import FIRST, LAST, RUNTIME_LAST, close, outputs_of, raised, some
from side_by_side import expected


class Chain:
    """A random model of opset 7 over ops whose form changed, one behind the other."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.shape = [], [], [2, 4, 6, 6]
        self.value = "x"

    def constant(self, array):
        self.constants.append(numpy_helper.from_array(array, f"c{len(self.constants)}"))
        return self.constants[-1].name

    def add(self, op, *rest, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, [self.value, *rest], names, **attributes))
        self.value = names[0]
        return names

    def step(self):
        rng, axis = self.rng, int(self.rng.integers(1, 4))
        kind = rng.integers(9)
        if kind == 0:
            self.add("Clip", **{str(rng.choice(["min", "max"])): float(rng.uniform(-1, 1))})
        elif kind == 1:
            self.add(str(rng.choice(["Softmax", "LogSoftmax"])), axis=axis)
        elif kind == 2:
            self.add(str(rng.choice(["ReduceMean", "ReduceSum", "ReduceMax"])), axes=[axis])
            self.add("Sigmoid")
            scales = [1.0] * 4
            scales[axis] = float(self.shape[axis])
            self.add("Upsample", scales=scales)
        elif kind == 3:
            pads = [0] * 8
            pads[axis], pads[axis + 4] = 1, 2
            self.add("Pad", pads=pads, value=0.5)
            self.add("Slice", starts=[1], ends=[1 + self.shape[axis]], axes=[axis])
        elif kind == 4:
            self.add("Unsqueeze", axes=[0, axis + 1])
            self.add("Squeeze", axes=[0, axis + 1])
        elif kind == 5:
            halves = self.add("Split", outputs=2, axis=axis)
            self.value = halves[1]
            self.add("Concat", halves[0], axis=axis)
        elif kind == 6:
            each = [np.abs(some(rng, 4)) + 0.1 for _ in range(4)]
            self.add("BatchNormalization", *map(self.constant, each))
            self.add("Dropout", ratio=0.5)
        elif kind == 7:
            self.add("TopK", outputs=2, k=self.shape[axis], axis=axis)
        else:
            self.add("AveragePool", kernel_shape=[3, 3], auto_pad="SAME_UPPER")

    def graph(self, name, inputs):
        for _ in range(self.rng.integers(2, 7)):
            self.step()
        info = helper.make_tensor_value_info(self.value, TensorProto.FLOAT, self.shape)
        return helper.make_graph(self.nodes, name, inputs, [info], self.constants)

    def model(self):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        graph = self.graph("chain", [x])
        if self.rng.integers(2):  # the chain in a branch that reads x from outside
            branches = [graph, Chain(int(self.rng.integers(1000))).graph("other", [])]
            for i, branch in enumerate(branches):
                del branch.input[:]
                for node in branch.node:
                    names = {n: f"b{i}_{n}" for n in (*node.input, *node.output) if n != "x"}
                    node.input[:] = [names.get(n, n) for n in node.input]
                    node.output[:] = [names.get(n, n) for n in node.output]
                for value in (*branch.output, *branch.initializer):
                    value.name = f"b{i}_{value.name}"
            node = helper.make_node(
                "If", ["which"], ["y"], then_branch=branches[0], else_branch=branches[1]
            )
            which = helper.make_tensor_value_info("which", TensorProto.BOOL, [])
            y = helper.make_tensor_value_info("y", TensorProto.FLOAT, self.shape)
            graph = helper.make_graph([node], "outer", [x, which], [y])
        opsets = [helper.make_opsetid("", FIRST)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=4)


@pytest.mark.parametrize("seed", range(40))
def test_from_the_first_version_to_any(seed):
    model = Chain(seed).model()
    onnx.checker.check_model(model, full_check=True)
    rng = np.random.default_rng(seed)
    feeds = {"x": some(rng, 2, 4, 6, 6)}
    if len(model.graph.input) == 2:
        feeds["which"] = np.array(rng.integers(2) > 0)
    wanted = expected(model, feeds)
    assert wanted is not None
    stops = sorted(rng.choice(range(FIRST + 1, LAST), 3, replace=False).tolist())
    step = model
    for target in (*stops, LAST):
        step = raised(step, target)
        for after in (step, raised(model, target)):
            close(wanted, outputs_of(after, feeds), f"to {target}")
            if target <= RUNTIME_LAST:
                assert expected(after, feeds) is not None
