"""Axes without elements: nothing may end the process, and what is made of them must load."""

import os
import subprocess
import sys
from pathlib import Path

import dwindle
import numpy as np
import onnx
import pytest
from dwindle import backend
from onnx import TensorProto, helper, numpy_helper
from side_by_side import expected


def emptied(arrays):
    """The inputs with every axis of an extent made empty in all of them, then axis by axis."""
    for extent in sorted({n for array in arrays for n in array.shape if n > 0}):
        shapes = [tuple(0 if n == extent else n for n in array.shape) for array in arrays]
        yield [
            array if array.shape == shape else np.zeros(shape, array.dtype)
            for array, shape in zip(arrays, shapes, strict=True)
        ]
    for i, array in enumerate(arrays):
        for axis in range(array.ndim):
            shape = array.shape[:axis] + (0,) + array.shape[axis + 1 :]
            yield [*arrays[:i], np.zeros(shape, array.dtype), *arrays[i + 1 :]]


def run_emptied_cases():
    """Runs ONNX's own cases so; prints each before it, so that the last one is to blame."""
    ran = 0
    for case in backend.node_cases():
        arrays = case.data_sets[0][0]
        if not all(isinstance(array, (np.ndarray, np.generic)) for array in arrays):
            continue
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.ClearField("shape")
        names = [value.name for value in model.graph.input]
        for inputs in emptied([np.asarray(array) for array in arrays]):
            print(case.name, [array.shape for array in inputs], flush=True)
            try:
                dwindle.from_onnx(model).run(dict(zip(names, inputs, strict=False)))
                ran += 1
            except dwindle.Error:
                pass
    print("ran", ran)


def test_no_operator_ends_the_process():
    paths = [str(Path(dwindle.__file__).parent.parent), str(Path(__file__).parent)]
    code = "import test_zero_extents; test_zero_extents.run_emptied_cases()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *sys.path])},
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"{lines[-1:]}: {done.stderr[-2000:]}"
    assert int(lines[-1].split()[1]) > 3000


def make(op, weights, rows, **attributes):
    inputs = ["w", "x"] if op == "Gather" else ["x", "w"]
    kind = TensorProto.INT64 if op == "Gather" else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["y"], "node", **attributes)],
        "empty",
        [helper.make_tensor_value_info("x", kind, ["N", *rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros(weights, np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activations": "none"},
        {"weights": "int4", "block_size": 16},
        {"activations": "none", "weights": "int4", "block_size": 16},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("op", "weights", "rows", "attributes"),
    [
        ("MatMul", (5, 0), (5,), {}),
        ("MatMul", (0, 5), (0,), {}),
        ("Gemm", (5, 0), (5,), {}),
        ("Gemm", (0, 5), (5,), {"transB": 1}),
        ("Gemm", (0, 5), (0,), {}),
        ("Gather", (3, 0), (2,), {}),
    ],
)
def test_weights_without_elements_stay_in_float(op, weights, rows, attributes, options):
    model = make(op, weights, rows, **attributes)
    x = np.ones((2, *rows), np.int64 if op == "Gather" else np.float32)
    wanted = expected(model, {"x": x})[0]
    small = dwindle.quantize(model, [{"x": x}], **options)
    got = expected(small.to_onnx(), {"x": x})
    assert got is not None
    np.testing.assert_array_equal(got[0], wanted)
    notes = [note for report in small.report for note in report["notes"]]
    assert f"float: {op} 'node': its weights have no elements" in notes


def test_batches_of_nothing_are_no_samples():
    model = make("MatMul", (5, 3), (5,))
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.arange(15, dtype=np.float32).reshape(5, 3), "w")
    )
    nothing, something = np.zeros((0, 5), np.float32), np.ones((2, 5), np.float32)
    for options in ({}, {"activations": "none"}):
        with pytest.raises(dwindle.BadData, match="^the calibration data has no samples"):
            dwindle.quantize(model, [{"x": nothing}] * 2, **options)
    feeds = [{"x": nothing}, {"x": something}, {"x": nothing}]
    mixed = dwindle.quantize(model, feeds, may_grow=True)
    assert mixed.quality["samples"] == 2
    assert mixed.to_bytes() == dwindle.quantize(model, feeds[1:2], may_grow=True).to_bytes()
    with pytest.raises(dwindle.BadData, match="no samples"):
        dwindle.compare(model, mixed, data=[{"x": nothing}])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_old_softmax_of_nothing_is_raised(axis):
    nodes = [helper.make_node("Softmax", ["x"], ["y"], axis=axis)]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", 1, [2, 8, 0])], [info("y", 1, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4)
    raised = dwindle.run_recipe(model, [{"pass": "raise-opset", "opset": 13}]).to_onnx()
    assert raised.opset_import[0].version == 13
    assert expected(raised, {"x": np.zeros((2, 8, 0), "f")})[0].shape == (2, 8, 0)
