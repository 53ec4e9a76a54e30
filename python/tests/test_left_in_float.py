"""What quantize leaves in float, and what it says of that."""

import dwindle
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(7)


def weights(name, *shape):
    values = RNG.standard_normal(shape).astype(np.float32) / np.sqrt(shape[0])
    return numpy_helper.from_array(values.astype(np.float32), name)


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(nodes, inputs, constants):
    graph = helper.make_graph(nodes, "g", inputs, [value("y", None)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def notes(model):
    return [note for report in model.report for note in report["notes"]]


def branches(before, never_reads="w2"):
    """A product, and one in each branch of an If that reads `h`, which is computed outside."""
    then = helper.make_graph(
        [helper.make_node("MatMul", ["h", "w1"], ["t"], name="taken")], "t", [], [value("t", None)]
    )
    never = helper.make_graph(
        [
            *before,
            helper.make_node("MatMul", ["k" if before else "h", never_reads], ["e"], name="never"),
        ],
        "e",
        [],
        [value("e", None)],
    )
    return model_of(
        [
            helper.make_node("MatMul", ["x", "w0"], ["h"], name="first"),
            helper.make_node("If", ["c"], ["y"], name="if", then_branch=then, else_branch=never),
        ],
        [value("x", ["N", 64]), value("c", [], TensorProto.BOOL)],
        [weights(f"w{i}", 64, 64) for i in range(3)],
    )


def branch_of(model, attribute):
    node = next(n for n in model.to_onnx().graph.node if n.op_type == "If")
    return next(a.g for a in node.attribute if a.name == attribute)


@pytest.mark.parametrize("before", [[], [helper.make_node("Tanh", ["h"], ["k"], name="tanh")]])
def test_a_branch_that_no_sample_takes(before, tmp_path):
    feeds = [
        {"x": RNG.standard_normal((2, 64)).astype(np.float32), "c": np.array(True)}
        for _ in range(4)
    ]
    options = {"calib_cache": str(tmp_path / "cache.json")}
    told = "float: MatMul 'never': calibration never reached it"
    for _ in range(2):  # computed, then from the cache
        small = dwindle.quantize(branches(before), feeds, **options)
        assert told in notes(small)
        graph = small.to_onnx().graph
        constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
        taken = branch_of(small, "then_branch")
        rounded = {n.output[0] for n in taken.node if n.op_type == "DequantizeLinear"}
        assert taken.node[-1].input[0] in rounded
        data, weights_read = branch_of(small, "else_branch").node[-1].input
        assert data == ("k" if before else "h")
        assert constants[weights_read] == TensorProto.FLOAT


def test_a_branch_that_no_sample_takes_shares_the_weights_of_one_that_samples_take():
    feeds = [{"x": RNG.standard_normal((2, 64)).astype(np.float32), "c": np.array(True)}]
    small = dwindle.quantize(branches([], never_reads="w1"), feeds)
    reason = "calibration never reached it; its weights are integers all the same"
    assert f"float: MatMul 'never': {reason}" in notes(small)
    for attribute in ("then_branch", "else_branch"):
        stored = [t for t in branch_of(small, attribute).initializer if list(t.dims) == [64, 64]]
        assert [t.data_type for t in stored] == [TensorProto.INT8]


def test_weights_that_a_float_node_reads_too_are_not_stored_twice():
    model = model_of(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"], name="both"),
            helper.make_node("Mul", ["w", "s"], ["ws"], name="scaled"),
            helper.make_node("ReduceMax", ["ws"], ["m"], name="most", axes=[0], keepdims=0),
            helper.make_node("Add", ["h", "m"], ["a"], name="sum"),
            helper.make_node("MatMul", ["a", "v"], ["y"], name="alone"),
        ],
        [value("x", ["N", 256]), value("s", [])],
        [weights("w", 256, 256), weights("v", 256, 48)],
    )
    feeds = [
        {"x": RNG.standard_normal((2, 256)).astype(np.float32), "s": np.float32(i)}
        for i in range(4)
    ]
    reason = (
        "Mul 'scaled' reads its weights in float: integers beside them would only add to the file"
    )
    for small in (dwindle.quantize(model, feeds), dwindle.quantize(model, activations="none")):
        assert f"float: MatMul 'both': {reason}" in notes(small)
        assert len(small.to_bytes()) < len(model.SerializeToString()) - 30_000


def test_outputs_that_keep_too_little_are_told():
    """Noise of all layers adds up: none of them is to blame."""
    nodes, constants = [], []
    for i in range(60):
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"p{i}"], name=f"p{i}"))
        nodes.append(helper.make_node("Tanh", [f"p{i}"], [f"t{i}"], name=f"t{i}"))
        end = "y" if i == 59 else f"x{i + 1}"
        nodes.append(helper.make_node("Mul", [f"t{i}", "two"], [end], name=f"m{i}"))
        constants.append(weights(f"w{i}", 64, 64))
    constants.append(numpy_helper.from_array(np.float32(2), "two"))
    model = model_of(nodes, [value("x0", ["N", 64])], constants)
    feeds = [{"x0": RNG.standard_normal((2, 64)).astype(np.float32)} for _ in range(4)]
    small = dwindle.quantize(model, feeds)
    told = [note for note in notes(small) if note.startswith("output 'y' keeps")]
    kept = small.quality["outputs"][0]["sqnr_db"]
    assert bool(told) == (kept < 20)
    assert kept < 20, "the model is meant to be too chaotic for 8 bits"
    assert "less than the 20 of min-output-sqnr" in told[0]
    exact = dwindle.quantize(model, feeds, min_output_sqnr=-100.0)
    assert not [note for note in notes(exact) if note.startswith("output 'y' keeps")]


def test_a_selection_of_nothing_is_told():
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")],
        [value("x", ["N", 8])],
        [weights("w", 8, 8)],
    )
    feeds = [{"x": np.ones((1, 8), np.float32)}]
    for options in ({}, {"activations": "none"}):
        small = dwindle.quantize(model, feeds, exclude=["fc"], **options)
        assert any(note.startswith("nothing is quantized") for note in notes(small))


@pytest.mark.parametrize(
    "options", [{"weights": "int4"}, {"activations": "none", "weights": "int2"}]
)
def test_where_nothing_is_quantized_the_opset_stays(options):
    """float64 has no integers beside it, so that there is nothing that a newer opset is for."""
    model = product(dtype=TensorProto.DOUBLE, opset=13)
    feeds = [{"x": RNG.standard_normal((2, 64))}]
    small = dwindle.quantize(model, feeds, **options)
    assert small.opset == 13
    assert not any("opset" in note for note in notes(small))
    assert any(note.startswith("nothing is quantized") for note in notes(small))


def test_a_file_grows_only_where_it_may():
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")],
        [value("x", ["N", 4])],
        [weights("w", 4, 4)],
    )
    feeds = [{"x": np.ones((1, 4), np.float32)}]
    before = len(model.SerializeToString())
    for options in ({}, {"activations": "none"}):
        large = dwindle.quantize(model, feeds, may_grow=True, **options)
        sizes = f"{len(large.to_bytes())} bytes, more than the {before} that it had"
        assert f"the file takes {sizes}" in notes(large)
        small = dwindle.quantize(model, feeds, **options)
        assert len(small.to_bytes()) <= before
        assert any(f"the model would take {sizes}: it stays in float" in n for n in notes(small))


def test_a_file_that_cannot_be_run_grows_no_more_than_others():
    model = model_of(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"], name="fc"),
            helper.make_node("Unheard", ["h"], ["y"], domain="acme"),
        ],
        [value("x", ["N", 4])],
        [weights("w", 4, 4)],
    )
    model.opset_import.append(helper.make_opsetid("acme", 1))
    small = dwindle.quantize(model, activations="none")
    assert len(small.to_bytes()) <= len(model.SerializeToString())
    assert any("it stays in float" in note for note in notes(small))


def test_a_layer_whose_weights_lose_everything():
    """One row of weights is a thousand times the others, and meets inputs that are next to nothing."""
    matrix = RNG.standard_normal((64, 64)).astype(np.float32)
    matrix[0] *= 1000
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="uneven")],
        [value("x", ["N", 64])],
        [numpy_helper.from_array(matrix, "w")],
    )
    feeds = [{"x": RNG.standard_normal((8, 64)).astype(np.float32)} for _ in range(2)]
    for feed in feeds:
        feed["x"][:, 0] *= 1e-4
    small = dwindle.quantize(model, feeds)
    assert any(
        n.startswith("float: MatMul 'uneven': only ")
        and n.endswith(" dB of its output would be left")
        for n in notes(small)
    )
    assert "QuantizeLinear" not in {n.op_type for n in small.to_onnx().graph.node}


def product(dtype=TensorProto.FLOAT, opset=17, batch="N", name="uneven", matrix=None):
    if matrix is None:
        matrix = RNG.standard_normal((64, 64))
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name=name)],
        [value("x", [batch, 64], dtype)],
        [numpy_helper.from_array(matrix.astype(helper.tensor_dtype_to_np_dtype(dtype)), "w")],
    )
    model.graph.output[0].type.tensor_type.elem_type = dtype
    model.opset_import[0].version = opset
    return model


def test_weights_alone_that_lose_everything():
    """Two bits hold nothing of rows in which one element is a thousand times the others."""
    matrix = RNG.standard_normal((64, 64))
    matrix[0] *= 8
    model = product(matrix=matrix)
    options = {"activations": "none", "weights": "int2"}
    told = "float: MatMul 'uneven': only "
    small = dwindle.quantize(model, min_sqnr=12.0, **options)
    assert any(
        n.startswith(told) and n.endswith("of its weights would be left") for n in notes(small)
    )
    assert "nothing is quantized" in " ".join(notes(small))
    assert not any(n.startswith(told) for n in notes(dwindle.quantize(model, **options)))


def test_coarse_weights_are_blamed_for_what_they_cost():
    feeds = [{"x": RNG.standard_normal((8, 64)).astype(np.float32)}]
    small = dwindle.quantize(product(), feeds, weights="int4", min_output_sqnr=35.0)
    (advice,) = [note for note in notes(small) if note.startswith("no single activations")]
    assert advice.endswith("; weights of more bits or in smaller blocks keep more")


def test_where_weights_cost_most_no_activation_is_blamed():
    """They leave less than the bound: with values in float, it would be missed as well."""
    feeds = [{"x": RNG.standard_normal((8, 64)).astype(np.float32)}]
    for options in ({"weights": "int4", "min_output_sqnr": 30.0}, {"min_output_sqnr": 60.0}):
        small = dwindle.quantize(product(), feeds, may_grow=True, **options)
        assert not any("rounding '" in note for note in notes(small))
        (advice,) = [note for note in notes(small) if note.startswith("no single activations")]
        assert "rounding the weights alone leaves" in advice


def energies():
    """Logarithms of a² + b²: most of them is lost where both are rounded to 0, by whichever step."""
    nodes, constants = [], [numpy_helper.from_array(np.float32(1e-12), "least")]
    for name in "ab":
        constants.append(numpy_helper.from_array(np.eye(4, dtype="f").reshape(4, 4, 1), f"w{name}"))
        nodes += [
            helper.make_node("Conv", [f"x{name}", f"w{name}"], [name], f"conv_{name}"),
            helper.make_node("Mul", [name, name], [f"{name}{name}"], f"square_{name}"),
        ]
    nodes += [
        helper.make_node("Add", ["aa", "bb"], ["sum"], "sum"),
        helper.make_node("Add", ["sum", "least"], ["some"], "some"),
        helper.make_node("Log", ["some"], ["y"], "log"),
    ]
    return model_of(nodes, [value("xa", ["N", 4, 32]), value("xb", ["N", 4, 32])], constants)


@pytest.mark.parametrize("bound", [5.0, 10.0, 20.0])
def test_values_that_cost_most_beside_others(bound):
    x = 1e-3 * (1 + RNG.random((2, 6, 4, 32)).astype("f"))
    x[:, :, 0] = 1
    feeds = {"xa": x[0], "xb": x[1]}
    small = dwindle.quantize(energies(), feeds, may_grow=True, min_output_sqnr=bound)
    assert small.quality["outputs"][0]["sqnr_db"] > bound
    beside = [n for n in notes(small) if n.endswith("beside others costs most at the outputs")]
    assert beside or bound == 20
    blind = dwindle.quantize(energies(), feeds, may_grow=True, min_output_sqnr=0.0)
    assert blind.quality["outputs"][0]["sqnr_db"] < 5


def test_infinities_that_rounding_makes_are_told():
    """What is rounded to 0 has no logarithm."""
    model = energies()
    model.graph.node[-1].input[0] = "sum"
    del model.graph.node[-2]
    x = 1e-3 * (1 + RNG.random((2, 6, 4, 32)).astype("f"))
    x[:, :, 0] = 1
    small = dwindle.quantize(model, {"xa": x[0], "xb": x[1]}, may_grow=True)
    assert small.quality["outputs"][0]["sqnr_db"] > 20
    told = "rounding 'sum' alone makes infinities or NaN at the outputs"
    assert f"float: Add 'sum': {told}" in notes(small)


def test_layers_of_float64_are_named():
    model = product(TensorProto.DOUBLE)
    for small in (
        dwindle.quantize(model, [{"x": RNG.standard_normal((8, 64))}]),
        dwindle.quantize(model, activations="none"),
    ):
        assert any(note.startswith("float: MatMul 'uneven': ") for note in notes(small))


def test_an_opset_of_the_future_is_told():
    feeds = [{"x": RNG.standard_normal((8, 64)).astype(np.float32)}]
    for small in (
        dwindle.quantize(product(opset=99), feeds),
        dwindle.quantize(product(opset=99), activations="none"),
    ):
        assert any(note.startswith("the model is of opset 99, the newest") for note in notes(small))
    assert "newest" not in " ".join(notes(dwindle.quantize(product(opset=20), feeds)))


def test_a_model_of_no_samples_is_what_is_wrong():
    with pytest.raises(dwindle.BadModel, match="input 'x' of the model .* has no elements"):
        dwindle.quantize(product(batch=0), np.zeros((8, 64), np.float32))


def test_a_score_on_random_inputs_that_says_nothing():
    """Numbers this large make one class certain, whatever is rounded."""
    certain = numpy_helper.from_array(1000 * RNG.standard_normal((64, 64)).astype(np.float32), "w")
    model = model_of(
        [
            helper.make_node("MatMul", ["x", "w"], ["p"], name="product"),
            helper.make_node("Softmax", ["p"], ["y"], name="classes"),
        ],
        [value("x", ["N", 64])],
        [certain],
    )
    small = dwindle.quantize(model, activations="none")
    assert any("only calibration data can tell what it loses" in note for note in notes(small))
    sound = dwindle.quantize(product(), activations="none")
    assert not any("calibration data can tell" in note for note in notes(sound))


def test_a_decision_that_rounding_turns():
    """Behind a Concat: rounding what goes in or what comes out is enough to turn it."""
    nodes = [
        helper.make_node("Concat", ["x", "x"], ["xx"], "twice", axis=0),
        helper.make_node("ReduceMean", ["xx"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "zero"], ["positive"]),
        helper.make_node("MatMul", ["xx", "wa"], ["a"], "product_a"),
        helper.make_node("MatMul", ["xx", "wb"], ["b"], "product_b"),
        helper.make_node("Where", ["positive", "a", "b"], ["y"]),
    ]
    constants = [weights("wa", 64, 64), weights("wb", 64, 64)]
    constants.append(numpy_helper.from_array(np.float32(0), "zero"))
    model = model_of(nodes, [value("x", [2, 64, 64])], constants)
    feeds = [{"x": np.random.default_rng(i).normal(size=(2, 64, 64))} for i in range(8)]
    for i, feed in enumerate(feeds):  # behind the first all hangs by a thread
        shift = 0.5 if i == 0 else 1e-5 * (-1) ** i - feed["x"].mean()
        feed["x"] = (feed["x"] + shift).astype("f")
    small = dwindle.quantize(model, feeds, may_grow=True)
    assert small.quality["outputs"][0]["sqnr_db"] > 30
    assert any("'twice': rounding 'x' alone leaves" in note for note in notes(small))


@pytest.mark.parametrize("target", ["onnxruntime", "cmsis-nn", "ethos-u", "qnn", "tensorrt"])
def test_a_small_model_grows_for_no_target(target):
    """Where the target computes in integers alone, weights alone are no way out."""
    weights = np.random.default_rng(0).normal(size=(12, 6)).astype("f")
    model = model_of(
        [helper.make_node("Gemm", ["x", "w"], ["y"])],
        [value("x", ["n", 12])],
        [numpy_helper.from_array(weights, "w")],
    )
    feeds = [{"x": np.random.default_rng(1).normal(size=(4, 12)).astype("f")}]
    small = dwindle.quantize(model, feeds, target=target)
    assert small.to_onnx().ByteSize() <= model.ByteSize()
    assert any("the model would take" in note for note in notes(small))


def test_where_weights_alone_would_be_none_the_model_stays():
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["s"]),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"]),
        *(helper.make_node("Identity", ["x"], [f"unread{i}"]) for i in range(6)),
    ]
    model = model_of(nodes, [value("x", [4, 8])], [])
    model.opset_import[0].version = 11
    feed = {"x": np.random.default_rng(0).normal(size=(4, 8)).astype("f")}
    same = dwindle.quantize(model, [feed])
    assert same.opset == 11
    assert [note.split(":")[1] for note in notes(same)] == [
        " it stays in float (may-grow takes it nevertheless)"
    ]


def test_an_output_that_weights_have_lost_already_costs_no_layer():
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"], "first"),
        helper.make_node("MatMul", ["h", "w1"], ["y"], "second"),
        helper.make_node("Reciprocal", ["y"], ["inverse"], "inverse"),
    ]
    model = model_of(nodes, [value("x", ["N", 64])], [weights(f"w{i}", 64, 64) for i in range(2)])
    model.graph.output.append(value("inverse", None))
    feeds = [{"x": RNG.standard_normal((64, 64)).astype(np.float32)} for _ in range(4)]
    small = dwindle.quantize(model, feeds, weights="int4", may_grow=True)
    assert not any("rounding '" in note for note in notes(small))
    (advice,) = [note for note in notes(small) if note.startswith("no single activations")]
    assert "rounding the weights alone leaves" in advice
