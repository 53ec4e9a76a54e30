"""What models of different kinds do to quantization, each reduced to a few nodes."""

import dwindle
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import build, ops, run, sqnr

RNG = np.random.default_rng(11)


def loud_and_quiet(normalized=True):
    """Quiet channels count as much as loud ones behind a normalization."""
    first = RNG.normal(size=(64, 32, 3)).astype(np.float32) / 8
    first[::2] *= 0.003
    last = RNG.normal(size=(64, 64, 3)).astype(np.float32) / 8
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], "first"),
        helper.make_node(
            "InstanceNormalization", ["a", "one", "zero"], ["b"], "norm", epsilon=1e-8
        ),
        helper.make_node("Conv", ["b" if normalized else "a", "last"], ["y"], "last"),
    ]
    initializers = {"first": first, "last": last}
    if normalized:
        initializers |= {"one": np.ones(64, np.float32), "zero": np.zeros(64, np.float32)}
    else:
        del nodes[1]
    inputs = [("x", TensorProto.FLOAT, ["N", 32, 40])]
    return build(nodes, initializers, inputs, [("y", TensorProto.FLOAT, ["N", 64, 36])])


def waves(n=8):
    return [{"x": RNG.normal(size=(2, 32, 40)).astype(np.float32)} for _ in range(n)]


def test_values_that_the_outputs_do_not_bear_rounded_stay_in_float():
    model = loud_and_quiet()
    feeds = waves()
    plain = dwindle.quantize(model, feeds, min_output_sqnr=-100.0)
    guarded = dwindle.quantize(model, feeds)
    assert sqnr(model, plain.to_bytes(), feeds) < 20 <= sqnr(model, guarded.to_bytes(), feeds)
    notes = [note for report in guarded.report for note in report["notes"]]
    assert any("alone leaves" in note and "at the outputs" in note for note in notes)
    # Weights are stored as integers all the same, and some layer computes in them.
    names = {i.name: i.data_type for i in guarded.to_onnx().graph.initializer}
    assert not names.keys() & {"first", "last"}
    assert "QuantizeLinear" in ops(guarded.to_onnx())
    assert len(guarded.to_bytes()) < 0.45 * len(model.SerializeToString())


def test_models_that_bear_rounding_are_quantized_whole():
    model, feeds = loud_and_quiet(normalized=False), waves()
    always = dwindle.quantize(model, feeds)
    assert always.to_bytes() == dwindle.quantize(model, feeds, min_output_sqnr=-100.0).to_bytes()


@pytest.mark.parametrize("bound", [float("inf"), float("nan")])
def test_bounds_are_numbers(bound):
    with pytest.raises(dwindle.BadOption, match="min-output-sqnr"):
        dwindle.quantize(loud_and_quiet(), waves(1), min_output_sqnr=bound)


def half_model():
    weights = [(RNG.normal(size=(96, 96)) / 10).astype(np.float16) for _ in range(4)]
    nodes, value = [], "x"
    for i in range(4):
        nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"m{i}"], f"m{i}"))
        value = "y" if i == 3 else f"r{i}"
        nodes.append(helper.make_node("Relu", [f"m{i}"], [value], f"relu{i}"))
    initializers = {f"w{i}": w for i, w in enumerate(weights)}
    sides = [("x", TensorProto.FLOAT16, ["N", 96])], [("y", TensorProto.FLOAT16, ["N", 96])]
    return build(nodes, initializers, *sides)


@pytest.mark.parametrize("options", [{}, {"activations": "none"}])
def test_models_of_16_bits_are_quantized(options):
    model = half_model()
    feeds = [{"x": RNG.normal(size=(4, 96)).astype(np.float16)} for _ in range(8)]
    small = dwindle.quantize(model, feeds, **options)
    assert [o.dtype for o in small.outputs] == ["float16"]
    assert len(small.to_bytes()) < 0.7 * len(model.SerializeToString())
    assert sqnr(model, small.to_bytes(), feeds) > 25


def test_declarations_that_nodes_contradict_give_way():
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], axes=[1], keepdims=1),
        helper.make_node("Add", ["m", "one"], ["y"]),
    ]
    one = {"one": np.ones(1, np.float32)}
    sides = [("x", TensorProto.FLOAT, ["N", 4, 3])], [("y", TensorProto.FLOAT, ["N", "length"])]
    model = build(nodes, one, *sides)
    small = dwindle.simplify(model)
    x = RNG.normal(size=(2, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(run(small.to_bytes(), {"x": x})[0], run(model, {"x": x})[0])
    assert list(small.outputs[0].shape)[1:] == [1, 3]
    (note,) = [n for p in small.report for n in p["notes"] if "declared" in n]
    assert "'y' was declared as float32[N,length]" in note and "float32[N,1,3]" in note


def test_tables_with_infinities_stay_in_float():
    table = RNG.normal(size=(16, 256)).astype(np.float32)
    table[0] = -np.inf
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["bias"], "lookup"),
        helper.make_node("MatMul", ["x", "w"], ["scores"], "scores"),
        helper.make_node("Add", ["scores", "bias"], ["masked"], "mask"),
        helper.make_node("Softmax", ["masked"], ["y"], "softmax"),
    ]
    initializers = {"table": table, "w": RNG.normal(size=(64, 256)).astype(np.float32) / 8}
    inputs = [("ids", TensorProto.INT64, ["N"]), ("x", TensorProto.FLOAT, ["N", 64])]
    model = build(nodes, initializers, inputs, [("y", TensorProto.FLOAT, ["N", 256])])
    feeds = [
        {"ids": RNG.integers(1, 16, 4), "x": RNG.normal(size=(4, 64)).astype(np.float32)}
        for _ in range(4)
    ]
    for options in ({}, {"activations": "none"}):
        small = dwindle.quantize(model, feeds, **options)
        kinds = {i.name: i.data_type for i in small.to_onnx().graph.initializer}
        assert kinds["table"] == TensorProto.FLOAT
        assert "w" not in kinds
        notes = [note for report in small.report for note in report["notes"]]
        assert any("lookup" in note and "infinity" in note for note in notes)


def test_branches_without_data_stay_in_float():
    def branch(name):
        w = numpy_helper.from_array(
            RNG.normal(size=(128, 128)).astype(np.float32) / 12, f"{name}_w"
        )
        node = helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_y"], f"{name}_matmul")
        out = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)
        return helper.make_graph([node], name, [], [out], [w])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    inputs = [("c", TensorProto.BOOL, []), ("x", TensorProto.FLOAT, ["N", 128])]
    model = build([node], {}, inputs, [("y", TensorProto.FLOAT, ["N", 128])])
    feeds = [
        {"c": np.array(True), "x": RNG.normal(size=(4, 128)).astype(np.float32)} for _ in range(4)
    ]
    small = dwindle.quantize(model, feeds)
    assert len(small.to_bytes()) < 0.7 * len(model.SerializeToString())
    unseen = [{"c": np.array(False), "x": feeds[0]["x"]}]
    assert sqnr(model, small.to_bytes(), feeds) > 30
    assert sqnr(model, small.to_bytes(), unseen) > 120


def test_sound_models_are_checked_on_inputs_that_fill_their_windows():
    kernel = RNG.normal(size=(8, 1, 400)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["wave"]),
        helper.make_node("Conv", ["wave", "kernel"], ["y"], strides=[160]),
    ]
    initializers = {"axis": np.array([1], np.int64), "kernel": kernel}
    sides = [("x", TensorProto.FLOAT, ["N", "samples"])], [("y", TensorProto.FLOAT, None)]
    small = dwindle.simplify(build(nodes, initializers, *sides))
    assert small.proof["same"]
    onnx.checker.check_model(small.to_onnx())


def test_a_state_beside_a_signal_has_its_batch_in_any_place():
    kernel = RNG.normal(size=(8, 1, 256)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["wave"]),
        helper.make_node("Conv", ["wave", "kernel"], ["frames"], strides=[512]),
        helper.make_node("Squeeze", ["frames", "last"], ["frame"]),
        helper.make_node("Add", ["frame", "state"], ["y"]),
    ]
    axes = {"axis": np.array([1], np.int64), "last": np.array([2], np.int64)}
    inputs = [("x", TensorProto.FLOAT, [None, None]), ("state", TensorProto.FLOAT, [2, None, 8])]
    outputs = [("y", TensorProto.FLOAT, None)]
    small = dwindle.simplify(build(nodes, {"kernel": kernel, **axes}, inputs, outputs))
    assert small.proof["same"]


def test_gates_of_many_small_shares():
    """Softmax between integers: finer steps than 1/256 are too fine for ONNX Runtime's kernel."""
    channels = 96
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Softmax", ["f"], ["gate"]),
        helper.make_node("MatMul", ["gate", "w"], ["y"]),
    ]
    initializers = {
        "k": RNG.normal(size=(channels, 3, 3, 3)).astype(np.float32) / 5,
        "w": RNG.normal(size=(channels, 64)).astype(np.float32) + 2,
    }
    sides = [("x", TensorProto.FLOAT, ["N", 3, 12, 12])], [("y", TensorProto.FLOAT, None)]
    model = build(nodes, initializers, *sides)
    feeds = [{"x": RNG.normal(size=(4, 3, 12, 12)).astype(np.float32)} for _ in range(4)]
    small = dwindle.quantize(model, feeds)
    assert "QuantizeLinear" in ops(small.to_onnx())
    assert sqnr(model, small.to_bytes(), feeds) > 20


@pytest.mark.parametrize("options", [{}, {"exclude": "moved"}])
@pytest.mark.parametrize("move", ["Slice", "Transpose", "Reshape"])
def test_integers_that_are_moved_into_a_branch(move, options):
    """ONNX Runtime aborts where it takes a DequantizeLinear along with such a move."""
    inputs = {"Slice": ["f", "start", "end", "axis"], "Transpose": ["f"], "Reshape": ["f", "shape"]}

    def branch(op, name):
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(op, ["s"], [name])], name, [], [out])

    nodes = [
        helper.make_node("Transpose", ["x"], ["f"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
        helper.make_node(
            move,
            inputs[move],
            ["s"],
            "moved",
            **({"perm": [1, 0, 2]} if move == "Transpose" else {}),
        ),
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "bound"], ["c"]),
        helper.make_node(
            "If", ["c"], ["o"], then_branch=branch("Tanh", "t"), else_branch=branch("Sigmoid", "e")
        ),
    ]
    initializers = {
        "w": RNG.normal(size=(96, 96)).astype(np.float32),
        "bound": np.float32(3.5),
        "start": np.array([0], np.int64),
        "end": np.array([16], np.int64),
        "axis": np.array([1], np.int64),
        "shape": np.array([1, -1], np.int64),
    }
    sides = (
        [("x", TensorProto.FLOAT, [1, 96, 64])],
        [("y", TensorProto.FLOAT, None), ("o", TensorProto.FLOAT, None)],
    )
    model = build(nodes, initializers, *sides)
    feeds = [{"x": RNG.normal(size=(1, 96, 64)).astype(np.float32)} for _ in range(4)]
    small = dwindle.quantize(model, feeds, **options).to_onnx()
    if not options:
        if_node = next(n for n in small.graph.node if n.op_type == "If")
        captured = if_node.attribute[0].g.node[0].input[0]
        maker = {out: n.op_type for n in small.graph.node for out in n.output}
        assert maker[captured] == "DequantizeLinear"
    assert sqnr(model, small.SerializeToString(), feeds) > 25


@pytest.mark.parametrize("move", ["Transpose", "Reshape"])
def test_an_excluded_move_of_int8_data(move):
    """From opset 21 on ONNX Runtime refuses what it makes of the pair in front of such a move."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node(move, ["c", "shape"][: 1 + (move == "Reshape")], ["m"], "moved"),
        helper.make_node("Abs", ["m"], ["y"]),
    ]
    initializers = {
        "k": RNG.normal(size=(32, 16, 3, 3)).astype(np.float32),
        "shape": np.array([0, -1], np.int64),
    }
    sides = [("x", TensorProto.FLOAT, ["N", 16, 12, 12])], [("y", TensorProto.FLOAT, None)]
    model = build(nodes, initializers, *sides, opset=21)
    feeds = [{"x": RNG.normal(size=(4, 16, 12, 12)).astype(np.float32)} for _ in range(4)]
    small = dwindle.quantize(model, feeds, exclude="moved", activations="int8")
    assert sqnr(model, small.to_bytes(), feeds) > 30


def test_declarations_from_before_the_batch_was_opened():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("Shape", ["c"], ["s"], "shape"),
        helper.make_node("Gather", ["s", "first"], ["n"], "batch"),
        helper.make_node("Concat", ["n", "rest"], ["t"], "target", axis=0),
        helper.make_node("Reshape", ["c", "t"], ["y"], "flat"),
    ]
    constants = {
        "w": RNG.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "first": np.array([0]),
        "rest": np.array([-1]),
    }
    sides = [("x", TensorProto.FLOAT, ["N", 3, 8, 8])], [("y", TensorProto.FLOAT, ["N", 288])]
    sound, model = (build(nodes, constants, *sides) for _ in range(2))
    model.graph.value_info.append(
        helper.make_tensor_value_info("c", TensorProto.FLOAT, [1, 8, 6, 6])
    )
    x = RNG.normal(size=(6, 3, 8, 8)).astype(np.float32)
    for small in (dwindle.simplify(model), dwindle.quantize(model, x, may_grow=True)):
        for batch in (1, 2, 6):
            want = run(sound, {"x": x[:batch]})[0]
            got = run(small.to_bytes(), {"x": x[:batch]})[0]
            assert got.shape == want.shape
            assert np.abs(got - want).max() < 0.05 * np.abs(want).max()


@pytest.mark.parametrize("opset", [7, 9, 13])
def test_statistics_of_the_batch_are_not_taken_for_constants(opset):
    """Before opset 14, a BatchNormalization that has all its outputs trains, read or not."""
    names = ["scale", "shift", "mean", "variance"]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", *names], ["y", "m", "v", "sm", "sv"], "norm"),
    ]
    constants = {name: RNG.random(8).astype(np.float32) + 0.5 for name in names}
    constants["w"] = RNG.normal(size=(8, 3, 3, 3)).astype(np.float32)
    sides = [("x", TensorProto.FLOAT, ["N", 3, 8, 8])], [("y", TensorProto.FLOAT, None)]
    model = build(nodes, constants, *sides, opset=opset)
    x = RNG.normal(size=(4, 3, 8, 8)).astype(np.float32)
    with pytest.raises(dwindle.Error, match="training mode of this opset"):
        dwindle.from_onnx(model).run({"x": x})
    small = dwindle.simplify(model, check=False)
    assert ops(small.to_onnx()) == ["Conv", "BatchNormalization"]


def test_functions_of_an_older_opset_are_brought_along():
    body = [helper.make_node("Squeeze", ["a"], ["b"], "squeeze", axes=[1])]
    function = helper.make_function(
        "own", "Drop", ["a"], ["b"], body, [helper.make_opsetid("", 11)]
    )
    nodes = [helper.make_node("Drop", ["x"], ["y"], "call", domain="own")]
    sides = [("x", TensorProto.FLOAT, ["N", 1, 4])], [("y", TensorProto.FLOAT, ["N", 4])]
    model = build(nodes, {}, *sides)
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(function)
    small = dwindle.simplify(model, check=False)
    onnx.checker.check_model(small.to_onnx(), full_check=True)
    x = RNG.normal(size=(3, 1, 4)).astype(np.float32)
    np.testing.assert_array_equal(run(small.to_bytes(), {"x": x})[0], x[:, 0])


def softmax(x, opset):
    """Before opset 13 over all axes from 1 on, since then over the last."""
    rows = x.reshape(len(x), -1) if opset < 13 else x
    shares = np.exp(rows - rows.max(-1, keepdims=True))
    return (shares / shares.sum(-1, keepdims=True)).reshape(x.shape)


@pytest.mark.parametrize(("outer", "inner"), [(17, 11), (11, 17), (11, 12), (17, 17)])
def test_functions_mean_what_their_own_opset_says(outer, inner):
    def function(name, nodes, opset):
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
        return helper.make_function("own", name, ["a"], ["b"], nodes, opsets)

    shares = [helper.make_node("Softmax", ["a"], ["b"], "shares")]
    twice = [
        helper.make_node("Shares", ["a"], ["c"], "call", domain="own"),
        helper.make_node("Softmax", ["c"], ["b"], "again"),
    ]
    nodes = [
        helper.make_node("Twice", ["x"], ["d"], "call", domain="own"),
        helper.make_node("Softmax", ["d"], ["y"], "last"),
    ]
    sides = [("x", TensorProto.FLOAT, [2, 3, 4])], [("y", TensorProto.FLOAT, [2, 3, 4])]
    model = build(nodes, {}, *sides, opset=outer)
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.extend([function("Shares", shares, inner), function("Twice", twice, outer)])
    x = 4 * RNG.normal(size=(2, 3, 4)).astype(np.float32)
    expected = softmax(softmax(softmax(x, inner), outer), outer)
    whole = dwindle.from_onnx(model)
    np.testing.assert_allclose(whole.run({"x": x})["y"], expected, rtol=1e-5)
    small = dwindle.simplify(whole).to_bytes()
    np.testing.assert_allclose(run(small, {"x": x})[0], expected, rtol=1e-5)


def test_where_activations_take_more_than_weights_save_weights_alone_are_quantized():
    nodes, weights = [], {}
    for i in range(40):
        weights[f"w{i}"] = RNG.normal(size=(10, 10)).astype(np.float32) / 3
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"m{i}"], f"layer{i}"))
        nodes.append(helper.make_node("Relu", [f"m{i}"], [f"x{i + 1}"], f"relu{i}"))
    sides = [("x0", TensorProto.FLOAT, ["n", 10])], [("x40", TensorProto.FLOAT, ["n", 10])]
    model = build(nodes, weights, *sides)
    x = RNG.normal(size=(8, 10)).astype(np.float32)
    small = dwindle.quantize(model, x, min_output_sqnr=0)
    assert len(small.to_bytes()) < len(model.SerializeToString())
    made = ops(small.to_onnx())
    assert made.count("DequantizeLinear") == 40 and "QuantizeLinear" not in made
    (note,) = [n for p in small.report for n in p["notes"] if "weights alone" in n]
    assert "more than the" in note


def test_weights_that_a_loop_carries_along_are_quantized():
    size = 96
    value = helper.make_tensor_value_info
    square = [size, size]
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "weights"], ["product"], "layer"),
            helper.make_node("Tanh", ["product"], ["next"]),
            helper.make_node("Identity", ["weights"], ["same"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [
            value("turn", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("state", TensorProto.FLOAT, ["n", size]),
            value("weights", TensorProto.FLOAT, square),
        ],
        [
            value("on", TensorProto.BOOL, []),
            value("next", TensorProto.FLOAT, ["n", size]),
            value("same", TensorProto.FLOAT, square),
        ],
    )
    loop = helper.make_node("Loop", ["turns", "", "x", "w"], ["y", "last"], "loop", body=body)
    weights = {
        "w": RNG.normal(size=square).astype(np.float32) / np.sqrt(np.float32(size)),
        "turns": np.array(4, np.int64),
    }
    sides = [("x", TensorProto.FLOAT, ["n", size])], [("y", TensorProto.FLOAT, ["n", size])]
    model = build([loop], weights, *sides)
    feeds = [{"x": RNG.normal(size=(3, size)).astype(np.float32)} for _ in range(8)]
    for data, options in ((feeds, {}), (None, {"activations": "none"})):
        small = dwindle.quantize(model, data, **options).to_bytes()
        assert len(small) < len(model.SerializeToString()) / 3
        assert sqnr(model, small, feeds) > 25


@pytest.mark.parametrize(
    ("numbers", "batch"),
    [(np.float32([2, 2]), "N"), (np.int64([12, 12]), "N"), (np.int64([9, 7]), 1)],
)
def test_a_resize_of_some_axes_between_layers(numbers, batch):
    """ONNX Runtime, which moves channels to the end there, takes its numbers for those of all axes."""
    inputs = ["h", "", "numbers"] if numbers.dtype == np.float32 else ["h", "", "", "numbers"]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], "down"),
        helper.make_node("Resize", inputs, ["r"], "up", axes=[2, 3]),
        helper.make_node("Conv", ["r", "v"], ["y"], "last"),
    ]
    constants = {
        "w": RNG.normal(size=(32, 16, 3, 3)).astype(np.float32),
        "v": RNG.normal(size=(16, 32, 3, 3)).astype(np.float32),
        "numbers": numbers,
    }
    sides = [("x", TensorProto.FLOAT, [batch, 16, 8, 8])], [("y", TensorProto.FLOAT, None)]
    model = build(nodes, constants, *sides, opset=18)
    feeds = [{"x": RNG.normal(size=(1, 16, 8, 8)).astype(np.float32)} for _ in range(4)]
    small = dwindle.quantize(model, feeds)
    assert sqnr(model, small.to_bytes(), feeds) > 25


@pytest.mark.parametrize("length", [1, 4])
def test_a_softmax_that_may_be_of_one_element(length):
    """Between integers, ONNX Runtime makes 0 of a Softmax of one element."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], "project"),
        helper.make_node("Split", ["h", "parts"], ["scores", "values"], "split", axis=1),
        helper.make_node("Softmax", ["scores"], ["s"], "softmax", axis=-1),
        helper.make_node("Mul", ["s", "values"], ["m"], "weigh"),
        helper.make_node("Conv", ["m", "v"], ["y"], "last"),
    ]
    constants = {
        "w": RNG.normal(size=(64, 32, 1, 1)).astype(np.float32),
        "v": RNG.normal(size=(32, 32, 1, 1)).astype(np.float32),
        "parts": np.array([32, 32]),
    }
    sides = [("x", TensorProto.FLOAT, [1, 32, 4, "T"])], [("y", TensorProto.FLOAT, None)]
    model = build(nodes, constants, *sides)
    feeds = [{"x": RNG.normal(size=(1, 32, 4, length)).astype(np.float32)} for _ in range(4)]
    small = dwindle.quantize(model, feeds)
    assert sqnr(model, small.to_bytes(), feeds) > 20
