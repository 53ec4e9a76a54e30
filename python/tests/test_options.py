"""Numbers out of the range of an option are refused, whichever way they come in."""

import dwindle
import numpy as np
import pytest
from conftest import make_classifier, samples
from onnx import TensorProto, helper
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


def test_activations_none_is_the_verbs_alone(dwindle_command, classifier_path, tmp_path):
    (row,) = [row for row in dwindle.passes() if row["name"] == "quantize-static"]
    (option,) = [option for option in row["options"] if option["name"] == "activations"]
    assert "none" not in option["choices"]
    with pytest.raises(dwindle.BadOption, match="'activations'.*cannot be 'none'"):
        recipe = [{"pass": "quantize-static", "activations": "none"}]
        dwindle.run_recipe(make_classifier(), recipe, {"x": samples(2)})
    command = ("quantize", classifier_path, tmp_path / "out.onnx", "--activations", "none")
    assert dwindle_command(*command).returncode == 0
    assert dwindle.quantize(make_classifier(), activations="none").report


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
