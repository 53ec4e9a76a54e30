"""Models in Python: loading, saving, running, arrays, errors."""

import subprocess
import sys

import dwindle
import numpy as np
import onnx
import pytest
from conftest import make_classifier, make_identity, samples
from onnx import TensorProto, helper, numpy_helper


def test_round_trip_changes_nothing(classifier, classifier_path, tmp_path):
    model = dwindle.load(classifier_path)
    assert model.to_onnx() == classifier
    model.save(tmp_path / "again.onnx")
    assert onnx.load(tmp_path / "again.onnx") == classifier
    assert dwindle.from_onnx(classifier.SerializeToString()).to_bytes() == model.to_bytes()
    assert dwindle.load(str(classifier_path)).to_onnx() == classifier


def test_external_data_round_trip(classifier, tmp_path):
    model = dwindle.from_onnx(make_classifier(classes=200))
    model.save(tmp_path / "m.onnx", external_data="always")
    assert (tmp_path / "m.onnx.data").exists()
    again = dwindle.load(tmp_path / "m.onnx")
    np.testing.assert_array_equal(again.initializer("g"), model.initializer("g"))
    with pytest.raises(dwindle.BadOption, match="external_data"):
        model.save(tmp_path / "m.onnx", external_data="sometimes")


def test_describes_itself(classifier):
    model = dwindle.from_onnx(classifier)
    (x,), (y,) = model.inputs, model.outputs
    assert (x.name, x.dtype, x.shape) == ("x", "float32", ("N", 3, 8, 8))
    assert (y.name, y.dtype, y.shape) == ("y", "float32", ("N", 4))
    assert (model.opset, model.opsets, model.ir_version) == (17, {"": 17}, 8)
    assert set(model.initializers) == {"w", "s", "b", "m", "v", "g", "h"}
    assert "x: float32[N,3,8,8]" in repr(model)
    assert model.report == [] and model.quality is None


def test_run_agrees_with_onnxruntime(classifier):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(classifier.SerializeToString())
    model = dwindle.from_onnx(classifier)
    for count in (1, 5, 2):  # shapes may change from run to run
        x = samples(count)
        result = model.run({"x": x})
        assert list(result) == ["y"]
        np.testing.assert_allclose(result["y"], session.run(None, {"x": x})[0], 1e-4, 1e-5)


def test_arrays_of_any_layout():
    model = dwindle.from_onnx(make_identity(x=(np.float32, [None, None])))
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.float32, offset=1).reshape(4, 6)
    empty = np.zeros((0, 3), np.float32)
    for x in (base, base.T, base[::2, ::-1], np.asfortranarray(base), unaligned, empty):
        np.testing.assert_array_equal(model.run({"x": x})["x_out"], x)


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
    + ["float16", "float32", "float64"],
)
def test_dtypes_of_numpy(dtype):
    model = dwindle.from_onnx(make_identity(x=(dtype, [3])))
    result = model.run({"x": np.array([0, 1, 2], dtype)})["x_out"]
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.array([0, 1, 2], dtype))


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4", "uint4", "float4_e2m1fn"])
def test_dtypes_of_ml_dtypes(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([0, 1, 2, -1 if not name.startswith("u") else 3, 1.5]).astype(
        getattr(ml_dtypes, name)
    )
    weight = numpy_helper.from_array(values, "w")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])],
        "g",
        [],
        [helper.make_tensor_value_info("y", weight.data_type, [5])],
        [weight],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12)
    view = dwindle.from_onnx(proto).initializer("w")
    assert view.dtype == values.dtype
    np.testing.assert_array_equal(view.astype(np.float32), values.astype(np.float32))


def test_strings():
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.STRING, [None])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, [None])],
    )
    model = dwindle.from_onnx(helper.make_model(graph, ir_version=8))
    for x in (np.array(["a", "Käse"]), np.array(["a", "Käse"], object)):
        assert model.run({"x": x})["y"].tolist() == ["a", "Käse"]


def test_views_are_not_copied(classifier):
    model = dwindle.from_onnx(classifier)
    view = model.initializer("w")
    assert np.shares_memory(view, model.initializer("w"))
    assert not view.flags.writeable
    with pytest.raises(ValueError):
        view[0] = 1
    del model  # the view keeps the bytes alive
    np.testing.assert_array_equal(view, numpy_helper.to_array(classifier.graph.initializer[0]))
    with pytest.raises(KeyError, match="nope"):
        dwindle.from_onnx(classifier).initializer("nope")


def test_outputs_are_the_callers_own():
    model = dwindle.from_onnx(make_identity(x=(np.float32, [2])))
    x = np.zeros(2, np.float32)
    result = model.run({"x": x})["x_out"]
    result[0] = 7
    assert x[0] == 0
    np.testing.assert_array_equal(model.run({"x": x})["x_out"], [0, 0])


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"x": np.zeros((1, 3, 8, 8))}, "float64.*convert"),
        ({"x": np.zeros((1, 3, 8, 9), np.float32)}, r"float32\[N,3,8,8\]"),
        ({"x": np.zeros((1, 3, 8, 8), ">f4")}, "f4"),
        ({"x": np.array([1 + 2j, object()], object)}, "'x'"),
        ({}, "'x'.*not fed"),
        ({"x": np.zeros((1, 3, 8, 8), np.float32), "z": np.zeros(1)}, "no input 'z'"),
        ([np.zeros((1, 3, 8, 8), np.float32)], "dict"),
    ],
)
def test_bad_feeds(classifier, feeds, message):
    with pytest.raises(dwindle.BadData, match=message):
        dwindle.from_onnx(classifier).run(feeds)


def test_bad_models(tmp_path, classifier):
    with pytest.raises(dwindle.IoError, match=r"absent.onnx"):
        dwindle.load(tmp_path / "absent.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"\xff\xfe junk")
    with pytest.raises(dwindle.BadModel, match=r"junk.onnx"):
        dwindle.load(tmp_path / "junk.onnx")
    with pytest.raises(dwindle.BadModel):
        dwindle.from_onnx(classifier.SerializeToString()[:-20])
    with pytest.raises(TypeError, match="ModelProto"):
        dwindle.from_onnx(3)
    with pytest.raises(TypeError, match="path"):
        dwindle.simplify(3)
    with pytest.raises(dwindle.IoError, match="absent"):
        dwindle.from_onnx(classifier).save(tmp_path / "absent" / "m.onnx")
    for error in (dwindle.BadModel, dwindle.BadData, dwindle.BadOption, dwindle.IoError):
        assert issubclass(error, dwindle.Error)
        assert error.__module__ == "dwindle"


def test_unknown_op_is_named():
    graph = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["y"], domain="acme")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    model = dwindle.from_onnx(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    with pytest.raises(dwindle.Unsupported, match="Frobnicate"):
        model.run({"x": np.zeros(1, np.float32)})


def test_import_needs_numpy_alone():
    code = (
        "import sys, dwindle\n"
        "heavy = {'onnx', 'ml_dtypes', 'torch', 'onnxruntime', 'json'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run(
        [sys.executable, "-S", "-c", f"import sys\nsys.path = {sys.path}\n{code}"], check=True
    )


def test_names_that_are_no_text(classifier):
    damaged = classifier.SerializeToString().replace(b"conv", b"co\xffv")
    with pytest.raises(dwindle.BadModel, match=r"'co\?v' in the model is not UTF-8"):
        dwindle.from_onnx(damaged)


def test_weights_that_another_file_needs_are_spared(classifier, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(classifier, path, save_as_external_data=True, location="other.onnx", size_threshold=0)
    before = (tmp_path / "other.onnx").read_bytes()
    model = dwindle.load(path)
    with pytest.raises(
        dwindle.IoError, match=r"other.onnx': it holds the weights of .*model.onnx'"
    ):
        model.save(tmp_path / "other.onnx")
    assert (tmp_path / "other.onnx").read_bytes() == before
    model.save(path)  # takes them along
    assert dwindle.load(path).initializers == model.initializers
