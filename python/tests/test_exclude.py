"""Nodes that stay in float: patterns mean the names of the model as it was given."""

import dwindle
import numpy as np
import onnx
import pytest
from conftest import make_classifier, samples
from onnx import TensorProto, helper, numpy_helper


def initializers(model):
    return {i.name for i in model.to_onnx().graph.initializer}


def notes(model):
    (row,) = [row for row in model.report if row["pass"] == "quantize-static"]
    return "\n".join(note for note in row["notes"] if note.startswith("exclude"))


def one_input_model(nodes, arrays, shape=("N", 3, 8, 8), outputs=("y",), **more):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()],
    )
    model = helper.make_model(
        graph, opset_imports=more.pop("opsets", [helper.make_opsetid("", 17)]), ir_version=8, **more
    )
    return onnx.shape_inference.infer_shapes(model)


def test_a_node_that_was_merged_keeps_in_float_what_it_went_into(classifier):
    x = samples(4)
    assert "w" not in initializers(dwindle.quantize(classifier, x))
    for pattern in ("norm", "nor*", ["norm", "relu"]):
        small = dwindle.quantize(classifier, x, exclude=pattern)
        assert "w" in initializers(small), pattern
        assert "g" not in initializers(small), pattern
        assert "'norm' went into 'conv'" in notes(small)
    assert notes(dwindle.quantize(classifier, x, exclude="conv")) == ""


def test_a_product_that_became_a_gemm_is_followed_through_its_bias():
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "product"),
        helper.make_node("Add", ["b", "m"], ["h"], "bias"),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "v"], ["y"], "last"),
    ]
    arrays = {
        "w": rng.standard_normal((16, 32)),
        "b": rng.standard_normal(32),
        "v": rng.standard_normal((32, 24)),
    }
    model = one_input_model(nodes, arrays, shape=("N", 16))
    x = samples(8, shape=(16,))
    assert "w" not in initializers(dwindle.quantize(model, x))
    small = dwindle.quantize(model, x, exclude="product")
    assert "w" in initializers(small) and "v" not in initializers(small)


def test_a_constant_does_not_stand_for_the_node_that_reads_it(classifier):
    node = helper.make_node(
        "Constant",
        [],
        ["w"],
        "kernel",
        value=next(i for i in classifier.graph.initializer if i.name == "w"),
    )
    kept = [i for i in classifier.graph.initializer if i.name != "w"]
    del classifier.graph.initializer[:]
    classifier.graph.initializer.extend(kept)
    classifier.graph.node.insert(0, node)
    small = dwindle.quantize(classifier, samples(4), exclude="kernel")
    assert "w" not in initializers(small)
    assert "no such node any more ('kernel')" in notes(small)


def test_calls_of_functions_and_their_bodies():
    function = helper.make_function(
        "acme",
        "Layer",
        ["a", "k"],
        ["b"],
        [helper.make_node("Conv", ["a", "k"], ["b"], "inner")],
        [helper.make_opsetid("", 17)],
    )
    nodes = [
        helper.make_node("Layer", ["x", "w"], ["m"], "first", domain="acme"),
        helper.make_node("Layer", ["m", "v"], ["y"], "second", domain="acme"),
    ]
    rng = np.random.default_rng(0)
    arrays = {"w": rng.standard_normal((16, 3, 3, 3)), "v": rng.standard_normal((16, 16, 3, 3))}
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    model = one_input_model(nodes, arrays, functions=[function], opsets=opsets)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 16, 4, 4])
    )
    x = samples(4)
    found = {
        pattern: {"w", "v"} & initializers(dwindle.quantize(model, x, exclude=pattern))
        for pattern in ("first", "second", "inner")
    }
    assert found == {"first": {"w"}, "second": {"v"}, "inner": {"w", "v"}}


def test_a_name_in_a_nested_graph_is_a_name():
    def branch(name):
        node = helper.make_node("Conv", ["x", "w"], [name], f"{name}_conv")
        return helper.make_graph(
            [node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        )

    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], "top", keepdims=0),
        helper.make_node("Cast", ["top"], ["c"], "cast", to=TensorProto.BOOL),
        helper.make_node(
            "If", ["c"], ["i"], "if", then_branch=branch("yes"), else_branch=branch("no")
        ),
        helper.make_node("Conv", ["i", "w"], ["y"], "last"),
    ]
    model = one_input_model(nodes, {"w": np.ones((3, 3, 1, 1))})
    small = dwindle.quantize(model, samples(4), exclude="yes_conv")
    assert notes(small) == ""
    with pytest.raises(dwindle.BadOption, match="'yes_conv'"):
        dwindle.quantize(model, samples(4), exclude="yesconv")


def test_a_name_with_brackets_is_itself():
    model = make_classifier()
    model.graph.node[0].name = "conv[0]"
    assert "w" in initializers(dwindle.quantize(model, samples(4), exclude="conv[0]"))


def test_what_simplify_drops_went_nowhere(classifier):
    classifier.graph.node[0].output[0] = "d"
    classifier.graph.node.insert(1, helper.make_node("Identity", ["d"], ["c"], "drop"))
    small = dwindle.quantize(classifier, samples(4), exclude="drop")
    assert "w" not in initializers(small)
    assert "no such node any more ('drop')" in notes(small)


def test_a_normalization_in_front_went_into_the_layer_behind():
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "first"),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("BatchNormalization", ["r", "s", "b", "m", "k"], ["n"], "norm"),
        helper.make_node("Conv", ["n", "v"], ["y"], "second"),
    ]
    arrays = {"w": rng.standard_normal((16, 3, 3, 3)), "v": rng.standard_normal((8, 16, 3, 3))}
    arrays.update({name: rng.uniform(0.5, 1, 16) for name in "sbmk"})
    model = one_input_model(nodes, arrays)
    small = dwindle.quantize(model, samples(4), exclude="norm")
    assert {"w", "v"} & initializers(small) == {"v"}
    assert "'norm' went into 'second'" in notes(small)


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("nrm", "'norm'"),
        ("*block*/conv_1", "'/block/conv_1/Conv'"),
        ("gemm?*", "'gemm'"),
    ],
)
def test_a_pattern_that_means_nothing_lists_the_nearest(classifier, pattern, nearest):
    classifier.graph.node[0].name = "/block/conv_1/Conv"
    with pytest.raises(dwindle.BadOption, match="no node has a name") as error:
        dwindle.quantize(classifier, samples(4), exclude=[pattern])
    assert nearest in str(error.value).split("did you mean")[1]


def test_at_most_five_are_listed():
    nodes = [
        helper.make_node("Relu", ["x" if i == 0 else f"v{i - 1}"], [f"v{i}"], f"layer{i}")
        for i in range(9)
    ]
    model = one_input_model(nodes, {}, outputs=["v8"])
    with pytest.raises(dwindle.BadOption) as error:
        dwindle.quantize(model, samples(2), exclude="layer_*")
    assert str(error.value).split("did you mean")[1].count("'layer") == 5
    with pytest.raises(dwindle.BadOption, match="nodes are called 'layer0', .*'layer4' and 4 more"):
        dwindle.quantize(model, samples(2), exclude="something else")


def test_command(dwindle_command, classifier_path, calib_path, tmp_path):
    arguments = ["quantize", classifier_path, tmp_path / "out.onnx", "--calib", calib_path]
    result = dwindle_command(*arguments, "--exclude", "norm")
    assert result.returncode == 0, result.stderr
    assert "'norm' went into 'conv'" in result.stdout
    result = dwindle_command(*arguments, "--exclude", "nrm*")
    assert result.returncode == 2
    assert "did you mean 'norm'" in result.stderr
    assert "after" not in result.stderr  # simplify has no part in it
