"""Small models and the command, shared by the tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

# Channels of the classifier: enough for its weights to outweigh the text of a quantized file.
WIDTH = 24


def make_classifier(batch="N", classes=4, seed=0):
    """Conv, BatchNormalization, Relu, pool, Gemm: `x` [batch,3,8,8] to `y` [batch,classes]."""
    rng = np.random.default_rng(seed)

    def weight(name, *shape, low=None):
        values = rng.standard_normal(shape) * 0.5 if low is None else rng.uniform(low, 2, shape)
        return numpy_helper.from_array(values.astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "g", "h"], ["y"], "gemm", transB=1),
    ]
    weights = [
        weight("w", WIDTH, 3, 3, 3),
        weight("s", WIDTH),
        weight("b", WIDTH),
        weight("m", WIDTH),
        weight("v", WIDTH, low=0.5),
        weight("g", classes, WIDTH),
        weight("h", classes),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, classes])],
        weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def make_indecisive():
    """A classifier of many classes as good as equal, which int8 cannot tell apart."""
    model = make_classifier(classes=50)
    rng = np.random.default_rng(1)
    values = {
        "g": rng.standard_normal((1, WIDTH)) + 1e-4 * rng.standard_normal((50, WIDTH)),
        "h": np.zeros(50),
    }
    for weight in model.graph.initializer:
        if weight.name in values:
            array = values[weight.name].astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    return model


def make_endless_loop():
    """y = x after 2**63 - 1 turns of a Loop that negates."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    turn = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    going, still = (helper.make_tensor_value_info(n, TensorProto.BOOL, []) for n in ("g", "s"))
    before, after = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "ab")
    body = helper.make_graph(
        [helper.make_node("Identity", ["g"], ["s"]), helper.make_node("Neg", ["a"], ["b"])],
        "body",
        [turn, going, before],
        [still, after],
    )
    trips = numpy_helper.from_array(np.array(2**63 - 1), "trips")
    loop = helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)
    graph = helper.make_graph([loop], "endless", [x], [y], [trips])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make_identity(**inputs):
    """One Identity an input, given as name=(dtype, shape)."""
    nodes, ins, outs = [], [], []
    for name, (dtype, shape) in inputs.items():
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        nodes.append(helper.make_node("Identity", [name], [name + "_out"]))
        ins.append(helper.make_tensor_value_info(name, element, shape))
        outs.append(helper.make_tensor_value_info(name + "_out", element, shape))
    graph = helper.make_graph(nodes, "identity", ins, outs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def samples(count, seed=1, shape=(3, 8, 8)):
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)


@pytest.fixture
def classifier():
    return make_classifier()


@pytest.fixture
def classifier_path(tmp_path, classifier):
    path = tmp_path / "model.onnx"
    onnx.save(classifier, path)
    return path


@pytest.fixture
def calib_path(tmp_path):
    path = tmp_path / "calib.npz"
    np.savez(path, x=samples(20))
    return path


def command_path():
    beside = Path(sys.executable).parent / "dwindle"
    given = os.environ.get("DWINDLE_COMMAND")
    return given or (str(beside) if beside.exists() else shutil.which("dwindle"))


@pytest.fixture
def dwindle_command():
    """Runs the command with arguments; returns the finished process, its output as text."""
    command = command_path()
    if command is None:
        pytest.skip("the command dwindle is not installed")

    def run(*arguments):
        words = [command, *(str(argument) for argument in arguments)]
        return subprocess.run(
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
        )

    return run
