"""Sequences between tensors: the operators, nested graphs, passes, and what is refused."""

import dwindle
import numpy as np
import onnx
import onnxruntime
import pytest
from dwindle import backend
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from sequence_models import INFO, NODE, make, same, sequence_info
from side_by_side import data, dims, pick, repeat


def against_reference(model, feeds):
    results = dwindle.from_onnx(model).run(feeds)
    for info, want in zip(model.graph.output, ReferenceEvaluator(model).run(None, feeds)):
        np.testing.assert_array_equal(results[info.name], want)


def spelled_out(rng, x, axis, split, position, opset, **attributes):
    """SplitToSequence, with its length and one of its parts."""
    nodes = [
        NODE("SplitToSequence", ["x", "split"] if split is not None else ["x"], ["s"], "split",
             axis=axis, **attributes),
        NODE("SequenceLength", ["s"], ["n"]),
        NODE("SequenceAt", ["s", "at"], ["part"]),
    ]  # fmt: skip
    arrays = {"x": x}
    constants = {"at": np.array(position, pick(rng, np.int32, np.int64))}
    if split is not None:
        kind = pick(rng, np.int32, np.int64)
        (arrays if rng.random() < 0.5 else constants)["split"] = np.array(split, kind)
    return make(nodes, arrays, ["n", "part"], opset, constants), arrays


def a_split(rng):
    """How to split an axis: not said, by one number, or by a list that may not fit."""
    return pick(rng, None, int(rng.integers(1, 5)), [int(n) for n in rng.integers(0, 4, 2)])


def test_split_to_sequence():
    def case(rng):
        x = data(rng, dims(rng, rng.integers(1, 4)))
        axis = int(rng.integers(-x.ndim, x.ndim))
        split = a_split(rng)
        if isinstance(split, list) and rng.random() < 0.8:
            split = [max(0, x.shape[axis] - 1), min(1, x.shape[axis])]
        # Beside a split the attribute is to be ignored, which ONNX Runtime does not.
        keep = split is not None or rng.random() < 0.4
        attributes = {} if keep else {"keepdims": int(rng.integers(2))}
        position = int(rng.integers(-2, 2))
        opset = pick(rng, 11, 13, 18, 24)
        return same(*spelled_out(rng, x, axis, split, position, opset, **attributes))

    repeat(case, seed=1, count=150, least=0.5)


def test_split_of_other_dtypes():
    """Strings, and elements of less than a byte, which ONNX Runtime does not split."""
    words = np.array([["a", "b", "c"], ["d", "e", "f"]], object)
    arrays = {"x": words}
    nodes = [
        NODE("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0),
        NODE("ConcatFromSequence", ["s"], ["y"], axis=0, new_axis=1),
    ]
    got = dwindle.from_onnx(make(nodes, arrays, ["y"])).run(arrays)["y"]
    np.testing.assert_array_equal(got, words.T)
    nibbles = numpy_helper.from_array(np.arange(-3, 3, dtype=np.int8).reshape(2, 3), "q")
    packed = helper.make_tensor("q", TensorProto.INT4, [2, 3], [-3, -2, -1, 0, 1, 2])
    model = make(
        [NODE("Identity", ["q"], ["x"]), *nodes, NODE("Cast", ["y"], ["z"], to=TensorProto.INT8)],
        {},
        ["z"],
        21,
    )
    model.graph.initializer.append(packed)
    want = numpy_helper.to_array(nibbles).T
    np.testing.assert_array_equal(dwindle.from_onnx(model).run({})["z"], want)


def test_concat_from_sequence():
    def case(rng):
        shape = dims(rng, rng.integers(0, 4), low=0)
        kind = pick(rng, np.float32, np.int64, np.float16, np.bool_, np.float64)
        new_axis = int(rng.integers(2))
        bound = len(shape) + new_axis
        if bound == 0:
            return False
        axis = int(rng.integers(-bound, bound))
        arrays = {}
        for i in range(rng.integers(1, 4)):
            mine = list(shape)
            if new_axis == 0:
                mine[axis] = int(rng.integers(0, 4))
            arrays[f"x{i}"] = data(rng, tuple(mine), kind)
        nodes = [
            NODE("SequenceConstruct", list(arrays), ["s"]),
            NODE("ConcatFromSequence", ["s"], ["y"], axis=axis, new_axis=new_axis),
        ]
        return same(make(nodes, arrays, ["y"], pick(rng, 11, 17, 21)), arrays)

    repeat(case, seed=2, count=120, least=0.7)


def random_edits(rng, behind_last=True):
    """A sequence made, lengthened and shortened at random places, `behind_last` said to be one."""
    kind = pick(rng, np.float32, np.int64, np.float16, np.uint8)
    arrays = {f"x{i}": data(rng, dims(rng, 2), kind) for i in range(4)}
    constants, nodes = {}, []
    if rng.random() < 0.5:
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        extra = {} if kind == np.float32 else {"dtype": dtype}
        nodes.append(NODE("SequenceEmpty", [], ["s0"], **extra))
        length = 0
    else:
        length = int(rng.integers(1, 4))
        names = [f"x{rng.integers(4)}" for _ in range(length)]
        nodes.append(NODE("SequenceConstruct", names, ["s0"]))

    def position(low, high):
        name = f"p{len(constants)}"
        value = int(rng.integers(low, high + 1))
        constants[name] = np.array(value, pick(rng, np.int32, np.int64))
        return name

    for i in range(rng.integers(1, 6)):
        said = rng.random() < 0.7
        if length == 0 or rng.random() < 0.6:
            where = [position(-length, length - (not behind_last))] if said and length else []
            nodes.append(NODE("SequenceInsert", [f"s{i}", f"x{rng.integers(4)}", *where],
                              [f"s{i + 1}"]))  # fmt: skip
            length += 1
        else:
            where = [position(-length, length - 1)] if said else []
            nodes.append(NODE("SequenceErase", [f"s{i}", *where], [f"s{i + 1}"]))
            length -= 1
        last = f"s{i + 1}"
    nodes.append(NODE("SequenceLength", [last], ["n"]))
    outputs = ["n"]
    for i in range(length):
        constants[f"at{i}"] = np.array(i if rng.random() < 0.5 else i - length, np.int64)
        nodes.append(NODE("SequenceAt", [last, f"at{i}"], [f"y{i}"]))
        outputs.append(f"y{i}")
    return make(nodes, arrays, outputs, pick(rng, 11, 13, 17, 21), constants), arrays


def test_insert_erase_at_length():
    repeat(lambda rng: same(*random_edits(rng)), seed=3, count=150, least=0.8)


def test_the_reference_agrees():
    for seed in range(60):
        # The reference takes the place behind the last for the first.
        against_reference(*random_edits(np.random.default_rng(seed), behind_last=False))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = data(rng, dims(rng, 3), np.float32)
        split = pick(rng, None, 2, [1, x.shape[1] - 1])
        keep = {"keepdims": int(rng.integers(2))}
        against_reference(*spelled_out(rng, x, 1, split, 0, 17, **keep))


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        ([NODE("SequenceAt", ["s", "three"], ["y"], "tested")], "position 3 is outside"),
        ([NODE("SequenceErase", ["s", "low"], ["t"], "tested"),
          NODE("SequenceLength", ["t"], ["y"])], "position -4 is outside"),
        ([NODE("SequenceInsert", ["s", "whole"], ["t"], "tested"),
          NODE("SequenceLength", ["t"], ["y"])], "differ in dtype"),
        ([NODE("ConcatFromSequence", ["s"], ["y"], "tested", axis=1)], "differ in shape"),
        ([NODE("Relu", ["s"], ["y"], "tested")], "input 0 is a sequence"),
        ([NODE("SequenceLength", ["x"], ["y"], "tested")], "input 0 is a tensor"),
        ([NODE("SplitToSequence", ["x", "three"], ["t"]), NODE("SequenceEmpty", [], ["e"]),
          NODE("ConcatFromSequence", ["e"], ["y"], "tested", axis=0)], "the sequence is empty"),
        ([NODE("SplitToSequence", ["x", "zero"], ["t"], "tested"),
          NODE("SequenceLength", ["t"], ["y"])], "no extent"),
        ([NODE("SplitToSequence", ["x", "list"], ["t"], "tested"),
          NODE("SequenceLength", ["t"], ["y"])], "do not fit"),
    ],
)  # fmt: skip
def test_what_cannot_be(nodes, what):
    constants = {
        "three": np.int64(3), "low": np.int64(-4), "zero": np.int64(0), "whole": np.arange(2),
        "list": np.array([1, 2, 4]),
    }  # fmt: skip
    arrays = {"x": np.ones((2, 3), np.float32), "z": np.ones((3, 3), np.float32)}
    model = make([NODE("SequenceConstruct", ["x", "z", "x"], ["s"]), *nodes], arrays, ["y"], 17,
                 constants)  # fmt: skip
    with pytest.raises(dwindle.BadModel, match=f"'tested'.*{what}"):
        dwindle.from_onnx(model).run(arrays)


# ---- Nested graphs -----------------------------------------------------------------------------


def loop_body(declared, nodes, outputs):
    types = [INFO("i", TensorProto.INT64, []), INFO("go", TensorProto.BOOL, []), *declared]
    return helper.make_graph([*nodes, NODE("Identity", ["go"], ["on"])], "body", types,
                             [INFO("on", TensorProto.BOOL, []), *outputs])  # fmt: skip


def appending_loop(trips=4):
    """A list of x · i for each i, as the TorchScript exporter writes a list that a loop fills."""
    body = loop_body(
        [sequence_info("so_far")],
        [
            NODE("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
            NODE("Mul", ["x", "f"], ["m"]),
            NODE("SequenceInsert", ["so_far", "m"], ["longer"]),
        ],
        [sequence_info("longer")],
    )
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    nodes = [
        NODE("SequenceEmpty", [], ["none"]),
        NODE("Loop", ["trips", "", "none"], ["all"], "loop", body=body),
        NODE("ConcatFromSequence", ["all"], ["y"], axis=0, new_axis=1),
        NODE("SequenceAt", ["all", "last"], ["z"]),
    ]
    constants = {"trips": np.int64(trips), "last": np.int64(-1)}
    return make(nodes, {"x": x}, ["y", "z"], 17, constants), {"x": x}


def test_carried_by_a_loop():
    model, feeds = appending_loop()
    assert same(model, feeds)
    want = np.stack([feeds["x"] * i for i in range(4)])
    np.testing.assert_array_equal(dwindle.from_onnx(model).run(feeds)["y"], want)


def test_captured_by_a_loop():
    body = loop_body(
        [INFO("sum", TensorProto.FLOAT, None)],
        [NODE("SequenceAt", ["parts", "i"], ["part"]), NODE("Add", ["sum", "part"], ["more"])],
        [INFO("more", TensorProto.FLOAT, None)],
    )
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    nodes = [
        NODE("SplitToSequence", ["x"], ["parts"], axis=0, keepdims=0),
        NODE("SequenceLength", ["parts"], ["n"]),
        NODE("Loop", ["n", "", "zero"], ["y"], "loop", body=body),
    ]
    model = make(nodes, {"x": x}, ["y"], 17, {"zero": np.zeros(3, np.float32)})
    assert same(model, {"x": x})


def branches_of_sequences():
    def graph(name, nodes):
        return helper.make_graph(nodes, name, [], [sequence_info(name)])

    then = [NODE("SequenceConstruct", ["x", "x"], ["then"])]
    otherwise = [NODE("SequenceErase", ["outer"], ["else"])]
    nodes = [
        NODE("SplitToSequence", ["x", "two"], ["outer"], axis=0),
        NODE("If", ["flag"], ["s"], then_branch=graph("then", then),
             else_branch=graph("else", otherwise)),
        NODE("Identity", ["s"], ["t"]),
        NODE("ConcatFromSequence", ["t"], ["y"], axis=0),
    ]  # fmt: skip
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    model = make(nodes, {"x": x, "flag": np.array(True)}, ["y"], 17, {"two": np.int64(2)})
    return model, x


@pytest.mark.parametrize("flag", [True, False])
def test_given_out_of_a_branch(flag):
    model, x = branches_of_sequences()
    assert same(model, {"x": x, "flag": np.array(flag)})


def test_a_sequence_is_no_scan_output():
    body = loop_body([], [NODE("SequenceConstruct", ["x"], ["s"])], [sequence_info("s")])
    x = np.ones(3, np.float32)
    nodes = [NODE("Loop", ["n", ""], ["all"], "loop", body=body)]
    model = make(nodes, {"x": x}, ["all"], 17, {"n": np.int64(2)})
    with pytest.raises(dwindle.BadModel, match="'loop'.*a scan output is a sequence"):
        dwindle.from_onnx(model).run({"x": x})


# ---- ONNX's own models -------------------------------------------------------------------------


def model_cases():
    from onnx.backend.test.case.model import sequence  # noqa: PLC0415
    from onnx.backend.test.case.test_case import TestCase  # noqa: PLC0415

    found = []
    expect, sequence.expect = (
        sequence.expect,
        lambda model, inputs, outputs, name: found.append(
            TestCase(name, name, None, None, model, [(inputs, outputs)], "model", 1e-3, 1e-7)
        ),
    )
    try:
        for attribute in vars(sequence).values():
            if isinstance(attribute, type) and attribute.__module__ == sequence.__name__:
                attribute.export()
    finally:
        sequence.expect = expect
    return found


def test_models_of_onnx():
    cases = model_cases()
    assert len(cases) >= 8
    for case in cases:
        outcome = backend.run_case(case)
        assert outcome.verdict == "passed", outcome


# ---- Types and passes --------------------------------------------------------------------------


def layers_between_lists(shape=(None, 4, 8, 8)):
    """Two Convs on the halves of what a Conv made, put together again: a split list."""
    rng = np.random.default_rng(4)

    def weights(*extents):
        return (rng.standard_normal(extents) / np.sqrt(np.prod(extents[1:]))).astype(np.float32)

    constants = {
        "w0": weights(8, 4, 3, 3), "w1": weights(4, 4, 3, 3), "w2": weights(4, 4, 3, 3),
        "four": np.int64(4), "zero": np.int64(0), "one": np.int64(1),
    }  # fmt: skip
    nodes = [
        NODE("Conv", ["x", "w0"], ["a"], "c0", pads=[1] * 4),
        NODE("SplitToSequence", ["a", "four"], ["parts"], "split", axis=1),
        NODE("SequenceAt", ["parts", "zero"], ["p"]),
        NODE("SequenceAt", ["parts", "one"], ["q"]),
        NODE("Conv", ["p", "w1"], ["b"], "c1", pads=[1] * 4),
        NODE("Conv", ["q", "w2"], ["c"], "c2", pads=[1] * 4),
        NODE("SequenceConstruct", ["b", "c"], ["made"]),
        NODE("ConcatFromSequence", ["made"], ["y"], axis=1),
    ]
    model = make(nodes, {}, ["y"], 17, constants)
    model.graph.input.append(INFO("x", TensorProto.FLOAT, shape))
    model.graph.output[0].CopyFrom(INFO("y", TensorProto.FLOAT, shape))
    x = rng.standard_normal((6, 4, 8, 8)).astype(np.float32)
    return model, x[:, None]


def test_layers_behind_a_list_are_quantized(recwarn):
    model, x = layers_between_lists()
    small = dwindle.quantize(dwindle.from_onnx(model), [{"x": one} for one in x], may_grow=True)
    assert not [w for w in recwarn if "ONNX Runtime ran the model" in str(w.message)]
    proto = small.to_onnx()
    onnx.checker.check_model(proto)
    stored = {o for n in proto.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    convs = [n for n in proto.graph.node if n.op_type == "Conv"]
    assert [n.name for n in convs if n.input[1] in stored] == ["c0", "c1", "c2"]
    sequences = {"parts", "made"}
    for node in proto.graph.node:
        if node.op_type == "QuantizeLinear":
            assert not sequences & set(node.input)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for one in x:
        real = dwindle.from_onnx(model).run({"x": one})["y"]
        rounded = session.run(None, {"x": one})[0]
        noise = np.square(real - rounded).sum()
        assert 10 * np.log10(np.square(real).sum() / noise) > 20


def test_types_behind_a_list():
    model, _ = layers_between_lists()
    told = dwindle.run_recipe(model, ["infer-shapes"]).to_onnx()
    onnx.checker.check_model(told, full_check=True)
    types = {info.name: info.type.tensor_type for info in told.graph.value_info}
    assert not {"parts", "made"} & set(types)
    assert types["p"].elem_type == TensorProto.FLOAT
    assert [d.dim_value for d in types["p"].shape.dim][2:] == [8, 8]


def test_equal_lists_are_merged_and_unread_ones_dropped():
    x = np.ones((2, 3), np.float32)
    nodes = [
        NODE("SequenceConstruct", ["x", "x"], ["s"]),
        NODE("SequenceConstruct", ["x", "x"], ["t"]),
        NODE("SequenceInsert", ["t", "x"], ["unread"]),
        NODE("ConcatFromSequence", ["s"], ["a"], axis=0),
        NODE("ConcatFromSequence", ["t"], ["b"], axis=1),
    ]
    model = make(nodes, {"x": x}, ["a", "b"])
    small = dwindle.simplify(dwindle.from_onnx(model)).to_onnx()
    assert sorted(n.op_type for n in small.graph.node) == [
        "ConcatFromSequence", "ConcatFromSequence", "SequenceConstruct",
    ]  # fmt: skip
    assert same(model, {"x": x})


def test_halves_in_declared_lists_stay_halves():
    x = np.ones((2, 3), np.float16)
    nodes = [NODE("SequenceConstruct", ["x", "x"], ["s"]),
             NODE("ConcatFromSequence", ["s"], ["y"], axis=0)]  # fmt: skip
    model = make(nodes, {"x": x}, ["y"])
    model.graph.value_info.append(sequence_info("s", TensorProto.FLOAT16))
    model.graph.output[0].CopyFrom(INFO("y", TensorProto.FLOAT16, [4, 3]))
    made = dwindle.quantize(dwindle.from_onnx(model), [{"x": x}]).to_onnx()
    onnx.checker.check_model(made, full_check=True)
    assert [n.op_type for n in made.graph.node] == ["SequenceConstruct", "ConcatFromSequence"]


# ---- Inputs and outputs of the model -----------------------------------------------------------


def list_out(domain=""):
    """Its output is a sequence; in another domain an op stands in front of it."""
    nodes = [NODE("SequenceConstruct", ["v", "v"], ["seq"])]
    first = NODE("Gelu" if domain else "Relu", ["x"], ["u"], domain=domain)
    product = NODE("MatMul", ["u", "w"], ["v"])
    constants = {"w": np.eye(3, dtype=np.float32)}
    model = make(
        [first, product, *nodes], {"x": np.ones((2, 3), np.float32)}, ["seq"], 17, constants
    )
    model.graph.output[0].CopyFrom(sequence_info("seq"))
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


@pytest.mark.parametrize("declared", [True, False])
def test_a_list_as_output_is_refused_by_name(declared):
    model = list_out()
    if not declared:
        model.graph.output[0].ClearField("type")
    with pytest.raises(dwindle.Unsupported, match="output 'seq'.*is a sequence"):
        dwindle.from_onnx(model).run({"x": np.ones((2, 3), np.float32)})


@pytest.mark.filterwarnings("ignore:ONNX Runtime ran")
@pytest.mark.parametrize("declared", [True, False])
def test_the_same_where_onnx_runtime_runs_the_model(declared):
    model = list_out("com.microsoft")
    if not declared:
        model.graph.output[0].ClearField("type")
    with pytest.raises(dwindle.Unsupported, match="output 'seq'.*is a sequence"):
        dwindle.quantize(dwindle.from_onnx(model), [{"x": np.ones((2, 3), np.float32)}])


def test_a_list_as_input_is_refused_by_name():
    nodes = [NODE("SequenceLength", ["seq"], ["y"])]
    model = make(nodes, {}, ["y"])
    model.graph.input.append(sequence_info("seq"))
    with pytest.raises(dwindle.Unsupported, match="input 'seq'.*is a sequence"):
        dwindle.from_onnx(model).run({"seq": np.ones((2, 3), np.float32)})
