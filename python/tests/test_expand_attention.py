"""Attention as one op, and as the ops that expand-attention makes of it so that it is quantized."""

import dwindle
import numpy as np
import onnx
import pytest
from dwindle import backend
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

ort = pytest.importorskip("onnxruntime")
ort.set_default_logger_severity(4)


def all_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_nodes(attribute.g)


def ops(model):
    return [node.op_type for node in all_nodes(model.graph)]


def expanded(model, *before):
    recipe = [*before, "expand-attention"]
    made = dwindle.run_recipe(dwindle.from_onnx(model), recipe, check=False)
    proto = made.to_onnx()
    onnx.checker.check_model(proto, full_check=True)
    assert "Attention" not in ops(proto), made.report
    return proto


def run_ort(model, feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, feeds)


def run_own(model, feeds):
    results = dwindle.from_onnx(model).run(feeds)
    return [results[info.name] for info in model.graph.output]


def without_extents(model):
    """The same model with ranks alone."""
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    for info in (*open_model.graph.input, *open_model.graph.output):
        for dim in info.type.tensor_type.shape.dim:
            dim.Clear()
    return open_model


def conformance_cases():
    cases = [case for case in backend.node_cases() if "test_attention" in case.name]
    return [case for case in cases if not case.name.endswith("expanded")]


def test_conformance_cases():
    cases = conformance_cases()
    assert len(cases) > 80
    for case in cases:
        for model in (case.model, without_extents(case.model)):
            made = expanded(model, "widen-halves")
            for inputs, outputs in case.data_sets:
                arrays = [backend._as_array(item) for item in inputs]
                feeds = dict(zip((i.name for i in model.graph.input), arrays, strict=True))
                runs = [run_own]
                # NumPy's bfloat16 does not go into ONNX Runtime.
                if not any(array.dtype.name == "bfloat16" for array in arrays):
                    runs.append(run_ort)
                for run in runs:
                    for got, want in zip(run(made, feeds), outputs, strict=True):
                        backend._compare(got, backend._as_array(want), case.rtol, case.atol)


class RandomAttention:
    """A model of one Attention node in any of its forms, and feeds of it."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        self.opset = int(rng.integers(23, 26))
        self.feeds, self.constants, self.attributes = {}, [], {}
        self.nested = rng.random() < 0.3
        if self.nested:
            self.feeds["flag"] = np.array(True)
        self.flat, self.batch = rng.random() < 0.5, int(rng.integers(1, 4))
        self.queries, self.keys = (int(n) for n in rng.integers(1, 6, 2))
        self.kv_heads = int(rng.integers(1, 4))
        self.heads = self.kv_heads * int(rng.integers(1, 4))
        self.total, self.past = self.keys, None
        self.inputs = [""] * 7
        self.add_data()
        self.add_attributes()
        self.add_mask()
        self.add_outputs()

    def chance(self, probability):
        return self.rng.random() < probability

    def give(self, index, name, array):
        self.inputs[index] = name
        self.feeds[name] = array

    def tensor(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def add_data(self):
        size, v_size = (int(n) for n in self.rng.integers(1, 7, 2))
        for index, (name, heads, length, of_head) in enumerate(
            (
                ("Q", self.heads, self.queries, size),
                ("K", self.kv_heads, self.keys, size),
                ("V", self.kv_heads, self.keys, v_size),
            )
        ):
            array = self.tensor(self.batch, heads, length, of_head)
            if self.flat:
                array = array.transpose(0, 2, 1, 3).reshape(self.batch, length, -1)
            self.give(index, name, np.ascontiguousarray(array))
        if self.flat:
            self.attributes |= {"q_num_heads": self.heads, "kv_num_heads": self.kv_heads}
        cache = self.rng.random()
        if cache < 0.35:
            self.past = int(self.rng.integers(0, 4))
            self.total += self.past
            self.give(4, "past_key", self.tensor(self.batch, self.kv_heads, self.past, size))
            self.give(5, "past_value", self.tensor(self.batch, self.kv_heads, self.past, v_size))
        elif cache < 0.6 and self.opset >= 24:
            valid = self.rng.integers(1, self.keys + 1, self.batch)
            self.give(6, "nonpad_kv_seqlen", valid.astype(np.int64))

    def add_attributes(self):
        if self.chance(0.4):
            self.attributes["scale"] = float(self.rng.uniform(0.1, 2))
        if self.chance(0.3):
            self.attributes["softcap"] = float(self.rng.uniform(0.5, 3))
        if self.chance(0.4):
            self.attributes["is_causal"] = 1
        if self.chance(0.2):
            self.attributes["softmax_precision"] = TensorProto.FLOAT
        if self.opset >= 25 and self.chance(0.5):
            for side in ("left", "right"):
                self.attributes[f"{side}_window_size"] = int(self.rng.integers(-1, 3))

    def add_mask(self):
        if self.chance(0.4):
            return
        shape = [self.batch, self.heads, self.queries, self.total]
        if self.opset >= 24 and self.past is None and self.total > 2 and self.chance(0.3):
            # A mask may end with the last valid key.
            shape[3] = int(self.feeds.get("nonpad_kv_seqlen", np.array(self.total)).max())
        for axis in range(2):
            if self.chance(0.3):
                shape[axis] = 1
        shape = shape[int(self.rng.integers(0, 3)) :]
        if shape[-1] < 2:
            return
        if self.chance(0.5):
            mask = self.rng.random(shape) < 0.6
        else:
            mask = self.tensor(*shape)
            mask[self.rng.random(shape) < 0.3] = -np.inf
        if self.chance(0.2):
            mask[..., :1, :] = False if mask.dtype == bool else -np.inf
        if self.chance(0.3):
            self.inputs[3] = "mask"
            self.constants.append(numpy_helper.from_array(mask, "mask"))
        else:
            self.give(3, "mask", mask)

    def add_outputs(self):
        self.outputs = ["Y", "", "", ""]
        if self.past is not None:
            self.outputs[1:3] = "present_key", "present_value"
        if self.chance(0.5):
            self.outputs[3] = "scores"
            self.attributes["qk_matmul_output_mode"] = int(self.rng.integers(0, 4))
        while not self.outputs[-1]:
            self.outputs.pop()
        while not self.inputs[-1]:
            self.inputs.pop()

    def shape_of(self, array, extents):
        """Extents that are "known", "named" (the same name for the same extent) or "open"."""
        if extents == "known":
            return array.shape
        return [f"n{extent}" if extents == "named" else None for extent in array.shape]

    def model(self, extents="known"):
        node = helper.make_node("Attention", self.inputs, self.outputs, "attend", **self.attributes)
        nodes, initializers = [node], self.constants
        made = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in self.outputs
            if name
        ]
        inputs = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(array.dtype),
                self.shape_of(array, extents),
            )
            for name, array in self.feeds.items()
        ]
        if self.nested:
            branches = {
                f"{kind}_branch": helper.make_graph(nodes, kind, [], made, initializers)
                for kind in ("then", "else")
            }
            nodes = [helper.make_node("If", ["flag"], [info.name for info in made], **branches)]
            initializers = []
        graph = helper.make_graph(nodes, "attention", inputs, made, initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=11)


@pytest.mark.parametrize("seed", range(200))
def test_any_attention_means_the_same(seed):
    case = RandomAttention(seed)
    model = case.model()
    with np.errstate(all="ignore"):
        wanted = ReferenceEvaluator(model).run(None, case.feeds)
    # The reference shows scores of mode 0 with their cap.
    capped = "softcap" in case.attributes and case.attributes.get("qk_matmul_output_mode") == 0
    if capped and "scores" in case.outputs:
        wanted[-1] = run_own(model, case.feeds)[-1]
    for extents in ("known", "named", "open"):
        made = expanded(case.model(extents))
        assert [info.name for info in made.graph.output] == [
            info.name for info in model.graph.output
        ]
        for run in (run_own, run_ort):
            for got, want in zip(run(made, case.feeds), wanted, strict=True):
                assert got.dtype == want.dtype
                np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


WIDTH = 64


def encoder(length="length", opset=23, name="attend", **attributes):
    """Projections, Attention of 4 heads over 2, a projection: `x` to `y` [batch, length, WIDTH]."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def product(data, width, out, of):
        array = (rng.standard_normal((WIDTH, width)) / 8).astype(np.float32)
        weights.append(numpy_helper.from_array(array, f"w_{of}"))
        nodes.append(helper.make_node("MatMul", [data, f"w_{of}"], [out], of))

    product("x", WIDTH, "q", "to_q")
    product("x", WIDTH // 2, "k", "to_k")
    product("x", WIDTH // 2, "v", "to_v")
    heads = {"q_num_heads": 4, "kv_num_heads": 2}
    nodes.append(helper.make_node("Attention", ["q", "k", "v"], ["a"], name, **heads, **attributes))
    product("a", WIDTH, "y", "out")
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", length, WIDTH]) for n in "xy"]
    graph = helper.make_graph(nodes, "encoder", ends[:1], ends[1:], weights)
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def samples(count=16, length=12):
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, length, WIDTH)).astype(np.float32)


def quantized_products(model):
    """Names of the MatMuls that read two dequantized tensors."""
    makers = {out: node for node in all_nodes(model.graph) for out in node.output}
    return {
        node.name
        for node in all_nodes(model.graph)
        if node.op_type == "MatMul"
        and all(getattr(makers.get(i), "op_type", "") == "DequantizeLinear" for i in node.input)
    }


LAYERS = {"to_q", "to_k", "to_v", "out"}
PRODUCTS = {"attend/scores", "attend/output"}


def sqnr(real, rounded):
    return 10 * np.log10(np.square(real).sum() / np.square(real - rounded).sum())


@pytest.mark.parametrize("length", ["length", 12])
@pytest.mark.parametrize("causal", [0, 1])
def test_quantize_reaches_the_products(length, causal):
    model, x = encoder(length, is_causal=causal), samples()
    made = dwindle.quantize(model, x).to_onnx()
    onnx.checker.check_model(made, full_check=True)
    assert quantized_products(made) == LAYERS | PRODUCTS
    assert sqnr(run_ort(model, {"x": x})[0], run_ort(made, {"x": x})[0]) > 25
    before = len(model.SerializeToString())
    assert len(made.SerializeToString()) < before + 8000  # ranges and masks are no constants


def test_a_mask_of_many_tokens_is_no_constant():
    model = encoder(512, is_causal=1)
    made = dwindle.quantize(model, samples(2, 512)).to_onnx()
    assert len(made.SerializeToString()) < len(model.SerializeToString()) + 8000


def test_an_excluded_attention_stays_whole():
    x = samples()
    for pattern in ("attend", "att*", ["to_q", "attend"]):
        made = dwindle.quantize(encoder(), x, exclude=pattern).to_onnx()
        assert ops(made).count("Attention") == 1, pattern
        assert quantized_products(made) <= LAYERS
    named_by_output = dwindle.quantize(encoder(name=""), x, exclude="a").to_onnx()
    assert "Attention" in ops(named_by_output)


def test_parts_of_an_attention_can_be_excluded():
    made = dwindle.quantize(encoder(), samples(), exclude="attend/output").to_onnx()
    assert quantized_products(made) == LAYERS | {"attend/scores"}


def test_attention_can_be_included():
    made = dwindle.quantize(encoder(), samples(), include=["attend", "to_q"]).to_onnx()
    assert quantized_products(made) == PRODUCTS | {"to_q"}


def test_attention_alone_makes_no_file_smaller():
    for options in ({"include": "attend"}, {"op_types": "Attention"}):
        small = dwindle.quantize(encoder(), samples(), **options)
        assert ops(small.to_onnx()).count("Attention") == 1, options
        (note,) = [n for row in small.report for n in row["notes"] if "stays in float" in n]
        assert "more than the" in note


def test_op_types_without_products_leave_it_whole():
    model = encoder()
    model.graph.node.append(helper.make_node("Relu", ["y"], ["z"], "last"))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    assert "Attention" in ops(dwindle.quantize(model, samples(), op_types="Relu").to_onnx())
    made = dwindle.quantize(model, samples(), op_types="MatMul").to_onnx()
    assert quantized_products(made) == LAYERS | PRODUCTS


def test_weights_alone_leave_it_whole():
    assert "Attention" in ops(dwindle.quantize(encoder(), activations="none").to_onnx())


def test_an_attention_of_a_function_is_quantized_and_excluded_by_its_name():
    inner = encoder()
    opsets = list(inner.opset_import)
    weights = list(inner.graph.initializer)
    function = helper.make_function(
        "tests",
        "Block",
        ["x", *(w.name for w in weights)],
        ["y"],
        list(inner.graph.node),
        opsets,
    )
    call = helper.make_node("Block", ["x", *(w.name for w in weights)], ["y"], "block")
    call.domain = "tests"
    graph = helper.make_graph([call], "g", inner.graph.input, inner.graph.output, weights)
    model = helper.make_model(
        graph,
        functions=[function],
        opset_imports=[*opsets, helper.make_opsetid("tests", 1)],
        ir_version=10,
    )
    layers = {f"block/{name}" for name in LAYERS}
    made = dwindle.quantize(model, samples()).to_onnx()
    assert quantized_products(made) == layers | {f"block/{name}" for name in PRODUCTS}
    for pattern in ("attend", "block/attend"):
        made = dwindle.quantize(model, samples(), exclude=pattern).to_onnx()
        assert quantized_products(made) <= layers, pattern
    most = dwindle.quantize(model, samples(), exclude="block/to_k").to_onnx()
    assert quantized_products(most) == {f"block/{name}" for name in PRODUCTS} | (
        layers - {"block/to_k"}
    )


def test_half_attention_is_quantized():
    model = encoder()
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = TensorProto.FLOAT16
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    x = samples().astype(np.float16)
    made = dwindle.quantize(model, x).to_onnx()
    assert quantized_products(made) == LAYERS | PRODUCTS
    assert made.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    real, rounded = (run_own(m, {"x": x})[0].astype(np.float32) for m in (model, made))
    assert sqnr(real, rounded) > 25


def test_what_cannot_be_expanded_is_told():
    small = dwindle.quantize(encoder(scale=-1.0), samples())
    assert "Attention" in ops(small.to_onnx())
    notes = [note for row in small.report for note in row["notes"]]
    assert "Attention 'attend' stays one op: its scale is not positive" in notes
