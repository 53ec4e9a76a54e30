"""What the proofs run: fixed batches, weights as inputs, what no output needs; and what they say."""

import dwindle
import numpy as np
import onnx
import pytest
from conftest import make_classifier, samples
from onnx import TensorProto, helper, numpy_helper


def sqnr(want, got):
    return 10 * np.log10((want**2).sum() / ((want - got) ** 2).sum())


def value_info(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def test_a_fixed_batch_is_proven_whole():
    """Ten samples in batches of four: the two that fill the last up do not count."""
    model = make_classifier(batch=4)
    x = samples(10)
    small = dwindle.quantize(model, x, max_drop=1)
    assert small.quality["samples"] == 10
    open_batch = make_classifier()
    want = dwindle.from_onnx(open_batch).run({"x": x})["y"]
    padded = np.concatenate([x, x[8:], x[8:]])[:12]
    got = np.concatenate([small.run({"x": padded[i : i + 4]})["y"] for i in (0, 4, 8)])[:10]
    (output,) = small.quality["outputs"]
    assert output["sqnr_db"] == pytest.approx(sqnr(want, got), abs=0.05)
    assert output["top1_agreement"] == (want.argmax(1) == got.argmax(1)).mean()
    labels = want.argmax(1)
    first, second = dwindle.compare(model, small, data={"x": x, "y": labels}, labels="y", runs=1)
    assert first["accuracy"] == 1.0
    assert second["accuracy"] == (labels == got.argmax(1)).mean()


def with_weights_as_inputs(model, ir_version):
    for weight in model.graph.initializer:
        model.graph.input.append(value_info(weight.name, list(weight.dims)))
    model.ir_version = ir_version
    return model


@pytest.mark.parametrize("ir_version", [3, 4, 8])
def test_weights_as_inputs_are_dropped(ir_version):
    x = samples(8)
    want = dwindle.quantize(make_classifier(), x)
    small = dwindle.quantize(with_weights_as_inputs(make_classifier(), ir_version), x)
    assert [i.name for i in small.to_onnx().graph.input] == ["x"]
    assert set(small.initializers) == set(want.initializers)
    assert small.quality["outputs"] == want.quality["outputs"]


def test_weights_as_inputs_stay_where_simplify_must_keep_them():
    simple = dwindle.simplify(with_weights_as_inputs(make_classifier(), 8)).to_onnx()
    assert len(simple.graph.input) == 8
    recipe = [{"pass": "drop-weight-inputs", "all": True}, "fold-batch-norm"]
    folded = dwindle.run_recipe(with_weights_as_inputs(make_classifier(), 8), recipe).to_onnx()
    assert [i.name for i in folded.graph.input] == ["x"]
    assert "BatchNormalization" not in [n.op_type for n in folded.graph.node]


@pytest.mark.parametrize("change", [dwindle.simplify, lambda m: dwindle.quantize(m, samples(8))])
def test_an_input_that_is_an_output_stays_one(change):
    model = make_classifier()
    model.graph.output.append(value_info("x", ["N", 3, 8, 8]))
    changed = change(model)
    assert [o.name for o in changed.outputs] == ["y", "x"]
    x = samples(3)
    np.testing.assert_array_equal(changed.run({"x": x})["x"], x)
    onnx.checker.check_model(changed.to_onnx(), full_check=True)


@pytest.mark.parametrize("label", [4, -1])
def test_labels_out_of_range(classifier, label):
    labels = np.array([0, 1, label, 3])
    with pytest.raises(dwindle.BadData, match=f"class {label}, but the output has 4 classes"):
        dwindle.compare(classifier, data={"x": samples(4), "y": labels}, labels="y", runs=0)


def test_data_is_not_run_where_nothing_is_quantized():
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"])],
        "g",
        [value_info("x", ["N", 5])],
        [value_info("y", ["N", 5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    taken = []

    def feeds():
        for i in range(100):
            taken.append(i)
            yield {"x": samples(2, seed=i, shape=(5,))}

    small = dwindle.quantize(model, feeds())
    assert len(taken) == 1  # for the proof
    assert small.quality["samples"] == 2 and small.quality["outputs"][0]["sqnr_db"] == np.inf


def side_model(*, needed):
    """Relu of x; beside it an unknown op, a string input and an input of unknown rank."""
    nodes = [
        helper.make_node("Identity", ["x"], ["i"]),
        helper.make_node("Relu", ["i"], ["y"]),
        helper.make_node("Frobnicate", ["i", "text", "any"], ["z"], domain="acme"),
    ]
    outputs = [value_info("y", ["N", 4])]
    if needed:
        outputs.append(value_info("z", ["N", 4]))
    inputs = [
        value_info("x", ["N", 4]),
        value_info("text", ["N"], TensorProto.STRING),
        value_info("any", None),
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_what_no_output_needs_is_not_run():
    simple = dwindle.simplify(side_model(needed=False))
    assert [n.op_type for n in simple.to_onnx().graph.node] == ["Relu", "Frobnicate"]
    assert simple.proof["same"] and simple.proof["outputs"][0]["max_relative"] == 0
    assert len(simple.inputs) == 3


def string_model():
    graph = helper.make_graph(
        [helper.make_node("Identity", ["text"], ["y"])],
        "g",
        [value_info("text", ["N"], TensorProto.STRING)],
        [value_info("y", ["N"], TensorProto.STRING)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("model", [side_model(needed=True), string_model()])
def test_what_cannot_be_run_says_how_to_do_without(model):
    for change in (
        dwindle.simplify,
        lambda m, **more: dwindle.run_recipe(m, ["merge-pad"], **more),
    ):
        with pytest.raises(dwindle.Unsupported, match="check=False"):
            change(model)
        assert change(model, check=False).proof is None


def test_recipes_are_proven_as_the_command_does(dwindle_command, classifier, tmp_path):
    folded = dwindle.run_recipe(classifier, ["fold-batch-norm"])
    assert folded.proof["same"] and not folded.proof["random"]
    assert 0 < folded.proof["outputs"][0]["max_relative"] < 1e-4
    onnx.save(classifier, tmp_path / "m.onnx")
    (tmp_path / "r.json").write_text('["fold-batch-norm"]')
    result = dwindle_command("run", tmp_path / "r.json", tmp_path / "m.onnx", tmp_path / "out.onnx")
    assert folded.proof["summary"] in result.stdout
    assert dwindle.load(tmp_path / "out.onnx").proof is None


def test_outputs_come_in_the_order_of_the_graph():
    names = ["zebra", "ant", "moth"]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], [name]) for name in names],
        "g",
        [value_info("x", [2])],
        [value_info(name, [2]) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert list(dwindle.from_onnx(model).run({"x": np.ones(2, np.float32)})) == names


@pytest.mark.parametrize("on", [True, np.True_, 1, np.int64(1)])
def test_bools_of_any_kind(classifier, on):
    x = samples(4)
    want = dwindle.quantize(classifier, x, per_tensor=True).to_bytes()
    assert want != dwindle.quantize(classifier, x).to_bytes()
    assert dwindle.quantize(classifier, x, per_tensor=on).to_bytes() == want
    recipe = [{"pass": "quantize-static", "per-tensor": on}]
    plain = [{"pass": "quantize-static", "per-tensor": True}]
    assert (
        dwindle.run_recipe(classifier, recipe, x).to_bytes()
        == dwindle.run_recipe(classifier, plain, x).to_bytes()
    )


def test_other_numbers_are_no_bools(classifier):
    for value in (2, -1, 1.0, "yes"):
        with pytest.raises(dwindle.BadOption, match="per-tensor"):
            dwindle.quantize(classifier, samples(4), per_tensor=value)


def test_a_percentile_without_effect_is_refused(dwindle_command, classifier, calib_path, tmp_path):
    x = samples(8)
    with pytest.raises(dwindle.BadOption, match="no effect with calib-method mse"):
        dwindle.quantize(classifier, x, percentile=99.0)
    with pytest.raises(dwindle.BadOption, match="no effect with calib-method entropy"):
        step = {"pass": "quantize-static", "calib-method": "entropy", "percentile": 99}
        dwindle.run_recipe(classifier, [step], x)
    dwindle.quantize(classifier, x, percentile=99.0, calib_method="percentile")
    onnx.save(classifier, tmp_path / "m.onnx")
    result = dwindle_command(
        "quantize",
        tmp_path / "m.onnx",
        tmp_path / "out.onnx",
        "--calib",
        calib_path,
        "--percentile",
        "99",
    )
    assert result.returncode == 2 and "no effect" in result.stderr


def test_errors_blame_what_is_wrong(classifier, tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(dwindle.BadData, match=r"images is empty: \.npz files"):
        dwindle.quantize(classifier, tmp_path / "images")
    (tmp_path / "images" / "notes.txt").write_text("x")
    with pytest.raises(dwindle.BadData, match="images holds no data"):
        dwindle.quantize(classifier, tmp_path / "images")
    (tmp_path / "images" / "junk.png").write_bytes(b"junk")
    with pytest.raises(dwindle.BadData, match=r"^cannot decode .*junk\.png"):
        dwindle.quantize(classifier, tmp_path / "images")
    with pytest.raises(dwindle.BadOption, match=r"^pass 'quantize-static' has no option 'frob'"):
        dwindle.quantize(classifier, samples(4), frob=1)
    with pytest.raises(dwindle.BadOption, match=r"'fold-batch-norm'.*lists all"):
        dwindle.run_recipe(classifier, ["batch-norm"])


def test_runs_are_counted_from_0(dwindle_command, classifier_path, calib_path):
    with pytest.raises(dwindle.BadOption, match="0 or more, not -1"):
        dwindle.compare(classifier_path, data=calib_path, runs=-1)
    arguments = ["compare", classifier_path, classifier_path, "--data", calib_path]
    for words in (["--runs", "-1"], ["--runs=-1"]):
        result = dwindle_command(*arguments, *words)
        assert result.returncode == 2
        assert "--runs is 0 or more, not -1" in result.stderr


def test_a_batch_that_a_reshape_holds():
    """The input leaves its batch open, but the model takes 3 samples."""
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["x"], ["i"]),
            helper.make_node("Reshape", ["i", "shape"], ["y"], "reshape"),
        ],
        "graph",
        [value_info("x", ["N", 64])],
        [value_info("y", None)],
        [numpy_helper.from_array(np.array([3, 64]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert [node.op_type for node in dwindle.simplify(model).to_onnx().graph.node] == ["Reshape"]


@pytest.mark.parametrize("op", ["Log", "Sqrt"])
def test_weights_alone_of_a_model_that_takes_no_random_inputs(op):
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["l"], "pre"), helper.make_node("MatMul", ["l", "w"], ["y"])],
        "graph",
        [value_info("x", ["N", 64])],
        [value_info("y", None)],
        [numpy_helper.from_array(np.ones((64, 64), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    small = dwindle.quantize(model, activations="none")
    notes = [note for report in small.report for note in report["notes"]]
    assert "not run beside the original: it makes no numbers of random inputs" in notes
    assert "DequantizeLinear" in {node.op_type for node in small.to_onnx().graph.node}


def test_inputs_with_a_default_are_told_to_go(classifier):
    with_weights_as_inputs(classifier, 8)
    small = dwindle.quantize(classifier, samples(4))
    notes = [note for report in small.report for note in report["notes"]]
    assert any(note.startswith("inputs with a default are constants now") for note in notes)
