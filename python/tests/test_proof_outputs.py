"""What the proof compares, and what it cannot: outputs that change their size, NaN, random numbers."""

import dwindle
import numpy as np
import pytest
from onnx import TensorProto, helper
from small_models import build

RNG = np.random.default_rng(12)


@pytest.mark.parametrize("lengths", [{"t": 9}, {"t": 9, "u": 5}])
def test_lengths_that_a_trace_baked_in_are_found(lengths):
    nodes, sums = [], []
    for name in lengths:
        nodes += [
            helper.make_node("Reshape", [f"x_{name}", f"shape_{name}"], [f"r_{name}"]),
            helper.make_node("ReduceSum", [f"r_{name}"], [f"s_{name}"], keepdims=0),
        ]
        sums.append(f"s_{name}")
    nodes.append(helper.make_node("Sum", sums, ["y"]))
    shapes = {f"shape_{n}": np.array([2, length, 4], np.int64) for n, length in lengths.items()}
    inputs = [(f"x_{n}", TensorProto.FLOAT, ["batch", n, 4]) for n in lengths]
    dwindle.simplify(build(nodes, shapes, inputs, [("y", TensorProto.FLOAT, [])]))


def detector(found):
    """A layer, and what nodes `found` make of its output `a`."""
    weights = {"w": RNG.normal(size=(32, 64)).astype(np.float32) / 6, "zero": np.float32([0])}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"], "layer"), *found]
    outputs = [("a", TensorProto.FLOAT, ["n", 64]), ("y", TensorProto.UNDEFINED, None)]
    model = build(nodes, weights, [("x", TensorProto.FLOAT, ["n", 32])], outputs)
    del model.graph.output[1:]
    return model


def test_outputs_whose_size_depends_on_the_data():
    model = detector(
        [
            helper.make_node("Greater", ["a", "zero"], ["positive"]),
            helper.make_node("NonZero", ["positive"], ["y"]),
        ]
    )
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.INT64, [2, "k"]))
    feeds = [{"x": RNG.normal(size=(8, 32)).astype(np.float32)} for _ in range(8)]
    for data, options in ((feeds, {}), (None, {"activations": "none", "weights": "int4"})):
        small = dwindle.quantize(model, data, **options)
        assert small.quality["random"] is (data is None)
        layer, found = small.quality["outputs"]
        assert layer["runs_of_another_shape"] == 0 and layer["sqnr_db"] > 10
        notes = [n for p in small.report for n in p["notes"] if "another shape" in n]
        assert len(notes) == (1 if found["runs_of_another_shape"] else 0)
    assert found["runs_of_another_shape"] > 0  # int4 moves some element across zero


def test_nan_may_mark_what_is_absent():
    model = detector(
        [
            helper.make_node("Greater", ["x", "zero"], ["there"]),
            helper.make_node("Cast", ["there"], ["one"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMin", ["one"], ["all"], axes=[1]),
            helper.make_node("Div", ["zero", "all"], ["mark"]),  # NaN where nothing is
            helper.make_node("ReduceSum", ["a"], ["sum"], keepdims=1),
            helper.make_node("Add", ["sum", "mark"], ["y"]),
        ]
    )
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1]))
    feeds = [{"x": np.abs(RNG.normal(size=(4, 32))).astype(np.float32)} for _ in range(4)]
    feeds[1]["x"][2, 5] = -1
    small = dwindle.quantize(model, feeds)
    assert all(np.isfinite(out["sqnr_db"]) for out in small.quality["outputs"])
    assert any("NaN in both" in n for p in small.report for n in p["notes"])


def test_noise_that_a_model_draws_is_no_noise_of_rounding():
    weights = {f"w{i}": RNG.normal(size=(64, 64)).astype(np.float32) / 8 for i in range(2)}
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], "first"),
        helper.make_node("RandomNormalLike", ["a"], ["noise"], "noise"),
        helper.make_node("Add", ["a", "noise"], ["b"], "add"),
        helper.make_node("MatMul", ["b", "w1"], ["y"], "last"),
    ]
    sides = [("x", TensorProto.FLOAT, ["n", 64])], [("y", TensorProto.FLOAT, ["n", 64])]
    model = build(nodes, weights, *sides)
    assert dwindle.simplify(model).proof["random"]
    x = RNG.normal(size=(16, 64)).astype(np.float32)
    whole = dwindle.from_onnx(model)
    drawn = whole.run({"x": x})["y"] - x @ weights["w0"] @ weights["w1"]
    assert drawn.std() > 0.1
    np.testing.assert_array_equal(whole.run({"x": x})["y"], whole.run({"x": x})["y"])
    for data, options in ((x, {}), (None, {"activations": "none"})):
        assert dwindle.quantize(model, data, **options).quality["outputs"][0]["sqnr_db"] > 30


@pytest.mark.parametrize("dtype", [-1, 999, 2**40])
def test_unknown_dtypes_of_random_numbers(dtype):
    node = helper.make_node("RandomNormal", [], ["y"], shape=[2], dtype=dtype)
    model = build([node], {}, [], [("y", TensorProto.FLOAT, [2])])
    with pytest.raises(dwindle.BadModel, match="dtype is not known"):
        dwindle.from_onnx(model).run({})


def test_text_counts_as_right_or_wrong():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "classes"),
        helper.make_node("ArgMax", ["h"], ["i"], "best", axis=1, keepdims=0),
        helper.make_node("Gather", ["names", "i"], ["label"], "name"),
    ]
    names = np.array([f"class {i}" for i in range(64)], dtype=object)
    constants = {"w": RNG.normal(size=(64, 64)).astype(np.float32), "names": names}
    sides = (
        [("x", TensorProto.FLOAT, ["N", 64])],
        [("h", TensorProto.FLOAT, ["N", 64]), ("label", TensorProto.STRING, ["N"])],
    )
    model = build(nodes, constants, *sides)
    x = {"x": RNG.normal(size=(16, 64)).astype(np.float32)}
    for small in (dwindle.quantize(model, x), dwindle.quantize(model, activations="none")):
        scores = {row["name"]: row["sqnr_db"] for row in small.quality["outputs"]}
        assert scores["label"] > 3
    wanted, got = (dwindle.from_onnx(m).run(x)["label"] for m in (model, small.to_onnx()))
    assert (wanted == got).mean() > 0.5
