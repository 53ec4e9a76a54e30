"""raise-opset beside ONNX Runtime: every older form of an op, brought to newer operator sets."""

import re
from collections import Counter
from pathlib import Path

import dwindle
import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper, numpy_helper
from side_by_side import expected, node_model

FIRST, LAST = 7, 28
RUNTIME_LAST = 26  # the newest operator set that ONNX Runtime 1.31 loads
TARGETS = (13, 18, 20, 21, 23, 25, RUNTIME_LAST, LAST)
REDUCTIONS = (
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare"
).split()


def raised(model, opset):
    made = dwindle.run_recipe(
        dwindle.from_onnx(model), [{"pass": "raise-opset", "opset": opset}], check=False
    ).to_onnx()
    onnx.checker.check_model(made, full_check=True)
    assert opset_of(made) == max(opset, opset_of(model))
    return made


def opset_of(model):
    return next(entry.version for entry in model.opset_import if entry.domain == "")


def outputs_of(model, feeds):
    """From ONNX Runtime where it runs the model, otherwise from Dwindle; None where neither."""
    results = expected(model, feeds)
    if results is not None:
        return results
    try:
        results = dwindle.from_onnx(model).run(feeds)
    except dwindle.Unsupported:
        return None
    return [results[output.name] for output in model.graph.output]


def close(wanted, got, about):
    for a, b in zip(wanted, got, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype, about
        if a.dtype.kind == "f":
            loose = 1e-2 if a.dtype == np.float16 else 1e-4
            np.testing.assert_allclose(b, a, rtol=loose, atol=loose / 10, err_msg=about)
        else:
            np.testing.assert_array_equal(b, a, about)


def compare(model, feeds, targets=TARGETS):
    """Raises the model to each of `targets`; returns how many results could be compared."""
    wanted = outputs_of(model, feeds)
    compared = 0
    for target in targets:
        if target <= opset_of(model) or wanted is None:
            continue
        after = raised(model, target)
        got = outputs_of(after, feeds)
        if got is None:
            continue
        ops = [node.op_type for node in model.graph.node]
        close(wanted, got, f"{ops} from {opset_of(model)} to {target}")
        compared += 1
    return compared


# --- the table ------------------------------------------------------------------------------------


def rows():
    """(op, version) of every conversion, read from the tables of passes/convert."""
    folder = Path(__file__).parents[2] / "passes" / "convert"
    if not folder.is_dir():
        pytest.skip("the sources are not here")
    found = set()
    for file in folder.glob("*.cpp"):
        found |= {
            (op, int(version))
            for op, version in re.findall(r'\{"(\w+)", (\d+), ', file.read_text())
        }
    return found


def attributes_of(schema):
    return {
        name: None if a.default_value.type == 0 else helper.get_attribute_value(a.default_value)
        for name, a in schema.attributes.items()
    }


def types_of(schema, values):
    allowed = {t.type_param_str: set(t.allowed_type_strs) for t in schema.type_constraints}
    return [allowed.get(value.type_str, {value.type_str}) for value in values]


def losses(old, new):
    """What a node that the older schema allows may have that the newer one takes otherwise."""
    before, after = attributes_of(old), attributes_of(new)
    yield from (f"attribute {name} went" for name in before if name not in after)
    yield from (
        f"{name} has another default"
        for name in before
        if name in after and before[name] != after[name] and before[name] is not None
    )
    yield from (
        f"attribute {name} is required"
        for name, a in new.attributes.items()
        if a.required and not (name in before and old.attributes[name].required)
    )
    if new.deprecated and not old.deprecated:
        yield "deprecated"
    if new.min_input > old.min_input or new.max_input < old.max_input:
        yield "another number of inputs"
    if new.min_output > old.min_output or new.max_output < old.max_output:
        yield "another number of outputs"
    for which in ("inputs", "outputs"):
        pairs = zip(types_of(old, getattr(old, which)), types_of(new, getattr(new, which)))
        if not new.deprecated and any(a - b for a, b in pairs):
            yield f"fewer types of {which}"


def test_every_step_that_gives_something_up_has_a_row():
    history = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, []).append(schema)
    table, missing = rows(), []
    for op, schemas in history.items():
        schemas.sort(key=lambda schema: schema.since_version)
        for old, new in zip(schemas, schemas[1:]):
            step = (op, new.since_version)
            lost = list(losses(old, new))
            if FIRST < new.since_version <= LAST and lost and step not in table:
                missing.append((step, lost))
    assert not missing
    known = {(op, s.since_version) for op, schemas in history.items() for s in schemas}
    assert table <= known


# --- ONNX's own cases -----------------------------------------------------------------------------


def older_forms():
    """ONNX's node cases as models of the oldest version that takes them as they are."""
    from dwindle import backend

    versions = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version >= FIRST:
            versions.setdefault(schema.name, {FIRST}).add(schema.since_version)
    for case in backend.node_cases():
        if len(case.model.graph.node) != 1 or case.model.graph.node[0].domain:
            continue
        for version in sorted(versions.get(case.model.graph.node[0].op_type, {FIRST})):
            model = onnx.ModelProto()
            model.CopyFrom(case.model)
            model.opset_import[0].version = version
            model.ir_version = 8
            try:
                onnx.checker.check_model(model, full_check=True)
            except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
                continue
            if version < min(opset_of(case.model), RUNTIME_LAST):
                yield case, model
            break


def test_node_cases_mean_the_same_in_newer_versions():
    """Where no conversion is made, none is needed: what runs in an older version says so."""
    compared = Counter()
    for case, model in older_forms():
        arrays = case.data_sets[0][0]
        names = [value.name for value in model.graph.input]
        feeds = dict(zip(names, arrays, strict=False))
        wanted = expected(model, feeds)
        if wanted is None:
            continue
        try:
            after = raised(model, RUNTIME_LAST)
        except dwindle.Unsupported as error:
            assert "cannot be brought from opset" in str(error)
            continue
        got = expected(after, feeds)
        if got is None or "bernoulli" in case.name:
            continue  # the runtime lags behind, or is random
        if all(isinstance(value, np.ndarray) for value in wanted):
            close(wanted, got, f"{case.name} from {opset_of(model)}")
            compared[model.graph.node[0].op_type] += 1
    assert sum(compared.values()) > 600
    assert len(compared) > 120


def test_models_that_come_with_onnx():
    from onnx.backend.test import loader

    compared = 0
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for case in loader.load_model_tests(kind=kind):
            folder = Path(case.model_dir)
            model = onnx.load(folder / "model.onnx")
            if opset_of(model) < FIRST or not (folder / "test_data_set_0").is_dir():
                continue
            names = [value.name for value in model.graph.input]
            feeds = {}
            for i, name in enumerate(names):
                path = folder / "test_data_set_0" / f"input_{i}.pb"
                if not path.exists():
                    continue
                tensor = TensorProto()
                try:
                    tensor.ParseFromString(path.read_bytes())
                    feeds[name] = numpy_helper.to_array(tensor)
                except Exception:
                    break  # a sequence or an optional
            else:
                compared += compare(model, feeds)
    assert compared > 50


# --- forms that changed ---------------------------------------------------------------------------


def some(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def reductions(rng):
    op = str(rng.choice(REDUCTIONS))
    opset = int(rng.integers(FIRST, 13 if op == "ReduceSum" else 18))
    low = -3 if opset >= 11 else 0
    axes = rng.choice(3, rng.integers(1, 3), replace=False) + rng.choice([0, low])
    attributes = {"keepdims": int(rng.integers(2))}
    if rng.integers(4):
        attributes["axes"] = axes.tolist()
    return op, opset, [np.abs(some(rng, 2, 3, 4))], {}, attributes


def reshaping(rng):
    kind = rng.integers(3)
    opset = int(rng.integers(FIRST, 13))
    low = 0 if opset < 11 else rng.integers(2)
    if kind == 0:
        attributes = {"axes": [2 - 4 * low]} if rng.integers(2) else {}
        return "Squeeze", opset, [some(rng, 2, 3, 1, 4)], {}, attributes
    if kind == 1:
        axes = [0, 3 - 5 * low]
        return "Unsqueeze", opset, [some(rng, 2, 3, 4)], {}, {"axes": axes}
    attributes = {"axis": int(1 - 3 * low)}
    if rng.integers(2):
        attributes["split"] = [1, 5]
    if "split" not in attributes:
        opset = int(rng.integers(opset, 18))
    return "Split", opset, [some(rng, 2, 6, 4)], {"outputs": 2}, attributes


def cutting(rng):
    kind = rng.integers(4)
    dtype = np.dtype(str(rng.choice(["float32", "float16", "float64"])))
    x = some(rng, 3, 4, 5, dtype=dtype)
    if kind == 0:
        starts, ends = rng.integers(-6, 6, (2, 2)).tolist()
        attributes = {"starts": starts, "ends": ends}
        if rng.integers(2):
            attributes["axes"] = [0, 2]
        return "Slice", int(rng.integers(FIRST, 10)), [x], {}, attributes
    if kind == 1:
        attributes = {"k": int(rng.integers(1, 4)), "axis": int(rng.integers(3))}
        return (
            "TopK",
            int(rng.integers(FIRST, 10)),
            [some(rng, 3, 4, 5)],
            {"outputs": 2},
            attributes,
        )
    if kind == 2:
        bounds = {"min": -0.5, "max": 0.75}
        attributes = {name: bounds[name] for name in bounds if rng.integers(3)}
        return "Clip", int(rng.integers(FIRST, 11)), [x], {}, attributes
    mode = str(rng.choice(["constant", "reflect", "edge"]))
    attributes = {"pads": rng.integers(0, 3, 6).tolist(), "mode": mode}
    if rng.integers(2):
        attributes["value"] = 1.5
    return "Pad", int(rng.integers(FIRST, 11)), [x], {}, attributes


def softmaxes(rng):
    op = str(rng.choice(["Softmax", "LogSoftmax", "Hardmax"]))
    opset = int(rng.integers(FIRST, 13))
    attributes = {}
    if rng.integers(4):
        attributes["axis"] = int(rng.integers(-3 if opset >= 11 else 0, 3))
    shape = [2, int(rng.integers(4) > 0) * 3, 4]  # now and then without elements
    return op, opset, [some(rng, *shape)], {}, attributes


def resizing(rng):
    mode = str(rng.choice(["nearest", "linear"]))
    x = some(rng, 1, 2, 5, 6)
    up = np.array([1, 1, *rng.uniform(1, 3, 2)], np.float32)
    scales = np.array([1, 1, *rng.uniform(0.4, 2.5, 2)], np.float32)
    kind = rng.integers(4)
    if kind == 0:
        return "Upsample", int(rng.integers(7, 9)), [x], {}, {"mode": mode, "scales": up.tolist()}
    constants = () if rng.integers(2) else (1,)
    if kind == 1:
        return "Upsample", 9, [x, up], {"constants": constants}, {"mode": mode}
    if kind == 2:
        return "Resize", 10, [x, scales], {"constants": constants}, {"mode": mode}
    sizes = np.array([1, 2, *rng.integers(2, 12, 2)], np.int64)
    none = np.zeros(0, np.float32)
    coordinates = str(rng.choice(["half_pixel", "asymmetric", "tf_half_pixel_for_nn"]))
    attributes = {
        "mode": "nearest",
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": str(rng.choice(["floor", "round_prefer_floor"])),
    }
    inputs = [x, none, none, sizes]
    return "Resize", int(rng.integers(11, 13)), inputs, {"constants": (1, 2, 3)}, attributes


def normalizing(rng):
    kind = rng.integers(4)
    if kind < 2:
        opset = int(rng.integers(FIRST, 9)) if kind == 0 else int(rng.integers(9, 14))
        attributes = {"epsilon": 0.01}
        each = [3]
        if kind == 0:
            attributes["spatial"] = int(rng.integers(2))
            each = [3] if attributes["spatial"] else [3, 4, 2]
        statistics = [np.abs(some(rng, *each)) + 0.1 for _ in range(4)]
        constants = (1, 2, 3, 4) if rng.integers(2) else ()
        inputs = [some(rng, 2, 3, 4, 2), *statistics]
        return "BatchNormalization", opset, inputs, {"constants": constants}, attributes
    if kind == 2:
        opset = int(rng.integers(FIRST, 12))
        attributes = {"ratio": 0.25} if rng.integers(2) else {}
        return "Dropout", opset, [some(rng, 2, 3)], {}, attributes
    return "MeanVarianceNormalization", int(rng.integers(9, 13)), [some(rng, 2, 3, 4, 5)], {}, {}


def sampling(rng):
    kind = rng.integers(4)
    if kind == 0:
        opset = int(rng.integers(16, 20))
        attributes = {"align_corners": int(rng.integers(2))}
        if rng.integers(4):
            attributes["mode"] = str(rng.choice(["bilinear", "nearest", "bicubic"]))
        inputs = [some(rng, 1, 2, 5, 4), rng.uniform(-1, 1, (1, 3, 2, 2)).astype(np.float32)]
        return "GridSample", opset, inputs, {}, attributes
    if kind == 1:
        corners = np.sort(rng.uniform(0, 7, (2, 2, 2)), axis=1).reshape(2, 4).astype(np.float32)
        inputs = [some(rng, 1, 2, 8, 8), corners, np.zeros(2, np.int64)]
        attributes = {"output_height": 2, "output_width": 3, "sampling_ratio": 2}
        return "RoiAlign", int(rng.integers(10, 16)), inputs, {}, attributes
    if kind == 2:
        attributes = {"axis": int(rng.integers(1, 3))} if rng.integers(2) else {}
        attributes["onesided"] = int(rng.integers(2))
        return "DFT", int(rng.integers(17, 20)), [some(rng, 2, 4, 6, 1)], {}, attributes
    opset = int(rng.integers(9, 11))
    axis = int(rng.integers(2))
    indices = rng.permuted(np.tile(np.arange(3), (3, 1)), axis=1)
    indices = indices if axis else indices.T
    inputs = [some(rng, 3, 3), indices.astype(np.int64), some(rng, 3, 3)]
    return "Scatter", opset, inputs, {}, {"axis": axis}


FAMILIES = (reductions, reshaping, cutting, softmaxes, resizing, normalizing, sampling)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_older_forms(family):
    compared = Counter()
    for seed in range(40):
        op, opset, arrays, layout, attributes = family(np.random.default_rng(seed))
        constants = layout.get("constants", ())
        model = node_model(op, arrays, layout.get("outputs", 1), opset, constants, **attributes)
        feeds = {f"x{i}": array for i, array in enumerate(arrays) if i not in constants}
        rng = np.random.default_rng(seed)
        targets = sorted(rng.choice(range(opset + 1, LAST + 1), 3, replace=False).tolist())
        compared[op] += compare(model, feeds, targets)
    assert all(count >= 3 for count in compared.values()), compared
    assert sum(compared.values()) >= 60, compared


def test_group_normalization():
    """ONNX's checker takes no deprecated op; the runtimes do."""
    rng = np.random.default_rng(0)
    x, scale, bias = some(rng, 2, 6, 5), some(rng, 3), some(rng, 3)
    model = node_model("GroupNormalization", [x, scale, bias], 1, 18, num_groups=3)
    feeds = {"x0": x, "x1": scale, "x2": bias}
    assert compare(model, feeds, (21, 23, 28)) == 3


def test_quantized_models():
    """Operators of quantization hold as they are; what stands between them is converted."""
    rng = np.random.default_rng(0)
    scale, zero = np.array(0.05, np.float32), np.array(3, np.int8)
    weights = rng.integers(-90, 90, (4, 3, 3, 3)).astype(np.int8)
    constants = {
        "scale": scale,
        "zero": zero,
        "weights": weights,
        "weight_scale": np.full(4, 0.02, np.float32),
        "weight_zero": np.zeros(4, np.int8),
        "bias": rng.integers(-99, 99, 4).astype(np.int32),
    }
    nodes = [
        helper.make_node("Pad", ["x"], ["padded"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.1),
        helper.make_node("QuantizeLinear", ["padded", "scale", "zero"], ["q"]),
        helper.make_node(
            "QLinearConv",
            "q scale zero weights weight_scale weight_zero scale zero bias".split(),
            ["c"],
        ),
        helper.make_node("DequantizeLinear", ["c", "scale", "zero"], ["d"]),
        helper.make_node("Clip", ["d"], ["e"], min=0.0, max=6.0),
        helper.make_node("Softmax", ["e"], ["y"], axis=1),
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 6, 6])
        for name, channels in (("x", 3), ("y", 4))
    )
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "quantized", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=5)
    assert compare(model, {"x": some(rng, 1, 3, 6, 6)}) == len(TARGETS)


def scan_8(directions):
    """Running sums and products over the second axis, for each sample of the batch on its own."""
    row = [TensorProto.FLOAT, [2]]
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "a"], ["sum"]),
            helper.make_node("Mul", ["b", "captured"], ["scaled"]),
            helper.make_node("Clip", ["scaled"], ["clipped"], min=-1.0),
            helper.make_node("Add", ["sum", "clipped"], ["both"]),
        ],
        "body",
        [helper.make_tensor_value_info(name, *row) for name in ("state", "a", "b")],
        [helper.make_tensor_value_info(name, *row) for name in ("sum", "both")],
    )
    attributes = {"num_scan_inputs": 2, "body": body}
    if directions is not None:
        attributes["directions"] = directions
    node = helper.make_node("Scan", ["", "start", "a", "b"], ["last", "all"], "scan", **attributes)
    inputs = [("start", [3, 2]), ("a", [3, 4, 2]), ("b", [3, 4, 2]), ("captured", [2])]
    graph = helper.make_graph(
        [node],
        "scan",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs],
        [
            helper.make_tensor_value_info("last", TensorProto.FLOAT, [3, 2]),
            helper.make_tensor_value_info("all", TensorProto.FLOAT, [3, 4, 2]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=4)


@pytest.mark.parametrize("directions", [None, [0, 1], [1, 1]])
def test_scan_over_a_batch(directions):
    model = scan_8(directions)
    rng = np.random.default_rng(0)
    feeds = {"start": some(rng, 3, 2), "a": some(rng, 3, 4, 2), "b": some(rng, 3, 4, 2)}
    feeds["captured"] = some(rng, 2)
    wanted = expected(model, feeds)
    assert wanted is not None
    assert compare(model, feeds, range(9, LAST + 1)) == LAST - 8
    here = dwindle.from_onnx(raised(model, 9)).run(feeds)
    close(wanted, [here["last"], here["all"]], "Scan")
    model.graph.node[0].input[0] = "lengths"
    model.graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, [3]))
    with pytest.raises(dwindle.Unsupported, match=r"Scan node 'scan'.*opset 8 to 9.*sequence_lens"):
        raised(model, 13)


def test_local_functions():
    """The body of a function is converted too, from the version that it imports."""
    body = [
        helper.make_node("ReduceMean", ["a"], ["mean"], axes=[1]),
        helper.make_node("Sub", ["a", "mean"], ["centered"]),
        helper.make_node("Split", ["centered"], ["left", "right"], axis=1),
        helper.make_node("Mul", ["left", "right"], ["b"]),
    ]
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "Center", ["a"], ["b"], body, opsets[:1])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 2])
    call = helper.make_node("Center", ["x"], ["y"], domain="local")
    graph = helper.make_graph([call], "caller", [x], [y])
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    feeds = {"x": some(np.random.default_rng(0), 3, 4)}
    assert compare(model, feeds, (17, 18, 21, RUNTIME_LAST, LAST)) == 5
    assert [entry.version for entry in raised(model, 18).functions[0].opset_import] == [18]


# --- whole models ---------------------------------------------------------------------------------


class Chain:
    """A random model of opset 7 over ops whose form changed, one behind the other."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants, self.shape = [], [], [2, 4, 6, 6]
        self.value = "x"

    def constant(self, array):
        self.constants.append(numpy_helper.from_array(array, f"c{len(self.constants)}"))
        return self.constants[-1].name

    def add(self, op, *rest, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, [self.value, *rest], names, **attributes))
        self.value = names[0]
        return names

    def step(self):
        rng, axis = self.rng, int(self.rng.integers(1, 4))
        kind = rng.integers(9)
        if kind == 0:
            self.add("Clip", **{str(rng.choice(["min", "max"])): float(rng.uniform(-1, 1))})
        elif kind == 1:
            self.add(str(rng.choice(["Softmax", "LogSoftmax"])), axis=axis)
        elif kind == 2:
            self.add(str(rng.choice(["ReduceMean", "ReduceSum", "ReduceMax"])), axes=[axis])
            self.add("Sigmoid")
            scales = [1.0] * 4
            scales[axis] = float(self.shape[axis])
            self.add("Upsample", scales=scales)
        elif kind == 3:
            pads = [0] * 8
            pads[axis], pads[axis + 4] = 1, 2
            self.add("Pad", pads=pads, value=0.5)
            self.add("Slice", starts=[1], ends=[1 + self.shape[axis]], axes=[axis])
        elif kind == 4:
            self.add("Unsqueeze", axes=[0, axis + 1])
            self.add("Squeeze", axes=[0, axis + 1])
        elif kind == 5:
            halves = self.add("Split", outputs=2, axis=axis)
            self.value = halves[1]
            self.add("Concat", halves[0], axis=axis)
        elif kind == 6:
            each = [np.abs(some(rng, 4)) + 0.1 for _ in range(4)]
            self.add("BatchNormalization", *map(self.constant, each))
            self.add("Dropout", ratio=0.5)
        elif kind == 7:
            self.add("TopK", outputs=2, k=self.shape[axis], axis=axis)
        else:
            self.add("AveragePool", kernel_shape=[3, 3], auto_pad="SAME_UPPER")

    def graph(self, name, inputs):
        for _ in range(self.rng.integers(2, 7)):
            self.step()
        info = helper.make_tensor_value_info(self.value, TensorProto.FLOAT, self.shape)
        return helper.make_graph(self.nodes, name, inputs, [info], self.constants)

    def model(self):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        graph = self.graph("chain", [x])
        if self.rng.integers(2):  # the chain in a branch that reads x from outside
            branches = [graph, Chain(int(self.rng.integers(1000))).graph("other", [])]
            for i, branch in enumerate(branches):
                del branch.input[:]
                for node in branch.node:
                    names = {n: f"b{i}_{n}" for n in (*node.input, *node.output) if n != "x"}
                    node.input[:] = [names.get(n, n) for n in node.input]
                    node.output[:] = [names.get(n, n) for n in node.output]
                for value in (*branch.output, *branch.initializer):
                    value.name = f"b{i}_{value.name}"
            node = helper.make_node(
                "If", ["which"], ["y"], then_branch=branches[0], else_branch=branches[1]
            )
            which = helper.make_tensor_value_info("which", TensorProto.BOOL, [])
            y = helper.make_tensor_value_info("y", TensorProto.FLOAT, self.shape)
            graph = helper.make_graph([node], "outer", [x, which], [y])
        opsets = [helper.make_opsetid("", FIRST)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=4)


@pytest.mark.parametrize("seed", range(40))
def test_from_the_first_version_to_any(seed):
    model = Chain(seed).model()
    onnx.checker.check_model(model, full_check=True)
    rng = np.random.default_rng(seed)
    feeds = {"x": some(rng, 2, 4, 6, 6)}
    if len(model.graph.input) == 2:
        feeds["which"] = np.array(rng.integers(2) > 0)
    wanted = expected(model, feeds)
    assert wanted is not None
    stops = sorted(rng.choice(range(FIRST + 1, LAST), 3, replace=False).tolist())
    step = model
    for target in (*stops, LAST):
        step = raised(step, target)
        for after in (step, raised(model, target)):
            close(wanted, outputs_of(after, feeds), f"to {target}")
            if target <= RUNTIME_LAST:
                assert expected(after, feeds) is not None
