"""Numbers out of the range of an option are refused, whichever way they come in."""

import dwindle
import numpy as np
import pytest
from conftest import make_classifier, samples
from onnx import TensorProto, helper, numpy_helper
from small_models import build, run


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fold-constants", {"size-cap": -1}),
        ("fold-constants", {"size-cap": 2**63}),
        ("quantize-weights", {"block-size": -32}),
        ("quantize-static", {"calib-method": "percentile", "percentile": 100.5}),
        ("quantize-static", {"calib-method": "percentile", "percentile": 50}),
        ("quantize-static", {"calib-method": "moving-average", "averaging-constant": 0}),
        ("raise-opset", {"opset": 0}),
        ("raise-opset", {"opset": 2**64 + 13}),
    ],
)
def test_options_out_of_range_are_refused_in_recipes(name, options):
    with pytest.raises(dwindle.BadOption, match=next(iter(reversed(options)))):
        dwindle.run_recipe(make_classifier(), [{"pass": name, **options}], {"x": samples(2)})


@pytest.mark.parametrize(
    "options",
    [
        {"block_size": -1},
        {"block_size": 2**70},
        {"min_sqnr": float("nan")},
        {"min_output_sqnr": float("inf")},
        {"percentile": float("nan"), "calib_method": "percentile"},
        {"averaging_constant": 1.5, "calib_method": "moving-average"},
    ],
)
def test_options_out_of_range_are_refused_in_python(options):
    with pytest.raises(dwindle.BadOption, match=next(iter(options)).replace("_", "-")):
        dwindle.quantize(make_classifier(), {"x": samples(2)}, **options)


def test_the_command_refuses_them_too(dwindle_command, classifier_path, calib_path, tmp_path):
    result = dwindle_command(
        *("quantize", classifier_path, tmp_path / "out.onnx", "--calib", calib_path),
        *("--block-size", "-4"),
    )
    assert result.returncode == 2
    assert "option 'block-size' of pass 'quantize-static' cannot be -4; it is 0 or more" in (
        result.stderr
    )


def rows_of(report, name):
    (row,) = [row for row in report if row["pass"] == name]
    return row


@pytest.mark.parametrize(
    ("opset", "note"),
    [(12, "nothing to raise to opset 12: the model is of opset 17"), (19, "opset 17 → 19")],
)
def test_raise_opset_says_from_which_to_which(opset, note):
    recipe = [{"pass": "raise-opset", "opset": opset}]
    row = rows_of(dwindle.run_recipe(make_classifier(), recipe, check=False).report, "raise-opset")
    assert row["notes"] == [note]
    assert row["changed"] == (opset > 17)


def test_quantize_tells_of_a_raised_opset_alone(
    dwindle_command, classifier_path, calib_path, tmp_path
):
    command = ("quantize", classifier_path, tmp_path / "out.onnx", "--calib", calib_path)
    assert "raise-opset" not in dwindle_command(*command).stdout
    output = dwindle_command(*command, "--weights", "int4").stdout.splitlines()
    assert [line for line in output if line.startswith("raise-opset")] == [
        "raise-opset: note: opset 17 → 21"
    ]


def test_activations_none_means_the_weights_alone(dwindle_command, classifier_path, tmp_path):
    command = ("quantize", classifier_path, tmp_path / "out.onnx", "--activations", "none")
    assert dwindle_command(*command).returncode == 0
    small = dwindle.quantize(make_classifier(), activations="none")
    assert (tmp_path / "out.onnx").read_bytes() == small.to_bytes()
    recipe = ["fold-batch-norm", {"pass": "quantize-static", "activations": "none"}]
    made = dwindle.run_recipe(make_classifier(), recipe)
    assert [row["pass"] for row in made.report][-1] == "quantize-weights"
    assert "QuantizeLinear" not in {node.op_type for node in made.to_onnx().graph.node}
    with pytest.raises(dwindle.BadOption, match="step 1: activations none and calib-method"):
        step = {"pass": "quantize-static", "activations": "none", "calib_method": "entropy"}
        dwindle.run_recipe(make_classifier(), [step])


def test_a_recipe_makes_no_file_larger_either(tmp_path):
    weights = {"w": np.ones((4, 4), np.float32)}
    sides = [("x", TensorProto.FLOAT, ["N", 4])], [("y", TensorProto.FLOAT, ["N", 4])]
    model = build([helper.make_node("MatMul", ["x", "w"], ["y"], "fc")], weights, *sides)
    for check in (True, False):
        small = dwindle.run_recipe(model, ["quantize-weights"], check=check)
        assert len(small.to_bytes()) <= len(model.SerializeToString())
        large = dwindle.run_recipe(
            model, [{"pass": "quantize-weights", "may-grow": True}], check=check
        )
        assert len(large.to_bytes()) > len(model.SerializeToString())


@pytest.mark.parametrize("option", ["calib_method", "calib_cache", "min_output_sqnr"])
def test_options_of_activations_contradict_none(option):
    value = 30.0 if option == "min_output_sqnr" else "entropy"
    name = option.replace("_", "-")
    with pytest.raises(dwindle.BadOption, match=f"activations none and {name} contradict"):
        dwindle.quantize(make_classifier(), activations="none", **{option: value})


@pytest.mark.parametrize(
    "target, option", [("tensorrt", "symmetric_activations"), ("onnxruntime-avx2", "reduce_range")]
)
def test_a_no_that_contradicts_the_target(target, option):
    with pytest.raises(dwindle.BadOption, match=f"target {target} does not run"):
        dwindle.quantize(make_classifier(), samples(4), target=target, **{option: False})


def test_kernels_that_a_target_has_of_older_opsets_alone():
    """ONNX Runtime 1.31 refuses RoiAlign and its like from opset 22 on; int2 needs 25."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], "product"),
        helper.make_node("GlobalLpPool", ["p"], ["y"], "norm"),
    ]
    constants = {"w": np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)}
    sides = [("x", TensorProto.FLOAT, [1, 8, 64])], [("y", TensorProto.FLOAT, [1, 8, 1])]
    model = build(nodes, constants, *sides)
    options = {"activations": "none", "block_size": 16}
    with pytest.raises(dwindle.Unsupported, match=r"opset 25.*GlobalLpPool \('norm'\)"):
        dwindle.quantize(model, weights="int2", **options)
    small = dwindle.quantize(model, weights="int4", **options)
    run(small.to_bytes(), {"x": np.ones((1, 8, 64), np.float32)})


def two_layers(between, channels=16):
    """Conv, `between`, Conv."""
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(size=(32, channels, 3, 3)).astype(np.float32),
        "v": rng.normal(size=(16, 32, 3, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], "first"),
        between,
        helper.make_node("Conv", ["k", "v"], ["y"], "last"),
    ]
    sides = [("x", TensorProto.FLOAT, ["N", channels, 12, 12])], [("y", TensorProto.FLOAT, None)]
    return build(nodes, constants, *sides), {
        "x": rng.normal(size=(4, channels, 12, 12)).astype("f4")
    }


def quantizers(small):
    """Scale and zero point of each QuantizeLinear."""
    made = small.to_onnx()
    stored = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    nodes = [node for node in made.graph.node if node.op_type == "QuantizeLinear"]
    return [(float(stored[n.input[1]]), int(stored[n.input[2]])) for n in nodes]


@pytest.mark.parametrize("target", ["cmsis-nn", "ethos-u"])
def test_sixteen_bits_of_tensorflow_lite_are_symmetric(target):
    model, x = two_layers(helper.make_node("Relu", ["h"], ["k"], "relu"))
    small = dwindle.quantize(model, x, target=target, activations="int16")
    assert {zero for _, zero in quantizers(small)} == {0}
    with pytest.raises(dwindle.BadOption, match="16 bits that are not symmetric"):
        dwindle.quantize(model, x, target=target, activations="int16", symmetric_activations=False)


def test_averages_of_tensorflow_lite_keep_their_scale():
    pool = helper.make_node("AveragePool", ["h"], ["k"], "pool", kernel_shape=[2, 2])
    model, x = two_layers(pool)
    for target, scales in (("cmsis-nn", 3), ("onnxruntime", 4)):
        made = quantizers(dwindle.quantize(model, x, target=target))
        assert len({scale for scale, _ in made}) == scales, target


@pytest.mark.parametrize("options", [{"block_size": 16}, {}])
def test_layers_that_fall_back_to_bytes_keep_the_bit_that_sums_need(options):
    model, x = two_layers(helper.make_node("Relu", ["h"], ["k"], "relu"), channels=4)
    small = dwindle.quantize(
        model, x, target="onnxruntime-avx2", weights="int2", min_sqnr=0.0, **options
    )
    stored = {t.name: t for t in small.to_onnx().graph.initializer}
    assert stored["w_quantized"].data_type == TensorProto.INT8
    assert np.abs(numpy_helper.to_array(stored["w_quantized"]).astype(int)).max() <= 63


def test_two_bits_with_one_scale_load():
    model, x = two_layers(helper.make_node("Relu", ["h"], ["k"], "relu"))
    small = dwindle.quantize(model, x, weights="int2", per_tensor=True, min_sqnr=0.0)
    run(small.to_bytes(), x)
