"""Models come out of Dwindle as they went in: same nodes, types, notes and tensor values.

Every model of ONNX's own backend tests is loaded and written again. Tensors may be encoded
otherwise (raw bytes instead of typed fields); everything else must be equal field by field.
"""

from pathlib import Path

import dwindle
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

ONNX_DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
SHARED_MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"

TYPED_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def normalize_tensor(tensor):
    if tensor.data_type not in (TensorProto.UNDEFINED, TensorProto.STRING):
        raw = numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data
        for field in TYPED_FIELDS:
            tensor.ClearField(field)
        tensor.raw_data = raw
    if tensor.data_location == TensorProto.DEFAULT:
        tensor.ClearField("data_location")


def normalize_attribute(attribute):
    for tensor in [attribute.t] if attribute.HasField("t") else attribute.tensors:
        normalize_tensor(tensor)
    for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
        normalize_graph(graph)


def normalize_graph(graph):
    for node in graph.node:
        for attribute in node.attribute:
            normalize_attribute(attribute)
    for tensor in graph.initializer:
        normalize_tensor(tensor)
    for sparse in graph.sparse_initializer:
        normalize_tensor(sparse.values)
        normalize_tensor(sparse.indices)


def normalized(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    normalize_graph(copy.graph)
    for function in copy.functions:
        for node in function.node:
            for attribute in node.attribute:
                normalize_attribute(attribute)
    return copy


def assert_same(before, after):
    # Not a bare assert: pytest would spend minutes on the difference of two large texts.
    if normalized(before) != normalized(after):
        pytest.fail(f"changed: {before.graph.name}")


def model_of(*initializers):
    nodes = [
        helper.make_node("Identity", [tensor.name], [f"y{i}"])
        for i, tensor in enumerate(initializers)
    ]
    outputs = [
        helper.make_tensor_value_info(f"y{i}", tensor.data_type, list(tensor.dims))
        for i, tensor in enumerate(initializers)
    ]
    graph = helper.make_graph(nodes, "tensors", [], outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the cases divide by zero on purpose
def test_models_of_the_onnx_node_tests():
    cases = [case for case in collect_testcases(None) if case.model is not None]
    assert len(cases) > 1000
    for case in cases:
        assert_same(case.model, dwindle.from_onnx(case.model).to_onnx())


FILES = sorted(ONNX_DATA.rglob("*.onnx")) + sorted(SHARED_MODELS.glob("*.onnx"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_files(path, tmp_path):
    dwindle.load(path).save(tmp_path / "model.onnx")
    assert_same(onnx.load(path), onnx.load(tmp_path / "model.onnx"))


# All types of the installed onnx; strings have a test of their own.
DTYPES = [
    dtype
    for dtype in TensorProto.DataType.values()
    if dtype not in (TensorProto.UNDEFINED, TensorProto.STRING)
]


@pytest.mark.parametrize("dtype", DTYPES, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (5, 7)], ids=str)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_values_of_every_type(dtype, shape, raw):
    numpy_type = helper.tensor_dtype_to_np_dtype(dtype)
    count = int(np.prod(shape))
    # Small non-negative numbers that every type holds.
    array = (np.arange(count) % 2 + 1).astype(np.float32).astype(numpy_type).reshape(shape)
    if raw:
        tensor = numpy_helper.from_array(array, "w")
    else:
        tensor = helper.make_tensor("w", dtype, shape, array.flatten())
    expected = numpy_helper.to_array(tensor)
    [after] = dwindle.from_onnx(model_of(tensor)).to_onnx().graph.initializer
    values = numpy_helper.to_array(after)
    assert values.dtype == expected.dtype
    assert values.shape == expected.shape
    assert values.tobytes() == expected.tobytes()


def test_strings():
    tensor = TensorProto(
        name="w", data_type=TensorProto.STRING, dims=[2], string_data=[b"a", b"\xff\x00"]
    )
    [after] = dwindle.from_onnx(model_of(tensor)).to_onnx().graph.initializer
    assert list(after.string_data) == [b"a", b"\xff\x00"]


def test_external_data_of_other_writers(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((40, n)).astype(np.float32) for n in (1, 30, 700)]
    tensors = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(arrays)]
    onnx.save(
        model_of(*tensors),
        tmp_path / "theirs.onnx",
        save_as_external_data=True,
        size_threshold=0,
        location="theirs.bin",
    )
    model = dwindle.load(tmp_path / "theirs.onnx")
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(model.initializer(f"w{i}"), array)
    model.save(tmp_path / "ours.onnx")
    assert (tmp_path / "ours.onnx.data").exists()
    loaded = onnx.load(tmp_path / "ours.onnx")
    for tensor, array in zip(loaded.graph.initializer, arrays, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), array)


@pytest.mark.parametrize("as_constant", [False, True], ids=["initializer", "Constant"])
def test_onnx_runtime_reads_our_external_data(tmp_path, as_constant):
    ort = pytest.importorskip("onnxruntime")
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    tensor = numpy_helper.from_array(weight, "w")
    constant = [helper.make_node("Constant", [], ["w"], value=tensor)] if as_constant else []
    graph = helper.make_graph(
        [*constant, helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 64])],
        [] if as_constant else [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "m.onnx"
    dwindle.from_onnx(model).save(path, external_data="always")
    assert path.stat().st_size < 1000
    x = np.ones((2, 64), np.float32)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ weight, rtol=1e-5)


def test_bad_files_raise_and_write_nothing(tmp_path):
    with pytest.raises(dwindle.IoError, match=r"none\.onnx"):
        dwindle.load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model at all")
    with pytest.raises(dwindle.BadModel, match="no ONNX model"):
        dwindle.load(tmp_path / "text.onnx")
    good = dwindle.from_onnx(model_of(numpy_helper.from_array(np.ones(2, np.float32), "w")))
    with pytest.raises(dwindle.IoError):
        good.save(tmp_path / "missing" / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["text.onnx"]
