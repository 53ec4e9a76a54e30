"""Static quantization, held against ONNX Runtime: what is placed where, and what it computes."""

import dwindle
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(7)


def weights(*shape, scale=None):
    array = RNG.normal(size=shape)
    return (array * (scale or 1 / np.sqrt(np.prod(shape[1:])))).astype(np.float32)


def make_model(nodes, initializers, shape=("N", 3, 12, 12), outputs=("y",), opset=17):
    """A model from `x` to `outputs`; nodes are (op, inputs, output or outputs, attributes)."""
    made = []
    for i, (op, inputs, out, attributes) in enumerate(nodes):
        outs = [out] if isinstance(out, str) else list(out)
        made.append(helper.make_node(op, inputs, outs, name=f"{op.lower()}_{i}", **attributes))
    graph = helper.make_graph(
        made,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
        [numpy_helper.from_array(a, n) for n, a in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    # The outputs get the types that inference finds.
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(inferred)
    return inferred


def data(n=16, shape=(3, 12, 12)):
    return RNG.normal(size=(n, *shape)).astype(np.float32)


def quantize(model, data, **options):
    """Whatever the file takes: what is small here is mostly text."""
    return dwindle.quantize(model, data, may_grow=True, **options)


def ort_run(model, x, optimized=True):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})


def sqnr(reference, other):
    noise = float(((reference.astype(np.float64) - other) ** 2).sum())
    return (
        np.inf if noise == 0 else 10 * np.log10((reference.astype(np.float64) ** 2).sum() / noise)
    )


def quantized_close(model, x, least_db, **options):
    """Quantizes, checks the result in ONNX Runtime, returns it as a ModelProto."""
    small = quantize(model, {"x": x}, **options).to_onnx()
    onnx.checker.check_model(small, full_check=True)
    for want, got in zip(ort_run(model, x), ort_run(small, x), strict=True):
        assert want.shape == got.shape
        assert sqnr(want, got) > least_db
    return small


def ops(model):
    return [node.op_type for node in model.graph.node]


def initializer(model, name):
    return next(numpy_helper.to_array(i) for i in model.graph.initializer if i.name == name)


def quantizers(model):
    """Scale and zero point of each QuantizeLinear, by the name of what it quantizes."""
    return {
        n.input[0]: (float(initializer(model, n.input[1])), int(initializer(model, n.input[2])))
        for n in model.graph.node
        if n.op_type == "QuantizeLinear"
    }


def conv(name, x, y, inits, cin, cout, k=3, bias=True, **attributes):
    inits[f"{name}_w"] = weights(cout, cin // attributes.get("group", 1), k, k)
    inputs = [x, f"{name}_w"]
    if bias:
        inits[f"{name}_b"] = weights(cout, scale=0.1)
        inputs.append(f"{name}_b")
    return ("Conv", inputs, y, {"pads": [k // 2] * 4, **attributes})


def residual_model():
    inits = {}
    nodes = [
        conv("c1", "x", "a", inits, 3, 8),
        ("Relu", ["a"], "b", {}),
        conv("c2", "b", "c", inits, 8, 8),
        ("Add", ["b", "c"], "d", {}),
        ("Relu", ["d"], "e", {}),
        ("GlobalAveragePool", ["e"], "f", {}),
        ("Flatten", ["f"], "g", {}),
        ("Gemm", ["g", "fc_w", "fc_b"], "y", {"transB": 1}),
    ]
    inits.update(fc_w=weights(10, 8), fc_b=weights(10))
    return make_model(nodes, inits)


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse"])
@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_residual_network(method, per_tensor, symmetric):
    small = quantized_close(
        residual_model(),
        data(),
        22,
        calib_method=method,
        per_tensor=per_tensor,
        symmetric_activations=symmetric,
    )
    if not symmetric:
        assert "Relu" not in ops(small)  # saturation at the zero point does the same
    kinds = {numpy_helper.to_array(i).dtype for i in small.graph.initializer}
    assert {np.dtype(np.int8), np.dtype(np.int32)} <= kinds
    assert not any(i.name in ("c1_w", "c1_b", "fc_w") for i in small.graph.initializer)


def test_runtime_fuses_all_of_it(tmp_path):
    small = quantize(residual_model(), {"x": data()}).to_onnx()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(small.SerializeToString(), options, providers=["CPUExecutionProvider"])
    fused = ops(onnx.load(str(tmp_path / "optimized.onnx")))
    assert fused.count("QLinearConv") == 2
    assert fused.count("QGemm") == 1
    assert fused.count("QLinearAdd") == 1
    assert not {"Conv", "Gemm", "Add", "GlobalAveragePool"} & set(fused)


def test_concat_and_max_pool_share_one_scale():
    inits = {}
    model = make_model(
        [
            conv("c1", "x", "a", inits, 3, 4),
            conv("c2", "x", "b", inits, 3, 4),
            ("Concat", ["a", "b"], "c", {"axis": 1}),
            ("MaxPool", ["c"], "d", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            conv("c3", "d", "y", inits, 8, 4),
        ],
        inits,
    )
    found = quantizers(quantized_close(model, data(), 25))
    assert found["a"] == found["b"] == found["c"] == found["d"]
    assert found["a"] != found["x"]


def test_clip_stays_where_it_cuts_more_than_saturation():
    inits = {"low": np.array(-0.5, np.float32), "high": np.array(0.5, np.float32)}
    model = make_model(
        [
            conv("c1", "x", "a", inits, 3, 4),
            ("Clip", ["a", "low", "high"], "b", {}),
            conv("c2", "b", "y", inits, 4, 4),
        ],
        inits,
    )
    quantized_close(model, data(), 25)


def test_the_graph_keeps_its_outputs_by_name():
    inits = {}
    model = make_model(
        [
            conv("c1", "x", "mid", inits, 3, 4),
            ("Relu", ["mid"], "y", {}),
            conv("c2", "y", "z", inits, 4, 2),
        ],
        inits,
        outputs=("mid", "y", "z"),
    )
    small = quantized_close(model, data(), 25)
    assert [o.name for o in small.graph.output] == ["mid", "y", "z"]


def test_shared_weights_and_biases():
    inits = {}
    first = conv("c", "x", "a", inits, 3, 3)
    second = ("Conv", ["a", "c_w", "c_b"], "y", {"pads": [1] * 4})
    model = make_model([first, second], inits)
    small = quantized_close(model, data(), 25)
    biases = [i for i in small.graph.initializer if i.data_type == TensorProto.INT32]
    assert len(biases) == 2  # one at the scale of each input


def test_a_bias_far_beyond_int32_is_held():
    inits = {"w": weights(4, 3, 1, 1) * 1e-6, "b": np.array([0, 1e4, -1e5, 3], np.float32)}
    model = make_model([("Conv", ["x", "w", "b"], "y", {})], inits)
    x = data() * 1e-3
    small = quantize(model, {"x": x}).to_onnx()
    bias = next(
        numpy_helper.to_array(i)
        for i in small.graph.initializer
        if i.data_type == TensorProto.INT32
    )
    assert np.abs(bias.astype(np.int64)).max() <= 2**30
    want, got = ort_run(model, x)[0], ort_run(small, x)[0]
    np.testing.assert_allclose(want[:, 2], got[:, 2], rtol=0.01)


@pytest.mark.parametrize("activations", ["int8", "uint8", "uint16"])
@pytest.mark.parametrize("dead", ["channels", "data"])
def test_biases_are_kept_where_only_zeros_are_added_to_them(dead, activations):
    w = np.linspace(-1, 1, 60).reshape(12, 5).astype(np.float32)
    if dead == "channels":
        w[:, [1, 3]] = 0
    inits = {"w": w, "b": np.float32([0.4, 0.3, -0.2, 0.1, 0.5])}
    model = make_model(
        [("Relu", ["x"], "h", {}), ("Gemm", ["h", "w", "b"], "y", {})], inits, shape=("N", 12)
    )
    x = 40 * np.abs(np.sin(np.arange(96, dtype=np.float32))).reshape(8, 12)
    if dead == "data":
        x = -x
    small = quantize(model, {"x": x}, activations=activations).to_onnx()
    want, got = ort_run(model, x)[0], ort_run(small, x)[0]
    columns = [1, 3] if dead == "channels" else slice(None)
    assert sqnr(want[:, columns], got[:, columns]) > 50


@pytest.mark.parametrize("options", [{}, {"activations": "uint16"}, {"target": "tensorrt"}])
def test_biases_of_silent_channels_are_kept_beside_a_loud_one(options):
    w = np.linspace(-1, 1, 60).reshape(12, 5).astype(np.float32)
    w[:, 0] *= 200
    w[:, [1, 3]] = 0
    inits = {"w": w, "b": np.float32([0.4, 0.03, -0.2, -0.05, 0.5])}
    model = make_model(
        [("Relu", ["x"], "h", {}), ("Gemm", ["h", "w", "b"], "y", {})], inits, shape=("N", 12)
    )
    x = 40 * np.abs(np.sin(np.arange(96, dtype=np.float32))).reshape(8, 12)
    small = quantize(model, {"x": x}, **options).to_onnx()
    want, got = ort_run(model, x)[0], ort_run(small, x)[0]
    assert sqnr(want[:, [1, 3]], got[:, [1, 3]]) > 80


@pytest.mark.parametrize("size", [1e-5, 1e-3, 1])
@pytest.mark.parametrize("options", [{}, {"activations": "int16"}, {"target": "tensorrt"}])
def test_biases_that_would_be_rounded_away_keep_their_layer_in_float(size, options):
    """Data that was always 0 has no scale of its own; what rounding biases costs is told."""
    inits = {
        "w": np.linspace(-100, 100, 60).reshape(12, 5).astype(np.float32),
        "b": size * np.float32([0.4, 0.3, -0.2, 0.1, 0.5]),
    }
    model = make_model(
        [("Relu", ["x"], "h", {}), ("Gemm", ["h", "w", "b"], "y", {})], inits, shape=("N", 12)
    )
    x = -np.abs(data(8, (12,)))
    small = quantize(model, {"x": x}, **options)
    want = ort_run(model, x)[0]
    told = small.quality["outputs"][0]["sqnr_db"]
    assert told > 6
    for optimized in (True, False):
        assert sqnr(want, ort_run(small.to_onnx(), x, optimized)[0]) > min(told, 120) - 0.5


@pytest.mark.parametrize("activations", ["uint8", "int8"])
@pytest.mark.parametrize(
    "cut", [[("Relu", ["t"], "c", {})], [("Clip", ["t", "low", "high"], "c", {})], []]
)
@pytest.mark.parametrize(
    "move", [("Transpose", {"perm": [0, 2, 1]}), ("Slice", {}), ("MaxPool", {"kernel_shape": [2]})]
)
def test_an_output_stays_as_it_is_beside_moves_that_lead_to_a_layer(move, cut, activations):
    """ONNX Runtime takes QuantizeLinear back over what moves data."""
    op, attributes = move
    inputs = ["m", "from", "to", "axes"] if op == "Slice" else ["m"]
    channels = 24 if op == "Transpose" else 16
    inits = {
        "p": weights(24, 24),
        "w": weights(12, channels, 3),
        "low": np.float32(0),
        "high": np.float32(1.5),
        "from": np.int64([2]),
        "to": np.int64([20]),
        "axes": np.int64([2]),
    }
    nodes = [
        ("MatMul", ["x", "p"], "m", {}),
        (op, inputs, "t", attributes),
        *cut,
        ("Conv", ["c" if cut else "t", "w"], "y", {}),
    ]
    used = {name for node in nodes for name in node[1]}
    inits = {name: array for name, array in inits.items() if name in used}
    model = make_model(nodes, inits, shape=("N", 16, 24), outputs=("m", "y"))
    x = data(8, (16, 24))
    for exclude in ([], [f"{op.lower()}_1"]):
        small = quantize(model, {"x": x}, activations=activations, exclude=exclude)
        told = [output["sqnr_db"] for output in small.quality["outputs"]]
        for want, got, db in zip(
            ort_run(model, x, False), ort_run(small.to_onnx(), x), told, strict=True
        ):
            assert sqnr(want, got) > db - 1


def test_matmul_with_bias_and_two_activations():
    inits = {
        "w": weights(12, 12),
        "b": weights(12),
    }
    model = make_model(
        [
            ("MatMul", ["x", "w"], "a", {}),
            ("Add", ["a", "b"], "q", {}),
            ("Relu", ["q"], "r", {}),
            ("Transpose", ["r"], "t", {"perm": [0, 1, 3, 2]}),
            ("MatMul", ["r", "t"], "y", {}),
        ],
        inits,
    )
    small = quantized_close(model, data(), 25)
    found = quantizers(small)
    assert found["r"] == found["t"]
    assert "a" not in found  # the bias is added to the float product
    assert "y" not in found  # nothing reads it as int8


def test_gemm_alpha_and_beta():
    inits = {"w": weights(8, 6), "b": weights(6)}
    model = make_model(
        [("Gemm", ["x", "w", "b"], "y", {"alpha": 0.5, "beta": 3.0})], inits, shape=("N", 8)
    )
    quantized_close(model, data(shape=(8,)), 30)


@pytest.mark.parametrize("group", [1, 2])
def test_conv_transpose(group):
    inits = {"w": weights(4, 6 // group, 3, 3), "b": weights(6)}
    node = conv("c", "x", "a", inits, 3, 4)
    model = make_model(
        [node, ("ConvTranspose", ["a", "w", "b"], "y", {"strides": [2, 2], "group": group})], inits
    )
    quantized_close(model, data(), 25)


def test_older_opsets_are_raised():
    inits = {"w": weights(4, 3, 3, 3)}
    nodes = [
        ("Pad", ["x"], "p", {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "mode": "reflect"}),
        ("Conv", ["p", "w"], "a", {}),
        ("Clip", ["a"], "b", {"min": 0.0, "max": 6.0}),
        ("Upsample", ["b", "s"], "c", {"mode": "nearest"}),
        ("Slice", ["c"], "d", {"starts": [1, 1], "ends": [9, 9], "axes": [2, 3]}),
        ("ReduceMean", ["d"], "e", {"axes": [2, 3], "keepdims": 1}),
        ("Squeeze", ["e"], "f", {"axes": [2, 3]}),
        ("Softmax", ["f"], "y", {}),
    ]
    inits["s"] = np.array([1, 1, 2, 2], np.float32)
    model = make_model(nodes, inits, opset=9)
    small = quantized_close(model, data(), 25)
    assert small.opset_import[0].version == 13


def test_softmax_that_flattens_keeps_its_meaning():
    inits = {}
    model = make_model(
        [conv("c", "x", "a", inits, 3, 4), ("Softmax", ["a"], "y", {"axis": 1})], inits, opset=11
    )
    quantized_close(model, data(), 15)


def test_excluded_nodes_stay_in_float():
    small = quantized_close(residual_model(), data(), 22, exclude=["conv_2", "gem*"])
    conv_2 = next(n for n in small.graph.node if n.name == "conv_2")
    assert conv_2.input[1] == "c2_w"
    gemm = next(n for n in small.graph.node if n.op_type == "Gemm")
    assert gemm.input[1] == "fc_w"


def test_a_pattern_that_matches_nothing_names_the_nearest():
    with pytest.raises(dwindle.BadOption, match="conv_2"):
        quantize(residual_model(), {"x": data()}, exclude=["conv2"])


def test_a_quantized_model_is_never_quantized_again():
    small = quantize(residual_model(), {"x": data()})
    with pytest.raises(dwindle.BadModel, match="quantized already"):
        quantize(small, {"x": data()})


def test_a_nan_in_weights_is_located():
    model = residual_model()
    array = initializer(model, "c2_w").copy()
    array.flat[17] = np.nan
    kept = [i for i in model.graph.initializer if i.name != "c2_w"]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, numpy_helper.from_array(array, "c2_w")])
    with pytest.raises(dwindle.Error, match="NaN"):
        quantize(model, {"x": data()})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_calibration_values_are_located(bad):
    x = data(12)
    x[5, 1, 2, 3] = bad
    with pytest.raises(dwindle.BadData, match="5"):
        quantize(residual_model(), {"x": x})


def test_an_overflow_inside_the_network_is_located():
    model = residual_model()
    with pytest.raises(dwindle.BadData, match="(Relu|Conv|Gemm)( node)? '"):
        quantize(model, {"x": np.full((2, 3, 12, 12), 3e38, np.float32)})


def test_batches_of_any_size_give_the_same_file():
    x = data(11)
    model = residual_model()
    whole = quantize(model, [{"x": x}]).to_bytes()
    ragged = quantize(model, [{"x": x[:3]}, {"x": x[3:4]}, {"x": x[4:]}]).to_bytes()
    assert whole == ragged


def test_shapes_that_change_from_feed_to_feed():
    inits = {}
    model = make_model(
        [conv("c", "x", "a", inits, 3, 4), ("Relu", ["a"], "y", {})],
        inits,
        shape=("N", 3, "H", "W"),
    )
    feeds = [{"x": data(2, (3, 6 + i, 9 - i))} for i in range(4)]
    small = quantize(model, feeds).to_onnx()
    want, got = ort_run(model, feeds[1]["x"])[0], ort_run(small, feeds[1]["x"])[0]
    assert sqnr(want, got) > 25


def test_a_model_without_anything_to_quantize_is_left_alone():
    model = make_model([("Softmax", ["x"], "y", {"axis": 1})], {})
    assert "QuantizeLinear" not in ops(quantize(model, {"x": data()}).to_onnx())


def random_network(rng):
    """A random CNN of convolutions, residuals, concatenations, pools and activations."""
    inits, nodes = {}, []
    live = [("x", 3)]
    for i in range(int(rng.integers(3, 9))):
        source, channels = live[int(rng.integers(len(live)))]
        out = f"v{i}"
        kind = rng.choice(["conv", "depthwise", "add", "concat", "pool", "act", "mul", "avg"])
        if kind == "conv":
            width = int(rng.choice([4, 8]))
            nodes.append(
                conv(f"c{i}", source, out, inits, channels, width, bias=rng.random() < 0.7)
            )
            channels = width
        elif kind == "depthwise":
            nodes.append(conv(f"c{i}", source, out, inits, channels, channels, group=channels))
        elif kind in ("add", "mul", "concat"):
            peers = [v for v in live if v[1] == channels]
            other = peers[int(rng.integers(len(peers)))][0]
            op = {"add": "Add", "mul": "Mul", "concat": "Concat"}[kind]
            nodes.append((op, [source, other], out, {"axis": 1} if kind == "concat" else {}))
            channels *= 2 if kind == "concat" else 1
        elif kind in ("pool", "avg"):
            op = "MaxPool" if kind == "pool" else "AveragePool"
            nodes.append((op, [source], out, {"kernel_shape": [3, 3], "pads": [1] * 4}))
        else:
            op = str(rng.choice(["Relu", "Sigmoid", "LeakyRelu", "HardSwish", "Tanh"]))
            nodes.append((op, [source], out, {}))
        live.append((out, channels))
    used = {i for n in nodes for i in n[1]}
    ends = tuple(v for v, _ in live[1:] if v not in used)
    return make_model(nodes, inits, outputs=ends)


@pytest.mark.parametrize("seed", range(25))
def test_random_networks_keep_their_meaning(seed):
    rng = np.random.default_rng(seed)
    model, x = random_network(rng), data()
    small = quantize(model, {"x": x})
    proto = small.to_onnx()
    onnx.checker.check_model(proto, full_check=True)
    # The runtime without its fusions, and our own executor, compute what the file says.
    plain = ort_run(proto, x, optimized=False)
    ours = small.run({"x": x})
    for output, want, got in zip(proto.graph.output, ort_run(model, x), plain, strict=True):
        assert sqnr(want, got) > 12, output.name
        # Rounding at a tie may go either way after sums in another order.
        assert sqnr(got, ours[output.name]) > 30, output.name
    for want, got in zip(ort_run(model, x), ort_run(proto, x), strict=True):
        assert sqnr(want, got) > 12


def test_branches_may_read_weights_from_outside():
    """ONNX Runtime refuses a model whose fused weights lie outside the branch of their node."""
    inits = {"w": weights(32, 16, scale=0.2), "u": weights(16, 8, scale=0.2)}

    def branch(name, scale):
        inner = [
            helper.make_node("MatMul", ["h", "u"], [f"{name}_p"], name=f"{name}_product"),
            helper.make_node("Mul", [f"{name}_p", scale], [f"{name}_y"], name=f"{name}_scale"),
        ]
        out = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, ["N", 8])
        return helper.make_graph(inner, name, [], [out])

    inits.update(two=np.float32([2]), three=np.float32([3]), zero=np.float32(0))
    model = make_model(
        [
            ("MatMul", ["x", "w"], "h", {}),
            ("ReduceSum", ["x"], "sum", {"keepdims": 0}),
            ("Greater", ["sum", "zero"], "positive", {}),
            (
                "If",
                ["positive"],
                "y",
                {"then_branch": branch("then", "two"), "else_branch": branch("else", "three")},
            ),
        ],
        inits,
        shape=("N", 32),
    )
    x = data(8, (32,))
    feeds = [{"x": x}, {"x": -x}]
    for options in ({}, {"weights": "int4"}, {"activations": "none"}):
        small = quantize(model, feeds, **options).to_onnx()
        onnx.checker.check_model(small, full_check=True)
        for feed in feeds:
            want, got = ort_run(model, feed["x"])[0], ort_run(small, feed["x"])[0]
            assert sqnr(want, got) > (10 if "weights" in options else 25)


def test_nodes_in_float_lose_what_is_rounded_for_others():
    nodes = [
        ("MatMul", ["x", "a"], "h", {}),
        ("Conv", ["h", "w"], "c", {}),
        ("Softmax", ["c"], "s", {}),
        ("MatMul", ["s", "b"], "y", {}),
    ]
    made = make_model(
        nodes,
        {"a": weights(18, 18), "w": weights(4, 4, 3), "b": weights(16, 8)},
        shape=("N", 4, 18),
    )
    x = {"x": data(shape=(4, 18))}
    quality = quantize(made, x, exclude=["matmul_0"]).quality
    losses = {loss["node"]: loss for loss in quality["worst_nodes"]}
    assert losses["matmul_0"]["rounded_for"] == "conv_1"
    assert losses["matmul_0"]["lost_db"] is None  # what it reads is exact
    assert losses["conv_1"]["rounded_for"] is None
    assert losses["softmax_2"]["rounded_for"] == "matmul_3"


def test_losses_are_between_what_comes_in_and_what_goes_out():
    made = make_model(
        [("Conv", ["x", "w"], "c", {}), ("Conv", ["c", "v"], "y", {})],
        {"w": weights(4, 3, 3, 3), "v": weights(4, 4, 3, 3)},
    )
    worst = quantize(made, {"x": data()}).quality["worst_nodes"]
    assert {loss["node"] for loss in worst} == {"conv_0", "conv_1"}
    assert all(-10 < loss["lost_db"] < 40 for loss in worst)


def test_beside_exact_inputs_a_loss_is_no_number_of_decibels():
    nodes = [("Gather", ["table", "ids"], "g", {}), ("Conv", ["g", "w"], "y", {})]
    graph = helper.make_graph(
        [helper.make_node(op, i, [o], name=op.lower(), **a) for op, i, o, a in nodes],
        "graph",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(weights(50, 6), "table"),
            numpy_helper.from_array(weights(4, 8, 3), "w"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ids = RNG.integers(0, 50, (8, 8))
    worst = quantize(made, {"ids": ids}).quality["worst_nodes"]
    losses = {loss["node"]: loss["lost_db"] for loss in worst}
    assert losses["gather"] is None  # nothing but the table's integers loses anything
    assert losses["conv"] is not None
