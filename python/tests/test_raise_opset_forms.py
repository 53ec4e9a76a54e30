"""raise-opset: ops whose form changed, in random cases, mean the same in newer versions."""

from collections import Counter

import dwindle
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from raised_models import (
    FIRST,
    LAST,
    REDUCTIONS,
    RUNTIME_LAST,
    TARGETS,
    close,
    compare,
    raised,
    some,
)
from side_by_side import expected, node_model


def reductions(rng):
    op = str(rng.choice(REDUCTIONS))
    opset = int(rng.integers(FIRST, 13 if op == "ReduceSum" else 18))
    low = -3 if opset >= 11 else 0
    axes = rng.choice(3, rng.integers(1, 3), replace=False) + rng.choice([0, low])
    attributes = {"keepdims": int(rng.integers(2))}
    if rng.integers(4):
        attributes["axes"] = axes.tolist()
    return op, opset, [np.abs(some(rng, 2, 3, 4))], {}, attributes


def reshaping(rng):
    kind = rng.integers(3)
    opset = int(rng.integers(FIRST, 13))
    low = 0 if opset < 11 else rng.integers(2)
    if kind == 0:
        attributes = {"axes": [2 - 4 * low]} if rng.integers(2) else {}
        return "Squeeze", opset, [some(rng, 2, 3, 1, 4)], {}, attributes
    if kind == 1:
        axes = [0, 3 - 5 * low]
        return "Unsqueeze", opset, [some(rng, 2, 3, 4)], {}, {"axes": axes}
    attributes = {"axis": int(1 - 3 * low)}
    if rng.integers(2):
        attributes["split"] = [1, 5]
    if "split" not in attributes:
        opset = int(rng.integers(opset, 18))
    return "Split", opset, [some(rng, 2, 6, 4)], {"outputs": 2}, attributes


def cutting(rng):
    kind = rng.integers(4)
    dtype = np.dtype(str(rng.choice(["float32", "float16", "float64"])))
    x = some(rng, 3, 4, 5, dtype=dtype)
    if kind == 0:
        starts, ends = rng.integers(-6, 6, (2, 2)).tolist()
        attributes = {"starts": starts, "ends": ends}
        if rng.integers(2):
            attributes["axes"] = [0, 2]
        return "Slice", int(rng.integers(FIRST, 10)), [x], {}, attributes
    if kind == 1:
        attributes = {"k": int(rng.integers(1, 4)), "axis": int(rng.integers(3))}
        return (
            "TopK",
            int(rng.integers(FIRST, 10)),
            [some(rng, 3, 4, 5)],
            {"outputs": 2},
            attributes,
        )
    if kind == 2:
        bounds = {"min": -0.5, "max": 0.75}
        attributes = {name: bounds[name] for name in bounds if rng.integers(3)}
        return "Clip", int(rng.integers(FIRST, 11)), [x], {}, attributes
    mode = str(rng.choice(["constant", "reflect", "edge"]))
    attributes = {"pads": rng.integers(0, 3, 6).tolist(), "mode": mode}
    if rng.integers(2):
        attributes["value"] = 1.5
    return "Pad", int(rng.integers(FIRST, 11)), [x], {}, attributes


def softmaxes(rng):
    op = str(rng.choice(["Softmax", "LogSoftmax", "Hardmax"]))
    opset = int(rng.integers(FIRST, 13))
    attributes = {}
    if rng.integers(4):
        attributes["axis"] = int(rng.integers(-3 if opset >= 11 else 0, 3))
    shape = [2, int(rng.integers(4) > 0) * 3, 4]  # now and then without elements
    return op, opset, [some(rng, *shape)], {}, attributes


def resizing(rng):
    mode = str(rng.choice(["nearest", "linear"]))
    x = some(rng, 1, 2, 5, 6)
    up = np.array([1, 1, *rng.uniform(1, 3, 2)], np.float32)
    scales = np.array([1, 1, *rng.uniform(0.4, 2.5, 2)], np.float32)
    kind = rng.integers(4)
    if kind == 0:
        return "Upsample", int(rng.integers(7, 9)), [x], {}, {"mode": mode, "scales": up.tolist()}
    constants = () if rng.integers(2) else (1,)
    if kind == 1:
        return "Upsample", 9, [x, up], {"constants": constants}, {"mode": mode}
    if kind == 2:
        return "Resize", 10, [x, scales], {"constants": constants}, {"mode": mode}
    sizes = np.array([1, 2, *rng.integers(2, 12, 2)], np.int64)
    none = np.zeros(0, np.float32)
    coordinates = str(rng.choice(["half_pixel", "asymmetric", "tf_half_pixel_for_nn"]))
    attributes = {
        "mode": "nearest",
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": str(rng.choice(["floor", "round_prefer_floor"])),
    }
    inputs = [x, none, none, sizes]
    return "Resize", int(rng.integers(11, 13)), inputs, {"constants": (1, 2, 3)}, attributes


def normalizing(rng):
    kind = rng.integers(4)
    if kind < 2:
        opset = int(rng.integers(FIRST, 9)) if kind == 0 else int(rng.integers(9, 14))
        attributes = {"epsilon": 0.01}
        each = [3]
        if kind == 0:
            attributes["spatial"] = int(rng.integers(2))
            each = [3] if attributes["spatial"] else [3, 4, 2]
        statistics = [np.abs(some(rng, *each)) + 0.1 for _ in range(4)]
        constants = (1, 2, 3, 4) if rng.integers(2) else ()
        inputs = [some(rng, 2, 3, 4, 2), *statistics]
        return "BatchNormalization", opset, inputs, {"constants": constants}, attributes
    if kind == 2:
        opset = int(rng.integers(FIRST, 12))
        attributes = {"ratio": 0.25} if rng.integers(2) else {}
        return "Dropout", opset, [some(rng, 2, 3)], {}, attributes
    return "MeanVarianceNormalization", int(rng.integers(9, 13)), [some(rng, 2, 3, 4, 5)], {}, {}


def sampling(rng):
    kind = rng.integers(4)
    if kind == 0:
        opset = int(rng.integers(16, 20))
        attributes = {"align_corners": int(rng.integers(2))}
        if rng.integers(4):
            attributes["mode"] = str(rng.choice(["bilinear", "nearest", "bicubic"]))
        inputs = [some(rng, 1, 2, 5, 4), rng.uniform(-1, 1, (1, 3, 2, 2)).astype(np.float32)]
        return "GridSample", opset, inputs, {}, attributes
    if kind == 1:
        corners = np.sort(rng.uniform(0, 7, (2, 2, 2)), axis=1).reshape(2, 4).astype(np.float32)
        inputs = [some(rng, 1, 2, 8, 8), corners, np.zeros(2, np.int64)]
        attributes = {"output_height": 2, "output_width": 3, "sampling_ratio": 2}
        return "RoiAlign", int(rng.integers(10, 16)), inputs, {}, attributes
    if kind == 2:
        attributes = {"axis": int(rng.integers(1, 3))} if rng.integers(2) else {}
        attributes["onesided"] = int(rng.integers(2))
        return "DFT", int(rng.integers(17, 20)), [some(rng, 2, 4, 6, 1)], {}, attributes
    opset = int(rng.integers(9, 11))
    axis = int(rng.integers(2))
    indices = rng.permuted(np.tile(np.arange(3), (3, 1)), axis=1)
    indices = indices if axis else indices.T
    inputs = [some(rng, 3, 3), indices.astype(np.int64), some(rng, 3, 3)]
    return "Scatter", opset, inputs, {}, {"axis": axis}


FAMILIES = (reductions, reshaping, cutting, softmaxes, resizing, normalizing, sampling)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_older_forms(family):
    compared = Counter()
    for seed in range(40):
        op, opset, arrays, layout, attributes = family(np.random.default_rng(seed))
        constants = layout.get("constants", ())
        model = node_model(op, arrays, layout.get("outputs", 1), opset, constants, **attributes)
        feeds = {f"x{i}": array for i, array in enumerate(arrays) if i not in constants}
        rng = np.random.default_rng(seed)
        targets = sorted(rng.choice(range(opset + 1, LAST + 1), 3, replace=False).tolist())
        compared[op] += compare(model, feeds, targets)
    assert all(count >= 3 for count in compared.values()), compared
    assert sum(compared.values()) >= 60, compared


def test_group_normalization():
    """ONNX's checker takes no deprecated op; the runtimes do."""
    rng = np.random.default_rng(0)
    x, scale, bias = some(rng, 2, 6, 5), some(rng, 3), some(rng, 3)
    model = node_model("GroupNormalization", [x, scale, bias], 1, 18, num_groups=3)
    feeds = {"x0": x, "x1": scale, "x2": bias}
    assert compare(model, feeds, (21, 23, 28)) == 3


def test_quantized_models():
    """Operators of quantization hold as they are; what stands between them is converted."""
    rng = np.random.default_rng(0)
    scale, zero = np.array(0.05, np.float32), np.array(3, np.int8)
    weights = rng.integers(-90, 90, (4, 3, 3, 3)).astype(np.int8)
    constants = {
        "scale": scale,
        "zero": zero,
        "weights": weights,
        "weight_scale": np.full(4, 0.02, np.float32),
        "weight_zero": np.zeros(4, np.int8),
        "bias": rng.integers(-99, 99, 4).astype(np.int32),
    }
    nodes = [
        helper.make_node("Pad", ["x"], ["padded"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.1),
        helper.make_node("QuantizeLinear", ["padded", "scale", "zero"], ["q"]),
        helper.make_node(
            "QLinearConv",
            "q scale zero weights weight_scale weight_zero scale zero bias".split(),
            ["c"],
        ),
        helper.make_node("DequantizeLinear", ["c", "scale", "zero"], ["d"]),
        helper.make_node("Clip", ["d"], ["e"], min=0.0, max=6.0),
        helper.make_node("Softmax", ["e"], ["y"], axis=1),
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 6, 6])
        for name, channels in (("x", 3), ("y", 4))
    )
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "quantized", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=5)
    assert compare(model, {"x": some(rng, 1, 3, 6, 6)}) == len(TARGETS)


def scan_8(directions):
    """Running sums and products over the second axis, for each sample of the batch on its own."""
    row = [TensorProto.FLOAT, [2]]
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "a"], ["sum"]),
            helper.make_node("Mul", ["b", "captured"], ["scaled"]),
            helper.make_node("Clip", ["scaled"], ["clipped"], min=-1.0),
            helper.make_node("Add", ["sum", "clipped"], ["both"]),
        ],
        "body",
        [helper.make_tensor_value_info(name, *row) for name in ("state", "a", "b")],
        [helper.make_tensor_value_info(name, *row) for name in ("sum", "both")],
    )
    attributes = {"num_scan_inputs": 2, "body": body}
    if directions is not None:
        attributes["directions"] = directions
    node = helper.make_node("Scan", ["", "start", "a", "b"], ["last", "all"], "scan", **attributes)
    inputs = [("start", [3, 2]), ("a", [3, 4, 2]), ("b", [3, 4, 2]), ("captured", [2])]
    graph = helper.make_graph(
        [node],
        "scan",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs],
        [
            helper.make_tensor_value_info("last", TensorProto.FLOAT, [3, 2]),
            helper.make_tensor_value_info("all", TensorProto.FLOAT, [3, 4, 2]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=4)


@pytest.mark.parametrize("directions", [None, [0, 1], [1, 1]])
def test_scan_over_a_batch(directions):
    model = scan_8(directions)
    rng = np.random.default_rng(0)
    feeds = {"start": some(rng, 3, 2), "a": some(rng, 3, 4, 2), "b": some(rng, 3, 4, 2)}
    feeds["captured"] = some(rng, 2)
    wanted = expected(model, feeds)
    assert wanted is not None
    assert compare(model, feeds, range(9, LAST + 1)) == LAST - 8
    here = dwindle.from_onnx(raised(model, 9)).run(feeds)
    close(wanted, [here["last"], here["all"]], "Scan")
    model.graph.node[0].input[0] = "lengths"
    model.graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, [3]))
    with pytest.raises(dwindle.Unsupported, match=r"Scan node 'scan'.*opset 8 to 9.*sequence_lens"):
        raised(model, 13)


def test_local_functions():
    """The body of a function is converted too, from the version that it imports."""
    body = [
        helper.make_node("ReduceMean", ["a"], ["mean"], axes=[1]),
        helper.make_node("Sub", ["a", "mean"], ["centered"]),
        helper.make_node("Split", ["centered"], ["left", "right"], axis=1),
        helper.make_node("Mul", ["left", "right"], ["b"]),
    ]
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "Center", ["a"], ["b"], body, opsets[:1])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 2])
    call = helper.make_node("Center", ["x"], ["y"], domain="local")
    graph = helper.make_graph([call], "caller", [x], [y])
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    feeds = {"x": some(np.random.default_rng(0), 3, 4)}
    assert compare(model, feeds, (17, 18, 21, RUNTIME_LAST, LAST)) == 5
    assert [entry.version for entry in raised(model, 18).functions[0].opset_import] == [18]
