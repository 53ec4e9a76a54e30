"""What the operator table does not cover is run by ONNX Runtime, and said so."""

import warnings

import dwindle
import numpy as np
import onnx
import onnxruntime
import pytest
from dwindle import _onnxruntime
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(11)


def weights(*shape):
    return (RNG.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)


def make(nodes, initializers, shape, functions=()):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(array, name) for name, array in initializers.items()]
    graph = helper.make_graph(nodes, "graph", [x], [y], stored)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=functions)


def two_layers(domain="com.microsoft"):
    """MatMul, Gelu, MatMul."""
    return make(
        [
            helper.make_node("MatMul", ["x", "v"], ["a"], "first"),
            helper.make_node("Gelu", ["a"], ["b"], "gelu", domain=domain),
            helper.make_node("MatMul", ["b", "w"], ["y"], "second"),
        ],
        {"v": weights(16, 32).copy(), "w": weights(32, 8)},
        ["N", 16],
    )


def run(model, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


def sqnr(reference, other):
    noise = ((reference.astype(np.float64) - other) ** 2).sum()
    return 10 * np.log10((reference.astype(np.float64) ** 2).sum() / max(noise, 1e-30))


def data(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def notes(model):
    return [note for report in model.report for note in report["notes"]]


def quantized_weighted(model):
    stored = {o for n in model.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    return [n.name for n in model.graph.node if len(n.input) > 1 and n.input[1] in stored]


def test_a_domain_of_its_own(tmp_path):
    model, x = two_layers(), data(40, 16)
    with pytest.warns(UserWarning, match=r"ONNX Runtime ran the model.*Gelu") as caught:
        small = dwindle.quantize(model, {"x": x})
    assert caught[0].filename == __file__
    assert any("ONNX Runtime ran the model" in note for note in notes(small))
    proto = small.to_onnx()
    # Types behind the op come from ONNX Runtime: the second layer is quantized too.
    assert quantized_weighted(proto) == ["first", "second"]
    assert sqnr(run(model, x), run(proto, x)) > 25
    assert small.quality["outputs"][0]["sqnr_db"] > 25
    assert small.quality["worst_nodes"]


def test_the_ranges_are_those_of_the_table():
    def scales(domain):
        model = two_layers(domain)
        for stored in model.graph.initializer:
            array = np.sin(np.arange(np.prod(stored.dims), dtype=np.float32)).reshape(stored.dims)
            stored.CopyFrom(numpy_helper.from_array(array, stored.name))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            small = dwindle.quantize(model, {"x": data(40, 16)}, min_sqnr=0.0).to_onnx()
        stored = {t.name: numpy_helper.to_array(t) for t in small.graph.initializer}
        nodes = [n for n in small.graph.node if n.op_type == "QuantizeLinear"]
        return {n.input[0]: float(stored[n.input[1]]) for n in nodes}

    ours, theirs = scales(""), scales("com.microsoft")
    assert set(ours) == {"x", "b"}
    assert theirs == pytest.approx(ours, rel=1e-4)


def test_a_kernel_that_refuses_when_it_runs():
    shape = np.array([1, 4, 5, 5])
    model = make(
        [
            helper.make_node("Conv", ["x", "v"], ["a"], "first"),
            helper.make_node(
                "MaxPool", ["a"], ["b", "i"], "pool", kernel_shape=[2, 2], strides=[2, 2]
            ),
            helper.make_node(
                "MaxUnpool", ["b", "i", "s"], ["c"], "up", kernel_shape=[2, 2], strides=[2, 2]
            ),
            helper.make_node("Conv", ["c", "w"], ["y"], "second"),
        ],
        {"v": weights(4, 3, 1, 1), "w": weights(2, 4, 1, 1), "s": shape},
        [1, 3, 5, 5],
    )
    x = data(12, 3, 5, 5)
    # An iterator that cannot go back: no feed may be lost.
    with pytest.warns(UserWarning, match="MaxUnpool.*output_shape"):
        small = dwindle.quantize(model, iter([{"x": one[None]} for one in x]), may_grow=True)
    counts = next(r["counts"] for r in small.report if r["pass"] == "quantize-static")
    assert counts["calibration samples"] == 12
    assert sqnr(run(model, x[:1]), run(small.to_onnx(), x[:1])) > 20


def test_nodes_in_branches_stay_in_float_and_it_is_said():
    branch = helper.make_graph(
        [
            helper.make_node("MatMul", ["b", "w"], ["m"], "inner"),
            helper.make_node("MatMul", ["m", "k"], ["t"], "inner_last"),
        ],
        "then",
        [],
        [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("MatMul", ["b", "u"], ["e"], "other")],
        "else",
        [],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)],
    )
    model = make(
        [
            helper.make_node("MatMul", ["x", "v"], ["a"], "first"),
            helper.make_node("Gelu", ["a"], ["b"], "gelu", domain="com.microsoft"),
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Greater", ["sum", "zero"], ["positive"]),
            helper.make_node("If", ["positive"], ["y"], then_branch=branch, else_branch=other),
        ],
        {
            "v": weights(16, 32),
            "w": weights(32, 8),
            "k": weights(8, 8),
            "u": weights(32, 8),
            "zero": np.zeros((), np.float32),
        },
        [4, 16],
    )
    feeds = [{"x": data(4, 16)}, {"x": -data(4, 16)}]
    with pytest.warns(UserWarning, match="ONNX Runtime ran"):
        small = dwindle.quantize(model, feeds)
    assert "first" in quantized_weighted(small.to_onnx())
    reason = "it is in a branch or a loop, where ONNX Runtime, which ran the model, shows no values"
    told = f"float: MatMul 'inner_last': {reason}; its weights are integers all the same"
    assert told in notes(small)
    run(small.to_onnx(), feeds[0]["x"])


def test_weights_alone_are_proven_too():
    with pytest.warns(UserWarning, match="ONNX Runtime ran the model"):
        small = dwindle.quantize(two_layers(), activations="none", weights="int4")
    assert small.quality["outputs"][0]["sqnr_db"] > 10
    assert any("ONNX Runtime ran the model" in note for note in notes(small))


def test_simplify_and_compare():
    model = two_layers()
    with pytest.warns(UserWarning, match="ONNX Runtime ran the model"):
        simple = dwindle.simplify(model)
    assert simple.proof["same"]
    with pytest.warns(UserWarning, match="ONNX Runtime ran the model"):
        scores = dwindle.compare(model, simple, data={"x": data(8, 16)}, runs=1)
    assert scores[1]["outputs"][0]["sqnr_db"] > 100


def test_what_the_table_covers_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small = dwindle.quantize(two_layers(domain=""), {"x": data(40, 16)})
    assert not any("ONNX Runtime" in note for note in notes(small))


def test_without_onnx_runtime_the_error_says_that_it_would_help(monkeypatch):
    monkeypatch.setattr(_onnxruntime, "available", lambda: False)
    with pytest.raises(dwindle.Unsupported, match=r"Gelu.*onnxruntime is installed"):
        dwindle.quantize(two_layers(), {"x": data(8, 16)})
    with pytest.raises(dwindle.Unsupported, match=r"Gelu.*onnxruntime is installed"):
        dwindle.simplify(two_layers())


def test_what_onnx_runtime_refuses_is_an_error():
    model = two_layers(domain="nobody.knows")
    model.opset_import.append(helper.make_opsetid("nobody.knows", 1))
    both = "no kernel for nobody.knows.Gelu.*; ONNX Runtime: .*nobody.knows"
    for options in ({}, {"activations": "none"}):
        with pytest.raises(dwindle.Unsupported, match=both):
            dwindle.quantize(model, {"x": data(8, 16)}, **options)
    with pytest.raises(dwindle.Unsupported, match=both):
        dwindle.simplify(model)


@pytest.mark.parametrize("available", [True, False])
def test_weights_alone_need_nobody_who_runs_the_model(monkeypatch, available):
    monkeypatch.setattr(_onnxruntime, "available", lambda: available)
    model = two_layers(domain="nobody.knows")
    model.opset_import.append(helper.make_opsetid("nobody.knows", 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nobody ran it
        small = dwindle.quantize(model, activations="none")
    assert quantized_weighted(small.to_onnx()) == ["first", "second"]
    assert small.quality is None
    reasons = [note for note in notes(small) if note.startswith("not run beside the original: ")]
    assert len(reasons) == 1
    assert "no kernel for nobody.knows.Gelu" in reasons[0]
    assert ("; ONNX Runtime: " in reasons[0]) == available


def test_an_unknown_rank_is_no_scalar():
    """ONNX Runtime lists the extents of both as []; the ops behind a sequence have no rank."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("SequenceConstruct", ["a", "x"], ["s"]),
        helper.make_node("ConcatFromSequence", ["s"], ["c"], axis=1),
        helper.make_node("Gelu", ["c"], ["b"], "gelu", domain="com.microsoft"),
        helper.make_node("Shape", ["b"], ["shape"]),
        helper.make_node("Size", ["shape"], ["rank"]),
        helper.make_node("Cast", ["rank"], ["factor"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["b", "factor"], ["y"]),
    ]
    model, x = make(nodes, {"w": weights(16, 32)}, ["N", 16]), data(4, 16)
    for options in ({}, {"activations": "none"}):
        with pytest.warns(UserWarning, match="ONNX Runtime ran the model"):
            small = dwindle.quantize(model, {"x": x}, **options)
        assert sqnr(run(model, x), run(small.to_onnx(), x)) > 30
        output = small.to_onnx().graph.output[0].type.tensor_type
        assert not output.HasField("shape") or len(output.shape.dim) == 2


def test_feeds_that_do_not_fit_are_bad_data():
    with pytest.raises(dwindle.BadData, match=r"input 'x' wants float32\[N,16\]"):
        dwindle.quantize(two_layers(), iter([{"x": data(8, 15)}]))


def test_large_values_in_constants_are_passed(tmp_path):
    """External data reaches the session, too."""
    path = tmp_path / "model.onnx"
    onnx.save(two_layers(), path, save_as_external_data=True, location="w", size_threshold=0)
    with pytest.warns(UserWarning, match="ONNX Runtime ran"):
        small = dwindle.quantize(path, {"x": data(8, 16)})
    assert small.quality["samples"] == 8


def quiet_channels(domain):
    """Quiet channels count as much as loud ones behind a normalization; a Gelu before it."""
    rng = np.random.default_rng(3)
    first = (rng.standard_normal((64, 32, 3)) / 8).astype(np.float32)
    first[::2] *= 0.003
    last = (rng.standard_normal((64, 64, 3)) / 8).astype(np.float32)
    norm = helper.make_node(
        "InstanceNormalization", ["a", "one", "zero"], ["b"], "norm", epsilon=1e-8
    )
    return make(
        [
            helper.make_node("Gelu", ["x"], ["g"], "gelu", domain=domain),
            helper.make_node("Conv", ["g", "first"], ["a"], "first"),
            norm,
            helper.make_node("Conv", ["b", "last"], ["y"], "last"),
        ],
        {
            "first": first,
            "last": last,
            "one": np.ones(64, np.float32),
            "zero": np.zeros(64, np.float32),
        },
        ["N", 32, 40],
    )


def test_outputs_bear_their_rounding_in_onnx_runtime_too():
    def quantized(domain, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dwindle.quantize(quiet_channels(domain), {"x": x}, **options)

    def blamed(model):
        return sorted(n.split(" alone")[0] for n in notes(model) if "at the outputs" in n)

    x = data(8, 32, 40)
    ours, theirs = quantized(""), quantized("com.microsoft")
    assert blamed(ours) and blamed(theirs) == blamed(ours)
    assert not any("no effect" in note for note in notes(theirs))
    reference = run(quiet_channels("com.microsoft"), x)
    plain = quantized("com.microsoft", min_output_sqnr=0.0)
    assert not blamed(plain)
    assert sqnr(reference, run(plain.to_onnx(), x)) < 20
    assert sqnr(reference, run(theirs.to_onnx(), x)) >= 20
