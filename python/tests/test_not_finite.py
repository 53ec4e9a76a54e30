"""NaN and infinities in weights: where they are is said, and what they ruin is refused."""

import json
import zipfile

import dwindle
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import make_classifier, samples
from onnx import TensorProto, helper, numpy_helper
from small_models import run


def damaged(name, value, index=-1, dtype=None):
    """The classifier with one element of a weight replaced."""
    model = make_classifier()
    for weight in model.graph.initializer:
        if weight.name == name:
            array = numpy_helper.to_array(weight).copy()
            array.flat[index] = value
            weight.CopyFrom(numpy_helper.from_array(array, name))
    return model


def masked():
    """x plus a mask of 0 and -inf, behind a MatMul; Where fills with a lone NaN that is not met."""
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    stored = {
        "w": np.eye(4, dtype=np.float32),
        "mask": mask,
        "nan": np.array(np.nan, np.float32),
        "never": np.zeros((4, 4), bool),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Add", ["m", "mask"], ["a"]),
        helper.make_node("Softmax", ["a"], ["s"]),
        helper.make_node("Where", ["never", "nan", "s"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, 4]) for n in "xy")
    weights = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "masked", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


# Weights and biases of layers: as quantize refuses them, whichever it is. Others (of the
# BatchNormalization): NaN alone.
REFUSED = [
    ("w", np.nan, r"Conv node 'conv': its weights hold NaN at element 647 of \[24,3,3,3\]"),
    ("w", np.inf, r"Conv node 'conv': its weights hold an infinity at element 647"),
    ("g", -np.inf, r"Gemm node 'gemm': its weights hold an infinity at element 95"),
    ("h", np.nan, r"Gemm node 'gemm': its biases hold NaN at element 3"),
    ("s", np.nan, r"the constant 's' holds NaN at element 23 of \[24\]"),
    ("v", np.nan, r"the constant 'v' holds NaN at element 23 of \[24\]"),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
@pytest.mark.parametrize("check", [True, False])
def test_simplify_refuses_damaged_weights(name, value, message, check):
    with pytest.raises(dwindle.BadModel, match=message):
        dwindle.simplify(damaged(name, value), check=check)


@pytest.mark.parametrize(("name", "value", "message"), REFUSED[:4])
def test_quantize_says_the_same(name, value, message):
    with pytest.raises(dwindle.BadModel, match=message):
        dwindle.quantize(damaged(name, value), {"x": samples(4)})


def test_the_command_writes_nothing(dwindle_command, tmp_path):
    path, out = tmp_path / "m.onnx", tmp_path / "out.onnx"
    onnx.save(damaged("w", np.nan, index=0), path)
    out.write_bytes(b"as it was")
    result = dwindle_command("simplify", path, out)
    assert result.returncode == 1
    assert result.stderr.startswith("dwindle: error: Conv node 'conv': its weights hold NaN at")
    assert out.read_bytes() == b"as it was"


def test_masks_and_values_to_fill_with_are_sound():
    simple = dwindle.simplify(masked())
    assert simple.proof["same"]
    dwindle.quantize(masked(), {"x": samples(2, shape=(4,)).repeat(2, 0)}, may_grow=True)


def with_a_mask(nodes, **stored):
    """MatMul of `x` [N,64] and what follows it; -inf at 3 of `mask`."""
    rng = np.random.default_rng(1)
    mask = np.zeros(64, np.float32)
    mask[3] = -np.inf
    stored = {"w": rng.standard_normal((64, 64)).astype(np.float32), "mask": mask, **stored}
    used = {name for node in nodes for name in node.input}
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 64]) for n in "xy")
    initializers = [numpy_helper.from_array(a, n) for n, a in stored.items() if n in used]
    graph = helper.make_graph(nodes, "masked", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def masked_sum():
    return with_a_mask(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Add", ["m", "mask"], ["y"]),
        ]
    )


def masked_gemm():
    return with_a_mask([helper.make_node("Gemm", ["x", "w", "mask"], ["y"])])


def masked_choice():
    chosen = np.arange(64) == 3
    return with_a_mask(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Where", ["chosen", "infinite", "m"], ["y"]),
        ],
        chosen=chosen,
        infinite=np.array(-np.inf, np.float32),
    )


@pytest.mark.parametrize("make", [masked_sum, masked_gemm, masked_choice])
@pytest.mark.parametrize("options", [{}, {"activations": "none"}])
def test_models_with_masks_are_quantized(make, options):
    model, x = make(), samples(8, shape=(64,))
    small = dwindle.quantize(model, {"x": x}, **options)
    assert any(i.data_type == TensorProto.INT8 for i in small.to_onnx().graph.initializer)
    # Equal infinities count as equal.
    assert 20 < small.quality["outputs"][0]["sqnr_db"] < 100
    session = ort.InferenceSession(small.to_bytes(), providers=["CPUExecutionProvider"])
    y = session.run(None, {"x": x})[0]
    assert np.isneginf(y[:, 3]).all()
    assert np.isfinite(np.delete(y, 3, axis=1)).all()


def test_inspect_tells_of_them_and_fails_not(dwindle_command, tmp_path):
    model = damaged("w", np.nan, index=5)
    array = numpy_helper.to_array(model.graph.initializer[0]).copy()
    array.flat[[7, 9]] = np.inf
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "w"))
    onnx.save(model, tmp_path / "m.onnx")
    result = dwindle_command("inspect", tmp_path / "m.onnx")
    assert result.returncode == 0, result.stderr
    assert (
        "not finite  'w' [24,3,3,3]: 1 NaN and 2 infinite, the first at [0,0,1,2]" in result.stdout
    )
    result = dwindle_command("inspect", tmp_path / "m.onnx", "--json")
    assert json.loads(result.stdout)["not_finite"] == [
        {"name": "w", "shape": [24, 3, 3, 3], "nan": 1, "infinite": 2, "first": [0, 0, 1, 2]}
    ]


def test_inspect_is_silent_of_sound_models(dwindle_command, classifier_path):
    assert "not finite" not in dwindle_command("inspect", classifier_path).stdout
    facts = json.loads(dwindle_command("inspect", classifier_path, "--json").stdout)
    assert facts["not_finite"] == []


def test_inspect_names_the_first_of_many(dwindle_command, tmp_path):
    model = make_classifier()
    for i in range(30):
        array = np.full(3, -np.inf, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, f"mask{i}"))
    onnx.save(model, tmp_path / "m.onnx")
    result = dwindle_command("inspect", tmp_path / "m.onnx")
    assert result.stdout.count("not finite") == 11
    assert "and 20 more (--json lists all)" in result.stdout
    facts = json.loads(dwindle_command("inspect", tmp_path / "m.onnx", "--json").stdout)
    assert len(facts["not_finite"]) == 30


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_data_names_the_file_the_key_and_the_sample(tmp_path, value):
    name = {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}[str(value)]
    x = samples(6)
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "folder" / "a.npz", x=x)
    bad = x.copy()
    bad[4, 1, 2, 3] = value
    np.savez(tmp_path / "folder" / "b.npz", x=bad)
    np.savez(tmp_path / "one.npz", x=np.concatenate([x, x, bad]))
    np.save(tmp_path / "one.npy", bad)
    for data, file, sample in (
        ("folder", "folder/b.npz", 4),
        ("one.npz", "one.npz", 16),
        ("one.npy", "one.npy", 4),
    ):
        place = rf"input 'x' of .*{file}, sample {sample}, position \[1,2,3\] is {name}"
        with pytest.raises(dwindle.BadData, match=place):
            dwindle.quantize(make_classifier(), tmp_path / data)


def test_damaged_headers_name_the_file_and_the_key(tmp_path):
    def header(text):
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()

    shape = f"({2**40}, {2**40})"
    texts = ["{", "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}"]
    for text in texts:
        (tmp_path / "some.npy").write_bytes(header(text))
        with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
            archive.writestr("x.npy", header(text))
        with pytest.raises(dwindle.BadData, match=r"some\.npy: "):
            dwindle.quantize(make_classifier(), tmp_path / "some.npy")
        with pytest.raises(dwindle.BadData, match=r"key 'x' of .*some\.npz: "):
            dwindle.quantize(make_classifier(), tmp_path / "some.npz")


def test_the_node_that_makes_the_first_nan_is_named():
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Sqrt", ["m"], ["root"], name="odd"),
        helper.make_node("MatMul", ["root", "w"], ["y"]),
    ]
    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4]) for n in ("x", "y")]
    stored = [numpy_helper.from_array(-np.eye(4, dtype=np.float32), "w")]
    graph = helper.make_graph(nodes, "g", sides[:1], sides[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = {"x": np.ones((3, 4), np.float32)}
    for options in ({}, {"activations": "none"}):
        with pytest.raises(dwindle.BadData, match="Sqrt node 'odd' makes NaN first, in 'root'"):
            dwindle.quantize(model, data, **options)


@pytest.mark.parametrize("chosen_away", [True, False])
def test_a_mean_over_nothing_is_no_error(chosen_away):
    """0/0, as means over the neighbours of a graph's lone nodes make it."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Mul", ["m", "degree"], ["sum"]),
        helper.make_node("Div", ["sum", "degree"], ["mean"], name="mean"),
        helper.make_node("IsNaN", ["mean"], ["alone"]),
        helper.make_node("Where", ["alone", "zero", "mean"], ["clean"]),
        helper.make_node("MatMul", ["clean" if chosen_away else "mean", "w"], ["y"], name="last"),
    ]
    shapes = {"x": ["N", 8, 32], "degree": ["N", 8, 1], "y": ["N", 8, 32]}
    x, degree, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()
    )
    rng = np.random.default_rng(2)
    stored = {"w": rng.standard_normal((32, 32)).astype(np.float32), "zero": np.float32(0)}
    weights = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "g", [x, degree], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = {"x": samples(20, shape=(8, 32)), "degree": np.ones((20, 8, 1), np.float32)}
    data["degree"][3, 2] = data["degree"][13, 5] = 0
    small = dwindle.quantize(model, data)
    if not chosen_away:
        (note,) = [n for step in small.report for n in step["notes"] if "holds NaN" in n]
        assert "'mean' (of Div node 'mean'), sample" in note
    (got,), (want,) = run(small.to_bytes(), data), run(model, data)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    assert np.isnan(want).any() != chosen_away
    assert np.nanmean((got - want) ** 2) < 1e-3 * np.nanmean(want**2)


def test_layers_that_read_nan_keep_their_weights_in_float():
    """ONNX Runtime loses NaN in products that it fuses with weights of 8 bits."""
    rng = np.random.default_rng(4)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Sqrt", ["m"], ["root"]),
        helper.make_node("MatMul", ["root", "w"], ["p"], name="reader"),
        helper.make_node("IsNaN", ["p"], ["odd"]),
        helper.make_node("Where", ["odd", "zero", "p"], ["clean"]),
        helper.make_node("MatMul", ["clean", "w"], ["y"]),
    ]
    w = rng.standard_normal((64, 64)).astype(np.float32)
    w[:, 1:] = np.abs(w[:, 1:])  # one negative sum in some samples
    x = np.abs(samples(40, shape=(64,)))
    stored = [numpy_helper.from_array(a, n) for n, a in {"w": w, "zero": np.float32(0)}.items()]
    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 64]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", sides[:1], sides[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    small = dwindle.quantize(model, {"x": x}, may_grow=True)
    (got,), (want,) = run(small.to_bytes(), {"x": x}), run(model, {"x": x})
    assert np.median((got - want) ** 2) < 1e-3 * np.median(want**2)
    (reader,) = [n for n in small.to_onnx().graph.node if n.name == "reader"]
    assert reader.input[1] == "w"


@pytest.mark.parametrize("seed", range(6))
def test_an_output_that_is_nan_in_part_is_no_error(seed):
    """Rounding moves what is near 0 to the other side: NaN in one model alone."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("MatMul", ["m", "w"], ["h"]),
        helper.make_node("Sqrt", ["h"], ["y"]),
    ]
    stored = [numpy_helper.from_array(rng.standard_normal((64, 64)).astype(np.float32), "w")]
    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 64]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", sides[:1], sides[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    small = dwindle.quantize(model, {"x": samples(16, seed, shape=(64,))}, may_grow=True)
    assert small.quality["outputs"][0]["sqnr_db"] > 20
    told = [note for step in small.report for note in step["notes"]]
    assert any("that are NaN in both models" in note for note in told)
    assert any("that are NaN in one of both models" in note for note in told)
