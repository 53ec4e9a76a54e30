"""Weights that lie elsewhere than to the right of a product, and blocks that do not fit."""

import dwindle
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(3)


def weights(*shape):
    return (RNG.normal(size=shape) / 8).astype(np.float32)


def make_model(op, inputs, shape, constants, dtype=TensorProto.FLOAT, **attributes):
    """One node of `op` from `x` to `y`."""
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["y"], "node", **attributes)],
        "graph",
        [helper.make_tensor_value_info("x", dtype, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model, x):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].astype(np.float64)


def quantized(model, calib=None, **options):
    """The model, and the shapes of the scales of its DequantizeLinears."""
    small = dwindle.quantize(model, calib, **options)
    proto = small.to_onnx()
    shapes = {i.name: tuple(i.dims) for i in proto.graph.initializer}
    read = [n for n in proto.graph.node if n.op_type == "DequantizeLinear"]
    return small, [shapes[n.input[1]] for n in read if n.input[0] in shapes]


def sqnr(reference, other):
    return 10 * np.log10((reference**2).sum() / ((reference - other) ** 2).sum())


def notes(small):
    return [note for report in small.report for note in report["notes"]]


def integers(small):
    return {
        onnx.TensorProto.DataType.Name(i.data_type)
        for i in small.to_onnx().graph.initializer
        if len(i.dims) > 1 and i.data_type != TensorProto.FLOAT
    }


EINSUM = {"equation": "bsd,hd->bsh"}
EXPERTS = {"equation": "bsd,ehd->bseh"}
IMPLICIT = {"equation": "ij, jk"}
DOTS = {"equation": "...hd,bsd"}

# op, inputs, shape of x, constants, attributes, the scales of int8, of int4 in blocks of 16
FORMS = [
    ("MatMul", ["w", "x"], (64, 5), {"w": (256, 64)}, {}, (256,), (256, 4)),
    ("MatMul", ["w", "x"], (3, 64, 5), {"w": (3, 40, 64)}, {}, (), (3, 40, 4)),
    ("Gemm", ["w", "x", "c"], (64, 5), {"w": (48, 64), "c": (5,)}, {"alpha": 0.5}, (48,), (48, 4)),
    ("Gemm", ["w", "x", "c"], (64, 48), {"w": (64, 48), "c": (48,)}, {"transA": 1}, (48,), (4, 48)),
    ("Einsum", ["x", "w"], (2, 3, 64), {"w": (40, 64)}, EINSUM, (40,), (40, 4)),
    ("Einsum", ["x", "w"], (2, 3, 64), {"w": (6, 40, 64)}, EXPERTS, (6,), (6, 40, 4)),
    ("Einsum", ["x", "w"], (24, 64), {"w": (64, 40)}, IMPLICIT, (40,), (4, 40)),
    ("Einsum", ["w", "x"], (2, 3, 64), {"w": (5, 40, 64)}, DOTS, (5,), (5, 40, 4)),
]


@pytest.mark.parametrize("form", FORMS)
def test_stored_operands(form):
    op, inputs, shape, constants, attributes, channels, blocks = form
    arrays = {name: weights(*dims) for name, dims in constants.items()}
    model = make_model(op, inputs, shape, arrays, **attributes)
    x = RNG.normal(size=shape).astype(np.float32)
    real = run(model.SerializeToString(), x)
    options = {"activations": "none", "correct_bias": False}
    for more, expected, least in (
        ({}, channels, 30),
        ({"weights": "int4", "block_size": 16}, blocks, 17),
    ):
        small, scales = quantized(model, **options, **more)
        assert scales == [expected]
        assert sqnr(real, run(small.to_bytes(), x)) > least
        assert sqnr(real, small.run({"x": x})["y"].astype(np.float64)) > least


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({}, "UINT8"),  # as the data of an integer kernel
        ({"weights": "int4"}, "INT4"),
        ({"weights": "int4", "block_size": 16}, "INT4"),
        ({"activations": "int16"}, "INT8"),
    ],
)
def test_left_weights_beside_quantized_activations(options, dtype):
    model = make_model("MatMul", ["w", "x"], (64, 5), {"w": weights(256, 64)})
    x = RNG.normal(size=(64, 5)).astype(np.float32)
    small, _ = quantized(model, [{"x": x}], **options)
    assert integers(small) == {dtype}
    real = run(model.SerializeToString(), x)
    assert sqnr(real, run(small.to_bytes(), x)) > (17 if dtype == "INT4" else 30)


def test_einsum_stores_its_matrices_beside_quantized_activations():
    model = make_model("Einsum", ["x", "w"], (2, 3, 64), {"w": weights(40, 64)}, **EINSUM)
    x = RNG.normal(size=(2, 3, 64)).astype(np.float32)
    small, scales = quantized(model, [{"x": x}])
    assert scales == [(40,)]
    real = run(model.SerializeToString(), x)
    assert sqnr(real, run(small.to_bytes(), x)) > 30


def test_what_an_einsum_only_scales_or_spreads_stays():
    for equation, shape, constant in (
        ("bsd,sd->bsd", (2, 3, 64), (3, 64)),
        ("i,j->ij", (9,), (64,)),
    ):
        model = make_model(
            "Einsum", ["x", "w"], shape, {"w": weights(*constant)}, equation=equation
        )
        small, scales = quantized(model, activations="none")
        assert scales == []
        assert not any("the model would take" in note for note in notes(small))


INDICES = RNG.integers(0, 200, (5, 7)).astype(np.int64)


@pytest.mark.parametrize(
    ("op", "table", "x", "attributes", "blocks"),
    [
        ("Gather", (200, 64), INDICES, {}, (200, 4)),
        ("Gather", (64, 200), INDICES, {"axis": 1}, (4, 200)),
        ("Gather", (3, 200, 64), INDICES, {"axis": -2}, (3, 200, 4)),
        ("GatherND", (200, 64), INDICES[..., None], {}, (200, 4)),
        ("GatherND", (200, 200, 64), INDICES[:, :2], {}, (200, 200, 4)),
        ("GatherElements", (200, 64), INDICES, {}, (200, 4)),
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "int4", "int2"])
def test_tables(op, table, x, attributes, blocks, dtype):
    array = weights(*table)
    model = make_model(op, ["w", "x"], x.shape, {"w": array}, TensorProto.INT64, **attributes)
    real = run(model.SerializeToString(), x)
    options = {} if dtype == "int8" else {"block_size": 16}
    small, scales = quantized(model, activations="none", weights=dtype, **options)
    assert integers(small) == {dtype.upper()}
    if options:
        assert scales == [blocks]
    least = {"int8": 30, "int4": 15, "int2": 4}[dtype]
    assert sqnr(real, run(small.to_bytes(), x)) > least
    assert sqnr(real, small.run({"x": x})["y"].astype(np.float64)) > least


def sliced(table, axis):
    """Positions 3 to `x` of the table, along one of its axes."""
    inputs = ["w", "from", "x", "along"]
    model = make_model("Slice", inputs, (1,), {"w": table}, TensorProto.INT64)
    for name, value in (("from", 3), ("along", axis)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    return model


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("table", [(200, 64), (1, 200, 64), (200, 1, 64)])
def test_rows_of_bytes_are_sliced_before_they_are_dequantized(table, dtype):
    model = sliced(weights(*table), table.index(200) - len(table))
    options = {} if dtype == "int8" else {"block_size": 16}
    small, scales = quantized(model, activations="none", weights=dtype, **options)
    assert integers(small) == {"INT8"}
    assert scales == []
    assert any("narrower integers cannot be sliced" in n for n in notes(small)) == bool(options)
    for end in (3, 9, 200):
        x = np.array([end])
        real, got = run(model.SerializeToString(), x), run(small.to_bytes(), x)
        assert got.shape == real.shape
        assert end == 3 or sqnr(real, got) > 30
        np.testing.assert_allclose(small.run({"x": x})["y"], got, rtol=1e-6)


LOWEST = np.triu(np.full((64, 64), np.finfo(np.float32).min), 1).astype(np.float32)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (sliced(weights(64, 200), 1), "its inputs come in float"),
        (sliced(weights(4, 200, 64), 1), "its inputs come in float"),
        (sliced(weights(2048, 1), 0), "no rows of 8 elements"),
        (sliced(LOWEST, 0), "as good as one"),
        (
            make_model("Gather", ["w", "x"], (5, 7), {"w": weights(200)}, TensorProto.INT64),
            "no rows of 8 elements",
        ),
        (
            make_model("Gather", ["w", "x"], (5, 7), {"w": LOWEST}, TensorProto.INT64),
            "as good as one",
        ),
    ],
)
def test_tables_of_other_things_than_rows_stay(model, reason):
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.full(shape, 9, np.int64)
    assert not integers(dwindle.quantize(model, activations="none", may_grow=True))
    small = dwindle.quantize(model, [{"x": x}], may_grow=True)
    assert not integers(small)
    assert any(reason in note for note in notes(small)), notes(small)


@pytest.mark.parametrize(
    ("block_size", "said"),
    [
        (
            48,
            "block-size 48 does not divide the axis of 1 layer ('node'): the last block is ragged",
        ),
        (512, "block-size 512 exceeds every axis: one scale a channel"),
        (32, None),
    ],
)
def test_blocks_that_do_not_fit_are_noted(block_size, said):
    model = make_model("MatMul", ["x", "w"], (3, 64), {"w": weights(64, 200)})
    small, _ = quantized(model, activations="none", weights="int4", block_size=block_size)
    found = [note for note in notes(small) if "block-size" in note]
    assert found == ([] if said is None else [said])
    x = RNG.normal(size=(3, 64)).astype(np.float32)
    real = run(model.SerializeToString(), x)
    assert sqnr(real, run(small.to_bytes(), x)) > 15


def test_an_operand_that_comes_in_has_no_weights():
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["y"], "node")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    small = dwindle.quantize(model, activations="none")
    assert not any("the model would take" in note for note in notes(small))


def test_infinite_constants_that_are_no_layers_stay():
    array = weights(40, 64)
    array[3, 5] = -np.inf
    for op, inputs, shape, attributes in (
        ("Einsum", ["x", "w"], (2, 3, 64), EINSUM),
        ("MatMul", ["w", "x"], (64, 5), {}),
    ):
        model = make_model(op, inputs, shape, {"w": array}, **attributes)
        small, scales = quantized(model, activations="none")
        assert scales == []
        assert any("its constant 'w' holds an infinity" in note for note in notes(small))


def test_factors_of_a_gemm_go_into_its_constants():
    constants = {"w": weights(64, 48), "c": weights(48) * 100}
    model = make_model("Gemm", ["x", "w", "c"], (4, 64), constants, alpha=0.5, beta=2.0)
    x = RNG.normal(size=(4, 64)).astype(np.float32)
    small = dwindle.run_recipe(model, [{"pass": "quantize-weights"}], check=False)
    real = run(model.SerializeToString(), x)
    assert sqnr(real, run(small.to_bytes(), x)) > 30
