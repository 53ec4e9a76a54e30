"""quantize_static with ONNX Runtime's signature: the same script through both."""

import copy
import inspect
import warnings

import dwindle
import dwindle.ort
import numpy as np
import onnx
import onnxruntime
import onnxruntime.quantization as peer
import pytest
from conftest import make_classifier, samples
from onnx import TensorProto, helper, numpy_helper


def reader_of(base, feeds):
    class Reader(base):
        def __init__(self):
            self.feeds = iter(feeds)

        def get_next(self):
            return next(self.feeds, None)

    return Reader()


def script(tools, model, path, feeds, **arguments):
    """What a user writes; `tools` is what the import line names."""
    reader = reader_of(tools.CalibrationDataReader, feeds)
    model = copy.deepcopy(model)  # the peer changes what it is given
    names = {"quant_format": tools.QuantFormat.QDQ, "activation_type": tools.QuantType.QUInt8}
    for key, value in arguments.items():
        kind = {"weight_type": "QuantType", "calibrate_method": "CalibrationMethod"}.get(key)
        names[key] = getattr(getattr(tools, kind), value) if kind else value
    tools.quantize_static(model, str(path), reader, **names)
    return onnx.load(path)


def run(model, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def sqnr(reference, other):
    noise = ((reference.astype(np.float64) - other) ** 2).sum()
    return 10 * np.log10((reference.astype(np.float64) ** 2).sum() / max(noise, 1e-30))


def make_dense(inputs, outputs):
    """MatMul and Add: `x` [N,inputs] to `y` [N,outputs]."""
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((inputs, outputs)).astype(np.float32)
    bias = rng.standard_normal(outputs).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["p"], "product"),
            helper.make_node("Add", ["p", "b"], ["y"], "bias"),
        ],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", outputs])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


FEEDS = [{"x": x[None]} for x in samples(20)]


def weights_of(model, node_name):
    """The integers of a node's weights and their scales, behind the DequantizeLinear."""
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    node = next(n for n in model.graph.node if n.name == node_name)
    dequantize = next(n for n in model.graph.node if node.input[1] in n.output)
    return stored[dequantize.input[0]], stored[dequantize.input[1]]


def node_ops(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"per_channel": True},
        {"reduce_range": True},
        {"calibrate_method": "Entropy"},
        {"calibrate_method": "Percentile", "extra_options": {"CalibPercentile": 99.9}},
        {"extra_options": {"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.1}},
        {"extra_options": {"ActivationSymmetric": True}},
        {"extra_options": {"CalibTensorRangeSymmetric": True}},
        {"nodes_to_exclude": ["gemm"]},
        {"nodes_to_quantize": ["conv"]},
        {"op_types_to_quantize": ["Conv", "MatMul"]},
        {"weight_type": "QInt8"},
    ],
    ids=lambda arguments: "-".join(f"{k}" for k in arguments) or "defaults",
)
def test_the_same_script_runs_with_either_import(tmp_path, arguments):
    model = make_classifier()
    theirs = script(peer, model, tmp_path / "theirs.onnx", FEEDS, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # all of these are followed
        ours = script(dwindle.ort, model, tmp_path / "ours.onnx", FEEDS, **arguments)
    onnx.checker.check_model(ours, full_check=True)
    x = samples(8, seed=2)
    want = run(model, x)
    # The peer keeps the BatchNormalization; what both quantize costs alike.
    assert sqnr(want, run(ours, x)) > min(20, sqnr(want, run(theirs, x)) - 1)
    assert "QuantizeLinear" in node_ops(ours)


def test_the_signature_is_the_peers():
    ours = inspect.signature(dwindle.quantize_static).parameters
    theirs = inspect.signature(peer.quantize_static).parameters
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        default = getattr(parameter.default, "name", parameter.default)
        assert getattr(ours[name].default, "name", ours[name].default) == default, name
    for kind in ("QuantType", "QuantFormat", "CalibrationMethod"):
        mine, other = getattr(dwindle.ort, kind), getattr(peer, kind)
        assert {m.name: m.value for m in mine} == {m.name: m.value for m in other}


@pytest.mark.parametrize("spelling", ["peer", "own", "string", "dotted"])
def test_enums_and_their_names_are_taken(tmp_path, spelling):
    def spell(kind, name):
        if spelling == "string":
            return name
        if spelling == "dotted":
            return f"{kind}.{name}"
        return getattr(getattr(peer if spelling == "peer" else dwindle.ort, kind), name)

    path = tmp_path / "out.onnx"
    dwindle.quantize_static(
        make_classifier(),
        path,
        reader_of(peer.CalibrationDataReader, FEEDS),
        quant_format=spell("QuantFormat", "QDQ"),
        activation_type=spell("QuantType", "QUInt8"),
        weight_type=spell("QuantType", "QInt4"),
        calibrate_method=spell("CalibrationMethod", "Entropy"),
    )
    small = onnx.load(path)
    zeros = {t.data_type for t in small.graph.initializer}
    assert TensorProto.UINT8 in zeros
    assert TensorProto.INT4 in zeros


def ours(tmp_path, model=None, feeds=FEEDS, **arguments):
    path = tmp_path / "out.onnx"
    reader = reader_of(dwindle.ort.CalibrationDataReader, feeds)
    dwindle.quantize_static(model or make_classifier(), path, reader, **arguments)
    return onnx.load(path)


def test_per_channel_and_reduce_range(tmp_path):
    integers, scale = weights_of(ours(tmp_path), "conv")
    assert scale.ndim == 0
    assert np.abs(integers).max() > 64
    integers, scale = weights_of(ours(tmp_path, per_channel=True, reduce_range=True), "conv")
    assert scale.shape == (24,)
    assert np.abs(integers).max() <= 64


def test_weights_in_blocks(tmp_path):
    model = make_dense(64, 5)
    feeds = [{"x": x} for x in samples(4, shape=(2, 64))]
    small = ours(tmp_path, model, feeds, weight_type="QInt4", extra_options={"BlockSize": 32})
    _, scale = weights_of(small, "product")
    assert scale.shape == (2, 5)


def test_int8_products_of_fixed_shapes_in_new_opsets(tmp_path):
    """ONNX Runtime turns the int8 data of such a product and its bias into uint8, and fails where it
    has made a Gemm of the two."""
    model = make_dense(64, 32)
    model.opset_import[0].version = 21
    for info in (model.graph.input[0], model.graph.output[0]):
        last = info.type.tensor_type.shape.dim[-1].dim_value
        info.CopyFrom(helper.make_tensor_value_info(info.name, TensorProto.FLOAT, [1, 16, last]))
    feeds = [{"x": x} for x in samples(4, shape=(1, 16, 64))]
    small = ours(tmp_path, model, feeds, activation_type="QInt8", weight_type="QInt8")
    stored = {t.name: t.data_type for t in small.graph.initializer}
    points = [n.input[2] for n in small.graph.node if n.op_type == "QuantizeLinear"]
    assert {stored[name] for name in points} == {TensorProto.INT8}
    assert sqnr(run(model, feeds[0]["x"]), run(small, feeds[0]["x"])) > 30


@pytest.mark.parametrize(
    ("choice", "quantized"),
    [
        ({"nodes_to_exclude": ["gemm"]}, {"conv"}),
        ({"nodes_to_quantize": ["gemm"]}, {"gemm"}),
        ({"op_types_to_quantize": ["Conv", "LSTM"]}, {"conv"}),
    ],
)
def test_choice_of_nodes(tmp_path, choice, quantized):
    model = ours(tmp_path, **choice)
    dequantized = {o for n in model.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    weighted = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm")]
    assert {n.name for n in weighted if n.input[1] in dequantized} == quantized


def test_names_are_no_globs(tmp_path):
    model = make_classifier()
    names = {"conv": "layer[1]", "gemm": "layer1"}
    for node in model.graph.node:
        node.name = names.get(node.name, node.name)
    small = ours(tmp_path, model, nodes_to_exclude=["layer[1]"])
    dequantized = {o for n in small.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    weighted = [n for n in small.graph.node if n.op_type in ("Conv", "Gemm")]
    assert [n.name for n in weighted if n.input[1] in dequantized] == ["layer1"]


def test_matmul_counts_where_simplify_makes_a_gemm_of_it(tmp_path):
    model = make_dense(32, 24)
    feeds = [{"x": x} for x in samples(4, shape=(4, 32))]
    small = ours(tmp_path, model, feeds, op_types_to_quantize="MatMul")
    assert "QuantizeLinear" in node_ops(small)
    small = ours(tmp_path, model, feeds, op_types_to_quantize=["Add"])
    assert "QuantizeLinear" not in node_ops(small)


def test_what_would_only_grow_stays_in_float_unless_asked(tmp_path):
    model, feeds = make_dense(4, 4), [{"x": x} for x in samples(4, shape=(4, 4))]
    assert "QuantizeLinear" not in node_ops(ours(tmp_path, model, feeds))
    small = ours(tmp_path, model, feeds, extra_options={"MayGrow": True})
    assert "QuantizeLinear" in node_ops(small)


def test_percentile_means_what_it_does_in_onnx_runtime(tmp_path):
    def range_of_input(model):
        node = next(n for n in model.graph.node if n.op_type == "QuantizeLinear")
        stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        return float(stored[node.input[1]]) * 255

    extra = {"CalibPercentile": 98.0, "CalibTensorRangeSymmetric": False}
    arguments = {"calibrate_method": "Percentile", "extra_options": extra}
    arguments["nodes_to_quantize"] = ["conv"]
    theirs = script(peer, make_classifier(), tmp_path / "t.onnx", FEEDS, **arguments)
    mine = script(dwindle.ort, make_classifier(), tmp_path / "o.onnx", FEEDS, **arguments)
    assert range_of_input(mine) == pytest.approx(range_of_input(theirs), rel=0.03)


def test_a_reader_that_holds_a_part_at_a_time(tmp_path):
    class Strided(dwindle.ort.CalibrationDataReader):
        def __init__(self):
            self.seen = 0
            self.feeds = iter(())

        def __len__(self):
            return len(FEEDS)

        def set_range(self, start_index, end_index):
            self.feeds = iter(FEEDS[start_index:end_index])

        def get_next(self):
            feed = next(self.feeds, None)
            self.seen += feed is not None
            return feed

    reader = Strided()
    result = dwindle.quantize_static(
        make_classifier(), tmp_path / "out.onnx", reader, extra_options={"CalibStridedMinMax": 6}
    )
    assert reader.seen == len(FEEDS)
    counts = next(r["counts"] for r in result.report if r["pass"] == "quantize-static")
    assert counts["calibration samples"] == len(FEEDS)


def test_external_data(tmp_path):
    ours(tmp_path, make_classifier(classes=1000), use_external_data_format=True)
    small = onnx.load(tmp_path / "out.onnx", load_external_data=False)
    assert any(t.data_location == TensorProto.EXTERNAL for t in small.graph.initializer)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"quant_format": "QOperator"}, dwindle.Unsupported, "QOperator is not supported"),
        ({"activation_type": "QInt4"}, dwindle.Unsupported, "activation_type: QInt4"),
        ({"weight_type": "QInt16"}, dwindle.Unsupported, "weight_type: QInt16"),
        ({"weight_type": "QFLOAT8E4M3FN"}, dwindle.Unsupported, "weight_type: QFLOAT8E4M3FN"),
        ({"weight_type": "int8"}, dwindle.BadOption, "weight_type is one of QInt8"),
        ({"calibrate_method": "Distribution"}, dwindle.Unsupported, "Distribution"),
        ({"nodes_to_exclude": ["cnv"]}, dwindle.BadOption, "cnv.*did you mean.*conv"),
        ({"op_types_to_quantize": ["LSTM"]}, dwindle.BadOption, "no LSTM node"),
        (
            {"extra_options": {"TensorQuantOverrides": {"x": [{"scale": 1.0}]}}},
            dwindle.Unsupported,
            "TensorQuantOverrides",
        ),
        (
            {"extra_options": {"UseQDQContribOps": True}},
            dwindle.Unsupported,
            "UseQDQContribOps",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        ours(tmp_path, **arguments)
    assert not (tmp_path / "out.onnx").exists()


def test_a_reader_is_required(tmp_path):
    with pytest.raises(dwindle.BadOption, match="calibration_data_reader is required"):
        dwindle.quantize_static(make_classifier(), tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_type": "QUInt8"}, "weight_type: weights are stored as int8"),
        ({"weight_type": "QInt4", "reduce_range": True}, "reduce_range is not followed"),
        ({"calibration_providers": ["CUDAExecutionProvider"]}, "calibration_providers"),
        ({"extra_options": {"WeightSymmetric": False}}, "WeightSymmetric=False is not followed"),
        ({"extra_options": {"SmoothQuant": True}}, "SmoothQuant=True is not followed"),
        ({"extra_options": {"ActivationSymetric": True}}, "did you mean ActivationSymmetric"),
    ],
)
def test_what_is_not_followed_warns_where_it_was_asked_for(tmp_path, arguments, message):
    reader = reader_of(dwindle.ort.CalibrationDataReader, FEEDS)
    with pytest.warns(UserWarning, match=message) as caught:
        dwindle.quantize_static(make_classifier(), tmp_path / "out.onnx", reader, **arguments)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "arguments",
    [
        {
            "extra_options": {
                "WeightSymmetric": True,
                "DedicatedQDQPair": False,
                "EnableSubgraph": True,
            }
        },
        {"calibration_providers": ["CPUExecutionProvider"]},
        {"calibration_providers": ("CPUExecutionProvider",)},
        {"calibration_providers": []},
    ],
    ids=str,
)
def test_options_that_ask_for_nothing_are_silent(tmp_path, arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours(tmp_path, **arguments)


def test_the_calibration_cache_is_ours(tmp_path):
    cache = tmp_path / "calibration.cache"

    class Reader(peer.CalibrationDataReader):
        def __init__(self):
            self.rewind()

        def get_next(self):
            return next(self.feeds, None)

        def rewind(self):
            self.feeds = iter(FEEDS)

    def quantize(reader):
        with pytest.warns(UserWarning, match="calibration_cache_path") as caught:
            small = dwindle.quantize_static(
                make_classifier(), tmp_path / "out.onnx", reader, calibration_cache_path=cache
            )
        notes = [note for report in small.report for note in report["notes"]]
        return str(caught[0].message), [note for note in notes if str(cache) in note]

    once = reader_of(peer.CalibrationDataReader, FEEDS)
    message, notes = quantize(once)
    assert "rewind" in message
    assert not notes
    assert not cache.exists()
    message, notes = quantize(Reader())
    assert "format of Dwindle's own" in message
    assert notes == [f"calibration is kept in {cache}"]
    assert quantize(Reader())[1] == [f"calibration is that of {cache}"]
