"""The bound on how often the top class may change: what counts as classes, and when it is refused."""

import dwindle
import numpy as np
import onnx
import pytest
from conftest import make_classifier, make_indecisive, samples
from onnx import TensorProto, helper, numpy_helper


def conv_model(kernel, tail=(), shape=("N", 3, 8, 8), output=None):
    """Conv of `kernel`, then nodes (op, attributes)."""
    weight = np.random.default_rng(0).standard_normal(kernel).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["v0"])]
    for i, (op, attributes) in enumerate(tail):
        nodes.append(helper.make_node(op, [f"v{i}"], [f"v{i + 1}"], **attributes))
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


NHWC = ("Transpose", {"perm": [0, 2, 3, 1]})


@pytest.mark.parametrize("tail", [[], [NHWC]], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("kernel", [(5, 3, 8, 8), (5, 3, 3, 3)], ids=["vector", "map"])
def test_classes_lie_along_the_only_long_axis(kernel, tail):
    model = conv_model(kernel, tail)
    x = samples(16)
    small = dwindle.quantize(model, x, may_grow=True)
    (score,) = small.quality["outputs"]
    is_vector = kernel[-1] == 8
    if is_vector:
        want = dwindle.from_onnx(model).run({"x": x})["y"].reshape(16, -1).argmax(1)
        got = small.run({"x": x})["y"].reshape(16, -1).argmax(1)
        assert score["top1_agreement"] == (want == got).mean()
        dwindle.quantize(model, x, max_drop=1)
    else:
        assert score["top1_agreement"] is None


class Untouched:
    """Data that must not be run."""

    def get_next(self):
        raise AssertionError("data was run")

    def rewind(self):
        pass


@pytest.mark.parametrize("tail", [[], [NHWC], [("ReduceMax", {"axes": [1, 2, 3], "keepdims": 0})]])
def test_refused_before_data_is_run_where_shapes_tell(tail):
    with pytest.raises(dwindle.Unsupported, match="no output has classes"):
        dwindle.quantize(conv_model((5, 3, 3, 3), tail), Untouched(), max_drop=0.5)


def test_refused_at_the_end_where_only_data_tells(dwindle_command, tmp_path):
    model = conv_model((5, 3, 3, 3), shape=("N", 3, "H", "W"))
    with pytest.raises(dwindle.Unsupported, match="no output has classes"):
        dwindle.quantize(model, {"x": samples(4)}, max_drop=1)
    # Of this size it is a vector.
    dwindle.quantize(model, {"x": samples(4, shape=(3, 3, 3))}, max_drop=1)
    onnx.save(model, tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=samples(4))
    out = tmp_path / "out.onnx"
    result = dwindle_command(
        "quantize", tmp_path / "m.onnx", out, "--calib", tmp_path / "d.npz", "--max-drop", "1"
    )
    assert result.returncode == 1
    assert "no output has classes" in result.stderr and "'y' float32" in result.stderr
    assert not out.exists()


def test_an_output_that_is_a_map_in_some_feeds_has_no_classes():
    model = conv_model((5, 3, 3, 3), shape=("N", 3, "H", "W"))
    feeds = [{"x": samples(2, shape=(3, n, n))} for n in (3, 4)]
    assert (
        dwindle.quantize(model, feeds, may_grow=True).quality["outputs"][0]["top1_agreement"]
        is None
    )


@pytest.mark.parametrize("bound", ["nan", "-0.5", "1.5", "inf"])
def test_the_bound_is_a_share(dwindle_command, classifier_path, calib_path, tmp_path, bound):
    with pytest.raises(dwindle.BadOption, match="between 0 and 1"):
        dwindle.quantize(classifier_path, calib_path, max_drop=float(bound))
    result = dwindle_command(
        "quantize",
        classifier_path,
        tmp_path / "out.onnx",
        "--calib",
        calib_path,
        f"--max-drop={bound}",
    )
    assert result.returncode == 2, result.stderr
    assert "max-drop is a share" in result.stderr


def test_it_is_judged_by_the_outputs_with_classes():
    """A map beside the classes does not hide that they change, nor that they are there."""
    model = make_indecisive()
    model.graph.output.append(
        helper.make_tensor_value_info("r", TensorProto.FLOAT, ["N", 24, 8, 8])
    )
    with pytest.raises(dwindle.BoundMissed):
        dwindle.quantize(model, samples(20), max_drop=0)
    agreements = [
        o["top1_agreement"] for o in dwindle.quantize(model, samples(20)).quality["outputs"]
    ]
    assert sorted(a is None for a in agreements) == [False, True]


def test_a_classifier_passes():
    assert dwindle.quantize(make_classifier(), samples(20), max_drop=1).quality["samples"] == 20
